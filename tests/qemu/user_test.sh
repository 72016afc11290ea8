#!/bin/sh
# user_test: programs in ring 3, on a bare machine and on amphi-hv. Why: what a program sees must not depend on the
# platform, and nothing it does may cost more than itself. Expected: the self-test (tests/user/self_test.c)
# prints the same lines, figures included, on two processors (SMAP, SMEP and AVX, and neither), on 1, 2 and 4 CPUs, with FPU state
# switched eagerly and lazily, and in a PV domain; no
# page is lost by 40 programs of which half are ended; words, wrong images and too many programs are answered;
# a system call
# costs one hypercall, no more; programs that do not end are ended at the keys; the kernel goes on.
# timeout: 200
. "$(dirname "$0")/lib.sh"
user=$BUILD/user
printf 'no program' >"$work/text"
head -c 9000 "$user/self_test" >"$work/cut"
cp "$user/self_test" "$user/hello" "$work/"
(cd "$work" && printf '%s\n' self_test hello text cut | cpio --quiet -o -H newc >ramdisk)

self() { # the lines of the self-test, which must have all gone well
	expect "$1" '^@program self_test 1 exit 0$'
	! grep -q '^never' "$1" || { echo "text that is not all the program's was written"; exit 1; }
	sed -n 's/([0-9]*) has/has/; /^ring 3: self_test/,/^ring 3: done/p; /^ring 3: done/q' "$1"
}
free() { # free FILE N: what the Nth mem said
	sed -n 's/^memory .* free \([0-9]*\) KiB.*/\1/p' "$1" | sed -n "$2p"
}
commands='run self_test; mem; run self_test; mem; run -3 hello a bc; run -2 self_test turns; pvops verify; halt 0'

native 32 "do=\"$commands\"" -initrd "$work/ramdisk" >"$work/log"
expect_status 0 "$work/log"
self "$work/log" >"$work/want"
[ "$(grep -c '^ok ' "$work/want")" -ge 70 ] || { echo "too few checks in:"; cat "$work/want"; exit 1; }
[ "$(free "$work/log" 1)" = "$(free "$work/log" 2)" ] || { echo "programs have left pages in use:"; grep ^memory "$work/log"; exit 1; }
[ "$(grep -c '^  bc$' "$work/log")" = 3 ] || { echo "three programs, three times their words:"; cat "$work/log"; exit 1; }
expect "$work/log" '^@program hello [0-9]+ exit 0'
expect "$work/log" '^@pvops indirect=0 differing=0'
expect "$work/log" '^program self_test \([0-9]+\) has ended: at [0-9a-f]+ it writes [0-9a-f]+, below its stack: it has overrun it'
expect "$work/log" '^program self_test \([0-9]+\) has ended: general protection at [0-9a-f]+: hlt, which is the kernel.s$'
expect "$work/log" '^program self_test \([0-9]+\) has ended: at [0-9a-f]+ it writes ffffffff80100000, which is not a program'

same() { # same FILE: the self-test said there what it has said on the first machine
	self "$1" >"$work/got"
	diff "$work/want" "$work/got" && return
	echo "the self-test differs between platforms"; exit 1
}
native 32 "do=\"$commands\"" -initrd "$work/ramdisk" -cpu qemu64 >"$work/log"
same "$work/log"

# Several CPUs, all of them with programs: what a program sees stays what it was, and its registers go with it.
crowd='run self_test; run -4 self_test turns; run -4 self_test rights; pvops verify; halt 0'
for cpus in 2 "4 -accel tcg,thread=single"; do
	native 32 "ports=80-80 do=\"$crowd\"" -initrd "$work/ramdisk" -smp $cpus >"$work/log"
	expect_status 0 "$work/log"
	expect "$work/log" "${cpus%% *} online"
	same "$work/log"
	[ "$(grep -c '^@program self_test [0-9]* exit 0$' "$work/log")" = 9 ] || { echo "9 programs on $cpus CPUs:"; grep -v ^ok "$work/log"; exit 1; }
done

# Ports: given where the command line names them and the kernel has them; the message names program and port.
native 32 'ports=80-80 do="run self_test; run self_test given; halt 0"' -initrd "$work/ramdisk" >"$work/log"
same "$work/log"
expect_status 0 "$work/log"
expect "$work/log" '^program self_test \([0-9]+\) has ended: general protection at [0-9a-f]+: in, port 60, which it has no right to$'
expect "$work/log" '^program self_test \([0-9]+\) has ended: general protection at [0-9a-f]+: out, port 80, which it has no right to$'
native 32 'do="run self_test given; halt 0"' -initrd "$work/ramdisk" >"$work/log"
expect "$work/log" '^@program self_test 1 exit 7'

# FPU state: AVX switched where it is, and lazily where that is safe.
native 32 'loglevel=debug fpu=lazy do="run self_test; halt 0"' -initrd "$work/ramdisk" -cpu qemu64 >"$work/log"
same "$work/log"
expect "$work/log" "FPU state: FXSAVE, XCR0 0, 1 pages, lazily"
native 32 'loglevel=debug fpu=lazy do="run self_test turns; halt 0"' -initrd "$work/ramdisk" >"$work/log"
expect "$work/log" 'warning: fpu=lazy is not followed'
expect "$work/log" "FPU state: XSAVE[A-Z]*, XCR0 [0-9a-f]*7, 1 pages, eagerly"

# amphi-hv.
timeout -k 5 180 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 64 -nodefaults -display none -no-reboot -serial stdio \
	-monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=32M \
	-initrd "$BUILD/amphi role=native ports=80-80 do=\"run self_test given; $commands\",$work/ramdisk" </dev/null 2>&1 | tr -d '\r' >"$work/log"
same "$work/log"
expect "$work/log" 'platform=xen-pv'
expect "$work/log" '^@exit 0'
expect "$work/log" '^@pvops indirect=0 differing=0'
[ "$(free "$work/log" 1)" = "$(free "$work/log" 2)" ] || { echo "programs have left pages in use:"; grep ^memory "$work/log"; exit 1; }

timeout -k 5 180 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 64 -nodefaults -display none -no-reboot -serial stdio \
	-monitor none -kernel "$BUILD/amphi-hv" -append 'dom0_mem=32M dom0_max_vcpus=2' \
	-initrd "$BUILD/amphi role=native ports=80-80 do=\"$crowd\",$work/ramdisk" </dev/null 2>&1 | tr -d '\r' >"$work/log"
expect "$work/log" '2 online'
same "$work/log"
[ "$(grep -c '^@program self_test [0-9]* exit 0$' "$work/log")" = 9 ] || { echo "9 programs on two vCPUs:"; grep -v ^ok "$work/log"; exit 1; }

# One more system call is one more hypercall: the way back. 20000 of them, on top of what a start costs.
hypercalls() { # hypercalls COMMAND: how many amphi-hv was asked for
	timeout -k 5 180 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 64 -nodefaults -display none -no-reboot -serial stdio \
		-monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=32M \
		-initrd "$BUILD/amphi role=native do=\"$1; halt 0\",$user/price" -icount shift=0,sleep=off </dev/null 2>&1 |
		tr -d '\r' | tee "$work/log" | sed -n 's/^.hv. @stat hypercalls=\([0-9]*\).*/\1/p'
}
one=$(hypercalls 'run price calls')
expect "$work/log" '^price of a system call [0-9]+$'
price=$(sed -n 's/^price of a system call //p' "$work/log")
three=$(hypercalls 'run -3 price calls')
each=$(((three - one) / 20000))
[ "$each" = 1 ] && [ $((three - one)) -lt 22000 ] ||
	{ echo "20000 system calls cost $((three - one)) hypercalls, one each wanted"; exit 1; }

# Wrong images and words, each answered; the kernel goes on. The module may be the program itself.
refuse() { # refuse COMMAND REGEX
	native 16 "do=\"$1\"" -initrd "$work/ramdisk" >"$work/log"
	expect "$work/log" "$2"
	expect_status 3 "$work/log"
}
refuse 'run nobody' '^run: ENOENT'
refuse 'run text' 'text: not an ELF file'
refuse 'run cut' 'cut: an ELF file that is cut off'
refuse 'run' '^usage: run'
refuse 'run -17 hello' '^usage: run|^run: '
refuse 'run self_test stack; halt 0' '^@program self_test 1 ended page fault$'
refuse 'run self_test nonsense; halt 0' '^@program self_test 1 exit 98$'
# Programs that do not end are ended at the keys, in whatever they are.
rm "$work/log"
{
	until_said '^memory'
	printf 'run -2 self_test forever\r'; sleep 1; printf '\003'; until_said 'ended Ctrl-C' 2
	printf 'run self_test doze\r'; sleep 1; printf '\003'; until_said 'ended Ctrl-C' 3
	printf 'run self_test wait_long\r'; sleep 1; printf '\003'; until_said 'ended Ctrl-C' 4
	printf 'run hello alive\rmem\rhalt 0\r'
} | native 32 'do=mem' -initrd "$work/ramdisk" >"$work/log"
expect_status 0 "$work/log"
[ "$(grep -c '^@program self_test [0-9]* ended Ctrl-C$' "$work/log")" = 4 ] || { echo "Ctrl-C, four times:"; cat "$work/log"; exit 1; }
expect "$work/log" '^  alive$'
[ "$(free "$work/log" 1)" = "$(free "$work/log" 2)" ] || { echo "programs have left pages in use:"; grep ^memory "$work/log"; exit 1; }
native 16 'do="run anything x; halt 0"' -initrd "$user/hello" >"$work/log"
expect "$work/log" '^  x$'
expect_status 0 "$work/log"
native 16 'do="run hello"' >"$work/log"
expect "$work/log" '^run: ENOENT'
echo "ring 3: $(grep -c '^ok ' "$work/want") checks, the same on two processors and amphi-hv, where a system call takes $price instructions"
