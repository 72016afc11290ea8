#!/bin/sh
# platform_native_test: the rows of bare machines by the PVH entry: q35, i440FX and microvm, each with a processor
# that offers everything (SMAP, SMEP, UMIP, PKU, five levels of page tables) and with a plain one. Why: what the
# kernel makes use of, and what it must not be disturbed by, differs; what it promises does not. Expected: the
# same self-test on all.
# timeout: 900
. "$(dirname "$0")/lib.sh"
. tests/lib/rows.sh
for machine in q35 pc microvm; do
	for cpu in max,+la57 qemu64; do
		for n in $CPUS; do
			row_qemu -M $machine -cpu $cpu -smp "$n" -m 32 -kernel "$BUILD/amphi" -initrd "$work/module" \
				-append "do=\"$row_do\"" >"$work/log"
			row "$machine, $cpu, $n CPUs" "$work/log" "$n"
			expect "$work/log" 'platform=native'
			expect "$work/log" '^@exit 0'
		done
	done
done
rows_end "bare machines"
