#!/bin/sh
# ctl_test: the control port of our service domain as the first domain of Debian's real Xen.
# Why: its interrupt is a pirq that Xen must give us by its own rules, and the figures of `list` are Xen's. Expected: commands
# from the host are answered by interrupt and not by polling; domains are listed, paused, pinned, asked and ended as on
# amphi-hv, and figures of grants and ports are those of the same guest there.
# timeout: 300
. "$(dirname "$0")/lib.sh"
. "$here/../lib/archive.sh"

strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_domain g <<'C'
name = "g"
kernel = "/amphi"
memory = 8
maxmem = 12
maxvcpus = 2
cpus = "0"
on_crash = "rename-restart"
cmdline = 'role=guest'
C
ar_pack "$work/archive"
# As xen_ours does it, but to be ended when we are.
timeout -k 5 300 qemu-system-x86_64 -M q35 -accel tcg -cpu max,-smap,-smep,-rdtscp,-xsave -m 256 -nodefaults -display none -no-reboot \
	-serial stdio -monitor none -chardev "socket,id=ctl,path=$work/s.ctl,server=on,wait=off" -serial chardev:ctl \
	-kernel "$xen_dir/xen" -append "console=com1 com1=115200 spec-ctrl=eager-fpu dom0_mem=64M,max:64M" \
	-initrd "$BUILD/amphi dma_panic role=service stay,$work/archive" </dev/null >"$work/log" 2>&1 &
xen=$!
trap 'kill $xen 2>/dev/null; wait; rm -rf "$work"' EXIT
fail() { echo "$*"; tail -n 40 "$work/log"; exit 1; }
ctl() { "$BUILD/amphi-tool" ctl --timeout 180 --socket "$work/s.ctl" "$@" >"$work/out" 2>&1 || fail "ctl $*: $(cat "$work/out")"; }
says() { # says REGEX COMMAND...: a command's answer, soon
	wanted=$1; shift
	for _ in $(seq 200); do
		ctl "$@"
		grep -qE -- "$wanted" "$work/out" && return
		sleep 0.2
	done
	echo "$*:"; cat "$work/out"; fail "expected /$wanted/"
}
for _ in $(seq 400); do [ -e "$work/s.ctl" ] && break; sleep 0.1; done
ctl list
says '^Domain-0 +0 +running +1 +1 +[0-9.]+ +65536 ' list
says '^g +1 +blocked +1 +2 +[0-9.]+ +8192 +2 +[0-9]+ +0$' list g
says '^g +1 +0 +0 +blocked .* 0x1$' vcpu-list g
ctl pause g
says '^g +1 +paused ' list g
ctl unpause g
ctl mem-set g 6
says '^g .* 6144 +2 ' list g
ctl mem-set g 12
says '^g .* 8192 +2 ' list g
ctl vcpu-set g 2
says '^g +1 +blocked +2 +2 ' list g
{ sleep 1; printf 'echo over %s\ncrash\n' com2; sleep 1; } | "$BUILD/amphi-tool" ctl --timeout 60 --socket "$work/s.ctl" console g >"$work/out" 2>&1 ||
	fail "console: $(cat "$work/out")"
grep -q '^over com2' "$work/out" || fail "the console said: $(cat "$work/out")"
says '^g-1 +1 +ended ' list
says '^g +2 +blocked .* 1$' list g
ctl destroy g-1
ctl shutdown g
says '^Domain-0' list
for _ in $(seq 600); do grep -q '^@domain g exit 0' "$work/log" && break; sleep 0.2; done
grep -q '^@domain g exit 0' "$work/log" || fail "g did not power off"
grep -q 'it is polled' "$work/log" && fail "the port has no interrupt"
echo "real Xen's domains managed from the host by our service domain"
