#!/bin/sh
# blkfront_test: our blkfront, in a PV and in a PVH domU of real Xen, uses all that Linux's xen-blkback offers.
# Why: our own halves agree with each other in any case; this other half was written by others. Expected: two queues of
# 16 pages each with hundreds of requests in flight, requests of 256 segments, standing grants, copies for a backend that is not
# trusted, discards and flushes, each seen used in our counters and in the backend's own (sysfs); what the guest wrote has the SHA-256 in dom0 that
# it has in the guest; a disk grows under the guest, who tells the steps of requests when he is asked, another is attached and detached while it runs. The PVH domain
# gets a backend without standing grants. And a file system: dom0 makes one, works it by fio and leaves it, each guest copies the
# disk to another through its frontend, and on that dom0's e2fsck and fio, which verifies every block, find nothing wrong; both
# images are the same bytes.
# timeout: 700
. "$(dirname "$0")/lib.sh"
"$here/tools.sh" || { echo "cannot get fio"; exit 1; }
mkdir -p "$work/test"
cp "$BUILD/amphi" "$here/fs.sh" "$here/guests.sh" "$work/test/"
cat >"$work/test/run.sh" <<'R'
. /test/fs.sh
. /test/guests.sh
end() {
	for d in u1 h1; do sed "s/^/[$d] /" $logs/guest-$d.log; done
	exit $1
}
modprobe -a nvme crc32c_generic ext4
parameters=/sys/module/xen_blkback/parameters
echo 4 >$parameters/max_queues
dd if=/dev/urandom of=/tmp/a.img bs=64k count=48 2>/dev/null
for n in b c d; do dd if=/dev/zero of=/tmp/$n.img bs=64k count=32 2>/dev/null; done
dd if=/dev/urandom of=/tmp/e.img bs=64k count=4 2>/dev/null
for n in fs fs-u1 fs-h1; do truncate -s 20M /tmp/$n.img; losetup -f /tmp/$n.img; done
image() { losetup -a | sed -n "s,^\(/dev/loop[0-9]*\):.*/tmp/$1.img.*,\1,p" | head -n 1; }
fs_programs /dev/nvme0n1 && fs_make $(image fs)
domain() { # domain NAME TYPE VCPUS DISKS COMMANDS [NUMBER-OF-UNTRUSTED]
	cat >/tmp/$1.cfg <<C
name="$1"
type="$2"
kernel="/test/amphi"
cmdline="role=guest do=\"$5\""
vcpus=$3
memory=128
tsc_mode="native"
on_poweroff="destroy"
on_crash="preserve"
disk=[$4]
C
	xl create -p /tmp/$1.cfg || exit 1
	# libxl knows the word, xl of this version does not.
	[ -z "${6:-}" ] || xenstore-write /local/domain/$(xl domid $1)/device/vbd/$6/trusted 0
	xl unpause $1
}
disk() { # disk VDEV IMAGE ACCESS
	printf "'vdev=%s,format=raw,backendtype=phy,access=%s,target=/tmp/%s.img'" $1 $3 $2
}
look() { # look NAME: at both halves' nodes and the backend's counters
	id=$(xl domid $1)
	xenstore-ls /local/domain/$id/device/vbd | sed "s/^/[$1 front] /"
	xenstore-ls /local/domain/0/backend/vbd/$id | sed "s/^/[$1 back] /"
	for d in /sys/bus/xen-backend/devices/vbd-$id-*; do
		echo "[$1 sysfs] $(basename $d | cut -d- -f3)$(for c in rd wr f ds; do echo " $c=$(cat $d/statistics/${c}_req)"; done | tr -d '\n')"
	done
}
domain u1 pv 2 "$(disk xvda a ro),$(disk xvdb b rw),$(disk xvdc c rw),$(disk xvde fs ro),$(disk xvdf fs-u1 rw)" \
	'sha256 xvda; copy xvde xvdf; fill xvdb 7; verify xvdb 7; bench random xvdb 256 2000; fill xvdc 8; verify xvdc 8; stats' 51744
says u1 '@verify xvdc ok'
look u1
trace() { xenstore-write /local/domain/$(xl domid u1)/control/blktrace "$1"; }
trace 1
echo "sysfs" # the disk grows: the backend looks at its size when requests come
loop=$(losetup -a | sed -n 's,^/dev/\(loop[0-9]*\):.*/tmp/b.img.*,\1,p')
truncate -s 3M /tmp/b.img
losetup -c /dev/$loop || echo "no resize of /dev/$loop"
xl block-attach u1 "vdev=xvdd,format=raw,backendtype=phy,access=ro,target=/tmp/e.img"
says u1 'disk xvdd: '
tell u1 'sha256 xvdd; sha256 xvdb'
says u1 'xvdb: now 6144 sectors'
tell u1 'fill xvdb 9; sha256 xvdb; stats'
says u1 '@stat front=xvdd'
trace 0
echo "dom0 b $(sha256sum </tmp/b.img | cut -d' ' -f1)"
echo "dom0 c $(sha256sum </tmp/c.img | cut -d' ' -f1)"
echo "dom0 e $(sha256sum </tmp/e.img | cut -d' ' -f1)"
echo "[u1 trace] $(xenstore-read /local/domain/$(xl domid u1)/data/blktrace/0)"
xl block-detach u1 xvdd && echo "detached xvdd"
tell u1 'sha256 xvdc; discard xvdc; sha256 xvdc; stats; halt 5'
gone u1
echo "dom0 c after the discard $(sha256sum </tmp/c.img | cut -d' ' -f1)"
echo N >$parameters/feature_persistent
domain h1 pvh 1 "$(disk xvda a ro),$(disk xvdb d rw),$(disk xvde fs ro),$(disk xvdf fs-h1 rw)" 'sha256 xvda; copy xvde xvdf; fill xvdb 7; verify xvdb 7; sha256 xvdb; stats'
says h1 '@stat front=xvdf'
look h1
tell h1 'halt 6'
gone h1
echo "dom0 d $(sha256sum </tmp/d.img | cut -d' ' -f1)"
for d in u1 h1; do
	cmp /tmp/fs.img /tmp/fs-$d.img && echo "FS $d same bytes"
	fs_check $(image fs-$d) | sed "s/^FS [^ ]*/FS $d/"
done
echo "dom0 a $(sha256sum </tmp/a.img | cut -d' ' -f1)"
end 0
R
xen_linux "$work/test" -drive "file=$xen_dir/tools.img,if=none,id=t,format=raw,readonly=on" -device nvme,serial=t,drive=t >"$work/log"
log=$work/log
! grep MISSED "$log" || { tail -n 60 "$log"; exit 1; }
same() { # same GUEST DISK WHAT: some digest of the guest's is dom0's
	expect "$log" "^\[$1\] @sha256 $2 $(sed -n "s/^dom0 $3 \([0-9a-f]*\)$/\1/p" "$log")"
}
same u1 xvda a
same u1 xvdb b
same u1 xvdc c
same u1 xvdd e
same u1 xvdc 'c after the discard'
same h1 xvda a
same h1 xvdb d
expect "$log" '^\[u1\] .*xvdb: .* 2 queues of 16 pages, 256 segments, persistent grants'
expect "$log" '^\[u1\] .*xvdc: .*persistent grants, not trusted'
expect "$log" '^\[u1\] @verify xvdb ok'
expect "$log" '^\[u1\] @verify xvdc ok'
expect "$log" '^\[u1\] .*xvdb: now 6144 sectors'
expect "$log" '^\[u1\] @stat front=xvdb .* persistent_hits=[1-9].* queues=2 queues_used=2 ring_pages=16 max_segments=256 persistent=1 .* indirect=[1-9].* longest=256 deepest=[1-9][0-9][0-9]'
expect "$log" '^\[u1\] @bench random dev=xvdb depth=256 bytes=4096 count=2000 '
expect "$log" '^\[u1\] @stat front=xvdc .* copied_bytes=[1-9].* untrusted=1 indirect=[1-9].* discards=[1-9]'
expect "$log" '^\[u1 front\] *multi-queue-num-queues = "2"'
expect "$log" '^\[u1 front\] *ring-page-order = "4"'
# What the front itself saw of requests: disk, ring, number, read or write, no error, sector, bytes, five times.
expect "$log" '^\[u1 trace\] 51[0-9]* [01] [0-9]+ [01] 0 [0-9]+ [0-9]+( [0-9]{10,}){5}$'
expect "$log" '^detached xvdd'
for d in u1 h1; do
	expect "$log" "^\\[$d\\] @copy xvde xvdf ok 40960"
	expect "$log" "^\\[$d\\] @stat front=xvdf .* bytes_written=20971520 "
	for word in clean verified 'files equal' 'same bytes'; do expect "$log" "^FS $d $word"; done
done
expect "$log" '^\[u1\] @exit 5'
expect "$log" '^\[h1\] .*xvdb: .* 1 queues of 16 pages, 256 segments$'
expect "$log" '^\[h1\] @stat front=xvdb .* persistent=0 .* indirect=[1-9]'
expect "$log" '^\[h1 sysfs\] 51728 rd=[1-9][0-9]* wr=[1-9][0-9]* f=[1-9]'
expect "$log" '^\[h1\] @exit 6'
expect "$log" '^TEST-EXIT: 0'
echo "blkfront with Linux's blkback, PV and PVH: queues, long rings, long requests, standing grants or none, no trust, discard, resize, hot-plug"
