#!/bin/sh
# pvh_dom0_test: our kernel as the first domain of real Xen, PVH, on a machine with an IOMMU, Intel's and AMD's.
# Why: it owns the machine through page tables and an APIC of its own: a device is told addresses of the
# domain, the IOMMU makes them the machine's, and MSI-X goes through Xen's virtual PCI. Expected: a memory map
# that is asked of Xen, the prompt, the SHA-256 of an NVMe disk as the host has it, a pattern written and read
# back, and a power-off that ends the machine. timeout: 240
. "$(dirname "$0")/lib.sh"
head -c 1048576 /dev/urandom >"$work/disk.img"
XEN_ARGS=dom0=pvh
DOM0_MIB=128 seed=5
for iommu in intel-iommu,intremap=on,aw-bits=48 amd-iommu; do
	want=$(sha256sum <"$work/disk.img" | cut -d' ' -f1)
	xen_ours "$BUILD/amphi" \
		"role=native do=\"sha256 nvme0n1; fill nvme0n1 $seed; verify nvme0n1 $seed; pvops; halt\"" """" \
		-machine kernel-irqchip=off -device "$iommu" \
		-drive if=none,id=d,format=raw,file="$work/disk.img" -device nvme,drive=d,serial=t >"$work/log"
	expect "$work/log" 'amphi on xen-pvh'
	expect "$work/log" "@sha256 nvme0n1 $want"
	expect "$work/log" '@verify nvme0n1 ok'
	expect "$work/log" '@pvops indirect=0 differing=0'
	expect "$work/log" '^@exit 0'
	expect "$work/log" 'Entering ACPI S5'
	[ "$(sha256sum <"$work/disk.img" | cut -d' ' -f1)" != "$want" ] || { echo "the disk is as it was"; exit 1; }
	seed=6
done
echo "PVH dom0 on real Xen: NVMe read and written through two kinds of IOMMU"
