#!/bin/sh
# linux_console_test: a person at the console of a stock Debian Linux on amphi-hv, who types, reads, and ends it in every way there is.
# Why: the console is the only way into a guest that has no network, and what is typed there is what other tests put into scripts;
# reboot, halt and panic come from the guest here, not from the toolstack (linux_life_test). Expected: a typed command is
# answered; 8 KiB pasted arrive whole and in order, 3,000 lines come out so; Ctrl-C ends a program; reboot, poweroff, halt and
# panic have the reasons they should, and on_reboot, on_poweroff and on_crash say what follows.
# timeout: 400
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"

linux_initrd "$work/initrd" <<'R'
stty -F /dev/hvc0 -echo
export PS1='typed? '
while :; do setsid -c sh </dev/hvc0 >/dev/hvc0 2>&1; done
R
sed -i '/xvda/d' "$work/linux-root/init" # no disk to wait for
(cd "$work/linux-root" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$work/initrd"
ar_file /vmlinux "$xen_dir/vmlinux"
ar_file /initrd "$work/initrd"
# The usual ways, and the other ways round.
linux_domain usual '' 'memory = 128' 'on_poweroff = "destroy"' 'on_reboot = "restart"' 'on_crash = "restart"'
linux_domain odd '' 'memory = 128' 'on_poweroff = "restart"' 'on_reboot = "destroy"' 'on_crash = "preserve"'
ar_pack "$work/archive"
linux_start amphi-hv 1 800

# One console at a time: a second `ctl` would wait for the first.
sit_down() { # sit_down NAME: at its console, until a prompt has come
	rm -f "$work/keys"; mkfifo "$work/keys"
	: >"$work/screen"
	"$BUILD/amphi-tool" ctl --timeout 450 --socket "$work/s.ctl" console "$1" <"$work/keys" >"$work/screen" 2>"$work/screen.err" &
	console=$!
	exec 3>"$work/keys"
	for _ in $(seq 500); do
		echo >&3
		sleep 0.3
		grep -q 'typed?' "$work/screen" && return
	done
	linux_fail "no prompt from $1: $(cat "$work/screen" "$work/screen.err")"
}
stand_up() { exec 3>&-; wait $console; }
reads() { # reads REGEX: it is on the screen, soon
	for _ in $(seq 1200); do
		tr -d '\r' <"$work/screen" | grep -qE -- "$1" && return
		sleep 0.2
	done
	tail -n 20 "$work/screen"; linux_fail "no /$1/ on the screen"
}
types() { printf '%s\n' "$@" >&3; }

sit_down usual
types 'echo answer $((6 * 7))'
reads '^(typed\? )*answer 42$'
# Pasted: 128 lines of 64 bytes, their sum taken inside.
awk 'BEGIN { srand(7); for (i = 0; i < 128; i++) { s = ""; while (length(s) < 63) s = s substr("abcdefghijklmnopqrstuvwxyz0123456789", int(rand() * 36) + 1, 1); print s } }' >"$work/paste"
types 'echo head $((6 * 8)); head -n 128 >/tmp/pasted'
reads '^(typed\? )*head 48$'
cat "$work/paste" >&3
types 'echo pasted $(sha256sum </tmp/pasted)'
reads "pasted $(sha256sum <"$work/paste" | cut -d' ' -f1)"
types 'seq 3000; echo seq-is-done'
reads '^seq-is-done'
tr -d '\r' <"$work/screen" | sed 's/^\(typed? \)*//' | grep -xE '[0-9]+' | tail -n 3000 >"$work/seq"
seq 3000 | cmp - "$work/seq" || linux_fail "3,000 lines did not come out whole"
types 'sleep 1000; echo slept'
sleep 1
printf '\003' >&3
types 'echo after-ctrl-c $(pidof sleep || echo none)'
reads 'after-ctrl-c none'

# Its ends: id 1 reboots, its next life panics, the one after halts.
linux_mark
types 'reboot -f'
linux_wait 'usual: domain 1 ended, reason 1'
stand_up
sit_down usual
types 'echo c >/proc/sysrq-trigger'
linux_wait 'usual: domain [0-9]+ ended, reason 3'
stand_up
sit_down usual
types 'halt -f'
linux_wait '^@domain usual exit 0'
stand_up
linux_ctl list
! grep -q '^usual' "$work/out" || linux_fail "usual is still there"
sit_down odd
types 'poweroff -f'
linux_wait 'odd: domain 2 ended, reason 0'
stand_up
sit_down odd
types 'reboot -f'
linux_wait '^@domain odd exit '
stand_up
linux_ctl list
! grep -q '^odd' "$work/out" || linux_fail "odd is still there"
echo "a person at Linux's console typed, pasted, read and interrupted; reboot, panic, halt and poweroff did what the domain files say"
