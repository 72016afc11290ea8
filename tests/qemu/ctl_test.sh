#!/bin/sh
# ctl_test: the host manages the domains of a running machine by `amphi-tool ctl`.
# Why: what is not at somebody's keyboard (a script, a cloud's console) has only this way. Expected: commands are
# answered while guests run, in columns and as JSON; a wrong word, an unknown domain, a machine that is not there are named
# and have their exit status; a command sent while the machine starts is not lost; a guest's console works both ways and
# ends with the guest; two machines at once are told apart; the socket goes with the machine.
# timeout: 150
set -u
BUILD=${BUILD:-build}
tool=$BUILD/amphi-tool
work=$(mktemp -d)
trap 'kill $pid 2>/dev/null; wait; rm -rf "$work"' EXIT
pid=
export XDG_RUNTIME_DIR="$work/run"
mkdir "$work/run"
strip -g -o "$work/amphi" "$BUILD/amphi"
for name in g h spare; do
	printf 'name = "%s"\nkernel = "%s"\nmemory = 8\nmaxmem = 12\nmaxvcpus = 2\ncmdline = "role=guest"\n' \
		$name "$work/amphi" >"$work/$name.cfg"
done

fail() { echo "$*"; echo "--- last answer:"; cat "$work/out"; echo "--- machine:"; tail -n 30 "$work/log"; exit 1; }
ctl() { # ctl STATUS WORD...: the answer in $work/out, both kinds
	wanted=$1; shift
	"$tool" ctl "$@" >"$work/out" 2>&1
	got=$?
	[ $got = "$wanted" ] || fail "ctl $*: status $got, wanted $wanted"
}
says() { grep -qE -- "$1" "$work/out" || fail "expected /$1/"; }
machine() { # machine LOG OPTION...: leaves its pid in $pid
	log=$1; shift
	timeout -k 5 300 "$tool" run --accel tcg --service-args stay --later "$work/spare.cfg" "$@" "$work/g.cfg" "$work/h.cfg" >"$log" 2>&1 &
	pid=$!
}

# Nobody there, and words that no line could carry.
: >"$work/out" >"$work/log"
ctl 4 list; says 'no machine runs'
ctl 4 --socket "$work/none.ctl" list; says "$work/none.ctl: No such file"
ctl 2; says '^usage: amphi-tool ctl'
ctl 2 --timeout x list; says "'x' is not a number"
ctl 2 pause "a b"; says "'a b': words are of printable ASCII"
ctl 2 create "$(head -c 300 /dev/zero | tr '\0' x)"; says 'is longer than'
: >"$work/file"
"$tool" run --ctl "$work/file" "$work/g.cfg" >"$work/out" 2>&1
[ $? = 3 ] && [ -e "$work/file" ] || fail "--ctl took a file that is no socket"

# At once: the port is not there yet, then nobody is at it.
machine "$work/log"
for _ in $(seq 1200); do ls "$work"/run/amphi/*.ctl >/dev/null 2>&1 && break; sleep 0.1; done
ctl 0 --timeout 180 list; says '^Domain-0 +0 +running '
says '^g +1 '
ctl 0 --json list h
python3 - "$work/out" <<'P' || fail "not what scripts were promised"
import json, sys
rows = json.load(open(sys.argv[1]))
keys = "name id state vcpus max_vcpus cpu_time_ns memory_kib grants events restarts".split()
assert len(rows) == 1 and list(rows[0]) == keys, rows
assert rows[0]["name"] == "h" and rows[0]["id"] == 2 and rows[0]["memory_kib"] == 8192
P
ctl 0 pause g
ctl 0 list g; says '^g +1 +paused '
ctl 1 pause g; says 'ctl: g: it is paused already \(EBUSY\)'
ctl 0 unpause g
ctl 0 mem-set g 12
ctl 1 mem-set g 13; says 'g: memory must be from 4 to 12 MiB \(ERANGE\)'
ctl 1 --json destroy x; says '^\{"error":"ENOENT","message":"x: no such domain"\}$'
ctl 1 frobnicate; says 'frobnicate: no such command; try help'
ctl 0 --json destroy h; says '^\{"ok":true\}$'
ctl 0 create "$work/h.cfg"
ctl 1 create h; says 'h: a domain of this name is there already \(EEXIST\)'
ctl 0 list; says '^h +3 '
ctl 0 create some/where/spare.cfg
ctl 0 list; says '^spare +4 '
ctl 0 destroy spare
ctl 0 help; says '^vcpu-set +NAME N '

# What the last asker has left: half a line, and an answer that it did not read.
python3 - "$work"/run/amphi/*.ctl <<'P'
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b"old1 help\nold2 destr")
P
ctl 0 list; says '^g +1 '
grep -q old "$work/out" && fail "another's answer was shown"

# A console: what is typed is echoed and obeyed; it ends with the guest, and what is typed behind is no command.
{ sleep 0.5; printf 'echo from %s\n' outside; sleep 1; printf 'halt 4\n'; sleep 1; printf 'x destroy g\n'; } |
	"$tool" ctl --timeout 60 console h >"$work/out" 2>&1 || fail "console: status $?"
says '^from outside'
says '^@exit 4'
for _ in $(seq 600); do grep -q '^\[service\] @domain h exit 4' "$work/log" && break; sleep 0.1; done
grep -q '^\[service\] @domain h exit 4' "$work/log" || fail "h did not end with 4"
ctl 0 list; says '^g +1 '
# Of one whose guest goes on Ctrl-] is the end, or the time that was given.
{
	printf 'cpu\n'
	for _ in $(seq 600); do grep -q '@cpu count' "$work/out" && break; sleep 0.1; done
	printf '\035'
} | "$tool" ctl --timeout 100 console g >"$work/out" 2>&1 || fail "console: status $?"
says '@cpu count=2 online=1'
"$tool" ctl --timeout 1 console g </dev/null >"$work/out" 2>&1 || fail "console: status $? at its time's end"
ctl 1 console h; says 'h: no such domain'

# Pinned, on a machine of two processors; destroyed, one is no loss to whoever waits for the others' exit codes.
kill $pid; wait $pid
sed 's/^maxvcpus.*/vcpus = 2\ncpus = ["1", "0"]/; s/^name.*/name = "h"/' "$work/g.cfg" >"$work/h.cfg"
timeout -k 5 300 "$tool" run --accel tcg --cpus 2 --ctl "$work/two.ctl" "$work/g.cfg" "$work/h.cfg" >"$work/log" 2>&1 &
pid=$!
for _ in $(seq 1200); do [ -e "$work/two.ctl" ] && break; sleep 0.1; done
export AMPHI_CTL="$work/two.ctl"
ctl 0 --timeout 180 vcpu-list h; says '^h +2 +0 +.* 0x2$'; says '^h +2 +1 .* 0x1$'
ctl 0 destroy h
ctl 0 shutdown g
wait $pid
[ $? = 0 ] || fail "run's status is not 0: $(tail -n 3 "$work/log")"
unset AMPHI_CTL

# Two machines: neither is taken by chance.
machine "$work/log"
first=$pid
for _ in $(seq 1200); do ls "$work"/run/amphi/*.ctl >/dev/null 2>&1 && break; sleep 0.1; done
machine "$work/log2" --ctl "$work/run/amphi/b.ctl"
for _ in $(seq 1200); do [ -e "$work/run/amphi/b.ctl" ] && break; sleep 0.1; done
ctl 2 list; says 'several machines run: say --socket'
ctl 0 --timeout 180 --socket "$work/run/amphi/b.ctl" destroy g
ctl 0 --socket "$work/run/amphi/$(ls "$work/run/amphi" | grep -v '^b')" list g
kill $first $pid
wait $first $pid
ls "$work"/run/amphi/* >"$work/out" 2>/dev/null && fail "sockets are left"
ctl 4 list; says 'no machine runs'
echo "domains managed from the host: answers, refusals, a console, two machines"
