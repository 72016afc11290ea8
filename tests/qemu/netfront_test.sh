#!/bin/sh
# netfront_test: guests of amphi-hv reach each other through our netfront, netback and bridge, and make no grant for a packet.
# Why: the two halves were written apart, and what staged pages are for shows only in hypercalls that are not made. Expected: echo
# requests of every kind of frame come back with every byte, without a stack and with one, from a guest with two queues too; both halves
# say that pages are staged, or not when a guest does not want it; thousands of small frames later the guest has made no grant hypercall for them; at the end nothing waits, and each page is where it was.
# timeout: 120
BUILD=${BUILD:-build}
work=$(mktemp -d)
run= typing=
: >"$work/log"
trap 'kill $run $typing 2>/dev/null; wait; rm -rf "$work"' EXIT
guest() { # guest NAME VCPUS MAC-END IP COMMANDS
	cat >"$work/$1.cfg" <<C
name = "$1"
kernel = "$BUILD/amphi"
memory = 100
vcpus = $2
cmdline = 'role=guest ip=$4 $5'
vif = ['mac=00:16:3e:00:00:$3']
C
}
guest a 2 0a off 'do="netblast eth0 500 1514 10.0.0.1 10.0.0.2; netblast eth0 64 60 10.0.0.1 10.0.0.2; hypercalls; echo small; netblast eth0 10000 60 10.0.0.1 10.0.0.2; hypercalls; netstat; netsend eth0 5000 60 0x00163e00000b; netsend eth0 100 1514 0x00163e00000b 5 10; netsend eth0 70 60 0x00163e00000b 10.0.0.1 10.0.0.77; halt 0"'
guest b 1 0b 10.0.0.2/24 ''
guest c 2 0c 10.0.0.3/24 'do="ping -i 0 -c 100 -s 1400 10.0.0.2; ping -i 0 -c 20 -s 20000 10.0.0.2; netstat eth0; net hash eth0 on; net staging eth0 off; netstat eth0; ping -i 0 -c 50 -s 1400 10.0.0.2; net hash eth0 off; net staging eth0 on; netstat eth0; -net hash eth7 on; -net staging eth0 maybe; halt 0"'
"$BUILD/amphi-tool" run --accel tcg --net none --timeout 300 --stats "$work/stats" --ctl "$work/ctl" --later "$work/a.cfg" --later "$work/c.cfg" "$work/b.cfg" >"$work/log" 2>&1 &
run=$!
says() { # says REGEX: waits as long as the machine runs
	until grep -qE -- "$1" "$work/log"; do kill -0 $run 2>/dev/null || fail "no /$1/"; sleep 0.1; done
}
fail() { echo "$1"; grep -v '@stat' "$work/log" | tail -n 60; tail -n 30 "$work/stats"; exit 1; }
expect() { grep -qE "$2" "$1" || fail "expected /$2/"; }
# b is there before the others, and as long as they need it.
says '^\[b\] @net eth0'
for g in a c; do
	"$BUILD/amphi-tool" ctl --socket "$work/ctl" --timeout 100 create $g >"$work/out" 2>&1 || fail "no $g: $(cat "$work/out")"
	says "@domain $g exit"
done
mkfifo "$work/keys"
"$BUILD/amphi-tool" ctl --socket "$work/ctl" --timeout 100 console b <"$work/keys" >"$work/out" 2>&1 &
typing=$!
echo 'netstat; halt 0' >"$work/keys"
wait $run
run=
expect "$work/log" '^\[a\] @blast eth0 size=1514 sent=500 answered=500 wrong=0 refused=0 '
expect "$work/log" '^\[a\] @blast eth0 size=60 sent=10000 answered=10000 wrong=0 refused=0 '
expect "$work/log" '^\[c\] @ping 10.0.0.2 sent=100 received=100 twice=0 wrong=0 '
expect "$work/log" '^\[c\] @ping 10.0.0.2 sent=20 received=20 twice=0 wrong=0 '
expect "$work/log" '^\[a\] .*eth0: domain 0, 2 queues of two ports, mtu 1500, sg csum4 csum6 gso4 gso6'
expect "$work/log" '^\[a\] .*eth0: queue 1 has [0-9]* pages staged'
expect "$work/log" '^\[a\] @sent eth0 size=60 frames=5000 refused=0 '
expect "$work/log" '^\[a\] @sent eth0 size=1514 frames=100 refused=0 ns=(19[0-9]|[2-9][0-9][0-9]|[0-9]{4,})[0-9]{6}$' # 5 each 10 ms
expect "$work/log" '^\[a\] @sent eth0 size=60 frames=70 refused=0 '
grants() { sed -n "s/^\[$1\] *\([0-9]*\) 20 grant_table_op.*/\1/p" "$work/log"; }
[ "$(grants a | uniq | wc -l)" = 1 ] || fail "a made grant hypercalls: $(grants a | tr '\n' ' ')"
expect "$work/stats" 'netfront=eth0 .* waiting=0 .* staged=[1-9]'
# A guest's wishes are its backend's deeds before the next command: hashed and not staged, and back.
figures() { grep '^c .*netfront=eth0' "$work/stats" | sed -n "$1p"; }
figures 1 | grep -q ' staged=[1-9][0-9]* hashed=0 ' || fail "before: $(figures 1)"
figures 2 | grep -q ' staged=0 hashed=1 ' || fail "hash on, staging off: $(figures 2)"
figures 3 | grep -q ' staged=[1-9][0-9]* hashed=0 ' || fail "and back: $(figures 3)"
expect "$work/log" '^\[c\] @ping 10.0.0.2 sent=50 received=50 twice=0 wrong=0 '
expect "$work/log" '^\[c\] eth7: ENODEV'
for g in a b c; do expect "$work/log" "^\[service\] @domain $g exit 0"; done
echo "guests reach each other; 10000 small frames and no grant hypercall"
