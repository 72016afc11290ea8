#!/bin/sh
# xl_on_amphi_hv_test: amphi-hv in real Xen's place under a stock Debian dom0: Linux, xenstored, xl and
# xen-blkback make and serve a PV domain. Why: Xen's own toolstack and its Linux ask more of a hypervisor than
# our control does, and they are not ours to make fit. Expected: all that domu_test.sh expects of real Xen.
# timeout: 500
said=$(XEN_IMAGE=${BUILD:-build}/amphi-hv "$(dirname "$0")/domu_test.sh")
status=$?
echo "$said"
[ $status = 0 ] && echo "$said" | grep -q '^domU on amphi-hv:'
