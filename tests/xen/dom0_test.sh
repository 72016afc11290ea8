#!/bin/sh
# dom0_test: our kernel as the first domain of Debian's real Xen. Why: the PV ABI is Xen's, not our idea of
# it. Expected: the prompt, every pv site patched and none left indirect, the right SHA-256 of emulated NVMe, virtio
# and AHCI disks (machine memory, pirqs, MSI-X and MSI through real Xen), answers by an e1000e, and a power-off. The domain's memory is all
# above 4 GiB and the devices are told that they reach what is below: what they read and write is copied by way of frames that Xen
# exchanged for ours, in a pool too small for all that is in flight: requests wait for room, none fails. The machine has no IOMMU: no
# function is given to a guest, which is said, and our driver goes on.
# timeout: 240
. "$(dirname "$0")/lib.sh"
. "$here/../lib/archive.sh"
head -c 3145728 /dev/urandom >"$work/disk.img"
want=$(sha256sum <"$work/disk.img" | cut -d' ' -f1)
strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_domain g <<'C'
name = "g"
kernel = "/amphi"
memory = 8
passthrough = "enabled"
pci = ['00:04.0']
C
ar_pack "$work/archive"
XEN_ARGS=bootscrub=0 xen_qemu 60 3072 64 "$BUILD/amphi dma_panic role=service stay dma_mask=32 swiotlb=2M \
do=\"pvops; pvops verify; disks; sha256 nvme0n1; sha256 vda; sha256 sda; fill sda 5; verify sda 5; ping -c 5 -s 20000 10.0.2.2; mem; dma; halt\",$work/archive" \
	-drive if=none,id=d,format=raw,readonly=on,file="$work/disk.img" -device nvme,drive=d,serial=t,addr=4 \
	-drive if=none,id=v,format=raw,readonly=on,file="$work/disk.img" -device virtio-blk-pci,drive=v,disable-legacy=on \
	-netdev user,id=n,restrict=on -device e1000e,netdev=n \
	-drive if=none,id=s,format=raw,snapshot=on,file="$work/disk.img" -device ide-hd,drive=s >"$work/log"
expect "$work/log" '@ready'
expect "$work/log" 'Dom0 alloc[.]: +0000000[1-9a-f]'
expect "$work/log" 'g: pci 00:04.0: the hypervisor does not assign it: .*: there is no IOMMU for it'
! grep 'nvme0: is taken away' "$work/log" || exit 1
for disk in nvme0n1 vda sda; do expect "$work/log" "@sha256 $disk $want"; done
expect "$work/log" '@verify sda ok'
expect "$work/log" '^@ping 10.0.2.2 sent=5 received=5 twice=0 wrong=0'
[ "$(grep -cE '^[0-9a-f:.]{7} swiotlb .* 0$' "$work/log")" = 4 ] || { echo "not four devices go by copies, with nothing wrong"; tail "$work/log"; exit 1; }
expect "$work/log" '^swiotlb: 0 of [0-9]+ KiB in use, at most 2048; .* [0-9]{4} maps, .* refused'
! grep 'dma_debug' "$work/log" || exit 1
expect "$work/log" 'indirect.* 0'
expect "$work/log" '@exit 0'
echo "dom0 on real Xen: prompt, pv sites patched, disks and a card above 4 GiB by copies, no function given without an IOMMU"
