#!/bin/sh
# hv_iospace_test: a domain fills IO spaces by hypercall 43, and its devices reach what it mapped and nothing else, behind VT-d and AMD-Vi. Why: only a real
# unit shows a flush that is missing, and an order that is wrong. Expected: tests/guest/pv_iospace.c finds all in order: seven ways to reach what is not
# there or no more, each blocked and its page as it was, told as a fault where the unit tells (QEMU's AMD-Vi tells nothing of them).
# timeout: 120
. "$(dirname "$0")/lib.sh"
tests/guest/build.sh tests/guest/pv_iospace.c "$work/guest" || exit 1
for unit in intel-iommu intel-iommu,caching-mode=on,aw-bits=48 amd-iommu; do
	word=faults
	case $unit in amd*) word=silent ;; esac
	timeout -k 5 60 qemu-system-x86_64 -M q35,kernel-irqchip=split -accel tcg -cpu max -m 128 -nodefaults -display none -no-reboot \
		-serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=8M -initrd "$work/guest $word" \
		-device $unit -device edu,addr=5 -device edu,addr=6 </dev/null 2>&1 | tr -d '\r' >"$work/log"
	expect "$work/log" '^pv_iospace: done$'
	if grep -q '^FAILED' "$work/log"; then
		echo "$unit:"; grep -v '^ok' "$work/log" | tail -n 60; exit 1
	fi
	echo "$unit: $(grep -c '^ok' "$work/log") things in order"
done
