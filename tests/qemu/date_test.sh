#!/bin/sh
# date_test: the date is the machine's, to the second, on whatever it is asked. Why: a date that is wrong looks
# like one that is right. Time is counted in instructions here, so the clock's second is known. Expected: the
# end of a leap year's February natively and in a domain of amphi-hv, also of another century; and a
# machine without a clock says so.
. "$(dirname "$0")/lib.sh"
at() { # at DATE: QEMU's words for a clock that stands there at power-on and runs with the instructions
	echo "-icount shift=0,sleep=off -rtc base=$1,clock=vm"
}
native 32 'do="date; halt"' $(at 2028-02-29T23:59:57) </dev/null >"$work/log"
expect "$work/log" '^2028-02-29T23:59:57Z by rtc$'
native 32 'do="sleep 5000; date; halt"' $(at 2028-02-29T23:59:57) </dev/null >"$work/log"
expect "$work/log" '^2028-03-01T00:00:02Z by rtc$'
native 32 'do="date; halt"' $(at 2101-12-31T12:00:00) </dev/null >"$work/log"
expect "$work/log" '^2101-12-31T12:00:00Z by rtc$'
MACHINE=microvm,rtc=off native 32 'do="date; halt"' </dev/null >"$work/log"
expect "$work/log" '^nobody tells the date \(rtc was asked\)$'
timeout -k 5 180 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 64 -nodefaults -display none -no-reboot -serial stdio \
	-monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=16M -initrd "$BUILD/amphi role=guest do=\"date;halt\"" \
	$(at 2028-02-29T23:59:57) </dev/null 2>&1 | tr -d '\r' >"$work/log"
expect "$work/log" '^2028-02-29T23:59:57Z by xen$'
echo "the date: natively, a domain's, another century's, and none"
