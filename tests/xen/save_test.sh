#!/bin/sh
# save_test: two domains are saved on amphi-hv by our service domain, and go on under real Xen, restored by its xl: our kernel and
# a stock Debian Linux with two vCPUs, each in the middle of work on its disk.
# Why: a stream that only we can read is no stream; xl reads every record, Xen checks every table and context, and the
# guests find out what was lost on the way. Expected: both are saved while the other one runs; under Xen each counts on from where it was, without a
# round left out or done again; disks that were carried along have what was written on either side, and Linux's ext4 is clean on the host;
# what is refused names its reason, and a checkpoint changes nothing.
# timeout: 400
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
linux_initrd "$work/initrd" <<'J'
mount -t ext4 /dev/xvda /mnt
i=0
while [ $i -lt 30 ]; do
	i=$((i + 1))
	echo "$i" >>/mnt/rounds
	dd if=/dev/urandom of=/tmp/x bs=16k count=8 2>/dev/null
	cp /tmp/x /mnt/x; sync; echo 3 >/proc/sys/vm/drop_caches
	cmp /tmp/x /mnt/x && echo "LINUX: round $i on $(nproc) vCPUs"
	sleep 0.2
done
umount /mnt
dmesg | grep -E 'WARN|BUG|Oops|rror' | sed 's/^/LINUX: dmesg: /'
echo 'LINUX: all done'
poweroff -f
J
strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_file /vmlinux "$xen_dir/vmlinux"
ar_file /initrd "$work/initrd"
linux_domain linux '' 'memory = 144' 'vcpus = 2' 'disk = ["/dev/vdd,raw,xvda,rw"]' 'on_poweroff = "destroy"'
ar_domain g <<'C'
name = "g"
kernel = "/amphi"
memory = 16
vcpus = 2
disk = ["/dev/vdb,raw,xvda,rw"]
cmdline = 'role=guest do="repeat 10000 \'fill xvda %; verify xvda %; echo beat %; sleep 50\'"'
C
ar_disk /dev/vdb g.img
ar_disk /dev/vdd linux.img
ar_pack "$work/archive"
truncate -s 20M "$work/a"; truncate -s 2M "$work/b"; truncate -s 160M "$work/c"; truncate -s 24M "$work/d"
mke2fs -q -t ext4 "$work/d"
disks() {
	n=0
	for f in a b c d; do
		serial=$(echo " g.img  linux.img" | cut -d' ' -f$((n + 1)))
		echo "-drive file=$work/$f,format=raw,if=none,id=$f -device virtio-blk-pci,drive=$f${serial:+,serial=$serial}"
		n=$((n + 1))
	done
}

refused() { # refused REGEX COMMAND...
	wanted=$1; shift
	"$BUILD/amphi-tool" ctl --timeout 300 --socket "$work/s.ctl" "$@" >"$work/out" 2>&1 && linux_fail "$* was not refused"
	grep -qE -- "$wanted" "$work/out" || linux_fail "$*: $(cat "$work/out"), expected /$wanted/"
}
# shellcheck disable=SC2046
LINUX_SECONDS=300 linux_start amphi-hv 1 800 $(disks)
linux_wait '^\[linux\] LINUX: round 3 on 2' 250
refused 'is a disk of g \(EBUSY\)' save linux vdb
refused 'is too small for 147456 KiB of memory \(ENOSPC\)' save linux vda
linux_ctl save -c g vda
linux_mark
linux_wait '^\[g\] beat'
linux_ctl save g vda
linux_mark
linux_wait '^\[linux\] LINUX: round'
linux_ctl save linux vdc
linux_ctl list
[ "$(wc -l <"$work/out")" = 2 ] || linux_fail "domains are left: $(cat "$work/out")"
linux_stop
last() { tr -d '\r' <"$1" | sed -nE "s/.*$2 ([0-9]+).*/\1/p" | tail -n 1; }
g=$(last "$log" '^\[g\] beat') linux=$(last "$log" 'LINUX: round')
! grep -E 'went wrong|^\[g\].*bad|refused \(' "$log" || linux_fail "not like this"

mkdir -p "$work/test"
cat >"$work/test/run.sh" <<'R'
modprobe -a virtio_pci virtio_blk
for d in /dev/vda /dev/vdc; do
	xl restore $d >/tmp/xl.log 2>&1 || { cat /tmp/xl.log; exit 1; }
done
for i in $(seq 1800); do xl domid linux >/dev/null 2>&1 || break; sleep 0.2; done
xl shutdown -w g >/dev/null || exit 1
cd /var/log/xen/console
for d in g linux; do cat guest-$d.log* | tr -d '\r' | sed "s/^/[$d] /"; done
R
# shellcheck disable=SC2046
XEN_SECONDS=120 xen_linux "$work/test" $(disks) >"$work/xen.log"
expect "$work/xen.log" '^TEST-EXIT: 0'
for d in g linux; do sed -n "s/^\[$d\] //p" "$work/xen.log" >"$work/$d"; done
expect "$work/g" '@suspend resumed'
expect "$work/g" '@exit 0'
sed -n 's/^beat //p' "$work/g" >"$work/beats"
[ "$(wc -l <"$work/beats")" -gt 10 ] && [ "$(cat "$work/beats")" = "$(seq $((g + 1)) "$(tail -n 1 "$work/beats")")" ] ||
	{ echo "g does not count on from $g:"; cat "$work/g"; exit 1; }
! grep -E '^@verify .*bad' "$work/g" || exit 1
expect "$work/linux" '^LINUX: all done'
sed -nE 's/^LINUX: round ([0-9]+) on 2 vCPUs.*/\1/p' "$work/linux" >"$work/rounds"
[ "$(cat "$work/rounds")" = "$(seq $((linux + 1)) 30)" ] || { echo "Linux does not count on from $linux:"; cat "$work/linux"; exit 1; }
! grep 'LINUX: dmesg' "$work/linux" || exit 1
e2fsck -fn "$work/d" >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
[ "$(debugfs -R 'cat rounds' "$work/d" 2>/dev/null)" = "$(seq 30)" ] || { echo "rounds on Linux's disk:"; debugfs -R 'cat rounds' "$work/d"; exit 1; }
echo "g was saved at $g and counted to $(tail -n 1 "$work/beats"), Linux from $linux to 30; in $(sed -n 's/.*linux: saved .* memory in/Linux saved in/p' "$log" | tr -d '\r')"
