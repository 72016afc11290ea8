#!/bin/sh
# linux_disk_test: a stock Debian Linux on amphi-hv, 2 vCPUs on 2 CPUs, has an ext4 on a disk of ours and works it with fio.
# Why: the reading of one image (linux_guest_test) shows no lost, doubled or misplaced write; fio's verified blocks do, at all sizes that
# blkfront makes, with four writers and queues that are full, and a file system is what people have.
# The disk has sectors of 4096 bytes and takes discards; another has no flushes but barriers. Expected: fio verifies every block, random and in sequence, 4k to 1m, without an error; a read of 1 MiB is one request (indirect); the guest's kernel has no complaint;
# afterwards e2fsck on the host finds nothing, files copied in the guest equal the host's byte for byte, and those that
# the guest made have the SHA-256 that it took. SOAK=1 writes ten times as much.
# timeout: 420
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
"$here/tools.sh" || { echo "cannot get fio"; exit 1; }
PATH=$PATH:/sbin:/usr/sbin
[ "${SOAK:-}" ] && mib=40 && LINUX_SECONDS=3000 || mib=4

# Three disks: the one worked on, with what is to be copied, one for reading, with the programs, and an empty one, whose
# file system the guest makes: there it has barriers for flushes.
mkdir -p "$work/disk/from"
for kib in 1 4 700 5000; do head -c $((kib * 1024 + 13)) /dev/urandom >"$work/disk/from/$kib"; done
mke2fs -q -F -t ext4 -d "$work/disk" "$work/a.img" 512M
truncate -s 24M "$work/c.img"

linux_initrd "$work/initrd" <<R
mount -t ext4 /dev/xvda /mnt || echo "GUEST cannot mount xvda"
mount -t ext4 -o ro /dev/xvdb /tools || echo "GUEST cannot mount xvdb"
for d in mnt dev proc sys tmp; do mount --bind /\$d /tools/\$d; done
fio() { # fio NAME BLOCK-SIZE READ-OR-WRITE
	chroot /tools /bin/fio --name=\$1 --directory=/mnt/fio --ioengine=libaio --direct=1 --iodepth=32 --numjobs=4 \\
		--bs=\$2 --rw=\$3 --size=${mib}m --verify=crc32c --verify_fatal=1 --verify_state_save=0 --group_reporting --output-format=terse \\
		--fallocate=none >/tmp/fio.out 2>&1
	echo "GUEST fio \$1 status \$? errors \$(cut -d';' -f5 /tmp/fio.out | tail -n 1), \$(cut -d';' -f47 /tmp/fio.out | tail -n 1) KiB written"
	[ "\$(cut -d';' -f5 /tmp/fio.out)" = 0 ] || cat /tmp/fio.out
	rm -f /mnt/fio/*
}
mkdir /mnt/fio
for bs in 4k 64k 1m; do fio random-\$bs \$bs randwrite; fio sequential-\$bs \$bs write; done
fio mixed 16k randrw
reads() { set -- \$(cat /sys/block/xvdb/stat); echo \$1; }
before=\$(reads)
chroot /tools /bin/fio --name=whole --readonly --filename=/dev/xvdb --bs=1m --rw=read --size=16m --direct=1 >/tmp/fio.out 2>&1 || cat /tmp/fio.out
echo "GUEST read 16 times 1 MiB by \$((\$(reads) - before)) requests"
mkdir /mnt/to
cp /mnt/from/* /mnt/to/
for n in 1 100 4000; do dd if=/dev/urandom of=/mnt/to/made-\$n bs=1000 count=\$n 2>/dev/null; done
q=/sys/block/xvda/queue
echo "GUEST xvda has sectors of \$(cat \$q/logical_block_size) bytes, \$(cat \$q/physical_block_size) in the medium"
fstrim -v /mnt | sed 's/^/GUEST trimmed /'
chroot /tools /bin/mke2fs -q -F -t ext4 /dev/xvdc
mkdir /tmp/c; mount -t ext4 /dev/xvdc /tmp/c || echo "GUEST cannot mount xvdc"
for n in 1 100 4000; do dd if=/mnt/to/made-\$n of=/tmp/c/made-\$n bs=1000 conv=fsync 2>/dev/null; done
umount /tmp/c
cd /mnt/to; sha256sum made-* | sed 's/^/GUEST made /'; cd /
dmesg -r | grep -E '^<[0-4]>' | grep -iE 'blk|xvd|ext4|jbd|i/o error|warn|bug|hung|stall' | sed 's/^/GUEST complains: /'
for d in mnt dev proc sys tmp; do umount /tools/\$d; done
umount /tools; umount /mnt && echo "GUEST unmounted"
poweroff -f
R
# Its frontend keeps a page for each of the 256 pages of each of a ring's 32 requests: 32 MiB a disk and queue.
ar_file /vmlinux "$xen_dir/vmlinux"
ar_file /initrd "$work/initrd"
ar_disk /a.img amphi0
ar_disk /b.img amphi1
ar_disk /c.img amphi2
linux_domain linux blkfront:max_indirect_segments=256,max_queues=1 'memory = 384' 'vcpus = 2' "disk = ['/a.img,raw,xvda,rw', '/b.img,raw,xvdb,ro', '/c.img,raw,xvdc,rw,no-flush-cache']"
ar_pack "$work/archive"

SERVICE_WORDS=
linux_start amphi-hv 2 840 -drive "file=$work/a.img,if=none,id=a,format=raw,discard=unmap" \
	-device nvme,serial=amphi0,drive=a,logical_block_size=4096,physical_block_size=4096 \
	-drive "file=$xen_dir/tools.img,if=none,id=b,format=raw,readonly=on" -device nvme,serial=amphi1,drive=b \
	-drive "file=$work/c.img,if=none,id=c,format=raw" -device nvme,serial=amphi2,drive=c
linux_wait '^@exit ' "${LINUX_SECONDS:-400}"
wait $machine
tr -d '\r' <"$log" >"$work/said"
for job in random-4k sequential-4k random-64k sequential-64k random-1m sequential-1m mixed; do
	expect "$work/said" "^\\[linux\\] GUEST fio $job status 0 errors 0, [1-9][0-9]* KiB"
done
! grep -E 'GUEST (complains|cannot)' "$work/said" || linux_fail "the guest complained"
expect "$work/said" '^\[linux\] GUEST unmounted'
expect "$work/said" '^\[linux\] GUEST read 16 times 1 MiB by (1[6-9]|2[0-3]) requests' # a few are of the file system there
expect "$work/said" '^\[linux\] GUEST xvda has sectors of 4096 bytes, 4096 in the medium'
expect "$work/said" '^\[linux\] GUEST trimmed /mnt: [1-9][0-9]'
expect "$work/said" '^@stat back=1/xvda .* indirect=[1-9].* discards=[1-9]'
expect "$work/said" '^@stat back=1/xvdc .* flushes=0 .* barriers=[1-9]'

for image in a c; do e2fsck -fn "$work/$image.img" >"$work/fsck" 2>&1 || { cat "$work/fsck"; exit 1; }; done
out_of_image() { debugfs -R "dump $1 $work/dumped" "$work/${2:-a}.img" >/dev/null 2>&1; }
for kib in 1 4 700 5000; do
	out_of_image /to/$kib
	cmp "$work/disk/from/$kib" "$work/dumped" || { echo "the copy of $kib KiB differs"; exit 1; }
done
for n in 1 100 4000; do
	out_of_image /to/made-$n
	grep -qF "GUEST made $(sha256sum <"$work/dumped" | cut -d' ' -f1)  made-$n" "$work/said" || { echo "made-$n differs"; exit 1; }
	cp "$work/dumped" "$work/made"; out_of_image /made-$n c
	cmp "$work/made" "$work/dumped" || { echo "made-$n differs on the disk with barriers"; exit 1; }
done
echo "fio verified $(sed -n 's/.* errors 0, \([0-9]*\) KiB.*/\1/p' "$work/said" | awk '{ s += $1 } END { print int(s / 1024) }') MiB written by a stock Linux on our disk; ext4 clean, files equal"
