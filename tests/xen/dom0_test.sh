#!/bin/sh
# dom0_test: our kernel as the first domain of Debian's real Xen. Why: the PV ABI is Xen's, not our idea of
# it. Expected: the prompt, every pv site patched and none left indirect, the right SHA-256 of emulated NVMe, virtio
# and AHCI disks (machine memory, pirqs, MSI-X and MSI through real Xen), and a power-off.
# timeout: 240
. "$(dirname "$0")/lib.sh"
head -c 3145728 /dev/urandom >"$work/disk.img"
want=$(sha256sum <"$work/disk.img" | cut -d' ' -f1)
xen_ours "$BUILD/amphi" 'role=service stay do="pvops; pvops verify; disks; sha256 nvme0n1; sha256 vda; sha256 sda; mem; halt"' "" \
	-drive if=none,id=d,format=raw,readonly=on,file="$work/disk.img" -device nvme,drive=d,serial=t \
	-drive if=none,id=v,format=raw,readonly=on,file="$work/disk.img" -device virtio-blk-pci,drive=v,disable-legacy=on \
	-drive if=none,id=s,format=raw,snapshot=on,file="$work/disk.img" -device ide-hd,drive=s >"$work/log"
expect "$work/log" '@ready'
for disk in nvme0n1 vda sda; do expect "$work/log" "@sha256 $disk $want"; done
expect "$work/log" 'indirect.* 0'
expect "$work/log" '@exit 0'
echo "dom0 on real Xen: prompt, pv sites patched, disks read"
