#!/bin/sh
# platform_dom0_test: the rows of real Xen's first domain, PV and PVH (with an IOMMU, which Xen wants for it).
# Why: it is the one domain that has both Xen and the machine. Expected: the same self-test as on a bare machine.
# timeout: 600
. "$(dirname "$0")/lib.sh"
. "$here/../lib/rows.sh"
for n in $CPUS; do
	XEN_ARGS=$xen_several xen_ours "$BUILD/amphi" "role=native do=\"$row_do\"" "$work/module" -smp "$n" >"$work/log"
	row "PV dom0, $n CPUs" "$work/log" "$n"
	expect "$work/log" 'platform=xen-pv$'
	expect "$work/log" '^@exit 0'
	XEN_ARGS="$xen_several dom0=pvh" DOM0_MIB=128 xen_ours "$BUILD/amphi" "role=native do=\"$row_do\"" "$work/module" -smp "$n" \
		-machine kernel-irqchip=off -device intel-iommu,intremap=on,aw-bits=48 >"$work/log"
	row "PVH dom0, $n CPUs" "$work/log" "$n"
	expect "$work/log" 'platform=xen-pvh'
	expect "$work/log" '^@exit 0'
done
rows_end "first domains of real Xen"
