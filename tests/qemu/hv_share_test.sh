#!/bin/sh
# hv_share_test: domains that want all the CPU there is, of different weights and caps. Why: a guest that spins must not
# starve another, and who pays for more gets it. Expected, by the domains' own run states: weights 256 and 512 have
# 1:2 within 5 % of one CPU; on two CPUs both have one; a cap of 25 is a quarter of one, though nobody else wants it.
# timeout: 120
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/lib/archive.sh
tests/guest/build.sh tests/guest/pv_spin.c "$work/spin" || exit 1
strip -g -o "$work/amphi" "$BUILD/amphi"

spin() { # spin NAME END LINE...
	name=$1 end=$2; shift 2
	{
		printf 'name = "%s"\nkernel = "/spin"\nmemory = 6\ncmdline = "%s %s"\n' "$name" "$name" "$end"
		printf '%s\n' "$@"
	} | ar_domain "$name"
}
# One CPU's time is counted in instructions. Of several, QEMU then runs one for as long as no timer is due, so their
# time is the host's.
hv() { # hv CPUS [QEMU...]: runs what is in the archive, each domain's time to $work/log as "spin NAME MILLIONTHS"
	cpus=$1; shift
	ar_file /spin "$work/spin"
	ar_pack "$work/archive"
	timeout -k 5 180 qemu-system-x86_64 -M q35 -accel tcg,thread=single -cpu max -m 128 -smp "$cpus" "$@" -nodefaults \
		-display none -no-reboot -serial stdio -monitor none -kernel "$BUILD/amphi-hv" \
		-append "dom0_mem=32M guest_console" -initrd "$work/amphi role=service loglevel=2,$work/archive" \
		</dev/null 2>&1 | tr -d '\r' >"$work/log"
	ar_new
}
had() { # had NAME LEAST MOST: in millionths of a CPU
	had=$(sed -n "s/.*spin $1 \\([0-9]*\\)\$/\\1/p" "$work/log")
	[ "${had:-0}" -ge "$2" ] && [ "$had" -le "$3" ] && return
	echo "$1 had ${had:-nothing} of a million, wanted from $2 to $3:"; tail -n 30 "$work/log"; exit 1
}

spin light 4 'cpu_weight = 256'
spin heavy 4 'cpu_weight = 512'
hv 1 -icount shift=3,sleep=off
light=$(sed -n 's/.*spin light \([0-9]*\)$/\1/p' "$work/log")
had light 300000 350000
had heavy $((light * 190 / 100)) $((light * 210 / 100))
heavy=$had
spin light 3 'cpu_weight = 256'
spin heavy 3 'cpu_weight = 512'
hv 2
had light 900000 1000100
had heavy 900000 1000100
spin capped 3 'cap = 25'
hv 1 -icount shift=3,sleep=off
had capped 230000 265000
echo "millionths of a CPU: $light and $heavy at weights 256 and 512; $had at a cap of 25"
