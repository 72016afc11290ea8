#!/bin/sh
# restore_test: domains that xl saved on real Xen go on under amphi-hv, and then under real Xen with our toolstack in xl's place:
# a stock Debian Linux with two vCPUs and our kernel.
# Why: a stream of our own only shows that we understand ourselves; and guests come with what they found on another hypervisor
# (FSGSBASE, FIFO events, a registered vcpu_info, tables with its marks). Expected: the same boot id, the next turn of the same
# loop, memory, programs and both vCPUs as they were, each turn's write to the disk reads back, no complaint of Linux; the
# same domains saved by us and restored go on too, on both. The disks are two files that xl wrote its streams to.
# timeout: 500
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
mkdir -p "$work/test"
cp "$BUILD/amphi" "$xen_dir/vmlinux" "$work/test/"
(cd "$BUILD/user" && printf '%s\n' count | cpio --quiet -o -H newc) >"$work/test/ramdisk"
linux_initrd "$work/test/initrd" <<'J'
head -c 100000 /dev/urandom >/tmp/data
sum=$(md5sum </tmp/data) i=0 id=$(cat /proc/sys/kernel/random/boot_id)
while :; do
	i=$((i + 1)) disk=bad
	dd if=/tmp/data of=/dev/xvda bs=4k conv=fsync 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(dd if=/dev/xvda bs=100000 count=1 2>/dev/null | md5sum)" = "$sum" ] && disk=ok
	echo "GUEST $id turn $i disk $disk cpus $(grep -c ^processor /proc/cpuinfo)"
	dmesg -r | grep -E '^<[0-4]>' | grep -iE 'warn|bug|hung|stall|i/o error|oops|invalid' | sed 's/^/GUEST complains: /'
	sleep 1
done
J
cat >"$work/test/ours.cfg" <<C
name="ours"
kernel="/test/amphi"
ramdisk="/test/ramdisk"
cmdline="role=guest do=\"ramdisk r 2048; fill r 3; start run -2 count 12; repeat 10000 'cpu; fill xvdb %; verify xvdb %; verify r 3; sleep 20'\""
memory=24
vcpus=2
tsc_mode="native"
disk=["vdev=xvdb,format=raw,backendtype=phy,access=rw,target=/dev/vda"]
C
cat >"$work/test/linux.cfg" <<C
name="linux"
kernel="/test/vmlinux"
ramdisk="/test/initrd"
cmdline="console=hvc0 loglevel=5 tsc=reliable"
memory=96
vcpus=2
tsc_mode="native"
disk=["vdev=xvda,format=raw,backendtype=phy,access=rw,target=/dev/vdb"]
C
cat >"$work/test/run.sh" <<'R'
modprobe -a virtio_pci virtio_blk
xl create /test/linux.cfg >/dev/null || exit 1
for i in $(seq 1200); do grep -q 'turn 2 ' /var/log/xen/console/guest-linux.log && break; sleep 0.2; done
xl create /test/ours.cfg >/dev/null || exit 1
for i in $(seq 1200); do grep -q '@verify xvdb ok' /var/log/xen/console/guest-ours.log && break; sleep 0.1; done
xl save ours /dev/vdc >/dev/null 2>&1 && xl save linux /dev/vdd >/dev/null 2>&1 || exit 1
for d in linux ours; do tr -d '\r' <"/var/log/xen/console/guest-$d.log" | sed "s/^/[$d] /"; done
R
disk() { truncate -s "$2" "$work/$1.img"; echo "-drive file=$work/$1.img,format=raw,if=none,id=$1 -device virtio-blk-pci,drive=$1"; }
# shellcheck disable=SC2046
XEN_SECONDS=120 xen_linux "$work/test" $(disk a 3M) $(disk b 3M) $(disk c 40M) $(disk d 120M) >"$work/xen"
expect "$work/xen" '^TEST-EXIT: 0'
turn=$(sed -n 's/^\[linux\] GUEST .* turn \([0-9]*\) .*/\1/p' "$work/xen" | tail -n 1)
round=$(sed -n 's/^\[ours\] @fill xvdb \([0-9]*\).*/\1/p' "$work/xen" | tail -n 1)

# What the streams' own configurations call the disks is all that the archive holds.
n=0
for d in a b c d; do
	ar_disk "/dev/vd$d" "amphi$n"
	set -- "$@" -drive "file=$work/$d.img,if=none,id=$d,format=raw" -device "nvme,serial=amphi$n,drive=$d"
	n=$((n + 1))
done
ar_pack "$work/archive"
went_on() { # went_on: both are at work
	linux_mark
	linux_wait '^\[linux\] GUEST .* disk ok cpus 2' 60
	linux_wait '^\[ours\] @verify xvdb ok' 30
}
both() { # both COMMAND: of each domain and the disk that has it
	for d in "linux /dev/vdd" "ours /dev/vdc"; do
		# shellcheck disable=SC2086
		[ "$1" = save ] && linux_ctl save $d || linux_ctl restore "${d#* }"
	done
}
ended() { cat "$work/xen" "$work/said" "$log" 2>/dev/null | grep -c '^\[ours\] @program count [12] exit 0'; }
for hv in amphi-hv xen; do
	from=0
	linux_start $hv 1 500 "$@"
	linux_wait '@ready' 60
	both restore
	went_on
	both save
	both restore
	went_on
	# A fast machine is through with all this before the programs have counted to their end.
	for _ in $(seq 1200); do [ $hv = amphi-hv ] || [ "$(ended)" = 2 ] && break; sleep 0.2; done
	both save
	linux_stop
	tr -d '\r' <"$log" >>"$work/said"
done

[ "$(cat "$work/xen" "$work/said" | sed -n 's/^\[linux\] GUEST \([0-9a-f-]*\) turn.*/\1/p' | sort -u | wc -l)" = 1 ] || linux_fail "it is another Linux"
cat "$work/xen" "$work/said" | sed -n 's/^\[linux\] GUEST .* turn \([0-9]*\) .*/\1/p' >"$work/turns"
seq "$(tail -n 1 "$work/turns")" | cmp -s - "$work/turns" || linux_fail "turns of Linux are lost or come twice: $(tr '\n' ' ' <"$work/turns")"
cat "$work/xen" "$work/said" | grep -E 'GUEST complains|disk bad|^\[ours\] .*( bad|refused|panic)' && linux_fail "a guest complains"
first=$(sed -n 's/^\[ours\] @fill xvdb \([0-9]*\).*/\1/p' "$work/said" | head -n 1)
[ "$first" -ge "$round" ] && [ "$first" -le $((round + 1)) ] || linux_fail "ours went on at $first, having been at $round"
[ "$(log=/dev/null && ended)" = 2 ] || linux_fail "its programs did not end well"
echo "real Xen's Linux goes on at turn $((turn + 1)) of its loop, our kernel at round $first, and both by streams of ours on amphi-hv and on real Xen"
