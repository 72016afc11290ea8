#!/bin/sh
# iommu_test: devices of a bare machine behind VT-d and behind AMD-Vi, each in a space of its own: NVMe, AHCI, virtio-blk and virtio-net that say they
# go by the IOMMU, e1000e; strict and lazy, with and without caching mode; and two more NVMe behind a bridge to conventional PCI, the card with them or not, which no unit
# can tell apart: those share one. Why: a map that is missing, late, or undone too early shows
# only where a real unit checks it. Expected: all bytes arrive, no fault, as many maps undone as made but for what is shared for good,
# and dma_debug finds nothing; a device that is cut off is named by its faults, and its neighbours go on. Their interrupts are remapped,
# with two processors too: they all arrive, and a device's message that was not mapped for it does not, whoever's it is.
. "$(dirname "$0")/lib.sh"

head -c 4194304 /dev/urandom >"$work/bytes"
digest=$(sha256sum <"$work/bytes" | cut -d' ' -f1)
head -c 1048576 "$work/bytes" >"$work/few"
few=$(sha256sum <"$work/few" | cut -d' ' -f1)
# QEMU 7.2's AMD-Vi knows what is behind an Express one by the number that its bus had before firmware gave it one.
boot() { # boot UNIT WORDS COMMANDS NIC: five disks with the bytes, two of them with few, a card
	unit=$1 words=$2 commands=$3 nic=$4
	for d in a b c; do cp "$work/bytes" "$work/$d"; done
	for d in e f; do cp "$work/few" "$work/$d"; done
	case $unit in
	intel*) bridge='-device pcie-root-port,id=r,addr=8 -device pcie-pci-bridge,id=p,bus=r' ;;
	*) bridge='-device pci-bridge,id=p,chassis_nr=9,addr=8' ;;
	esac
	MACHINE=q35,kernel-irqchip=split native 64 "$words dma_debug do=\"$commands\"" </dev/null >"$work/log" \
		-device "$unit" -drive if=none,id=a,format=raw,file="$work/a" -device nvme,drive=a,serial=x,addr=4 \
		-drive if=none,id=b,format=raw,file="$work/b" -device ide-hd,drive=b,bus=ide.0 \
		-drive if=none,id=c,format=raw,file="$work/c" \
		-device virtio-blk-pci,drive=c,iommu_platform=on,disable-legacy=on,addr=5 -netdev user,id=n $bridge -device "$nic,netdev=n" \
		-drive if=none,id=e,format=raw,file="$work/e" -device nvme,drive=e,serial=y,bus=p,addr=1 \
		-drive if=none,id=f,format=raw,file="$work/f" -device nvme,drive=f,serial=z,bus=p,addr=2 \
		-device edu,addr=9 -smp "${CPUS:-1}"
}
disks='sha256 nvme0n1; sha256 sda; sha256 vda; sha256 nvme1n1; sha256 nvme2n1;'
all="$disks fill nvme0n1 7; verify nvme0n1 7; fill sda 8; verify sda 8; fill vda 9; verify vda 9; fill nvme1n1 5; fill nvme2n1 6; verify nvme1n1 5; verify nvme2n1 6;"
net='ping -q -c 50 -i 0 -s 1400 10.0.2.2; ping -q -c 3 -i 0 -s 20000 10.0.2.2;'
virtio=virtio-net-pci,iommu_platform=on,disable-legacy=on,addr=6 e1000e=e1000e,bus=p,addr=3

read_all() {
	for disk in nvme0n1 sda vda; do expect "$work/log" "^@sha256 $disk $digest"; done
	for disk in nvme1n1 nvme2n1; do expect "$work/log" "^@sha256 $disk $few"; done
}
fine() { # fine LAYER: of the last boot
	expect_status 0 "$work/log"
	read_all
	for disk in nvme0n1 sda vda nvme1n1 nvme2n1; do expect "$work/log" "^@verify $disk ok"; done
	! grep -E 'iommu: |dma_debug|has failed|is unmapped' "$work/log" || { echo "$1: this should not be said"; exit 1; }
	[ "$(grep -cE "^[0-9a-f:.]{7} $1 " "$work/log")" = 6 ] || { echo "not six devices go by '$1':"; tail "$work/log"; exit 1; }
	# What stays mapped is queues and buffers of cards; nothing was wrong. Thousands were mapped by the disks.
	awk -v layer="$1" '$2 == layer { if ($3 - $4 > 2200 || $3 < $4 || $7 != 0) bad = 1; maps += $3 }
		END { exit bad || maps < 6000 }' "$work/log" || { echo "maps and unmaps:"; grep " $1 " "$work/log"; exit 1; }
	echo "$unit, $1: $(awk -v layer="$1" '$2 == layer { m += $3; f += $5 } END { print m " maps, " f " flushes" }' "$work/log")"
}
send='dma send 00:09.0 own; dma send 00:09.0 neighbours; dma send 00:09.0 none; dma send 00:09.0 plain; dma send 00:09.0 own;'
sent() { # sent WHAT...: of the last boot, how each of $send's messages fared; "-": it does not matter
	for what in own neighbours none plain own; do
		[ "$1" = - ] || expect "$work/log" "^@dma send $what $1"
		shift
	done
	expect "$work/log" 'interrupts remapped'
}
boot intel-iommu iommu=strict "$all $net $send dma; halt" $e1000e
expect "$work/log" 'vt-d0: 39 bits, .* strict'
fine strict
# A plain message is blocked by the unit itself; QEMU 7.2's lets it through.
sent arrived nothing nothing - arrived
CPUS=2
boot intel-iommu,caching-mode=on,aw-bits=48 iommu=strict "$all $net dma; halt" $virtio
expect "$work/log" 'vt-d0: 48 bits, .* strict'
fine strict
expect "$work/log" 'interrupts remapped'
CPUS=1
boot intel-iommu,intremap=off '' "$all $net dma send 00:09.0 plain; dma; halt" $virtio
fine lazy
expect "$work/log" 'interrupts are not remapped: EOPNOTSUPP'
expect "$work/log" '^@dma send plain arrived'
boot intel-iommu iommu=off "$all $net dma; halt" $e1000e
fine direct

CPUS=2
boot amd-iommu iommu=strict "$all $net $send dma; halt" $e1000e
expect "$work/log" 'amd-vi0: 48 bits, .* strict'
fine strict
sent arrived nothing nothing nothing arrived
CPUS=1
boot amd-iommu iommu=lazy,nointremap "$all $net dma send 00:09.0 plain; dma; halt" $virtio
fine lazy
expect "$work/log" 'interrupts are not remapped: so it was said'
expect "$work/log" '^@dma send plain arrived'

# Cut off in the middle of its work: nothing comes of what it tries from then on, and its neighbours go on. It is named, too; but not by QEMU
# 7.2's AMD-Vi, which tells of no event.
for unit in intel-iommu amd-iommu; do
	boot $unit iommu=strict "ping -q -c 1 10.0.2.2; -dma cut 00:19.0; dma cut 00:06.0; -ping -q -c 2 10.0.2.2; -dma cut 00:06.0; -dma cut 02:01.0; $disks halt" e1000e,addr=6
	expect_status 0 "$work/log"
	expect "$work/log" '^dma: ENODEV'
	expect "$work/log" '^@ping 10.0.2.2 sent=2 received=0'
	[ $unit != intel-iommu ] || expect "$work/log" '^dma: EBUSY'
	read_all
	! grep -E 'iommu: 0[012]:(00|01|02|04|05|1f)' "$work/log" || { echo "a neighbour was hit"; exit 1; }
	[ $unit != intel-iommu ] || expect "$work/log" 'iommu: 00:06.0 may not (read|write) [0-9a-f]{8}: it is in no space'
	echo "$unit, a device that is cut off: $(grep -c 'iommu: 00:06.0' "$work/log") faults told"
done
