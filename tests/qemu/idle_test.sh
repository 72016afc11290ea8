#!/bin/sh
# idle_test: who has nothing to do costs nothing. Why: a tick nobody asked for is paid by every guest of a
# machine, all day. Time is counted in instructions, so it repeats. Expected: a sleep of 50 s costs natively,
# in the first domain and in a guest next to it exactly the interrupts, upcalls, hypercalls and
# switches that one of 2 s does.
. "$(dirname "$0")/lib.sh"
. tests/lib/archive.sh
cp "$BUILD/amphi" "$work/amphi"
strip -g "$work/amphi"

same() { # same WHAT SHORT LONG
	[ -n "$2" ] && [ "$2" = "$3" ] && return
	echo "$1: 2 s of sleep cost \"$2\", 50 s \"$3\""; tail -n 30 "$work/log"; exit 1
}
counters() { # counters: what the last @stat line of the hypervisor says
	sed -n 's/^\[hv\] @stat \(hypercalls=.* switches=[0-9]*\) .*/\1/p' "$work/log" | tail -1
}
hv() { # hv WORDS: the first domain with these words, and $work/archive
	timeout -k 5 300 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 64 -nodefaults -display none -no-reboot -serial stdio \
		-monitor none -icount shift=0,sleep=off -kernel "$BUILD/amphi-hv" -append dom0_mem=24M \
		-initrd "$work/amphi $1,$work/archive" </dev/null 2>&1 | tr -d '\r' >"$work/log"
	expect "$work/log" '^@exit 0'
}
pair() { # pair NAME MS: a service domain that sleeps with a guest that sleeps
	ar_new "$work/ar"
	ar_file /amphi "$work/amphi"
	printf 'name="idle"\nkernel="/amphi"\nmemory=8\ncmdline="role=guest do=\\"sleep %s; halt\\""\n' "$1" | ar_domain idle
	ar_pack "$work/archive"
	hv role=service
}

for ms in 2000 50000; do
	native 32 "do=\"stats; sleep $ms; stats; halt\"" -icount shift=0,sleep=off </dev/null >"$work/log"
	eval "native_$ms=$(sed -n 's/^@stat .* interrupts=\([0-9]*\) .*/\1/p' "$work/log" | tr '\n' ' ' | awk '{ print $2 - $1 }')"
	: >"$work/archive"
	hv "role=guest do=\"sleep $ms; halt\""
	eval "alone_$ms='$(counters)'"
	pair $ms
	eval "pair_$ms='$(counters)'"
done
same native "$native_2000" "$native_50000"
[ "$native_2000" -le 2 ] || { echo "a sleep takes $native_2000 interrupts: one, and one more for what the far count rounds"; exit 1; }
same "a first domain alone" "$alone_2000" "$alone_50000"
same "a guest and its service domain" "$pair_2000" "$pair_50000"
echo "50 s of idling cost what 2 s do: natively $native_2000 interrupt; with a guest $pair_2000 in all"
