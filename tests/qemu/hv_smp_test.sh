#!/bin/sh
# hv_smp_test: a guest with 2 and 4 vCPUs on 1, 2 and 4 physical CPUs of amphi-hv. Why: what one CPU has in its
# TLB, its registers or its run queue is another's business now. Expected: the guest (tests/guest/pv_smp.c,
# which prints the same on Xen) finds all in order, on CPUs in lockstep and in parallel; each CPU
# that the firmware names is started, and no more than maxcpus= says.
# timeout: 180
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests/guest/build.sh tests/guest/pv_smp.c "$work/smp" || exit 1

hv() { # hv CPUS VCPUS ACCEL WORDS
	timeout -k 5 180 qemu-system-x86_64 -M q35 -accel "$3" -cpu max -m 64 -smp "$1" -nodefaults -display none -no-reboot \
		-serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append "dom0_mem=8M dom0_max_vcpus=$2 $4" \
		-initrd "$work/smp quick" </dev/null 2>&1 | tr -d '\r' >"$work/log"
	grep -q '^pv_smp: done$' "$work/log" && ! grep -q '^FAILED' "$work/log" && return
	echo "$2 vCPUs on $1 CPUs:"; tail -n 40 "$work/log"; exit 1
}
expect() {
	grep -qE -- "$1" "$work/log" && return
	echo "expected /$1/ in:"; tail -n 40 "$work/log"; exit 1
}

for cpus in 1 2 4; do
	for vcpus in 2 4; do
		hv $cpus $vcpus tcg,thread=single ""
		[ $cpus = 1 ] || expect "^\\[hv\\] $cpus CPUs$"
		expect "^vCPUs $vcpus$"
	done
done
hv 2 3 tcg ""
hv 4 2 tcg,thread=single maxcpus=2
expect '^\[hv\] 2 CPUs$'
echo "2 and 4 vCPUs on 1, 2 and 4 CPUs"
