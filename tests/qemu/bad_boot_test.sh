#!/bin/sh
# bad_boot_test: what a loader or a processor can have wrong is said on the console before the kernel halts.
# Why: a kernel that dies mute at start costs a day each time. Expected: for each lie of tests/guest/bad_loader.c
# (PVH start information and multiboot2 tags) the words that name it; maps that are only strange are used, and
# what was left out of them is told; too little memory, a processor without long mode, by the PVH entry and
# by GRUB (its words on the screen: screen_test.sh). timeout: 300
. "$(dirname "$0")/lib.sh"
. tests/lib/disk.sh
gcc -m32 -std=gnu11 -O2 -Wall -Wextra -Werror -Iinclude -ffreestanding -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-pic -no-pie -mgeneral-regs-only -static -nostdlib \
	-Wl,--build-id=none,-Ttext=0x2000000,-z,noexecstack,--no-warn-rwx-segments,-e,start -o "$work/loader" tests/guest/bad_loader.c ||
	exit 1

told() { # told LIE REGEX: the loader tells it, the kernel says so and ends as a crash
	lie=$1 want=$2
	rm -f "$work/log"
	{ ${typed:-:}; } | timeout -k 5 90 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 128 -nodefaults -display none -no-reboot -serial stdio \
		-monitor none -device isa-debug-exit,iobase=0xf4 -kernel "$work/loader" -initrd "$BUILD/amphi" -append "$lie" \
		2>&1 | stdbuf -oL tr -d '\r' >"$work/log"
	grep -qE -- "$want" "$work/log" || { echo "$lie: expected /$want/ in:"; cat "$work/log"; exit 1; }
	lies=$((${lies:-0} + 1))
}
cannot='^panic: what the PVH loader left cannot be used: '
told magic "${cannot}its start information begins with a wrong magic number"
told map_nowhere "${cannot}its memory map lies where nothing is"
told map_wraps "${cannot}its memory map lies where nothing is"
told map_empty "${cannot}it told of no memory"
told map_old "${cannot}it told of no memory"
told map_small '^panic: too little memory: the memory map \(1 ranges\) has no [0-9]+ KiB in one piece'
told modules_nowhere "${cannot}its list of modules lies where nothing is"
told module_nowhere "${cannot}the boot module lies where nothing is"
told module_huge "${cannot}the boot module lies where nothing is"
told module_outside "${cannot}the boot module is not in what it says is memory"
told module_on_kernel "${cannot}the boot module lies over the kernel"
cannot='^panic: what the multiboot2 loader left cannot be used: '
told mb2_cut "${cannot}its information is cut off"
told mb2_size "${cannot}its information has an impossible size"
told mb2_short_tag "${cannot}.* a tag in it has an impossible size"
told mb2_long_tag "${cannot}.* a tag in it has an impossible size"
told mb2_no_tags "${cannot}it told of no memory"
told mb2_entry_size "${cannot}it told of no memory"
told mb2_module "${cannot}the boot module is not in what it says is memory"

# Strange, and usable.
type_halt() { # without a command line it stays at its prompt
	until_said '^@ready'
	printf 'halt\r'
}
typed=type_halt
told line_nowhere '^@ready'
typed=
told newer '^@exit 0'
told mb2_good '^@exit 0'
told map_strange '^@exit 0'
expect "$work/log" "2 ranges of the PVH loader's memory map make no sense: left out"
expect "$work/log" '^memory 22[0-9]{3} KiB' # 1 to 16 and 24 to 32 MiB, without one that something else lies in

# A processor of 32 bits.
halts='this processor has no 64-bit mode'
quiet() { # quiet FILE QEMU...: runs until the words are there, for the kernel halts for good
	file=$1; shift
	timeout -k 5 120 qemu-system-x86_64 -M q35 -accel tcg -cpu qemu32 -m 64 -nodefaults -display none -no-reboot \
		-monitor none -serial file:"$file" "$@" </dev/null >/dev/null 2>&1 &
	pid=$!
	for i in $(seq 600); do grep -q "$halts" "$file" 2>/dev/null && break; sleep 0.2; done
	kill $pid
	wait $pid 2>/dev/null
	expect "$file" "$halts"
}
quiet "$work/pvh" -kernel "$BUILD/amphi"
printf 'set timeout=0\nmultiboot2 /amphi\nboot\n' >"$work/grub.cfg"
boot_disk "$work/disk" "$work/grub.cfg" "$BUILD/amphi"
quiet "$work/grub" -drive if=none,id=d,format=raw,snapshot=on,file="$work/disk" -device virtio-blk-pci,drive=d
echo "bad boot: $lies ways to be told nonsense, and a processor of 32 bits"
