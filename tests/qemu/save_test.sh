#!/bin/sh
# save_test: saves of a guest of amphi-hv that go well, are a checkpoint, or are broken off half way.
# Why: a save holds a guest still and then ends it; one that fails must not cost the guest, nor leave a disk that looks like a saved domain.
# Expected: after a checkpoint, and after each save that is refused or fails (a disk that is too small, read-only, in use, or
# breaks while it is written), the guest goes on where it was, and the reason is named; while a slow disk is written
# others run and the list says what is done; a guest that is destroyed then is gone, and the disk has nothing; what the
# checkpoint's disk has goes on from the checkpoint (its disk is not taken back in time, so that guest does not read it).
# timeout: 120
BUILD=${BUILD:-build}
work=$(mktemp -d)
machine=
trap 'kill $machine 2>/dev/null; wait; rm -rf "$work"' EXIT
. tests/lib/archive.sh

strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
for d in a b; do
	ar_domain $d <<-C
	name = "$d"
	kernel = "/amphi"
	memory = 8
	vcpus = $([ $d = a ] && echo 2 || echo 1)
	disk = ["$d.img,raw,xvda,rw"]
	cmdline = 'role=guest do="repeat 100000 \'fill xvda %; $([ $d = a ] || echo "verify xvda %;") echo beat %; sleep 40\'"'
	C
	truncate -s 1M "$work/$d.img"
	ar_disk $d.img $d
done
ar_pack "$work/archive"
for d in good bad slow ro; do head -c 12M /dev/zero | tr '\0' x >"$work/$d.img"; done
truncate -s 8M "$work/small.img"
disk() { echo "-drive if=none,id=$1,format=raw,file=$work/$1.img$2 -device virtio-blk-pci,drive=$1,serial=$1"; }
mkfifo "$work/typed"
exec 3<>"$work/typed"
# shellcheck disable=SC2046
timeout -k 5 330 qemu-system-x86_64 -M q35 -accel tcg,thread=single -cpu max -m 96 -nodefaults -display none -no-reboot -serial stdio \
	-monitor "unix:$work/mon,server=on,wait=off" -chardev "socket,id=ctl,path=$work/s.ctl,server=on,wait=off" -serial chardev:ctl -kernel "$BUILD/amphi-hv" \
	-append dom0_mem=32M -initrd "$BUILD/amphi dma_panic role=service stay,$work/archive" $(disk a) $(disk b) $(disk good) \
	$(disk slow ,throttling.bps-total=300000) $(disk small) $(disk ro ,readonly=on) \
	-blockdev "driver=file,node-name=f,filename=$work/bad.img" \
	-blockdev driver=blkdebug,node-name=bad,image=f,inject-error.0.event=none,inject-error.0.iotype=write,inject-error.0.errno=5,inject-error.0.sector=9000 \
	-device virtio-blk-pci,drive=bad,serial=bad,werror=report <"$work/typed" >"$work/log" 2>&1 &
machine=$!

fail() { echo "$*; the machine said:"; grep -v '^\[.\] ' "$work/log" | tail -n 40; tail -n 10 "$work/log"; exit 1; }
ctl() { "$BUILD/amphi-tool" ctl --timeout 180 --socket "$work/s.ctl" "$@" >"$work/out" 2>&1 || fail "ctl $*: $(cat "$work/out")"; }
refused() { # refused REGEX COMMAND...
	wanted=$1; shift
	"$BUILD/amphi-tool" ctl --timeout 180 --socket "$work/s.ctl" "$@" >"$work/out" 2>&1 && fail "$* was not refused"
	grep -qE -- "$wanted" "$work/out" || fail "$*: $(cat "$work/out"), expected /$wanted/"
}
beat() { tr -d '\r' <"$work/log" | sed -nE "s/^\[$1\] beat ([0-9]+)/\1/p" | tail -n 1; }
goes_on() { # goes_on GUEST: it counts to three more, none left out
	from=$(beat "$1")
	for _ in $(seq 800); do
		[ "$(beat "$1")" -ge $((from + 3)) ] && return
		sleep 0.1
	done
	fail "$1 does not go on from $from"
}
said() { grep -qE -- "$1" "$work/log"; }
wait_for() {
	for _ in $(seq 1200); do said "$1" && return; sleep 0.1; done
	fail "no /$1/"
}
empty() { # the first page of a disk is zeros
	cmp -n 4096 -s "$work/$1.img" /dev/zero || fail "$1 looks like a saved domain"
}

for _ in $(seq 400); do [ -e "$work/s.ctl" ] && break; sleep 0.1; done
wait_for '^\[a\] beat 3'
refused "is a disk of b \(EBUSY\)" save a b.img
refused "a: no such disk 'vdz' \(ENOENT\)" save a vdz
refused "'serial=ro' cannot be written \(EROFS\)" save a serial=ro
refused 'is too small for 8192 KiB of memory \(ENOSPC\)' save a serial=small
cmp -n 4096 -s "$work/ro.img" "$work/bad.img" || fail "a disk was written before anything was asked"
refused 'a: cannot be written to the disk: EIO' save a serial=bad
empty bad
goes_on a
ctl save -c a serial=good
said '@suspend cancelled' || wait_for '@suspend cancelled'
at=$(tr -d '\r' <"$work/log" | grep -E '^\[a\] beat|a: copied' | grep -B1 copied | sed -n 's/.*beat //p')
goes_on a
echo 'save a serial=slow' >&3
wait_for '@suspend cancelled'
for _ in $(seq 600); do ctl list a; grep -q '^a  *1  *saving ' "$work/out" && break; sleep 0.1; done
grep -q '^a  *1  *saving ' "$work/out" || fail "it is not being saved: $(cat "$work/out")"
refused 'a: it is being saved \(EBUSY\)' pause a
refused 'a is being saved \(EBUSY\)' save b serial=good
goes_on b
ctl list a
grep -q '^a  *1  *saving ' "$work/out" || fail "b waited for the disk, or the disk is fast"
ctl destroy a
python3 tests/lib/monitor.py "$work/mon" 'block_set_io_throttle slow 0 0 0 0 0 0' || fail "monitor" # from now on it is not
wait_for 'a: it has ended and is not saved'
empty slow
ctl restore serial=good
wait_for '@suspend resumed'
goes_on a
next=$(tr -d '\r' <"$work/log" | sed -n '/@suspend resumed/,$p' | sed -nE 's/^\[a\] beat ([0-9]+)/\1/p' | head -n 1)
[ "$next" = $((at + 1)) ] || fail "the checkpoint was made at $at, and goes on at $next"
ctl save a serial=slow
ctl list
[ "$(wc -l <"$work/out")" = 3 ] || fail "a is still there: $(cat "$work/out")"
ctl restore serial=slow
goes_on a
goes_on b
! grep -E '@verify .*bad|panic|crashed' "$work/log" || fail "a guest has found something"
echo "a checkpoint at $at went on at $next; b counted to $(beat b) meanwhile; $(sed -nE 's/.* a: (saved|copied) to v.*: (.*)/\1 \2/p' "$work/log" | tr -d '\r' | tr '\n' ';')"
