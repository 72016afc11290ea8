#!/bin/sh
# domu_test: our kernel as a PV domU of real Xen, made by Debian's xl, with a disk from Linux's xen-blkback.
# Why: the real other side is the measure. Expected: the prompt; the SHA-256 of xvda, a file of random bytes in
# dom0, as dom0's sha256sum has it; xvdb filled by our blkfront reads back; a clean power-off that xl sees.
# timeout: 240
. "$(dirname "$0")/lib.sh"
mkdir -p "$work/test"
cp "$BUILD/amphi" "$work/test/"
cat >"$work/test/run.sh" <<'R'
dd if=/dev/urandom of=/tmp/a.img bs=64k count=48 2>/dev/null
dd if=/dev/zero of=/tmp/b.img bs=64k count=16 2>/dev/null
cat >/tmp/u1.cfg <<'C'
name="u1"
type="pv"
kernel="/test/amphi"
cmdline="role=guest pvops=native do=\"sha256 xvda; fill xvdb 7; verify xvdb 7; stats; halt 5\""
memory=16
tsc_mode="native"
disk=["vdev=xvda,format=raw,backendtype=phy,access=ro,target=/tmp/a.img","vdev=xvdb,format=raw,backendtype=phy,access=rw,target=/tmp/b.img"]
on_poweroff="destroy"
on_crash="preserve"
C
xl create /tmp/u1.cfg || exit 1
log=/var/log/xen/console/guest-u1.log
for i in $(seq 300); do
	xl domid u1 >/dev/null 2>&1 || break
	xl list u1 | grep -qE ' .{3,5}c.? ' && break
	sleep 0.2
done
sed 's/^/[u1] /' $log
echo "dom0-sha256 $(sha256sum </tmp/a.img | cut -d' ' -f1)"
! xl domid u1 >/dev/null 2>&1
R
xen_linux "$work/test" >"$work/log"
expect "$work/log" '^\[u1\] .*@ready'
want=$(sed -n 's/^dom0-sha256 //p' "$work/log")
expect "$work/log" "@sha256 xvda $want"
expect "$work/log" '@verify xvdb ok'
expect "$work/log" 'pvops= is not followed: a PV domain'
expect "$work/log" '@exit 5'
expect "$work/log" '^TEST-EXIT: 0'
grep -q '^\[hv\]' "$work/log" && under=amphi-hv || under="real Xen"
echo "domU on $under: prompt, disk read and written through Linux's backend, power-off"
