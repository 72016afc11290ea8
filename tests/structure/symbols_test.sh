#!/bin/sh
# symbols_test: the portable rooms ask everything of host.h, and drivers of devices know no address of the machine's memory. Why: the same objects are linked into the
# kernel, host tests, fuzzers and later Linux modules. Expected: nm -u on each room's objects shows only
# host_*, functions of include/amphi defined in a portable room or lib, and the compiler's four; in drivers-native nothing turns a pointer into an
# address: a device is told what the DMA layer says (dma.h), or it reaches what nobody mapped.
set -u
cd "$(dirname "$0")/../.."
obj=$BUILD/kernel
[ -d "$obj/protocol" ] || { echo "kernel objects are not built"; exit 1; }
known=$(mktemp); trap 'rm -f "$known"' EXIT
for room in protocol drivers-front drivers-back control iommu unpack lib; do
	for o in "$obj/$room"/*.o; do [ -e "$o" ] && nm --defined-only "$o"; done
done | awk '$2 ~ /[TDBRVW]/ {print $3}' | sort -u >"$known"
status=0
for room in protocol drivers-front drivers-back control iommu unpack; do
	for o in "$obj/$room"/*.o; do
		[ -e "$o" ] || continue
		for s in $(nm -u "$o" | awk '{print $2}'); do
			case $s in host_*) continue ;; esac
			grep -qx "$s" "$known" || { echo "$o asks for $s, which is not of host.h"; status=1; }
		done
	done
done
if grep -nE 'virt_to_|to_mfn|to_pfn|host_frame' drivers-native/*.[ch]; then
	echo "a device's address of memory comes from dma.h alone"; status=1
fi
[ $status = 0 ] && echo "the portable rooms ask only host.h"
exit $status
