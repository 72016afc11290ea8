#!/bin/sh
# life_test: commands on domains while they run on amphi-hv with two CPUs, and what their files say of their ends.
# Why: a user manages guests one at a time while the others go on; a command that is obeyed half leaves a guest that
# cannot be managed. Expected: `list` and `vcpu-list` tell what is; a pinned guest stays on its CPU; vCPUs go out and
# come back; memory goes and comes; a paused guest stands still and goes on; reboot makes it again, shutdown ends it; on_crash with
# rename-restart keeps the remains under another name; wrong words and wrong files are named.
# timeout: 120
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/lib/archive.sh

strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_domain g <<'C'
name = "g"
kernel = "/amphi"
memory = 8
maxmem = 16
vcpus = 1
maxvcpus = 3
cpus = "1"
cmdline = 'role=guest do="repeat 1000 \'echo beat %; sleep 100\'"'
C
ar_domain c <<'C'
name = "c"
kernel = "/amphi"
memory = 8
on_crash = "rename-restart"
cmdline = 'role=guest do="sleep 3000; crash"'
C
ar_domain far <<'C'
name = "far"
kernel = "/amphi"
memory = 8
cpus = "7"
C
ar_domain core <<'C'
name = "core"
kernel = "/amphi"
memory = 8
on_crash = "coredump-restart"
C
ar_pack "$work/archive"
cat >"$work/do" <<'C'
sleep 1500; echo =1; list; vcpu-list g; vcpu-set g 3; sleep 400; echo =2; vcpu-list g;
pause g; sleep 300; echo =3; list g; sleep 700; echo =4; unpause g; mem-set g 6; store /local/domain/1/memory; sleep 200; list g;
mem-set g 16; sleep 1300; list g;
echo =5; top; list c-2; vcpu-list c-2; destroy c-2; vcpu-set g 1; sleep 300; vcpu-list g; echo =6; reboot g; sleep 1200;
echo =7; top; shutdown g; sleep 500; echo =8; list --json; destroy c; echo =9; list; pause nobody
C
timeout -k 5 180 qemu-system-x86_64 -M q35 -accel tcg,thread=single -icount shift=0,sleep=off -smp 2 -cpu max -m 128 -nodefaults \
	-display none -no-reboot -serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=32M \
	-initrd "$BUILD/amphi dma_panic role=service do=\"$(tr '\n' ' ' <"$work/do")\",$work/archive" </dev/null 2>&1 | tr -d '\r' >"$work/log"

part() { awk -v from="=$1" -v to="=$(($1 + 1))" '$0 == from { on = 1 } $0 == to { on = 0 } on' "$work/log" >"$work/part"; }
expect() { # expect N REGEX: in the part behind mark N
	part "$1"
	grep -qE -- "$2" "$work/part" && return
	echo "expected /$2/ behind =$1 in:"; tail -n 120 "$work/log"; exit 1
}
expect_no() {
	part "$1"
	grep -qE -- "$2" "$work/part" || return 0
	echo "not expected /$2/ behind =$1 in:"; cat "$work/part"; exit 1
}
grep -q "error: far: cpus: vCPU 0 cannot be pinned: no such processors" "$work/log" || { echo "not refused: far"; tail "$work/log"; exit 1; }
grep -q "error: domains/core.cfg:4:12: error: on_crash 'coredump-restart' is not supported" "$work/log" || { echo "not refused: core"; exit 1; }
expect 1 '^Domain-0 +0 +running +1 +1 +[0-9.]+ +32768 +[0-9]+ +[0-9]+ +0$'
expect 1 '^g +1 +[a-z]+ +1 +3 +[0-9.]+ +8192 +2 +[0-9]+ +0$'
expect 1 '^g +1 +0 +1 +[a-z]+ +[0-9.]+ +0x2$'
expect 1 '^g +1 +2 +- +offline +'
expect 2 '^g +1 +2 +1 +(blocked|waiting|running) +[0-9.]+ +0x2$'
expect 3 '^g +1 +paused '
expect_no 3 '^\[g\] beat'
expect 4 '^\[g\] beat'
expect 4 'target = "6144"'
expect 4 '^g +1 +[a-z]+ +3 +3 +[0-9.]+ +6144 '
expect 4 '^g +1 +[a-z]+ +3 +3 +[0-9.]+ +8192 ' # all that it began with, and no more
expect 5 '^c-2 +2 +ended '
expect 5 '^c +[0-9]+ +[a-z]+ +1 +1 .* 1 +-$'
expect 5 '^g +1 +1 +- +offline +'
expect 6 '^\[g\] .*the toolstack asks for reboot'
expect 6 '^\[g\] beat 1$'
expect 7 '^g +[0-9]+ +[a-z]+ +1 +3 .* 1 +(-|[0-9.]+)$'
expect 7 '^@domain g exit 0$'
expect 8 '^,\{"name":"c","id":[0-9]+,"state":"blocked","vcpus":1,"max_vcpus":1,"cpu_time_ns":[0-9]+,"memory_kib":8192,"grants":2,"events":[0-9]+,"restarts":[0-9]+\}$'
expect 9 '^Domain-0 '
expect_no 9 '^c '
expect 9 'error: nobody: no such domain'
echo "asked, paused, pinned, renamed and ended while others ran"
