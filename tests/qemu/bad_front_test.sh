#!/bin/sh
# bad_front_test: a guest that plays blkfront wrongly in fifty named ways, beside guests that must not notice. Why: the host
# tests and fuzzers drive blkback alone; here the store, the grants, the ports and the hypervisor are real. Expected: each way is
# answered as pv_bad_front.c says and a right read works after it; the service domain says what it refused, with the domain's
# number; two neighbours read their disks rightly all the time; nothing is left of the bad guest when it has ended under load.
# timeout: 120
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests/guest/build.sh tests/guest/pv_bad_front.c "$work/bad" || exit 1
head -c 4194304 /dev/urandom >"$work/good.img"
want=$(sha256sum <"$work/good.img" | cut -d' ' -f1)
python3 -c 'import sys
for s in range(4096): sys.stdout.buffer.write(s.to_bytes(4, "little").ljust(512, b"\0"))' >"$work/bad.img"

domain() { # domain NAME KERNEL MEMORY CMDLINE DISK
	cat >"$work/$1.cfg" <<C
name = "$1"
kernel = "$2"
memory = $3
cmdline = '$4'
disk = ['vdev=xvda,format=raw,$5']
on_crash = "destroy"
C
}
domain bad "$work/bad" 6 crash "access=rw,target=$work/bad.img"
reads=$(printf 'sha256 xvda; %.0s' 1 2 3 4 5 6 7 8 9 10 11 12)
domain good "$BUILD/amphi" 8 "role=guest do=\"${reads}halt 0\"" "access=ro,target=$work/good.img"
"$BUILD/amphi-tool" run --accel tcg --timeout 330 --stats "$work/stats" "$work/bad.cfg" "$work/good.cfg" >"$work/log" 2>&1
sed -n 's/^\[bad\] //p' "$work/log" | tr -d '\r' >"$work/bad.said"
fail() { echo "$1"; tail -n 60 "$work/log"; exit 1; }
grep '^FAILED' "$work/bad.said" && fail "not as it should be"
ways=$(sed -n 's/^attacks //p' "$work/bad.said")
[ "${ways:-0}" -ge 50 ] && [ "$(grep -c '^ok' "$work/bad.said")" = "$ways" ] || fail "the bad guest did not get through"
[ "$(grep -c "@sha256 xvda $want" "$work/log")" = 12 ] || fail "its neighbour did not read rightly"
grep -q '@domain good exit 0' "$work/log" || fail "its neighbour did not end well"
while read -r why; do
	grep -q "vbd/1/51712: domain 1: $why" "$work/log" || fail "not told: $why"
done <<W
request refused: an operation that there is not
request refused: no segments, or too many
request refused: a segment is not whole sectors of a page
request refused: beyond the disk, or within a sector of it
request refused: a page of it is not granted
request refused: a flush with data
request refused: indirect, and neither read nor write
request refused: the page of its segments is not granted
more requests than its ring holds; connection closed
W
echo "$ways ways to be a bad frontend, none of which anybody else noticed"
