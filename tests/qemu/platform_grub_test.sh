#!/bin/sh
# platform_grub_test: the rows of a machine that GRUB starts by multiboot2 from one and the same disk, under a BIOS
# and under UEFI. Why: it is how a machine that is nobody's guest is started, and what the firmware leaves in memory
# differs most here. Expected: the same self-test as by the PVH entry.
# timeout: 900
. "$(dirname "$0")/lib.sh"
. tests/lib/rows.sh
. tests/lib/disk.sh
# No blanks in the words: GRUB would quote them its own way.
cat >"$work/grub.cfg" <<G
set timeout=0
multiboot2 /amphi 'do=selftest;pvops;cpu;halt'
module2 /module
boot
G
boot_disk "$work/disk" "$work/grub.cfg" "$BUILD/amphi" "$work/module"
for firmware in bios uefi; do
	for n in $CPUS; do
		set -- -M q35 -cpu max -smp "$n" -m 256 -drive if=none,id=d,format=raw,snapshot=on,file="$work/disk" \
			-device virtio-blk-pci,drive=d
		[ $firmware = bios ] || set -- "$@" -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd
		row_qemu "$@" >"$work/log"
		row "GRUB, $firmware, $n CPUs" "$work/log" "$n"
		expect "$work/log" 'amphi on native \(by multiboot2\)'
		expect "$work/log" '^@exit 0'
	done
done
rows_end "GRUB from a disk"
