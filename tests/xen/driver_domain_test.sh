#!/bin/sh
# driver_domain_test: our kernel in a PVH domU of real Xen serves a disk to a PV and to a PVH domU of ours.
# Why: a PVH domain has no page tables of the hypervisor's to map a grant into; it gets others' pages at
# numbers of its physical memory, and only a backend shows that they are the right pages. Expected: both
# guests find the pattern that the driver domain filled in, one writes another and reads it back, and the
# driver domain has no page of theirs left when they are gone. One of the disks is dom0's, passed to the driver domain, whose
# frontend then sends on what its backend has mapped: dom0 finds the bytes that a guest of a guest wrote. While they are there it refuses to be suspended,
# says why, and serves on. The sleeps are long enough for a slow dom0 to ask it in time.
# timeout: 900
. "$(dirname "$0")/lib.sh"
mkdir -p "$work/test"
cp "$BUILD/amphi" "$work/test/"
cat >"$work/test/run.sh" <<'R'
domain() { # domain NAME TYPE COMMANDS [DISK]
	cat >/tmp/$1.cfg <<C
name="$1"
type="$2"
kernel="/test/amphi"
cmdline="do=\"$3\""
memory=16
tsc_mode="native"
on_poweroff="destroy"
on_crash="preserve"
C
	[ -z "${4:-}" ] || echo "disk=['vdev=xvda,format=raw,backendtype=phy,access=rw,$4']" >>/tmp/$1.cfg
	[ "$2" != pvh ] || echo 'shadow_memory=4' >>/tmp/$1.cfg
	xl create /tmp/$1.cfg || exit 1
}
gone() { # gone NAME: waits until it has ended
	for i in $(seq 600); do xl domid $1 >/dev/null 2>&1 || return 0; sleep 0.2; done
	return 1
}
truncate -s 512K /tmp/own.img
losetup -f /tmp/own.img
own=$(losetup -a | sed -n 's,^\(/dev/loop[0-9]*\):.*/tmp/own.img.*,\1,p')
domain back pvh 'ramdisk ram0 2048; fill ram0 9; serve; sleep 24000; sha256 xvda; stats; mem; halt 3' target=$own
domain u1 pv 'verify xvda 9; fill xvda 10; verify xvda 10; sleep 12000; verify xvda 10; halt 4' backend=back,target=ram0
domain h1 pvh 'fill xvda 11; verify xvda 11; halt 5' backend=back,target=xvda
home=/local/domain/$(xl domid back)
for i in $(seq 400); do grep -q '^@fill xvda 10' /var/log/xen/console/guest-u1.log && break; sleep 0.1; done
xenstore-write $home/control/shutdown suspend
for i in $(seq 200); do xenstore-read $home/data/suspend-refused 2>/dev/null && break; sleep 0.1; done
echo "shutdown-node <$(xenstore-read $home/control/shutdown)>"
status=0
for d in u1 h1 back; do
	gone $d || status=1
	sed "s/^/[$d] /" /var/log/xen/console/guest-$d.log
done
echo "own.img $(sha256sum </tmp/own.img | cut -d' ' -f1)."
(exit $status)
R
xen_linux "$work/test" >"$work/log"
expect "$work/log" '^\[back\] @fill ram0 9'
expect "$work/log" '^last look: it has pages of other domains mapped'
expect "$work/log" '^shutdown-node <>'
expect "$work/log" '^\[back\] @suspend refused'
expect "$work/log" '^\[u1\] @exit 4'
expect "$work/log" '^\[h1\] @verify xvda ok'
expect "$work/log" '^\[h1\] @exit 5'
expect "$work/log" '^\[back\] .*granted to others [0-9]* pages, of others 0 pages' # lent to dom0, for its own disk
expect "$work/log" "^\\[back\\] @sha256 xvda $(sed -n 's/^own.img \([0-9a-f]*\).*/\1/p' "$work/log")"
expect "$work/log" '^\[back\] @exit 3'
expect "$work/log" '^TEST-EXIT: 0'
echo "PVH driver domain on real Xen: disks served to a PV and a PVH guest by mapped grants"
