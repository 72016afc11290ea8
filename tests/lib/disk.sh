# disk.sh: a disk that GRUB boots our kernel from, on a BIOS and on UEFI alike; sourced by tests, which have set $work.
# boot_disk OUT CFG FILE... makes it: a partition table, one FAT partition with CFG as GRUB's menu and the files at its
# top, GRUB's first stage in sector 0 and its core in the gap behind it, and the same GRUB for UEFI where a firmware
# looks for one. All with Debian's grub-mkimage, sfdisk and mtools; nothing is mounted, nobody need be root.
disk_modules="normal multiboot2 multiboot part_msdos fat serial terminal echo test halt"

grub_core() { # grub_core FORMAT OUT MODULE...
	format=$1 core=$2; shift 2
	[ -d /usr/lib/grub/$format ] || { echo "no /usr/lib/grub/$format: see tools/deps.sh"; exit 1; }
	printf 'search --file --set=root /grub.cfg\nset prefix=($root)/\nconfigfile /grub.cfg\n' >"$work/core.cfg"
	# shellcheck disable=SC2086
	grub-mkimage -O "$format" -d "/usr/lib/grub/$format" -p / -c "$work/core.cfg" -o "$core" $disk_modules search search_fs_file configfile "$@"
}

boot_disk() {
	disk=$1 cfg=$2; shift 2
	rm -f "$disk"
	truncate -s 24M "$disk"
	printf 'label: dos\nstart=2048, type=ef, bootable\n' | PATH=$PATH:/usr/sbin sfdisk -q "$disk"
	grub_core i386-pc "$work/core.img" biosdisk vbe video all_video
	grub_core x86_64-efi "$work/bootx64.efi" efi_gop video all_video
	# boot.img looks for the core in sector 1 by itself; its own table is left out.
	dd if=/usr/lib/grub/i386-pc/boot.img of="$disk" bs=1 count=440 conv=notrunc status=none
	dd if="$work/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
	[ "$(stat -c %s "$work/core.img")" -lt $((2047 * 512)) ] || { echo "GRUB's core does not fit the gap"; exit 1; }
	part=$disk@@1M
	mformat -i "$part" -T $((23 * 2048)) -h 16 -s 63 -v AMPHI ::
	mmd -i "$part" ::/EFI ::/EFI/BOOT
	mcopy -i "$part" "$work/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
	mcopy -i "$part" "$cfg" ::/grub.cfg
	for file; do mcopy -i "$part" "$file" ::/; done
}
