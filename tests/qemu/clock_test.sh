#!/bin/sh
# clock_test: the clock's rate and the timer on machines with and without the parts they are measured by. Why:
# a wrong rate shows only as disks that time out. Time is counted in instructions here, 1 ns each, so the
# host's load does not matter. Expected: a TSC of 1 GHz within 0.5 %, and a sleep of 300 ms that
# takes 300 to 310 ms; without the timer chip by ACPI's counter; without both the guess, said, and a kernel
# that runs all the same.
. "$(dirname "$0")/lib.sh"

check() { # check MACHINE
	MACHINE=$1
	native 32 'do="stats; sleep 300; stats; halt 0"' -icount shift=0,sleep=off </dev/null >"$work/log"
	expect_status "${2:-0}" "$work/log"
	hz=$(sed -n 's/^@stat ready_tsc=.* tsc_hz=\([0-9]*\) .*/\1/p' "$work/log")
	[ "$hz" -gt 995000000 ] && [ "$hz" -lt 1005000000 ] || { echo "$1: TSC of $hz Hz"; exit 1; }
	slept=$(sed -n 's/^@stat .* uptime_ns=\([0-9]*\) .*/\1/p' "$work/log" |
		awk 'NR == 1 { first = $1 } END { printf "%d", ($1 - first) / 1000000 }')
	[ "$slept" -ge 300 ] && [ "$slept" -le 310 ] || { echo "$1: slept $slept ms instead of 300"; exit 1; }
	echo "$1: TSC of $hz Hz, slept $slept ms"
}

check q35
check pc
check q35,pit=off
# microvm has no ACPI power-off here: the debug-exit device ends it, with 1 for code 0.
check microvm 1
check microvm,pit=off 1
expect "$work/log" 'no clock to measure by, and nobody tells: the TSC is taken for 1 GHz'
