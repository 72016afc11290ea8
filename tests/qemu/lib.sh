# lib.sh: boots our kernel natively under QEMU TCG for a test; sourced by tests/qemu/*_test.sh.
# native MIB CMDLINE [QEMU...] prints the serial line without its carriage returns and leaves QEMU's exit
# status in $work/status: 0 after halt 0, 2n+1 after halt n (the debug-exit device). expect FILE REGEX
# wants such a line. MACHINE is the machine (q35), KERNEL another kernel than ours. $work is a folder of the test's own, removed at the end.
# { until_said REGEX; printf KEYS; ... } | native ... >"$work/log" types when its time has come (the last log is gone by then).
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

native() {
	mib=$1 cmdline=$2; shift 2
	{
		timeout -k 5 "${SECONDS_MAX:-180}" qemu-system-x86_64 -M "${MACHINE:-q35}" -accel tcg -cpu max -m "$mib" -nodefaults \
			-display none -no-reboot -serial stdio -monitor none -device isa-debug-exit,iobase=0xf4 \
			-kernel "${KERNEL:-$BUILD/amphi}" -append "dma_panic $cmdline" "$@" 2>&1
		echo $? >"$work/status"
	} | stdbuf -oL tr -d '\r'
}

until_said() { # until_said REGEX [TIMES]: waits until $work/log has so many lines, at most as long as the machine may take
	for _ in $(seq 1800); do
		[ "$(cat "$work/log" 2>/dev/null | grep -cE -- "$1")" -lt "${2:-1}" ] || return 0
		sleep 0.1
	done
}

expect() {
	grep -qE -- "$2" "$1" && return
	echo "expected /$2/ in:"; tail -n 60 "$1"; exit 1
}

expect_status() {
	[ "$(cat "$work/status")" = "$1" ] && return
	echo "QEMU ended with $(cat "$work/status"), expected $1:"; tail -n 30 "${2:-/dev/null}"; exit 1
}
