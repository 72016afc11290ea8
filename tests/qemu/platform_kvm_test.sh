#!/bin/sh
# platform_kvm_test: the rows of a KVM guest. Why: clock, timer and the ways of calling other CPUs are KVM's there.
# Expected: the same self-test as on a bare machine. A KVM without virtualisation hardware beneath runs ring 0 by an
# interpreter, which ends the machine at int3 and mistakes some of ring 3's instructions (XRSTOR): there, and the
# last line says so, breakpoints and the program of ring 3 are left out and all else is compared, on one CPU and on
# several at once: it is slow, and kvm_test has two. timeout: 400
. "$(dirname "$0")/lib.sh"
. tests/lib/rows.sh
echo quit | timeout 10 qemu-system-x86_64 -M none -accel kvm -nodefaults -display none -monitor stdio >/dev/null 2>&1 ||
	{ echo "no usable /dev/kvm here"; exit 77; }
cpu=host words="$row_do" row=row module="-initrd $work/module" but=
grep -qwE '^flags.* (vmx|svm)' /proc/cpuinfo ||
	cpu=kvm64,+kvm-pv-eoi,+kvm-pv-ipi,+kvm-pv-tlb-flush,+kvm-pv-unhalt words="selftest breakpoint${row_do#selftest}" row=row_in_part \
		module= CPUS="1 4" but=", without breakpoints and ring 3: this KVM has no hardware beneath"
for n in $CPUS; do
	# shellcheck disable=SC2086
	timeout -k 5 360 qemu-system-x86_64 -M q35 -accel kvm -cpu "$cpu" -smp "$n" -m 32 -nodefaults -display none -no-reboot \
		-serial stdio -monitor none -device isa-debug-exit,iobase=0xf4 -kernel "$BUILD/amphi" $module \
		-append "do=\"$words\"" </dev/null 2>&1 | tr -d '\r' >"$work/log"
	$row "KVM, $n CPUs" "$work/log" "$n"
	expect "$work/log" 'platform=kvm'
	expect "$work/log" '^@exit 0'
done
rows_end "KVM$but"
