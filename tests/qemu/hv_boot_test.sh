#!/bin/sh
# hv_boot_test: amphi-hv boots by multiboot, builds the first domain, and runs it. Why: everything else
# stands on it. Expected: a test guest (tests/guest/pv_abi.c, which passes on Xen too) finds the whole ABI in
# order, a null hypercall takes at most 400 instructions, and each thing that can be wrong with what the
# boot loader hands over, or with a guest, is named.
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# hv MIB APPEND MODULES [QEMU...]: the serial line, without carriage returns, in $work/log.
hv() {
	mib=$1 append=$2 modules=$3; shift 3
	timeout -k 5 90 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m "$mib" -nodefaults -display none -no-reboot \
		-serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append "$append" ${modules:+-initrd "$modules"} \
		"$@" </dev/null 2>&1 | tr -d '\r' >"$work/log"
}
expect() {
	grep -qE -- "$1" "$work/log" && return
	echo "expected /$1/ in:"; tail -n 60 "$work/log"; exit 1
}
refuse() {
	grep -qE -- "$1" "$work/log" || return 0
	echo "did not expect /$1/ in:"; tail -n 60 "$work/log"; exit 1
}

tests/guest/build.sh tests/guest/pv_abi.c "$work/abi" || exit 1
tests/guest/build.sh tests/guest/pv_ends.c "$work/ends" || exit 1
for g in modes events grants; do tests/guest/build.sh "tests/guest/pv_$g.c" "$work/$g" || exit 1; done

# Counted in instructions: 1 ns each.
hv 64 dom0_mem=8M "$work/abi one two" -icount shift=0,sleep=off
expect '^\[hv\] ready after'
expect '^cmdline one two$'
expect '^pv_abi: done$'
refuse '^FAILED'
null=$(sed -n 's/^null hypercall, ns: //p' "$work/log")
[ "$null" -le 400 ] || { echo "a null hypercall takes $null instructions, at most 400 wanted"; exit 1; }
ready=$(sed -n 's/.*ready after \([0-9]*\) us.*/\1/p' "$work/log")
[ "$ready" -le 10000 ] || { echo "ready after $ready thousand instructions, at most 10000 wanted"; exit 1; }
memory=$(sed -n 's/.*memory_kib=\([0-9]*\).*/\1/p' "$work/log" | sort -n | tail -1)
[ "$memory" -le 8192 ] || { echo "the hypervisor takes $memory KiB, at most 8192 wanted"; exit 1; }

# Without a HPET the PIT tells the time; with other processors and machines nothing changes. Words that mean nothing are named, and that is all.
hv 64 'dom0_mem=8M iommu_faults=many maxcpus=x iospace_tables=12X console=vga nonsense' "$work/abi" -machine hpet=off
expect '^pv_abi: done$'; refuse '^FAILED'
for word in 'iommu_faults=many is not a number' 'maxcpus=x is not a number' 'iospace_tables=12X is not a size' 'console=vga is none of com1 none' 'unknown word: nonsense$'; do
	expect "^\[hv\] command line: $word"
done
hv 64 'dom0_mem=8M,max:8M console=com1' "$work/abi" -M pc -cpu qemu64
expect '^pv_abi: done$'; refuse '^FAILED'
hv 4500 dom0_mem=64M "$work/abi"
expect '^pv_abi: done$'; refuse '^FAILED'

# Other rooms of the ABI, one guest each; tests/xen/abi_guest_test.sh has them on Xen.
for g in modes events grants; do
	hv 64 dom0_mem=8M "$work/$g"
	expect "^pv_$g: done$"; refuse '^FAILED'
done

# What the boot loader hands over.
hv 64 dom0_mem=8M ''
expect 'no kernel for the first domain'
echo "this is no kernel" >"$work/text"
hv 64 dom0_mem=8M "$work/text"
expect "the first domain's kernel \(module 0\): .*ELF"
printf 'int main(void) { return 0; }\n' >"$work/host.c"
gcc -o "$work/host" "$work/host.c"
hv 64 dom0_mem=8M "$work/host"
expect "the first domain's kernel \(module 0\): .*[Xx]en"
head -c 9000000 /dev/zero >"$work/ramdisk"
hv 64 dom0_mem=8M "$work/abi,$work/ramdisk"
expect 'too little memory for the first domain: dom0_mem is 8192 KiB, kernel and ramdisk need'
hv 32 dom0_mem=64M "$work/abi"
expect 'too little memory for the first domain: [0-9]+ of 65536 KiB free'
hv 64 dom0_mem=lots "$work/abi"
expect 'dom0_mem=lots is not a size'
hv 64 dom0_mem=1M "$work/abi"
expect 'dom0_mem is 1024 KiB; the least is 4096 KiB'

# Ways for a guest to end.
hv 64 dom0_mem=8M "$work/ends"
expect 'the first domain has ended \(code 0\): power off'
hv 64 dom0_mem=8M "$work/ends fault"
expect 'domain 0 crashed: vcpu 0: page fault at 123456789000 .*no handler'
hv 64 dom0_mem=8M "$work/ends stack"
expect 'domain 0 crashed: vcpu 0: no stack at'
hv 64 dom0_mem=8M "$work/ends iret"
expect 'domain 0 crashed: vcpu 0: iret with no frame'
hv 64 dom0_mem=8M "$work/ends user"
expect 'domain 0 crashed: vcpu 0 enters user mode without a user page table'
hv 64 dom0_mem=8M "$work/ends watchdog"
expect 'the first domain has ended \(code 4\)'
echo "amphi-hv boots, null hypercall $null instructions, ready after ${ready}k, $memory KiB"
