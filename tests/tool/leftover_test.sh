#!/bin/sh
# leftover_test: amphi-tool leaves no file behind. Why: the boot archive is made before the machine is, so a wrong
# --mem-total, a statistics file that cannot be written, and above all Ctrl-C each left a copy of every kernel in /tmp.
# Expected: the stated exit status, and no archive. A script that sleeps stands in for QEMU.
# timeout: 60
set -u
cd "$(dirname "$0")/../.."
tool=$BUILD/amphi-tool
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
failed=0
# The comment goes into the archive with the file, so that ours can be told from other tests'.
printf '# %s\nname = "g"\nkernel = "%s"\nmemory = 8\n' "$t" "$BUILD/amphi" >"$t/g.cfg"
printf '#!/bin/sh\n: >"%s/started"\nexec sleep 30\n' "$t" >"$t/qemu"
chmod +x "$t/qemu"
export AMPHI_QEMU="$t/qemu"
ended() { # ended WHAT STATUS WANTED
	[ "$2" = "$3" ] || { echo "$1: status $2 (wanted $3)"; failed=1; }
	left=$(grep -ls -- "# $t" /tmp/amphi-boot.*)
	[ -z "$left" ] || { echo "$1: $left is left"; failed=1; rm -f "$left"; }
}
run_and_signal() { # run_and_signal SIGNAL STATUS
	rm -f "$t/started"
	# Not "&" alone: a shell without job control has its background jobs ignore SIGINT.
	env --default-signal=INT "$tool" run "$t/g.cfg" >/dev/null 2>&1 &
	pid=$!
	for _ in $(seq 800); do [ -e "$t/started" ] && break; sleep 0.05; done
	kill -s "$1" $pid
	wait $pid
	ended "SIG$1" $? "$2"
}

run_and_signal TERM 143
run_and_signal INT 130
"$tool" run --timeout 1 "$t/g.cfg" >/dev/null 2>&1
ended "a timeout" $? 124
"$tool" run --mem-total 16 "$t/g.cfg" >/dev/null 2>&1
ended "too little memory" $? 3
"$tool" run --stats "$t/no/such" "$t/g.cfg" >/dev/null 2>&1
ended "statistics that cannot be written" $? 3
AMPHI_QEMU=qemu-absent "$tool" run "$t/g.cfg" >/dev/null 2>&1
ended "no QEMU" $? 4
[ $failed = 0 ] && echo "no archive is left"
exit $failed
