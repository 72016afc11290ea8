#!/bin/sh
# console_test: the consoles of `make shell`, typed at as a person would. Why: it is how people use the system. Expected: the guest
# has the terminal at first; Ctrl-A steps on to hypervisor -> service -> guest; each answers what is typed while it has the terminal, and only it:
# the guest its commands, the hypervisor its debug keys, the service domain its own commands; halt in the guest ends it.
# timeout: 60
set -u
cd "$(dirname "$0")/../.."
work=$BUILD/console-test; rm -rf "$work"; mkdir -p "$work"
truncate -s 2M "$work/a.img"
cat >"$work/guest.cfg" <<C
name = "guest"
kernel = "$BUILD/amphi"
memory = 8
cmdline = 'role=guest'
disk = ['vdev=xvda,format=raw,access=rw,target=$work/a.img']
C
mkfifo "$work/keys"
"$BUILD/amphi-tool" run --interactive "$work/guest.cfg" <"$work/keys" >"$work/log" 2>&1 &
tool=$!
exec 3>"$work/keys"
trap 'kill $tool 2>/dev/null; exec 3>&-' EXIT
wait_for() { # wait_for REGEX: until the output has it, 20 s at most
	for _ in $(seq 800); do grep -qE "$1" "$work/log" && return; sleep 0.1; done
	echo "no /$1/ in:"; tail -n 50 "$work/log"; exit 1
}
key() { printf "$1" >&3; }

wait_for 'guest guest has the terminal'
wait_for 'disk xvda'
key 'sha256 xvda\r'; wait_for "@sha256 xvda $(sha256sum <"$work/a.img" | cut -d' ' -f1)"
key 'store\r'; wait_for 'device'
key 'frobnicate\r'; wait_for 'frobnicate'
key '\001'; wait_for 'the hypervisor has the terminal'
key 'd'; wait_for '^\[hv\] .*domain 1'
key '\001'; wait_for 'the service domain has the terminal'
key 'list\r'; wait_for 'guest +1 +(blocked|runn)'
key '\001'
key 'halt 7\r'; wait_for '@domain guest exit 7'
for _ in $(seq 400); do kill -0 $tool 2>/dev/null || break; sleep 0.1; done
kill -0 $tool 2>/dev/null && { echo "the machine did not end"; exit 1; }
echo "three consoles on one key, each its own"
