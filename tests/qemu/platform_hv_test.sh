#!/bin/sh
# platform_hv_test: the rows of amphi-hv: its service domain, and guests that the service domain builds.
# Why: it speaks Xen's ABI by our reading of it; the same self-test passes on Xen (tests/xen/platform_*_test.sh).
# Expected: the same self-test as on a bare machine.
# timeout: 900
. "$(dirname "$0")/lib.sh"
. tests/lib/archive.sh
. tests/lib/rows.sh

cp "$work/module" "$work/archive"
for n in $CPUS; do
	row_qemu -M q35 -cpu max -smp "$n" -m 64 -kernel "$BUILD/amphi-hv" -append "dom0_mem=32M dom0_max_vcpus=$n" \
		-initrd "$BUILD/amphi role=service stay do=\"$row_do\",$work/archive" >"$work/log"
	row "service domain on amphi-hv, $n CPUs" "$work/log" "$n"
	expect "$work/log" 'platform=xen-pv'
	expect "$work/log" '^@exit 0'
done

strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_file /module "$work/module"
for n in $CPUS; do
	ar_domain "g$n" <<-C
		name = "g$n"
		kernel = "/amphi"
		ramdisk = "/module"
		memory = 12
		vcpus = $n
		cmdline = 'role=guest do="$row_do"'
	C
done
ar_pack "$work/archive"
row_qemu -M q35 -cpu max -smp 2 -m 128 -kernel "$BUILD/amphi-hv" -append dom0_mem=32M \
	-initrd "$BUILD/amphi role=service,$work/archive" >"$work/log"
for n in $CPUS; do
	sed -n "s/^\[g$n\] //p" "$work/log" >"$work/guest"
	row "guest on amphi-hv, $n CPUs" "$work/guest" "$n"
	expect "$work/log" "^@domain g$n exit 0"
done
rows_end "amphi-hv"
