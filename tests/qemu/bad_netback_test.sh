#!/bin/sh
# bad_netback_test: a guest that plays netback wrongly in more than fifty named ways, for an interface of a guest of ours. Why: who
# carries packets must not have their sender; the host tests and fuzzers drive netfront alone, here store, grants and ports are
# real. Expected: to each way the frontend does as pv_bad_netback.c says (closes the connection and says why, or goes on and has
# echoes) and nothing was mapped that was not granted; no echo is ever other than it was sent; those by another interface of the same
# guest come all the time, each once; when at last the backend is as it should be, echoes come by it and the guest's memory is as before.
# timeout: 160
BUILD=${BUILD:-build}
work=$(mktemp -d)
tool=
trap 'kill $tool 2>/dev/null; wait; rm -rf "$work"' EXIT
tests/guest/build.sh tests/guest/pv_bad_netback.c "$work/bad" || exit 1
cat >"$work/bad.cfg" <<C
name = "bad"
kernel = "$work/bad"
memory = 6
C
cat >"$work/two.cfg" <<C
name = "two"
kernel = "$BUILD/amphi"
memory = 16
cmdline = 'role=guest ip=10.0.0.2/24 stay'
vif = ['bridge=xenbr0']
C
# Whatever else fails, the second line of a round must not.
bad='-ip addr add 10.9.0.2/24 dev eth0; -ip addr add 10.0.0.1/24 dev eth1; -ping -c 4 -i 5 -W 20 -s 600 10.9.0.1'
cat >"$work/reader.cfg" <<C
name = "reader"
kernel = "$BUILD/amphi"
memory = 16
cmdline = 'role=guest do="sleep 300; repeat 100000 \'$bad; ping -q -c 2 -i 1 -W 5000 -s 600 10.0.0.2; mem; echo round %\'"'
vif = ['backend=bad', 'bridge=xenbr0']
C
timeout -k 5 150 "$BUILD/amphi-tool" run --accel tcg --icount --net none --ctl "$work/ctl" "$work/bad.cfg" "$work/two.cfg" "$work/reader.cfg" >"$work/log" 2>&1 &
tool=$!
fail() { echo "$1"; grep -v '\] memory\|bytes from\|round' "$work/log" | tail -n 60; exit 1; }
over() { [ "$(sed -n '/^\[bad\] attacks/,$p' "$work/log" | grep -c '^\[bad\] bad')" = 1 ]; }
until over; do kill -0 $tool 2>/dev/null || fail "it ended too early"; sleep 0.3; done
kill $tool; wait $tool
tr -d '\r' <"$work/log" >"$work/l" && mv "$work/l" "$work/log"
sed -n 's/^\[bad\] //p' "$work/log" >"$work/bad.said"
grep '^FAILED' "$work/bad.said" && fail "not as it should be"
ways=$(sed -n 's/^attacks //p' "$work/bad.said")
[ "${ways:-0}" -ge 50 ] && [ "$(grep -c '^ok' "$work/bad.said")" = $((ways + 2)) ] || fail "the bad backend did not get through"
grep '@ping.* wrong=[1-9]' "$work/log" && fail "an echo was not what was sent"
grep '@ping 10.0.0.2' "$work/log" && fail "the other interface lost an echo"
[ "$(sed -n '/^\[bad\] bad/,/^\[bad\] good/p' "$work/log" | grep -c '\[reader\] round')" -ge 10 ] || fail "no echoes meanwhile"
sed -n '/^\[bad\] attacks/,$p' "$work/log" | grep -q '@ping 10.9.0.1 sent=4 received=4 twice=0 wrong=0' || fail "no echoes at the end"
while read -r why; do
	grep -q "device/vif/0: domain [0-9]*: $why; connection closed" "$work/log" || fail "not told: $why"
done <<W
answer to a frame that was not sent
more answers than frames
more packets than there is room for
what came in is no packet
has a page mapped that it has answered
answered a frame whose memory it has mapped still
answer to a question that was not asked
more answers than questions
W
# What the reader holds in the two times when the backend is as it should be.
sed -n '/^\[bad\] good/,/^\[bad\] bad/p' "$work/log" |
	awk '/^\[reader\] memory/ { last = $0 } /^\[bad\] bad/ { print last }' | cut -d' ' -f5- >"$work/memory"
awk '{ free[NR] = $2 } END { d = free[1] - free[2]; exit !(NR == 2 && free[1] > 0 && d < 256) }' "$work/memory" ||
	{ cat "$work/memory"; fail "it does not hold what it held"; }
echo "$ways ways to be a bad network backend, none of which its guest took harm from; $(paste -sd' ' "$work/memory")"
