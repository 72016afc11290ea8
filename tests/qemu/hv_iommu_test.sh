#!/bin/sh
# hv_iommu_test: amphi-hv drives VT-d and AMD-Vi: the first domain's devices work behind them, and a device that is given to a domain reaches what
# that domain has and no more, and raises no interrupt but its
# own. Why: all isolation of devices rests on it, and only a real unit shows a missing flush. Expected:
# tests/guest/pv_iommu.c and pv_interrupts.c find all in order on both, each fault of VT-d is one line with domain, function and address, and few of them; our kernel as
# the first domain reads its NVMe; without a unit the device is refused, by name, unless iommu=off was said.
# timeout: 240
. "$(dirname "$0")/lib.sh"
tests/guest/build.sh tests/guest/pv_iommu.c "$work/guest" && tests/guest/build.sh tests/guest/pv_interrupts.c "$work/interrupts" || exit 1
head -c 2097152 /dev/urandom >"$work/d.img"
want=$(sha256sum <"$work/d.img" | cut -d' ' -f1)

hv() { # hv APPEND MODULES [QEMU...]
	append=$1 modules=$2; shift 2
	timeout -k 5 60 qemu-system-x86_64 -M q35,kernel-irqchip=split -accel tcg -cpu max -m 128 -nodefaults -display none -no-reboot \
		-serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append "$append" -initrd "$modules" "$@" </dev/null 2>&1 |
		tr -d '\r' >"$work/log"
}
refuse() {
	! grep -qE -- "$1" "$work/log" && return
	echo "did not expect /$1/ in:"; tail -n 60 "$work/log"; exit 1
}

for unit in intel-iommu intel-iommu,caching-mode=on,aw-bits=48 amd-iommu; do
	hv dom0_mem=8M "$work/guest" -device $unit -device edu,addr=5
	expect "$work/log" '^\[hv\] iommu: (vt-d0|amd-vi0): [0-9]+ bits'
	expect "$work/log" "^\[hv\] iommu: [0-9]+ functions are domain 0's"
	expect "$work/log" '^pv_iommu: done$'
	refuse '^FAILED'
	case $unit in intel*)
		expect "$work/log" "iommu: nobody's: 00:05.0 may not write [0-9a-f]+: it is in no space"
		expect "$work/log" 'iommu: domain 1: 00:05.0 may not write [0-9a-f]+: no right to write'
		n=$(grep -c 'may not write' "$work/log")
		[ "$n" -le 80 ] || { echo "$n lines of faults"; exit 1; } ;;
	esac
	echo "$unit: $(grep -c '^ok' "$work/log") things in order"
done

# QEMU 7.2's AMD-Vi knows such a bus by the number it had before firmware gave it one.
hv dom0_mem=8M "$work/guest behind" -device intel-iommu -device pcie-root-port,id=r,addr=6 -device pcie-pci-bridge,id=b,bus=r -device pci-bridge,id=o,chassis_nr=3,addr=7 \
	-device edu,bus=b,addr=1 -device edu,bus=b,addr=2 -device edu,bus=o,addr=1 -device edu,bus=o,addr=2
expect "$work/log" '^pv_iommu: done$'; refuse '^FAILED'
expect "$work/log" '02:01[.]0 is not given to domain 1: behind its bridge, and one with it to the IOMMU, is 02:02[.]0 of domain 0'
expect "$work/log" 'iommu: domain 1: 02:00[.]0 may not write'

interrupts() { # interrupts UNIT HV_WORDS GUEST_WORDS
	hv "dom0_mem=8M $2" "$work/interrupts $3" -device $1 -device edu,addr=5 -device edu,addr=6
	expect "$work/log" '^pv_interrupts: done$'; refuse '^FAILED'
}
for unit in intel-iommu amd-iommu; do
	interrupts $unit '' ''
	expect "$work/log" '^\[hv\] iommu: interrupts remapped'
done
interrupts intel-iommu iommu=on,nointremap plain
expect "$work/log" 'iommu: interrupts are not remapped .*: who has a device may raise any'

hv dom0_mem=8M "$work/guest off" -device edu,addr=5
expect "$work/log" '^pv_iommu: done$'; refuse '^FAILED'
expect "$work/log" '00:05.0 is not given to domain 1: no IOMMU would keep it from all memory'
hv 'dom0_mem=8M iommu=off' "$work/guest unsafe" -device intel-iommu -device edu,addr=5
expect "$work/log" '^pv_iommu: done$'; refuse '^FAILED'
expect "$work/log" 'iommu: off: a device reaches all memory'
expect "$work/log" 'warning: iommu=off: domain 2 can reach all memory by 00:05.0'
hv 'dom0_mem=8M iommu=required' "$work/guest" -device edu,addr=5
expect "$work/log" 'iommu=required, but there is none'

# QEMU's IVRS tells of both bridges as aliases.
for unit in intel-iommu amd-iommu; do
	hv dom0_mem=48M "$BUILD/amphi dma_panic role=service stay do=\"sha256 nvme0n1; fill nvme0n1 3; verify nvme0n1 3; sha256 sda; halt\"" -device $unit \
		-drive "if=none,id=d,format=raw,snapshot=on,file=$work/d.img" -device nvme,drive=d,serial=x,addr=4 \
		-drive "if=none,id=e,format=raw,snapshot=on,file=$work/d.img" \
		-device pci-bridge,id=b,chassis_nr=2,addr=6 -device ich9-ahci,id=a,bus=b,addr=1 -device ide-hd,drive=e,bus=a.0 \
		-device pcie-root-port,id=r,addr=7 -device pcie-pci-bridge,id=p,bus=r -device edu,bus=p,addr=1
	expect "$work/log" '^\[hv\] iommu: (vt-d0|amd-vi0): [0-9]+ bits'
	expect "$work/log" "^@sha256 sda $want"
	expect "$work/log" "^@sha256 nvme0n1 $want"
	expect "$work/log" '^@verify nvme0n1 ok'
	refuse 'iommu: .*may not'
done
echo "the first domain's NVMe works behind both, and its AHCI behind a bridge to conventional PCI"
