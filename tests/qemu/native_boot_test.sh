#!/bin/sh
# native_boot_test: one image, every native way in, and machines of every shape. Why: the loader and the
# firmware decide what the first thousand instructions find, and nobody sees what happens there when it goes
# wrong. Expected: the prompt from the PVH entry with 4 MiB and with memory above 4 GiB, without no-execute, with
# a ramdisk; from GRUB by multiboot2 on a BIOS and on UEFI; every pv site patched.
. "$(dirname "$0")/lib.sh"
do_all='do="pvops verify; mem; halt"'

boots() { # boots NAME MIB CMDLINE [QEMU...]: gets to the prompt with all sites patched, and ends well
	name=$1; shift
	native "$@" </dev/null >"$work/log"
	expect_status 0 "$work/log"
	expect "$work/log" '^@ready'
	expect "$work/log" 'pv_unfilled=0 pv_indirect=0 platform=native'
	expect "$work/log" '^@pvops indirect=0 differing=0'
	echo "$name: $(sed -n 's/^memory //p' "$work/log")"
}

boots 'PVH, 4 MiB' 4 "$do_all"
boots 'PVH, 5 GiB' 5120 "$do_all"
boots 'PVH, no NX, no 1 GiB pages' 64 "$do_all" -cpu qemu64,-nx
boots 'PVH, i440FX' 64 "$do_all" -M pc
expect "$work/log" 'by PVH'

head -c 300000 /dev/urandom >"$work/ramdisk"
boots 'PVH, ramdisk' 32 "$do_all" -initrd "$work/ramdisk"
free=$(sed -n 's/.*free \([0-9]*\) KiB.*/\1/p' "$work/log")
boots 'PVH, no ramdisk' 32 "$do_all"
more=$(sed -n 's/.*free \([0-9]*\) KiB.*/\1/p' "$work/log")
# 300000 bytes are 74 pages.
[ "$((more - free))" = 296 ] || { echo "a ramdisk of 296 KiB costs $((more - free)) KiB"; exit 1; }

# GRUB from a CD of its own, with a module. No blanks in the words: GRUB would quote them its own way.
grub_boots() { # grub_boots NAME GRUB-PLATFORM [QEMU...]
	name=$1 modules=/usr/lib/grub/$2; shift 2
	[ -d "$modules" ] || { echo "$name: no $modules: Debian's GRUB packages are missing"; exit 1; }
	mkdir -p "$work/cd/boot/grub"
	cp "$BUILD/amphi" "$work/ramdisk" "$work/cd/boot/"
	cat >"$work/cd/boot/grub/grub.cfg" <<-'G'
		set timeout=0
		multiboot2 /boot/amphi 'do=pvops;mem;halt'
		module2 /boot/ramdisk
		boot
	G
	grub-mkrescue -d "$modules" -o "$work/cd.iso" "$work/cd" >"$work/log" 2>&1 || {
		echo "grub-mkrescue failed"; cat "$work/log"; exit 1; }
	timeout -k 5 270 qemu-system-x86_64 -M q35 -accel tcg -m 256 -nodefaults -display none -no-reboot -serial stdio \
		-monitor none -device isa-debug-exit,iobase=0xf4 -cdrom "$work/cd.iso" "$@" </dev/null 2>&1 | tr -d '\r' >"$work/log"
	expect "$work/log" 'by multiboot2'
	expect "$work/log" '^@ready'
	expect "$work/log" '^@pvops indirect=0 differing=0'
	expect "$work/log" '^@exit 0'
	echo "$name: $(sed -n 's/^memory //p' "$work/log")"
}

command -v grub-mkrescue >/dev/null && command -v xorriso >/dev/null || { echo "no grub-mkrescue or xorriso: see tools/deps.sh"; exit 1; }
grub_boots 'GRUB, multiboot2, BIOS' i386-pc
ovmf=/usr/share/OVMF/OVMF_CODE_4M.fd
[ -e $ovmf ] || { echo "no $ovmf: Debian's package ovmf is missing"; exit 1; }
grub_boots 'GRUB, multiboot2, UEFI' x86_64-efi -drive if=pflash,format=raw,readonly=on,file=$ovmf
