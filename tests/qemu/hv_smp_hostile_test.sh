#!/bin/sh
# hv_smp_hostile_test: domains of two vCPUs that make random hypercalls, many at once, on four CPUs, beside one that works. Why:
# hv_hostile_test has them one CPU, where nothing of two happens at the same time. Expected: as there: each ends, the
# working one reads its disk rightly, the hypervisor goes on, and no memory is missing. SEEDS names other seeds.
# timeout: 120
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/lib/archive.sh
tests/guest/build.sh tests/guest/pv_hostile.c "$work/hostile" || exit 1
strip -g -o "$work/amphi" "$BUILD/amphi"
head -c 2097152 /dev/urandom >"$work/disk"
want=$(sha256sum <"$work/disk" | cut -d' ' -f1)
seeds=${SEEDS:-$(seq 101 120)}
ar_file /hostile "$work/hostile"
ar_file /amphi "$work/amphi"
ar_disk /disk amphi0
for s in $seeds; do
	printf 'name = "h%s"\nkernel = "/hostile"\nmemory = 6\nvcpus = 2\ncmdline = "%s"\n' "$s" "$s" | ar_domain "h$s"
done
ar_domain good <<'C'
name = "good"
kernel = "/amphi"
memory = 8
vcpus = 2
cmdline = 'role=guest do="sha256 xvda; sha256 xvda; sha256 xvda; halt 0"'
disk = ['/disk,raw,xvda,ro']
C
ar_pack "$work/archive"
timeout -k 5 300 qemu-system-x86_64 -M q35 -accel tcg,thread=single -smp 4 -cpu max -m 300 -nodefaults -display none -no-reboot \
	-serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=64M \
	-initrd "$work/amphi role=service loglevel=2,$work/archive" \
	-drive "if=none,id=a,format=raw,file=$work/disk,readonly=on" -device nvme,serial=amphi0,drive=a </dev/null 2>&1 | tr -d '\r' >"$work/log"
fail() {
	echo "$1:"; tail -n 60 "$work/log"; exit 1
}
for s in $seeds; do
	grep -q "^@domain h$s exit" "$work/log" || fail "domain h$s did not end"
done
grep -q 'the hypervisor stops' "$work/log" && fail "the hypervisor stopped"
[ "$(grep -c "@sha256 xvda $want" "$work/log")" = 3 ] || fail "the good domain did not read rightly"
grep -q '^@domain good exit 0' "$work/log" || fail "the good domain did not end well"
# The hypervisor's heap and tables keep a few pages; a domain, or a vCPU of each, would be more.
set -- $(sed -n 's/^\[hv\] @stat .*free_kib=\([0-9]*\)$/\1/p' "$work/log")
[ $(($1 - $2)) -le 96 ] || fail "free KiB: $1 at the start, $2 at the end"
echo "$(grep -c '^\[hv\] domain [0-9]* crashed' "$work/log") of $(echo $seeds | wc -w) hostile domains on four CPUs were ended, the rest had enough"
