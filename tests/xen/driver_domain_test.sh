#!/bin/sh
# driver_domain_test: our kernel in a PVH domU of real Xen serves disks to PV and PVH domUs of ours.
# Why: a PVH domain has no page tables of the hypervisor's to map a grant into; it gets others' pages at
# numbers of its physical memory, and only a backend shows that they are the right pages. Expected: both
# guests find the pattern that the driver domain filled in, one writes another and reads it back, and the
# driver domain has no page of theirs left when they are gone. One of the disks is dom0's, passed to the driver domain, whose
# frontend then sends on what its backend has mapped: dom0 finds the bytes that a guest of a guest wrote. While they are there it
# refuses to be suspended, says why, and serves on.
# A third guest, once PV and once PVH, is as frontends are that few have met: it tells the size of its ring by num-ring-pages alone,
# counts in sectors of 4096 (feature-large-sector-size), and discards securely. Expected: the store says so and both sides count
# it; the driver domain keeps 64 pages of each mapped and lets the least used go for others (persistent=); a disk is what it was after a discard and zeros after a secure one, also for who looks at it from within the driver domain.
# timeout: 900
. "$(dirname "$0")/lib.sh"
mkdir -p "$work/test"
cp "$BUILD/amphi" "$here/guests.sh" "$work/test/"
cat >"$work/test/run.sh" <<'R'
. /test/guests.sh
domain() { # domain NAME TYPE MIB COMMANDS [DISK [WORDS]]
	cat >/tmp/$1.cfg <<C
name="$1"
type="$2"
kernel="/test/amphi"
cmdline="${6:-} do=\"$4\""
memory=$3
tsc_mode="native"
on_poweroff="destroy"
on_crash="preserve"
C
	[ -z "${5:-}" ] || echo "disk=['vdev=xvda,format=raw,backendtype=phy,access=rw,$5']" >>/tmp/$1.cfg
	[ "$2" != pvh ] || echo 'shadow_memory=4' >>/tmp/$1.cfg
	xl create /tmp/$1.cfg || { echo "MISSED create $1"; end 1; }
}
nodes() { # nodes WORD PATH KEYS: what the store has of these
	xenstore-ls -f $2 | sed -n "s,^$2/,$1 ,p" | grep -E "^$1 ($3) " | sort
}
end() {
	for d in u1 h1 oldpv oldpvh back; do sed "s/^/[$d] /" $logs/guest-$d.log; echo; done
	exit $1
}
truncate -s 512K /tmp/own.img
losetup -f /tmp/own.img
own=$(losetup -a | sed -n 's,^\(/dev/loop[0-9]*\):.*/tmp/own.img.*,\1,p')
domain back pvh 24 'ramdisk ram0 2048; ramdisk ram1 1024 4096; ramdisk ram2 1024 4096; fill ram0 9; fill ram1 12; fill ram2 12; serve; echo serving' target=$own persistent=64,256
says back '^serving'
home=/local/domain/$(xl domid back)
domain u1 pv 16 'verify xvda 9; fill xvda 10; verify xvda 10; echo there' backend=back,target=ram0
domain h1 pvh 16 'fill xvda 11; verify xvda 11; halt 5' backend=back,target=xvda
says u1 '^there'
xenstore-write $home/control/shutdown suspend
until xenstore-read $home/data/suspend-refused 2>/dev/null; do waits_for 'a refusal'; done
echo "shutdown-node <$(xenstore-read $home/control/shutdown)>"
tell u1 'verify xvda 10; halt 4'
old='verify xvda 12; discard xvda; verify xvda 12; discard --secure xvda; sha256 xvda; fill xvda 13; stats; echo counted'
for type in pv pvh; do
	[ $type = pv ] && n=1 || n=2
	domain old$type $type 48 "$old" backend=back,target=ram$n blkfront=old-keys,large-sectors
	says old$type '^counted'
	id=$(xl domid old$type)
	nodes "FRONT old$type" /local/domain/$id/device/vbd/51712 'num-ring-pages|ring-page-order|ring-ref[0-9]*|feature-large-sector-size'
	nodes "BACK old$type" $home/backend/vbd/$id/51712 'sectors|sector-size|feature-discard|discard-secure|discard-granularity'
	tell back "verify ram$n 13; stats; echo counted $n"
	says back "^counted $n"
	tell old$type 'discard --secure xvda; halt 6'
	gone old$type
	tell back "sha256 ram$n"
done
gone u1; gone h1
let_go back 'of others 0 pages'
tell back 'sha256 xvda; halt 3'
gone back
echo "own.img $(sha256sum </tmp/own.img | cut -d' ' -f1)."
end 0
R
XEN_SECONDS=200
xen_linux "$work/test" >"$work/log"
! grep MISSED "$work/log" || { tail -n 60 "$work/log"; exit 1; }
expect "$work/log" '^\[back\] @fill ram0 9'
expect "$work/log" '^last look: it has pages of other domains mapped'
expect "$work/log" '^shutdown-node <>'
expect "$work/log" '^\[back\] @suspend refused'
expect "$work/log" '^\[u1\] @exit 4'
expect "$work/log" '^\[h1\] @verify xvda ok'
expect "$work/log" '^\[h1\] @exit 5'
expect "$work/log" '^\[back\] .*granted to others [0-9]* pages, of others 0 pages' # lent to dom0, for its own disk
expect "$work/log" "^\\[back\\] @sha256 xvda $(sed -n 's/^own.img \([0-9a-f]*\).*/\1/p' "$work/log")"
zeros=$(head -c 1048576 /dev/zero | sha256sum | cut -d' ' -f1)
for type in pv pvh; do
	[ $type = pv ] && n=1 || n=2
	d=old$type
	[ "$(grep -c "^\\[$d\\] @verify xvda ok" "$work/log")" = 2 ] || { echo "$d: a discard took what was there"; exit 1; }
	expect "$work/log" "^\\[$d\\] @discard xvda secure"
	expect "$work/log" "^\\[$d\\] @sha256 xvda $zeros"
	expect "$work/log" "^\\[$d\\] @stat front=xvda .* ring_pages=4 .* discards=2 .* secure=1 unit=4096"
	expect "$work/log" "^FRONT $d num-ring-pages = \"4\""
	expect "$work/log" "^FRONT $d ring-ref3 = "
	expect "$work/log" "^FRONT $d feature-large-sector-size = \"1\""
	! grep "^FRONT $d ring-page-order" "$work/log" || exit 1
	expect "$work/log" "^BACK $d sector-size = \"4096\""
	expect "$work/log" "^BACK $d sectors = \"256\""
	expect "$work/log" "^BACK $d discard-secure = \"1\""
	expect "$work/log" "^\\[back\\] @verify ram$n ok"
	expect "$work/log" "^\\[back\\] @stat back=[0-9]*/xvda .* discards=2 .* ring_pages=4 .* secure=1 unit=4096 evicted=[1-9]"
	expect "$work/log" "^\\[back\\] @sha256 ram$n $zeros"
	expect "$work/log" "^\\[$d\\] @exit 6"
done
expect "$work/log" '^\[back\] @exit 3'
expect "$work/log" '^TEST-EXIT: 0'
sed -n 's/^BACK old/back of old/p; s/^FRONT old/front of old/p; s/^\[old\(.*\)\] @stat front=/counted by old\1: /p; s/^\[back\] @stat \(back=.*unit=4096.*\)/counted by back: \1/p' "$work/log"
echo "PVH driver domain on real Xen: disks served to PV and PVH guests by mapped grants; num-ring-pages alone, large sectors and secure discards used"
