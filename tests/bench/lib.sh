# lib.sh: the words that the parts of `make bench` are written in; taken in by tests/bench.sh, which has set $work.
# get reads a figure out of what a kernel printed, figure prints a line of the table and holds it to its bar,
# in_qemu runs a machine whose guest time counts instructions. A bar missed leaves failed=1 behind.
failed=0

get() { # get FILE LINE-REGEX KEY: the value in the first line that matches
	sed -n "/$2/s/.*[ ]$3=\([0-9]*\).*/\1/p" "$1" | head -n 1
}

# Not only whole numbers: awk compares. `open` says of a bar that nothing on main has met it yet, or not on each machine: it is shown as missed, and does
# not fail the run, which is for what was met and is no more.
figure() { # figure WHAT VALUE [BAR [open]]: one line of the table
	verdict=
	[ -z "${3:-}" ] || { awk -v v="$2" -v b="$3" 'BEGIN { exit !(v != "" && v + 0 <= b + 0) }' && verdict="bar $3: met" || {
		verdict="bar $3: MISSED${4:+, as before}"; [ "${4:-}" ] || failed=1; }; }
	printf '%-66s %12s  %s\n' "$1" "$2" "$verdict"
}

# One processor for all rows: without what TCG emulates wrongly under real Xen (tests/xen/lib.sh), without
# random numbers, and without ERMS, so that a copy counts the same whoever makes it (docs/decisions/0005). $within is a program that
# makes QEMU's surroundings and runs it; with sleep=on a machine that idles lets real time pass, as somebody outside of it needs that answers.
within= icount=shift=0,sleep=off
in_qemu() { # in_qemu SECONDS LOG QEMU...
	limit=$(($1 * 3)) log=$2; shift 2 # three times, for a machine that is busy with others
	# shellcheck disable=SC2086
	timeout -k 5 "$limit" $within qemu-system-x86_64 -M q35 -accel tcg -cpu max,-smap,-smep,-rdtscp,-xsave,-rdrand,-rdseed,-erms,-fsrm \
		-nodefaults -display none -no-reboot -serial stdio -monitor none -icount $icount \
		-rtc base=2026-01-01T00:00:00,clock=vm -seed 1 "$@" </dev/null 2>"$log.err" | tr -d '\r' >"$log" || true
}
