#!/bin/sh
# smp_dom0_test: our kernel as the first domain of real Xen with several vCPUs: PV and PVH, on two processors.
# Why: real Xen judges what a vCPU is made of (VCPUOP_initialise) and emulates the local APIC that starts one in
# a PVH domain; it also takes processors away from vCPUs, which ours does seldom. Expected: 2 and 4 vCPUs run
# programs, programs that check all they own go on while vCPUs go down and come up, nothing is lost. (One vCPU: all
# other tests.) timeout: 600
. "$(dirname "$0")/lib.sh"
. tests/lib/cpus.sh
cpus_archive "$work/ramdisk"
for n in 2 4; do
	XEN_ARGS="$xen_several dom0_max_vcpus=$n"
	xen_ours "$BUILD/amphi" "role=native do=\"$(cpus_words $n)\"" "$work/ramdisk" -smp 2 >"$work/log"
	expect "$work/log" 'amphi on xen-pv '
	cpus_check "$work/log" $n "a PV dom0 with $n vCPUs"
done
XEN_ARGS="$xen_several dom0=pvh dom0_max_vcpus=4" DOM0_MIB=128
xen_ours "$BUILD/amphi" "role=native do=\"$(cpus_words 4)\"" "$work/ramdisk" \
	-smp 2 -machine kernel-irqchip=off -device intel-iommu,intremap=on,aw-bits=48 >"$work/log"
expect "$work/log" 'amphi on xen-pvh '
cpus_check "$work/log" 4 "a PVH dom0 with 4 vCPUs"
echo "dom0 of real Xen, PV and PVH: up to 4 vCPUs at work, out and in under load"
