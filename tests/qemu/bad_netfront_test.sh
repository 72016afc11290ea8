#!/bin/sh
# bad_netfront_test: a guest that plays netfront wrongly in a hundred named ways, beside guests that must not notice. Why: the host
# tests and fuzzers drive netback alone; here the store, the grants, the ports and the hypervisor are real. Expected: each way is
# answered as pv_bad_netfront.c says, and an echo of a neighbour comes back whole after it; the service domain says what it refused and
# why, with the domain's number; two neighbours have every echo of each other's all the time; the service domain holds as much when
# all is over as before; nothing is left of the bad guest when it has ended under load.
# timeout: 160
BUILD=${BUILD:-build}
work=$(mktemp -d)
tool=
trap 'kill $tool 2>/dev/null; wait; rm -rf "$work"' EXIT
tests/guest/build.sh tests/guest/pv_bad_netfront.c "$work/bad" || exit 1
domain() { # domain NAME KERNEL MEMORY CMDLINE
	cat >"$work/$1.cfg" <<C
name = "$1"
kernel = "$2"
memory = $3
cmdline = '$4'
vif = ['bridge=xenbr0']
on_crash = "destroy"
C
}
domain bad "$work/bad" 6 bad
pings='ping -q -c 3 -i 1 -W 200 -s 1400 10.0.0.2; echo round %'
domain one "$BUILD/amphi" 16 "role=guest ip=10.0.0.1/24 do=\"sleep 300; repeat 100000 \\'$pings\\'\""
domain two "$BUILD/amphi" 16 'role=guest ip=10.0.0.2/24 stay'
domain three "$BUILD/amphi" 16 'role=guest ip=10.0.0.3/24 stay' # the bad one asks it
timeout -k 5 150 "$BUILD/amphi-tool" run --accel tcg --icount --net none --stats "$work/stats" --ctl "$work/ctl" \
	--service-args 'do="repeat 100000 '"'sleep 200; mem; netstat'"'"' "$work/bad.cfg" "$work/one.cfg" "$work/two.cfg" "$work/three.cfg" >"$work/log" 2>&1 &
tool=$!
fail() { echo "$1"; grep -v '\] memory\|\[one\] round' "$work/log" | tail -n 60; exit 1; }
until_log() { # until_log WHAT...: as long as the machine runs
	until "$@"; do kill -0 $tool 2>/dev/null || fail "it ended too early"; sleep 0.3; done
}
over() { [ "$(sed -n '/@domain bad exit/,$p' "$work/log" | grep -c '\[one\] round')" -ge 3 ]; }
let_go() { grep -q 'of others 0 pages' "$work/log"; }
until_log over
for d in one two three; do "$BUILD/amphi-tool" ctl --socket "$work/ctl" destroy $d >/dev/null 2>&1; done
until_log let_go
kill $tool; wait $tool
tr -d '\r' <"$work/log" >"$work/l" && mv "$work/l" "$work/log"
sed -n 's/^\[bad\] //p' "$work/log" >"$work/bad.said"
grep '^FAILED' "$work/bad.said" && fail "not as it should be"
ways=$(sed -n 's/^attacks //p' "$work/bad.said")
[ "${ways:-0}" -ge 100 ] && [ "$(grep -c '^ok' "$work/bad.said")" = $((ways + 1)) ] || fail "the bad guest did not get through"
grep '^\[one\] @ping' "$work/log" && fail "its neighbours lost an echo"
[ "$(sed '/^\[bad\] quiet/q' "$work/log" | grep -c '\[one\] round')" -ge 1 ] || fail "no echo before"
[ "$(sed -n '/^\[bad\] loud/,/^\[bad\] quiet/p' "$work/log" | grep -c '\[one\] round')" -ge 3 ] || fail "no echoes meanwhile"
while read -r why; do
	grep -q "vif/1/0: domain 1: $why" "$work/log" || fail "not told: $why"
done <<W
packet refused: shorter than a header
packet refused: slot beyond its page
packet refused: slots longer than the packet
packet refused: empty slot
packet refused: more slots than the limit
packet refused: page not granted
packet refused: extra info that means nothing
packet refused: GSO with an impossible size
packet refused: GSO of another protocol than its type's
packet refused: GSO without data
packet refused: a checksum to fill in, and neither TCP nor UDP
packet refused: header
more tx requests than its ring holds; connection closed
more rx requests than its ring holds; connection closed
more control messages than its ring holds; connection closed
a packet without end; connection closed
a chain of extra infos without end; connection closed
W
grep -q 'vif/1/0: domain 1 wants pages flipped to it' "$work/log" || fail "not told: pages flipped"
grep -q 'vif/1/0: no connection with domain 1' "$work/log" || fail "not told: no connection"
# What the service domain holds in the two times when nothing is under way.
sed -n '/^\[bad\] quiet/,/^\[bad\] loud/p' "$work/log" |
	awk '/^\[service\] memory/ { last = $0 } /^\[bad\] loud/ { print last }' | cut -d' ' -f5- >"$work/memory"
awk '{ free[NR] = $2; granted[NR] = $7; mapped[NR] = $11 } END { d = free[1] - free[2]
	exit !(NR == 2 && free[1] > 0 && d < 64 && d > -64 && granted[1] == granted[2] && mapped[1] == mapped[2]) }' "$work/memory" ||
	{ cat "$work/memory"; fail "it does not hold what it held"; }
grep -q 'net=vif1.0 .* drop_full=[1-9]' "$work/stats" || fail "nothing was dropped for a guest that takes nothing"
echo "$ways ways to be a bad network frontend, none of which anybody else noticed; $(paste -sd' ' "$work/memory")"
