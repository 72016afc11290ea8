#!/bin/sh
# smp_test: several CPUs on a bare machine. Why: what goes wrong between CPUs goes wrong seldom and far from its cause.
# Expected: 1, 2 and 4 CPUs are found and run programs at the same time (each one's own counts say so), on several
# machines and processors; programs that check all they own (tests/user/load.c) go on while CPUs are taken out and
# started again under them; sleepers on a CPU that leaves wake in time elsewhere; the self-test of ring 3 says
# the same on each CPU; no page is lost; wrong words are answered; a panic among four CPUs is said once.
# timeout: 240
. "$(dirname "$0")/lib.sh"
user=$BUILD/user
cp "$user/self_test" "$user/load" "$work/"
(cd "$work" && printf '%s\n' self_test load | cpio --quiet -o -H newc >ramdisk)

smp() { # smp N COMMANDS [QEMU...]
	n=$1 commands=$2; shift 2
	native 48 "do=\"$commands\" $words" -smp "$n" -initrd "$work/ramdisk" "$@" </dev/null >"$work/log"
}
words=
fine() { # fine N: it ended well, and so did N programs
	expect "$work/log" '^@exit 0$'
	[ "$(grep -c '^@program .* exit 0$' "$work/log")" = "$1" ] && ! grep -q '^@program .* exit [^0]' "$work/log" &&
		! grep -q '^@program .* ended' "$work/log" && return
	echo "not all $1 programs ended well:"; tail -n 40 "$work/log"; exit 1
}
took_part() { # took_part N: in the last list each of N CPUs is online and has switched threads
	[ "$(awk '/^ cpu / { n = 0 } $3 == "online" && $6 > 0 { n++ } END { print n + 0 }' "$work/log")" = "$1" ] && return
	echo "not all $1 CPUs took part:"; cat "$work/log"; exit 1
}
free() { # free N: what the Nth mem said
	sed -n 's/^memory .* free \([0-9]*\) KiB.*/\1/p' "$work/log" | sed -n "$1p"
}

# Machines and processors. Counts: what the CPUs did at the same time.
for n in 1 2 4; do
	smp $n "run -$((n * 2)) load 300; cpu; halt 0"
	fine $((n * 2))
	took_part $n
	expect "$work/log" "^@cpu count=$n online=$n\$"
done
expect "$work/log" '\] 4 CPUs, 4 online$'
for machine in pc microvm; do
	MACHINE=$machine smp 4 'run -8 load 100; cpu; halt 0' -cpu qemu64
	fine 8
	took_part 4
done
MACHINE=microvm,acpi=off smp 4 'cpu; cpu online 1; halt 0' # no tables: one CPU, and a word about it
expect "$work/log" 'one CPU is used: .*no table'
expect "$work/log" '^@cpu count=1 online=1$'
expect "$work/log" '^there is no CPU 1; the last is 0$'

# CPUs come and go under load: with a host thread for each, and in turns counted by instructions.
smp 4 'run -2 load 50; cpu cycle 1; mem; run -12 load 1500 &; cpu cycle 5; wait; cpu; mem; pvops verify; halt 0' -accel tcg,thread=multi
fine 14
took_part 4
[ "$(free 1)" = "$(free 2)" ] || { echo "pages were lost:"; grep ^memory "$work/log"; exit 1; }
smp 2 'run -6 load 60 &; cpu cycle 4; wait; cpu; halt 0' -icount shift=0,sleep=off
fine 6
took_part 2

# Sleepers, and one CPU for all of them.
smp 4 'run -8 load nap 2000 &; sleep 50; cpu; cpu offline 1; cpu offline 2; cpu offline 3; cpu; wait; run -3 load 50; cpu; halt 0'
fine 11
expect "$work/log" '^ +1 +1 online +2 '
expect "$work/log" '^ +0 +0 online +11 '
expect "$work/log" '^ +3 +3 offline +0 '
expect "$work/log" '^@cpu count=4 online=1$'

# The self-test on each CPU: the other free one is kept busy, the rest are out.
self() {
	sed -n '/^ring 3: self_test/,/^ring 3: done/p' "$1" | sed 's/self_test ([0-9]*)/self_test/'
}
smp 1 'run self_test; halt 0'
fine 1
self "$work/log" >"$work/want"
[ "$(wc -l <"$work/want")" -ge 70 ] || { echo "too few checks in:"; cat "$work/want"; exit 1; }
for cpu in 1 2 3; do
	out=$(for other in 1 2 3; do [ $other = $cpu ] || printf 'cpu offline %s; ' $other; done)
	smp 4 "$out run load nap 1500 &; run self_test; cpu; wait; halt 0"
	fine 2
	self "$work/log" >"$work/got"
	diff "$work/want" "$work/got" || { echo "the self-test differs on CPU $cpu"; exit 1; }
	took_part 2
done

# Words.
refuse() { # refuse COMMAND REGEX
	smp 2 "$1"
	expect "$work/log" "$2"
	expect_status 3 "$work/log"
}
refuse 'cpu offline 0' '^CPU 0 stays'
refuse 'cpu offline 2' '^there is no CPU 2; the last is 1$'
refuse 'cpu online 99999999999' '^there is no CPU 99999999999; the last is 1$'
refuse 'cpu online 1' '^CPU 1 is online already$'
refuse 'cpu offline 1; cpu offline 1' '^CPU 1 is offline already$'
refuse 'cpu sideways 1' '^usage: cpu'
refuse 'cpu offline' '^usage: cpu'
words='maxcpus=2'
smp 4 'cpu; cpu online 3; run -6 load 100; cpu; halt 0'
fine 6
took_part 3
expect "$work/log" '\] 4 CPUs, 2 online$'
expect "$work/log" '^ +2 +2 offline '
words='maxcpus=0 maxcpus=two'
smp 2 'cpu; halt 0'
expect "$work/log" 'no such number of CPUs: maxcpus=0'
expect "$work/log" 'no such number of CPUs: maxcpus=two'
expect "$work/log" '^@cpu count=2 online=2$'
words=

# The last words are one CPU's.
smp 4 'run -8 load 5000 &; sleep 50; crash'
expect_status 255 "$work/log"
[ "$(grep -c '^panic:' "$work/log")" = 1 ] || { echo "one panic, said once:"; cat "$work/log"; exit 1; }
expect "$work/log" '#[1-9] +ffffffff80[0-9a-f]+ thread_start\+0x'
echo "SMP: 1, 2 and 4 CPUs, $(grep -c '^ok ' "$work/want") checks the same on each, CPUs out and in under load"
