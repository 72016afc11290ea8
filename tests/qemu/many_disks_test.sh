#!/bin/sh
# many_disks_test: a guest with sixteen disks, whose grants are more than its table begins with, and at last more than the
# hypervisor lets it have. Why: pages that stay granted are what makes disks quick, and the table they stand in is one for
# all disks; a disk too many must not fail. Expected: the table grows (more than its first 2048 entries are used); five disks of
# which each wants 4096 standing grants fill all 16384 there are, and the requests of the fifth wait (wanted=) until the idle
# ones have given theirs back, and are done; what was written is read back.
# timeout: 90
set -u
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/lib/archive.sh

letters="a b c d e f g h i j k l m n o p"
disks= all= n=0
for l in $letters; do
	disks="$disks'vda@${n}M+1M,raw,xvd$l,w'," all="$all fill xvd$l $n; verify xvd$l $n;" n=$((n + 1))
done
deep= # the bench lends 16 MiB, and touches all of it
for l in b c d e f; do deep="$deep bench write xvd$l 16 32 1024;"; done
strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_domain g <<C
name = "g"
kernel = "/amphi"
memory = 96
cmdline = 'role=guest do="$all mem; $deep mem; fill xvdf 7; verify xvdf 7; stats; halt 5"'
disk = [$disks]
C
ar_pack "$work/archive"
truncate -s 16M "$work/disk"
timeout -k 5 240 qemu-system-x86_64 -M q35 -accel tcg -icount shift=0,sleep=off -cpu max -m 256 -nodefaults -display none -no-reboot \
	-serial stdio -monitor none -drive "if=none,id=d,format=raw,file=$work/disk" -device virtio-blk-pci,drive=d \
	-kernel "$BUILD/amphi-hv" -append dom0_mem=64M -initrd "$BUILD/amphi dma_panic role=service,$work/archive" </dev/null 2>&1 |
	tr -d '\r' >"$work/log"
expect() { # expect REGEX
	grep -qE -- "$1" "$work/log" && return
	echo "expected /$1/ in:"; grep "front=xvd[b-f]" "$work/log" | cut -c1-600; grep "^\[g\]" "$work/log" | tail -n 12 | cut -c1-600; exit 1
}
for l in $letters; do expect "^\[g\] @verify xvd$l ok"; done
set -- $(sed -n 's/^\[g\] .*granted to others \([0-9]*\) pages.*/\1/p' "$work/log")
[ $# = 2 ] && [ $1 -gt 4096 ] || { expect "granted to others more than 4096, not $*"; exit 1; }
expect '^\[g\] @bench write dev=xvdf depth=16 bytes=1048576 count=32 '
expect '^\[g\] @stat front=xvdf .* errors=0 .* wanted=[1-9]'
expect '^\[g\] @exit 5'
echo "16 disks: $1 grants, then $2; $(sed -n 's/^\[g\] @stat front=xvdf.* \(wanted=[0-9]*\).*/\1/p' "$work/log")"
