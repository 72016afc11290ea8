#!/bin/sh
# driver_linux_test: two driver domains of ours on real Xen, a PV and a PVH one, serve a PV and a PVH domain of Linux, by Debian's xl:
# each guest has a disk of either, and its programs (fio, e2fsprogs) on a third one of dom0's.
# Why: this is what a user of Xen does with us, and Linux's frontend and xl are the measure. Expected, in both guests at the same time: an
# ext4 is made, worked by fio, with verified blocks, and clean; after a reboot of the guest it is as it was; a disk attached while the
# guest runs is there, and gone when it is detached; one guest is destroyed under load and the other notices nothing. Each driver
# domain reads on its own RAM disk the bytes the guest last read there, and at the end holds no page of anybody.
# timeout: 1200
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
"$here/tools.sh" || { echo "cannot get fio"; exit 1; }

mkdir -p "$work/test"

# The disk's bytes say whether the guest has been started before. fio's libraries want more zeros than there is memory.
linux_initrd "$work/initrd" <<'R'
echo 1 >/proc/sys/vm/overcommit_memory
for d in xvdb xvdz; do for i in $(seq 400); do [ -b /dev/$d ] && break; sleep 0.1; done; done
mount -t ext4 -o ro /dev/xvdz /tools || echo "GUEST cannot mount its programs"
for d in dev proc sys tmp; do mount --bind /$d /tools/$d; done
tool() { chroot /tools /bin/"$@"; }
# Less in the PVH domain, which has one vCPU: on an emulated machine it is slow.
[ "$(nproc)" -gt 1 ] && size=5m || size=1m
fio() { # fio NAME TARGET WORDS...
	n=$1 t=$2; shift 2
	tool fio --name=$n $t --ioengine=libaio --direct=1 --iodepth=32 --size=$size --verify=crc32c --verify_fatal=1 --fallocate=none \
		--output-format=terse "$@" >/tmp/fio.out 2>&1
	echo "GUEST fio $n status $? errors $(cut -d';' -f5 /tmp/fio.out | tail -n 1)"
	[ "$(cut -d';' -f5 /tmp/fio.out)" = 0 ] || cat /tmp/fio.out
}
fs() { # fs DISK: a file system on it, worked, unmounted and checked
	tool mke2fs -q -F -t ext4 /dev/$1
	mount -t ext4 /dev/$1 /mnt && mount --bind /mnt /tools/mnt || echo "GUEST cannot mount $1"
	[ $1 = xvdc ] || fio $1 --directory=/mnt --bsrange=4k-1m --rw=randwrite
	rm -f /mnt/$1*
	dd if=/dev/urandom of=/mnt/made bs=1000 count=1000 2>/dev/null
	umount /tools/mnt; umount /mnt
	tool e2fsck -fn /dev/$1 >/tmp/fsck 2>&1 && echo "GUEST $1 clean" || cat /tmp/fsck
}
complaints() { dmesg -r | grep -E '^<[0-4]>' | grep -iE 'blk|xvd|ext4|jbd|i/o error|warn|bug|hung|stall' | sed 's/^/GUEST complains: /'; }
if mount -t ext4 /dev/xvda /mnt 2>/dev/null; then
	echo "GUEST again, $(cat /mnt/sum), made now $(sha256sum </mnt/made | cut -c1-16)"
	umount /mnt
	until [ -b /dev/xvdc ]; do sleep 0.5; done
	fs xvdc
	echo "GUEST bytes $(sha256sum </dev/xvdc | cut -d' ' -f1)."
	while [ -b /dev/xvdc ]; do sleep 0.5; done
	echo "GUEST detached"
	read -r word </dev/hvc0 # when the other has come so far
	(read -r word </dev/hvc0; touch /tmp/enough) &
	until [ -e /tmp/enough ]; do
		dd if=/dev/urandom of=/tmp/bytes bs=64k count=16 2>/dev/null
		dd if=/tmp/bytes of=/dev/xvdb bs=1M count=1 conv=fsync 2>/dev/null
		blockdev --flushbufs /dev/xvdb
		dd if=/dev/xvdb bs=1M count=1 2>/dev/null | cmp - /tmp/bytes || echo "GUEST cannot read what it wrote"
		echo "GUEST round"
	done
	echo "GUEST loads ended"
	complaints
	poweroff -f
fi
fs xvda
mount -t ext4 /dev/xvda /mnt
echo "made then $(sha256sum </mnt/made | cut -c1-16)" >/mnt/sum
umount /mnt
fio raw --filename=/dev/xvdb --bs=64k --rw=randwrite
complaints
reboot -f
R
cp "$work/initrd" "$xen_dir/vmlinux" "$BUILD/amphi" "$here/guests.sh" "$work/test/"
cat >"$work/test/run.sh" <<'R'
. /test/guests.sh
modprobe nvme
common='tsc_mode="native"
on_poweroff="destroy"
on_crash="preserve"'
back() { # back NAME TYPE
	printf '%s\n' "name='$1'" "type='$2'" 'kernel="/test/amphi"' 'memory=80' "$common" \
		'cmdline="do=\"ramdisk ram0 24576; ramdisk ram1 16384; ramdisk ram2 8192; serve; echo serving\""' >/tmp/$1.cfg
	[ $2 = pv ] || echo 'shadow_memory=4' >>/tmp/$1.cfg
	xl create /tmp/$1.cfg >/dev/null 2>&1 || { echo "MISSED create $1"; end 1; }
}
disk() { echo "'backend=$1,vdev=$3,format=raw,backendtype=phy,access=rw,target=$2'"; }
guest() { # guest NAME TYPE BACK OTHER-BACK VCPUS WORD
	printf '%s\n' "name='$1'" "type='$2'" 'kernel="/test/vmlinux"' 'ramdisk="/test/initrd"' 'memory=256' "vcpus=$5" "$common" \
		"cmdline='console=hvc0 loglevel=4 tsc=reliable $6'" 'on_reboot="restart"' \
		"disk=[$(disk $3 ram0 xvda), $(disk $4 ram1 xvdb), 'vdev=xvdz,format=raw,backendtype=phy,access=ro,target=/dev/nvme0n1']" >/tmp/$1.cfg
	xl create /tmp/$1.cfg >/dev/null 2>&1 || { echo "MISSED create $1"; end 1; }
}
end() {
	for d in bpv bph lpv lph; do sed "s/^/[$d] /" $logs/guest-$d.log; echo; done
	exit $1
}
back bpv pv
back bph pvh
says bpv '^serving'; says bph '^serving'
guest lpv pv bpv bph 2 blkfront:max_ring_page_order=1
guest lph pvh bph bpv 1
for d in lpv lph; do
	says $d '^GUEST again'
	[ $d = lpv ] && b=bph || b=bpv
	xl block-attach $d "$(disk $b ram2 xvdc | tr -d "'")" || echo "MISSED attach"
done
for d in lpv lph; do
	says $d '^GUEST bytes .*[.]'
	home=/local/domain/$(xl domid $d)/device/vbd
	xenstore-ls -f $home | sed -n "s,^$home/\([0-9]*\)/,FRONT $d \1 ,p" | grep -E 'feature|ring|queue|protocol'
	step detach $d # xl waits 10 s for each half, and a slow machine may need more
	xl block-detach $d xvdc || xl block-detach $d xvdc || echo "MISSED detach"
done
for b in bpv bph; do
	home=/local/domain/$(xl domid $b)/backend/vbd
	xenstore-ls -f $home | sed -n "s,^$home/\([0-9]*/[0-9]*\)/,BACK $b \1 ,p" | grep -E ' (feature|sector|multi|max|discard|state)'
	tell $b "sha256 ram2"
done
for d in lpv lph; do says $d '^GUEST detached'; done
for d in lpv lph; do tell $d load; done
for d in lpv lph; do says $d '^GUEST round'; done
grep -aq '^GUEST loads ended' $logs/guest-l*.log && echo "MISSED: a load has ended"
for b in bpv bph; do tell $b "stats; echo counted"; says $b '^counted'; done
xl destroy lpv
for i in 1 2 3; do more lph '^GUEST round'; done
tell lph enough
says lph '^GUEST loads ended'
for b in bpv bph; do says $b '@sha256 ram2'; done
gone lph
for b in bpv bph; do let_go $b; tell $b "halt 3"; done
for b in bpv bph; do says $b '@exit 3'; done
end 0
R
XEN_SECONDS=380
xen_linux "$work/test" -m 1800 -drive "file=$xen_dir/tools.img,if=none,id=t,format=raw,readonly=on" -device nvme,serial=t,drive=t >"$work/log"

! grep MISSED "$work/log" || { tail -n 60 "$work/log"; exit 1; }
expect "$work/log" '^TEST-EXIT: 0'
! grep -E 'GUEST (complains|cannot|fio .* (status [1-9]|errors [1-9]))' "$work/log" || exit 1
for d in lpv lph; do
	for n in xvda raw; do expect "$work/log" "^\\[$d\\] GUEST fio $n status 0 errors 0"; done
	expect "$work/log" "^\\[$d\\] GUEST xvda clean"
	expect "$work/log" "^\\[$d\\] GUEST xvdc clean"
	expect "$work/log" "^\\[$d\\] GUEST again, made then ([0-9a-f]{16}), made now \\1"
	expect "$work/log" "^\\[$d\\] GUEST detached"
	[ $d = lpv ] && b=bph || b=bpv
	expect "$work/log" "^\\[$b\\] @sha256 ram2 $(sed -n "s/^\\[$d\\] GUEST bytes \\([0-9a-f]*\\).*/\\1/p" "$work/log")"
	expect "$work/log" "^\\[$b\\] .*granted to others 0 pages, of others 0 pages"
	expect "$work/log" "^\\[$b\\] @exit 3"
done
# Used, not only offered: of Linux's two vCPUs each has a ring of two pages, and requests of more than 11 pages are one.
expect "$work/log" '^\[bph\] @stat back=[0-9]*/xvdb .*indirect=[1-9].* queues=2 ring_pages=2'
expect "$work/log" '^\[bpv\] @stat back=[0-9]*/xvdb .*indirect=[1-9].* queues=1 ring_pages=1'
sed -n 's/^BACK \(b[^ ]* [0-9]*\/51728\)/back \1/p; s/^FRONT \(l[^ ]* 51728\)/front \1/p; s/^\[\(b..\)\] @stat back=/counted by \1: /p' "$work/log"
echo "PV and PVH driver domains on real Xen served a PV and a PVH Linux: fio verified, attached, detached, rebooted, destroyed under load"
