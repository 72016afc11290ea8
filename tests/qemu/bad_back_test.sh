#!/bin/sh
# bad_back_test: a guest that plays blkback wrongly in thirty named ways, for a disk of a guest of ours. Why: who serves a disk
# must not have its reader; the host tests and fuzzers drive blkfront alone, here store, grants and ports are real. Expected: to each
# way the frontend does as pv_bad_back.c says (closes the connection and says why, or goes on) and nothing was mapped that was not
# granted; another disk of the same guest and one of a neighbour are read rightly all the time; when at last the disk is served as
# it should be, it is read rightly too, by the requests that waited.
# timeout: 120
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests/guest/build.sh tests/guest/pv_bad_back.c "$work/bad" || exit 1
head -c 1048576 /dev/urandom >"$work/good.img"
truncate -s 1M "$work/second.img"
good=$(sha256sum <"$work/good.img" | cut -d' ' -f1)
zeros=$(head -c 131072 /dev/zero | sha256sum | cut -d' ' -f1)

cat >"$work/bad.cfg" <<C
name = "bad"
kernel = "$work/bad"
memory = 6
C
cat >"$work/reader.cfg" <<C
name = "reader"
kernel = "$BUILD/amphi"
memory = 8
cmdline = 'role=guest do="repeat 30 \'-sha256 xvda; sha256 xvdb\'; halt 0"'
disk = ['vdev=xvda,format=raw,backend=bad,target=nothing', 'vdev=xvdb,format=raw,access=ro,target=$work/good.img']
C
"$BUILD/amphi-tool" run --accel tcg --timeout 330 "$work/bad.cfg" "$work/reader.cfg" >"$work/log" 2>&1
sed -n 's/^\[bad\] //p' "$work/log" | tr -d '\r' >"$work/bad.said"
fail() { echo "$1"; tail -n 60 "$work/log"; exit 1; }
grep '^FAILED' "$work/bad.said" && fail "not as it should be"
ways=$(sed -n 's/^attacks //p' "$work/bad.said")
[ "${ways:-0}" -ge 30 ] && [ "$(grep -c '^ok' "$work/bad.said")" = $((ways + 1)) ] || fail "the bad backend did not get through"
[ "$(grep -c "@sha256 xvdb $good" "$work/log")" = 30 ] || fail "the other disk was not read rightly"
grep -q "@sha256 xvda $zeros" "$work/log" || fail "the disk was never read rightly"
grep '@sha256 xvda' "$work/log" | grep -v "$zeros" && fail "the disk was read wrongly"
grep -q '@domain reader exit 0' "$work/log" || fail "the reader did not end well"
echo "$ways ways to be a bad backend, none of which its reader took harm from"
