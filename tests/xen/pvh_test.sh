#!/bin/sh
# pvh_test: our kernel as a PVH domU of real Xen, made by Debian's xl, with a disk from Linux's xen-blkback.
# Why: the same binary that is a PV guest has there page tables and interrupts of its own and takes only
# clock, events, grants and rings from Xen. Expected: detected by CPUID; the prompt; the SHA-256 of xvda as
# dom0 has it; xvdb filled by our blkfront reads back; the store; and a power-off that xl sees.
# timeout: 500
. "$(dirname "$0")/lib.sh"
xen_domu h1 <<'C'
type="pvh"
cmdline="pvops=native do=\"pvops; disks; store device/vbd; sha256 xvda; fill xvdb 7; verify xvdb 7; stats; halt 5\""
memory=8
shadow_memory=4
C
expect "$work/log" '^\[h1\] .*amphi on xen-pvh'
expect "$work/log" 'ring-ref = "'
expect "$work/log" '@pvops indirect=0 differing=0'
expect "$work/log" 'pvops= is not followed: a PVH domain'
echo "PVH domU on real Xen: prompt, disk read and written through Linux's backend, power-off"
