#!/bin/sh
# kvm_test: our kernel as a KVM guest, and natively on KVM because it is told so.
# Why: KVM's clock and stolen time are registers and bytes that no emulator has. Expected: found by CPUID; a sleep
# ends by KVM's clock and the APIC's timer, stolen time is told, a second CPU has its own of each and may go and
# come, no site is left; pvops=native is followed and uses none of it. Skipped where /dev/kvm cannot be used.
# timeout: 180
. "$(dirname "$0")/lib.sh"
kvm() { # kvm CMDLINE: on a processor without features that a poor KVM refuses to set
	timeout -k 5 240 qemu-system-x86_64 -M q35 -accel kvm -smp 2 \
		-cpu kvm64,+kvm-pv-eoi,+kvm-pv-ipi,+kvm-pv-tlb-flush,+kvm-pv-unhalt -m 32 -nodefaults -display none -no-reboot \
		-serial stdio -monitor none -device isa-debug-exit,iobase=0xf4 -kernel "$BUILD/amphi" -append "$1" \
		</dev/null 2>&1 | tr -d '\r'
}
echo quit | timeout 10 qemu-system-x86_64 -M none -accel kvm -nodefaults -display none -monitor stdio >/dev/null 2>&1 ||
	{ echo "no usable /dev/kvm here"; exit 77; }
kvm 'loglevel=debug do="sleep 300; clock 200; cpu offline 1; cpu online 1; clock 200; stats; pvops; date; halt"' >"$work/log"
expect "$work/log" 'amphi on kvm'
expect "$work/log" 'kvm offers '
expect "$work/log" '@stat .*uptime_ns=[0-9]{7,}.* steal_ns=[0-9]'
expect "$work/log" 'clock of 2 CPUs for 200 ms: .* 0 steps back'
expect "$work/log" '^20[0-9-]*T[0-9:]*Z by kvm$'
expect "$work/log" '@pvops indirect=0 differing=0'
expect "$work/log" '^@exit 0'
parts=$(grep -c 'kvm offers' "$work/log")
kvm 'pvops=native do="sleep 10; halt"' >"$work/log"
expect "$work/log" 'amphi on native'
expect "$work/log" '^@exit 0'
! grep -q 'not followed' "$work/log" || { echo "pvops=native is refused on KVM"; exit 1; }
echo "KVM guest: found, $parts parts; natively when told so"
