#!/bin/sh
# hv_hostile_test: domains that make random hypercalls beside one that works. Why: the fuzzers run the
# hypervisor's parts in a host program; this is the binary itself, with its entry code, page tables and
# scheduler. Expected: each hostile domain ends in one way or the other, the working one reads its disk
# rightly, the service domain and the hypervisor see the end, and no memory is missing. SEEDS names other seeds.
# timeout: 90
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests/guest/build.sh tests/guest/pv_hostile.c "$work/hostile" || exit 1
head -c 2097152 /dev/urandom >"$work/disk"
want=$(sha256sum <"$work/disk" | cut -d' ' -f1)
seeds=${SEEDS:-$(seq 24)}
for s in $seeds; do
	printf 'name = "h%s"\nkernel = "%s"\nmemory = 6\ncmdline = "%s"\n' "$s" "$work/hostile" "$s" >"$work/h$s.cfg"
done
cat >"$work/good.cfg" <<C
name = "good"
kernel = "$BUILD/amphi"
memory = 8
cmdline = 'role=guest do="sha256 xvda; sha256 xvda; sha256 xvda; halt 0"'
disk = ['vdev=xvda,format=raw,access=ro,target=$work/disk']
C
"$BUILD/amphi-tool" run --timeout 180 --stats "$work/stats" "$work"/h*.cfg "$work/good.cfg" >"$work/log" 2>&1
for s in $seeds; do
	grep -q "@domain h$s id=" "$work/log" && grep -q "@domain h$s exit" "$work/log" && continue
	echo "domain h$s did not begin, or not end:"; tail -n 40 "$work/log"; exit 1
done
[ "$(grep -c "@sha256 xvda $want" "$work/log")" = 3 ] || { echo "the good domain did not read rightly:"; tail -n 60 "$work/log"; exit 1; }
grep -q 'the hypervisor stops' "$work/log" && { tail -n 40 "$work/log"; exit 1; }
grep -q '@domain good exit 0' "$work/log" || { tail -n 40 "$work/log"; exit 1; }
# The hypervisor's heap and tables keep a few pages; a domain, or a vCPU of each, would be more.
set -- $(sed -n 's/^hv .*free_kib=\([0-9]*\).*/\1/p' "$work/stats")
[ $(($1 - $2)) -le 96 ] || { echo "free KiB: $1 at the start, $2 at the end"; exit 1; }
echo "$(grep -c '^\[hv\] domain [0-9]* crashed' "$work/log") of $(echo $seeds | wc -w) hostile domains were ended, the rest had enough"
