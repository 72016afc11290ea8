# fs.sh: a Linux of a test makes a file system on a disk, works it, and later finds it whole, there or on a copy of it; sourced by
# dom0's run.sh, which finds it as /test/fs.sh, with the programs of tools.sh. fs_programs DEVICE mounts them. fs_make DEVICE
# makes an ext4, on which fio leaves blocks with their checksums; fs_check DEVICE is for what must be the same file system:
# e2fsck finds nothing, fio verifies each block (it opens its files for writing and writes nothing), files have their sums.
# A word is printed for each step, for the test to expect; what fails is printed whole. It does not say what is expected.
fs_programs() {
	mkdir -p /tools /mnt
	for i in $(seq 400); do [ -b "$1" ] && break; sleep 0.1; done
	mount -t ext4 -o ro "$1" /tools || { echo "FS no programs"; return 1; }
	for d in dev proc sys tmp; do mount --bind /$d /tools/$d; done
	echo 1 >/proc/sys/vm/overcommit_memory # fio's libraries want more zeros than there is memory
}

fs_tool() { chroot /tools /bin/"$@"; }

# Two files: short blocks at random places, and long ones in sequence.
fs_fio() { # fs_fio WORD...
	fs_tool fio "$@" --directory=/mnt --ioengine=libaio --direct=1 --iodepth=16 --verify=crc32c --verify_fatal=1 \
		--verify_state_save=0 --fallocate=none --output-format=terse --size=4m \
		--name=random --rw=randwrite --bs=4k --name=long --stonewall --rw=write --bs=1m >/tmp/fio.out 2>&1
	[ $? = 0 ] && [ "$(cut -d';' -f5 /tmp/fio.out | sort -u)" = 0 ] || { cat /tmp/fio.out; return 1; }
}

fs_mount() { mount -t ext4 "$@" /mnt && mount --bind /mnt /tools/mnt; }
fs_unmount() { umount /tools/mnt && umount /mnt; }

fs_make() {
	fs_tool mke2fs -q -F -t ext4 "$1" && fs_mount "$1" && fs_fio --do_verify=0 || { echo "FS $1 cannot be made"; return 1; }
	for n in 1 100 1000; do dd if=/dev/urandom of=/mnt/made-$n bs=1013 count=$n 2>/dev/null; done
	(cd /mnt && sha256sum made-* >sums)
	fs_unmount && echo "FS $1 made"
}

fs_check() {
	fs_tool e2fsck -fn "$1" >/tmp/fsck 2>&1 && echo "FS $1 clean" || cat /tmp/fsck
	fs_mount "$1" || { echo "FS $1 cannot be mounted"; return 1; }
	fs_fio --verify_only && echo "FS $1 verified"
	(cd /mnt && sha256sum -c sums >/tmp/sums 2>&1) && echo "FS $1 files equal" || cat /tmp/sums
	fs_unmount
}
