#!/bin/sh
# screen_test: a machine without any serial port speaks on its screen: in pixels, from GRUB under UEFI and under a BIOS
# (multiboot2's framebuffer), and in VGA's text mode, from the PVH entry. Why: a laptop has nothing else. Expected: the end
# of the self-test, the prompt and a panic's words are read back from a picture of the screen, letter by letter;
# console= chooses among serial port and screen. The pictures are QEMU's, by its monitor.
# timeout: 600
. "$(dirname "$0")/lib.sh"
. tests/lib/disk.sh
(cd "$BUILD/user" && echo self_test | cpio --quiet -o -H newc) >"$work/module"

# look REGEX... -- QEMU...: boots it and takes pictures until one of them shows such lines; the words are in $work/words.
look() {
	rm -f "$work/monitor" "$work/wants"
	while [ "$1" != -- ]; do printf '%s\0' "$1" >>"$work/wants"; shift; done
	shift
	timeout -k 5 390 qemu-system-x86_64 -accel tcg -nodefaults -display none -no-reboot \
		-monitor unix:"$work/monitor",server=on,wait=off "$@" </dev/null >"$work/qemu" 2>&1 &
	pid=$!
	xargs -0 python3 tests/lib/screen.py "$work" 120 <"$work/wants" >"$work/words"
	found=$?
	kill $pid 2>/dev/null
	wait $pid 2>/dev/null
	[ $found = 0 ] && return
	echo "expected on the screen:"; tr '\0' '\n' <"$work/wants"; echo "there was:"; cat "$work/words" "$work/qemu"; exit 1
}

cat >"$work/grub.cfg" <<'G'
set timeout=0
set gfxpayload=800x600x32,auto
multiboot2 /amphi 'do=selftest'
module2 /module
boot
G
boot_disk "$work/disk" "$work/grub.cfg" "$BUILD/amphi" "$work/module"
disk="-drive if=none,id=d,format=raw,snapshot=on,file=$work/disk -device virtio-blk-pci,drive=d"
ovmf="-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"
done='^selftest: [0-9]+ ok, 0 failed' prompt='^amphi> *$'
# shellcheck disable=SC2086
for firmware in "" "$ovmf"; do
	look "$done" "$prompt" -- -M q35 -cpu max -m 256 -vga std $disk $firmware
done

pvh="-M q35 -cpu max -m 64 -vga std -kernel $BUILD/amphi -initrd $work/module"
# shellcheck disable=SC2086
{
	look "$done" "$prompt" -- $pvh -append 'do=selftest'
	look '^panic: somebody typed crash' '#1 .* shell_line' -- $pvh -append 'do=crash' -action panic=none -no-shutdown
	look '^serial and screen$' -- $pvh -append 'do="echo serial and screen"' -serial file:"$work/serial"
	expect "$work/serial" '^serial and screen'
	look '^only the screen$' -- $pvh -append 'console=screen do="echo only the screen"' -serial file:"$work/serial"
	look 'this processor has no 64-bit mode' -- $pvh -cpu qemu32
	! grep -q '^only the screen' "$work/serial" || { echo "console=screen speaks at the serial port"; exit 1; }
}
echo "screen: self-test, prompt and panic read from pixels under a BIOS and UEFI, and from text mode"
