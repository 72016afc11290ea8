#!/bin/sh
# domu_test: our kernel as a PV domU of real Xen, made by Debian's xl, with a disk from Linux's xen-blkback.
# Why: the real other side is the measure. Expected: the prompt; the SHA-256 of xvda, a file of random bytes in
# dom0, as dom0's sha256sum has it; xvdb filled by our blkfront reads back; a clean power-off that xl sees.
# timeout: 500
. "$(dirname "$0")/lib.sh"
xen_domu u1 <<'C'
type="pv"
cmdline="role=guest pvops=native do=\"sha256 xvda; fill xvdb 7; verify xvdb 7; stats; halt 5\""
memory=16
C
expect "$work/log" 'pvops= is not followed: a PV domain'
grep -q '^\[hv\]' "$work/log" && under=amphi-hv || under="real Xen"
echo "domU on $under: prompt, disk read and written through Linux's backend, power-off"
