#!/bin/sh
# platform_kvm_test: the rows of a KVM guest, on a machine that has the hardware for it. Why: clock, timer and the ways
# of calling other CPUs are KVM's there. Expected: the same self-test as on a bare machine. Skipped where KVM has
# no virtualisation hardware beneath: such a KVM runs ring 0 by an interpreter that does not know every
# instruction; kvm_test.sh is content with it.
# timeout: 200
. "$(dirname "$0")/lib.sh"
. tests/lib/rows.sh
grep -qwE '^flags.* (vmx|svm)' /proc/cpuinfo && [ -w /dev/kvm ] || { echo "no hardware KVM here"; exit 77; }
for n in $CPUS; do
	timeout -k 5 60 qemu-system-x86_64 -M q35 -accel kvm -cpu host -smp "$n" -m 32 -nodefaults -display none -no-reboot \
		-serial stdio -monitor none -device isa-debug-exit,iobase=0xf4 -kernel "$BUILD/amphi" -initrd "$work/module" \
		-append "do=\"$row_do\"" </dev/null 2>&1 | tr -d '\r' >"$work/log"
	row "KVM, $n CPUs" "$work/log" "$n"
	expect "$work/log" 'platform=kvm'
	expect "$work/log" '^@exit 0'
done
rows_end "KVM"
