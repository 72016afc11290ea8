#!/bin/sh
# linux_save_test: a stock Debian Linux is saved and restored on amphi-hv while fio works its ext4, and goes to another machine in between.
# Why: a save stops a guest anywhere: with requests in flight that are sent again by its frontend, with both vCPUs busy, timers armed and
# memory changing. Expected: fio verifies every block without an error, the guest's kernel complains of nothing, it is
# the same boot with both vCPUs, of which it gives one up when it is told to at the end, and e2fsck on the host finds nothing.
# timeout: 400
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
"$here/tools.sh" || { echo "cannot get fio"; exit 1; }
PATH=$PATH:/sbin:/usr/sbin
mkdir "$work/empty"
mke2fs -q -F -t ext4 -d "$work/empty" "$work/a.img" 128M
cp "$xen_dir/tools.img" "$work/b.img"
truncate -s 260M "$work/c.img"

linux_initrd "$work/initrd" <<'R'
mount -t ext4 /dev/xvda /mnt || echo "GUEST cannot mount xvda"
mount -t ext4 -o ro /dev/xvdb /tools || echo "GUEST cannot mount xvdb"
for d in mnt dev proc sys tmp; do mount --bind /$d /tools/$d; done
mkdir /mnt/fio
id=$(cat /proc/sys/kernel/random/boot_id)
(
	i=0
	while [ ! -e /tmp/over ]; do
		i=$((i + 1))
		echo "GUEST $id turn $i cpus $(grep -c ^processor /proc/cpuinfo)"
		sleep 1
	done
) &
n=0
while [ $n -lt 100 ] && [ "${bad:-0}" = 0 ]; do
	n=$((n + 1))
	chroot /tools /bin/fio --name=round --directory=/mnt/fio --ioengine=libaio --direct=1 --iodepth=32 --numjobs=4 \
		--bssplit=4k/50:64k/50 --rw=randwrite --size=3m --verify=crc32c --verify_fatal=1 --verify_state_save=0 --group_reporting \
		--output-format=terse --fallocate=none >/tmp/fio.out 2>&1
	echo "GUEST fio round $n status $? errors $(cut -d';' -f5 /tmp/fio.out | tail -n 1)"
	[ "$(cut -d';' -f5 /tmp/fio.out)" = 0 ] || { bad=1; cat /tmp/fio.out; }
	rm -f /mnt/fio/*
	[ "$(grep -c ^processor /proc/cpuinfo)" = 1 ] && break # the test's sign that it is enough
done
touch /tmp/over
dmesg -r | grep -E '^<[0-4]>' | grep -iE 'blk|xvd|ext4|jbd|i/o error|warn|bug|hung|stall|oops' | sed 's/^/GUEST complains: /'
for d in mnt dev proc sys tmp; do umount /tools/$d; done
umount /tools; umount /mnt && echo "GUEST unmounted"
poweroff -f
R
ar_file /vmlinux "$xen_dir/vmlinux"
ar_file /initrd "$work/initrd"
for d in a b c; do ar_disk "/$d.img" "amphi-$d"; done
linux_domain linux '' 'memory = 224' 'vcpus = 2' "disk = ['/a.img,raw,xvda,rw', '/b.img,raw,xvdb,ro']"
sed -i 's/^domain /spare /' "$work/ar/manifest"
ar_pack "$work/archive"
begin() {
	from=0
	for d in a b c; do
		set -- "$@" -drive "file=$work/$d.img,if=none,id=$d,format=raw" -device "nvme,serial=amphi-$d,drive=$d"
	done
	linux_start amphi-hv 2 640 "$@"
}
again() { # it goes on and fio has had some time
	linux_mark
	linux_wait "^\\[linux\\] GUEST $id turn [0-9]+ cpus 2" 60
	linux_wait "^\\[linux\\] GUEST $id turn [0-9]+ cpus 2" 60
}

begin
linux_wait '@ready' 60
linux_ctl create linux
linux_wait '^\[linux\] GUEST fio round 1 status 0 errors 0' 120
id=$(tr -d '\r' <"$log" | sed -n 's/^\[linux\] GUEST \([0-9a-f-]*\) turn 1 .*/\1/p')
for _ in 1 2 3; do
	again
	linux_ctl save linux /c.img
	linux_ctl restore /c.img
done
again
linux_ctl save linux /c.img
linux_stop
tr -d '\r' <"$log" >"$work/said"
begin
linux_wait '@ready' 60
linux_ctl restore /c.img
again
linux_mark
linux_ctl vcpu-set linux 1
linux_wait '^\[linux\] GUEST unmounted' 120
linux_stop
tr -d '\r' <"$log" >>"$work/said"

grep -E '^\[linux\] GUEST (complains|cannot)' "$work/said" && linux_fail "the guest complains"
[ "$(grep -c 'GUEST fio round' "$work/said")" -ge 2 ] || linux_fail "fio did too little"
grep 'GUEST fio round' "$work/said" | grep -v 'status 0 errors 0$' && linux_fail "fio found an error"
grep 'GUEST fio round' "$work/said" | sed 's/.*round \([0-9]*\) .*/\1/' >"$work/rounds"
seq "$(tail -n 1 "$work/rounds")" | cmp -s - "$work/rounds" || linux_fail "rounds of fio are missing"
e2fsck -fn "$work/a.img" >"$work/fsck" 2>&1 || { cat "$work/fsck"; exit 1; }
echo "saved and restored 4 times, once to another machine, in $(tail -n 1 "$work/rounds") rounds of fio without an error; ext4 clean"
