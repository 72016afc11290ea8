#!/bin/sh
# pvh_test: our kernel as a PVH domU of real Xen, made by Debian's xl, with a disk from Linux's xen-blkback.
# Why: the same binary that is a PV guest has there page tables and interrupts of its own and takes only
# clock, events, grants and rings from Xen. Expected: detected by CPUID; the prompt; the SHA-256 of xvda as
# dom0 has it; xvdb filled by our blkfront reads back; the store; and a power-off that xl sees.
# timeout: 240
. "$(dirname "$0")/lib.sh"
mkdir -p "$work/test"
cp "$BUILD/amphi" "$work/test/"
cat >"$work/test/run.sh" <<'R'
dd if=/dev/urandom of=/tmp/a.img bs=64k count=48 2>/dev/null
dd if=/dev/zero of=/tmp/b.img bs=64k count=16 2>/dev/null
cat >/tmp/h1.cfg <<'C'
name="h1"
type="pvh"
kernel="/test/amphi"
cmdline="pvops=native do=\"pvops; disks; store device/vbd; sha256 xvda; fill xvdb 7; verify xvdb 7; stats; halt 5\""
memory=8
shadow_memory=4
tsc_mode="native"
disk=["vdev=xvda,format=raw,backendtype=phy,access=ro,target=/tmp/a.img","vdev=xvdb,format=raw,backendtype=phy,access=rw,target=/tmp/b.img"]
on_poweroff="destroy"
on_crash="preserve"
C
xl create /tmp/h1.cfg || exit 1
log=/var/log/xen/console/guest-h1.log
for i in $(seq 300); do
	xl domid h1 >/dev/null 2>&1 || break
	xl list h1 | grep -qE ' .{3,5}c.? ' && break
	sleep 0.2
done
sed 's/^/[h1] /' $log
echo "dom0-sha256 $(sha256sum </tmp/a.img | cut -d' ' -f1)"
! xl domid h1 >/dev/null 2>&1
R
xen_linux "$work/test" >"$work/log"
expect "$work/log" '^\[h1\] .*amphi on xen-pvh'
expect "$work/log" '^\[h1\] .*@ready'
expect "$work/log" 'ring-ref = "'
expect "$work/log" '@pvops indirect=0 differing=0'
want=$(sed -n 's/^dom0-sha256 //p' "$work/log")
expect "$work/log" "@sha256 xvda $want"
expect "$work/log" '@verify xvdb ok'
expect "$work/log" 'pvops= is not followed: a PVH domain'
expect "$work/log" '@exit 5'
expect "$work/log" '^TEST-EXIT: 0'
echo "PVH domU on real Xen: prompt, disk read and written through Linux's backend, power-off"
