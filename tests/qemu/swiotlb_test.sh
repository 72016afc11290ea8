#!/bin/sh
# swiotlb_test: devices that are told that they reach little of the machine's memory: NVMe, AHCI, virtio-blk and e1000e, on a bare machine with
# memory above 4 GiB, and in amphi-hv's first domain, whose memory lies anywhere. Why: a copy that is missing or made too early shows
# only with a real device and memory that it does not reach. Expected: all bytes arrive, nothing is still bounced at the end, dma_debug finds
# nothing; in the common case a map stays in its processor's area. With an IOMMU the
# mask is a matter of addresses, and without trust pieces of pages are copied, and nothing else.
# timeout: 120
. "$(dirname "$0")/lib.sh"

head -c 3145728 /dev/urandom >"$work/bytes"
digest=$(sha256sum <"$work/bytes" | cut -d' ' -f1)
commands='sha256 nvme0n1; sha256 sda; sha256 vda; fill nvme0n1 7; verify nvme0n1 7; fill sda 8; verify sda 8; fill vda 9; verify vda 9;'
net='ping -q -c 20 -i 0 -s 1400 10.0.2.2; ping -q -c 3 -i 0 -s 20000 10.0.2.2;'
disks() {
	for d in a b c; do cp "$work/bytes" "$work/$d"; done
	devices="-drive if=none,id=a,format=raw,file=$work/a -device nvme,drive=a,serial=x,addr=4
		-drive if=none,id=b,format=raw,file=$work/b -device ide-hd,drive=b,bus=ide.0
		-drive if=none,id=c,format=raw,file=$work/c -device virtio-blk-pci,drive=c,$virtio,addr=5
		-netdev user,id=n -device e1000e,netdev=n,addr=6"
}
fine() { # fine WHAT LAYER: of the last boot
	for disk in nvme0n1 sda vda; do
		expect "$work/log" "@sha256 $disk $digest"
		expect "$work/log" "@verify $disk ok"
	done
	expect "$work/log" '^@exit 0' # which none of the pings prevented
	! grep -E 'iommu: |dma_debug|has failed|is unmapped' "$work/log" || { echo "$1: this should not be said"; exit 1; }
	[ "$(grep -cE "^[0-9a-f:.]{7} $2 .* 0\$" "$work/log")" = 4 ] || { echo "$1: not four devices go by '$2', with nothing wrong:"; tail "$work/log"; exit 1; }
	expect "$work/log" '^swiotlb: 0 of [0-9]+ KiB in use, .* maps, [0-9]+ shared, 0 refused'
	# Times that the pool grew or was looked through, of all copies.
	awk '/^swiotlb: / { maps = $13; shared = $15 } END { exit maps < 100 || shared > maps / 100 }' "$work/log" ||
		{ echo "$1: too few copies, or too many beyond the own area:"; grep '^swiotlb' "$work/log"; exit 1; }
	echo "$1: $(grep '^swiotlb: ' "$work/log")"
}

virtio=disable-legacy=on; disks
native 6144 "dma_debug dma_mask=32 do=\"$commands $net dma; halt\"" -smp 4 $devices </dev/null >"$work/log"
expect_status 0 "$work/log"
fine "6 GiB, 32 bits" swiotlb

# A pool that may not grow and is too small for what is in flight: requests wait for room, and all bytes arrive.
disks
native 6144 "dma_debug dma_mask=32 swiotlb=2M do=\"sha256 nvme0n1; fill nvme0n1 7; verify nvme0n1 7; sha256 vda; fill vda 9; verify vda 9; sha256 sda; fill sda 8; verify sda 8; dma; halt\"" \
	$devices </dev/null >"$work/log"
expect_status 0 "$work/log"
for disk in nvme0n1 vda sda; do
	expect "$work/log" "@sha256 $disk $digest"
	expect "$work/log" "@verify $disk ok"
done
expect "$work/log" '^swiotlb: 0 of 2048 KiB in use, at most 2048; 1 areas, .* [1-9][0-9]* refused'
echo "a full pool: $(grep '^swiotlb: ' "$work/log")"

virtio=iommu_platform=on,disable-legacy=on; disks
MACHINE=q35,kernel-irqchip=split native 64 "iommu=strict dma_untrusted dma_mask=24 dma_debug do=\"$commands $net dma; halt\"" -device intel-iommu $devices </dev/null >"$work/log"
expect_status 0 "$work/log"
expect "$work/log" 'dma: 00:04.0 strict, whole pages'
fine "VT-d, no trust, 24 bits" strict

virtio=disable-legacy=on; disks
timeout -k 5 100 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -display none -no-reboot -serial stdio -monitor none \
	-kernel "$BUILD/amphi-hv" -append dom0_mem=64M \
	-initrd "$BUILD/amphi dma_panic role=native dma_debug dma_mask=26 do=\"$commands $net dma; halt\"" $devices </dev/null 2>&1 |
	stdbuf -oL tr -d '\r' | sed 's/^(d0) //' >"$work/log"
fine "amphi-hv's first domain, 26 bits" swiotlb
