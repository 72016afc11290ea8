#!/bin/sh
# hv_vcpus_test: domains with several vCPUs on amphi-hv, a first domain and a guest of the service domain, on 1, 2 and 4
# physical CPUs. Why: what a vCPU has of its own (pending bits, clock, timer, gates, page table) is told to the
# hypervisor once per vCPU, and only two of them show what was told for one only. Expected: 1, 2 and 4 vCPUs
# run programs, programs go on while vCPUs go down and come up under them, nothing is lost. timeout: 240
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/lib/archive.sh
. tests/lib/cpus.sh
cpus_archive "$work/ramdisk"

hv() { # hv CPUS WORDS MODULES: the serial line in $work/log
	timeout -k 5 270 qemu-system-x86_64 -M q35 -accel tcg -cpu max -smp "$1" -m 256 -nodefaults -display none -no-reboot \
		-serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append "$2" -initrd "$3" \
		</dev/null 2>&1 | tr -d '\r' >"$work/log"
}
for n in 1 2 4; do
	hv $n "dom0_mem=64M dom0_max_vcpus=$n" "$BUILD/amphi role=native do=\"$(cpus_words $n)\",$work/ramdisk"
	cpus_check "$work/log" $n "a first domain with $n vCPUs on $n CPUs"
done
hv 1 "dom0_mem=64M dom0_max_vcpus=4" "$BUILD/amphi role=native do=\"$(cpus_words 4)\",$work/ramdisk"
cpus_check "$work/log" 4 "a first domain with 4 vCPUs on one CPU"

strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_file /ramdisk "$work/ramdisk"
for n in 2 4; do
	{
		printf 'name = "g%s"\nkernel = "/amphi"\nramdisk = "/ramdisk"\nmemory = 24\nvcpus = %s\n' $n $n
		printf "cmdline = 'role=guest do=\"%s\"'\n" "$(cpus_words $n)"
	} | ar_domain g$n
done
ar_pack "$work/archive"
hv 2 "dom0_mem=64M dom0_max_vcpus=2" "$BUILD/amphi role=service,$work/archive"
for n in 2 4; do
	sed -n "s/^\[g$n\] //p" "$work/log" >"$work/g$n"
	cpus_check "$work/g$n" $n "a guest with $n vCPUs"
done
grep -q '^@exit 0' "$work/log" || { echo "the service domain did not end well"; tail -n 30 "$work/log"; exit 1; }
echo "amphi-hv: 1, 2 and 4 vCPUs in the first domain, 2 and 4 in guests, all at work, vCPUs out and in under load"
