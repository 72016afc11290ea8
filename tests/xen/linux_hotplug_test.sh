#!/bin/sh
# linux_hotplug_test: disks come to a stock Debian Linux and to our own kernel on amphi-hv while they run, and leave them: attached,
# detached, pulled out, refused, grown, and a CD-ROM's medium changed.
# Why: our own frontend would obey a toolstack that is wrong in the same way as it is. Expected: a disk is there when the
# command has answered, with its size and rights, what Linux writes to it is in the host's file; it is gone when it was
# detached, and comes again; one pulled out under load gives errors and harms nothing else; a guest that does not answer keeps its
# disk; a wrong word is named and leaves nothing; a disk that grows under the service domain grows in the guest; a CD-ROM comes
# empty, gets a medium and loses it.
#
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"

head -c 64M /dev/urandom >"$work/disk"
linux_initrd "$work/initrd" <<'R'
while :; do
	s=; for d in /sys/block/xvd*; do read -r size <$d/size && read -r ro <$d/ro && s="$s ${d##*/}:$size$ro"; done 2>/dev/null
	[ -b /dev/xvdb ] || rm -f /tmp/b
	if [ -b /dev/xvdb ] && [ ! -e /tmp/b ]; then
		>/tmp/b
		[ "$(cat /sys/block/xvdb/ro)" = 0 ] && dd if=/dev/urandom of=/dev/xvdb bs=64k count=16 conv=fsync 2>/dev/null
		echo "LINUX: xvdb begins $(dd if=/dev/xvdb bs=64k count=16 2>/dev/null | sha256sum | cut -c1-64)"
	fi
	[ -b /dev/xvdc ] && [ ! -e /tmp/c ] && { >/tmp/c; (while dd if=/dev/xvdc of=/dev/null bs=64k iflag=direct 2>/dev/null; do :; done; echo "LINUX: xvdc gives errors") & }
	echo "LINUX: up $(cut -d. -f1 /proc/uptime), disks$s."
	sleep 0.5
done
R
ar_file /vmlinux "$xen_dir/vmlinux"
ar_file /initrd "$work/initrd"
strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
linux_domain linux '' 'memory = 160' "disk = ['nvme0n1@0+4M,raw,xvda,ro']"
ar_domain ours <<'C'
name = "ours"
kernel = "/amphi"
memory = 8
cmdline = 'role=guest'
C
ar_pack "$work/archive"

refused() { # refused REGEX WORD...
	wanted=$1; shift
	"$BUILD/amphi-tool" ctl --timeout 300 --socket "$work/s.ctl" "$@" >"$work/out" 2>&1 && linux_fail "ctl $* was not refused"
	grep -qE -- "$wanted" "$work/out" || linux_fail "ctl $*: $(cat "$work/out"), expected /$wanted/"
}
bytes() { tail -c "+$(($1 * 1048576 + 1))" "$work/disk" | head -c "$(($2 * 1048576))"; }

truncate -s 4M "$work/grows"
linux_start amphi-hv 1 600 -drive "file=$work/disk,if=none,id=d,format=raw,cache=writethrough" -device nvme,serial=d,drive=d \
	-drive "file=$work/grows,if=none,id=grows,format=raw" -device virtio-blk-pci,drive=grows -monitor "unix:$work/monitor,server=on,wait=off"
linux_wait 'LINUX: up [0-9]+, disks xvda:81921\.'

# Attached: written to, detached, and the same bytes there when it comes again, read-only.
linux_ctl block-attach linux 'nvme0n1@16M+8M,raw,xvdb,w,iops=1000'
linux_wait 'disks xvda:81921 xvdb:163840\.'
linux_wait 'LINUX: xvdb begins [0-9a-f]'
linux_says '^linux +xvdb +51728 +4 +1000 +- +100 +disk +w ' block-list linux
linux_mark
linux_ctl block-detach linux xvdb
linux_wait 'disks xvda:81921\.'
sum=$(tr -d '\r' <"$log" | sed -n 's/.*LINUX: xvdb begins //p')
[ "$sum" = "$(bytes 16 1 | sha256sum | cut -c1-64)" ] || linux_fail "what Linux wrote is not in the host's file"
linux_mark
linux_ctl block-attach linux 'nvme0n1@16M+8M,raw,xvdb,r'
linux_wait 'disks xvda:81921 xvdb:163841\.'
linux_wait "LINUX: xvdb begins $sum"

# Wrong, and as it was.
refused "linux: disk vdev 'xvdb' given twice \(EINVAL\)" block-attach linux 'nvme0n1,raw,xvdb'
refused "linux: disk xvdc 'nvme0n7': ENOENT" block-attach linux nvme0n7,raw,xvdc
refused "linux: has no disk 'xvdc' \(ENOENT\)" block-detach linux xvdc
refused "iops=x: not a number" block-limit linux xvdb iops=x
refused 'linux: disk xvdb is no CD-ROM' cd-eject linux xvdb

# Pulled out while it is read.
linux_ctl block-attach linux 'nvme0n1@24M+8M,raw,xvdc,r'
linux_wait 'disks xvda:81921 xvdb:163841 xvdc:163841\.'
linux_says '"disk":"xvdc","queue":null,"requests":[1-9][0-9]+,' --json blkstat linux
linux_mark
linux_ctl block-detach linux xvdc --force
linux_wait 'LINUX: xvdc gives errors'
linux_wait 'disks xvda:81921 xvdb:163841\.'

# The service domain's disk is made larger by its machine.
linux_ctl block-attach linux 'vda,raw,xvde,w'
linux_wait 'disks xvda:81921 xvdb:163841 xvde:81920\.'
python3 - "$work/monitor" <<'P'
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(60)
s.sendall(b"block_resize grows 6M\n")
said = b""
while said.count(b"(qemu)") < 2: # its greeting, and when it is done
    said += s.recv(4096)
P
linux_wait 'disks xvda:81921 xvdb:163841 xvde:122880\.'
linux_ctl block-detach linux xvde
linux_mark
linux_wait 'disks xvda:81921 xvdb:163841\.'

# A CD-ROM: empty, with a medium, empty.
linux_ctl block-attach linux 'vdev=xvdd,devtype=cdrom'
linux_wait 'disks xvda:81921 xvdb:163841 xvdd:01\.'
linux_ctl cd-insert linux xvdd nvme0n1@4M+2M
linux_wait 'xvdd:40961\.'
linux_mark
linux_ctl cd-eject linux xvdd
linux_wait 'xvdd:01\.'
linux_ctl block-detach linux xvdd
linux_wait 'disks xvda:81921 xvdb:163841\.'

# Our own kernel's frontend.
linux_ctl block-attach ours 'nvme0n1@32M+8M,raw,xvda,w'
linux_wait '^\[ours\] .*disk xvda: 8192 KiB'
linux_says '^ours +xvda +51712 +4 ' block-list ours
linux_ctl block-detach ours xvda
linux_ctl block-attach ours 'nvme0n1@32M+4M,raw,xvdb,w'
linux_wait '^\[ours\] .*disk xvdb: 4096 KiB'
linux_ctl block-detach ours xvdb --force
for _ in $(seq 100); do
	linux_ctl block-list ours
	[ "$(wc -l <"$work/out")" != 1 ] || break
	sleep 0.2
done
[ "$(wc -l <"$work/out")" = 1 ] || linux_fail "ours has a disk still: $(cat "$work/out")"

# A guest that does not answer keeps its disk, and works with it when it goes on.
linux_ctl pause linux
refused 'linux: disk xvdb: the guest does not let it go; see --force \(EBUSY\)' block-detach linux xvdb
linux_ctl unpause linux
linux_mark
linux_wait 'disks xvda:81921 xvdb:163841\.'
linux_ctl block-detach linux xvdb
linux_mark
linux_wait 'disks xvda:81921\.'
linux_stop
! grep -aE 'LINUX:.*(BUG|Oops)|panic' "$log" || linux_fail "somebody panicked"
echo "a stock Linux and our own kernel had disks attached, detached, pulled out and changed while they ran"
