#!/bin/sh
# disk_errors_test: real disks that fail, fall silent, grow and are told what is not needed, and a controller of two.
# Why: what a disk does wrong must reach the one request it is about, and no other, and a device that hangs must not
# hang its guests. Errors and silence are made by QEMU beneath its devices (blkdebug, throttling). Expected: an error
# at one sector is told with disk, command and sector, and the next reading is right; silence is followed by a reset,
# after which the same requests give the right bytes; a disk that grows is known to be larger; a discard frees the
# image's clusters; each namespace is a disk of its own; a CD-ROM's medium is taken out and another put in.
# timeout: 240
. "$(dirname "$0")/lib.sh"
cat >"$work/error.conf" <<'C'
[inject-error]
event = "read_aio"
errno = "5"
sector = "2048"
once = "on"
C
# One of several queued commands that fails is tried again by itself: to be seen it must fail twice.
grep -v once "$work/error.conf" >"$work/bad.conf"
for d in n n2 v a g h i; do head -c 2M /dev/urandom >"$work/$d.img"; done
for d in c e f; do qemu-img create -q -f qcow2 -o preallocation=full "$work/$d.qcow2" 2M; done
export BUILD work
cat >"$work/drive.py" <<'P'
import hashlib, os
from machine import Machine
work = os.environ["work"]

def machine(*args):
    return Machine(work, *args, mib=32, seconds=200)

def sha(name, length=-1):
    return hashlib.sha256(open("%s/%s.img" % (work, name), "rb").read(length)).hexdigest()

def drive(id, options, name=None):
    return ["-drive", "if=none,id=%s,%s%s/%s" % (id, options, work, name or id + ".img")]

def device(what):
    return ["-device", what]

failing = "format=raw,file=blkdebug:%s/error.conf:" % work
discarding = "format=qcow2,discard=unmap,file="

def errors():
    m = machine(*drive("n", failing), *drive("n2", "format=raw,file="), *drive("v", failing), *drive("a", failing.replace("error", "bad")),
        *drive("g", "format=raw,file="), *drive("c", discarding, "c.qcow2"), *drive("e", discarding, "e.qcow2"), *drive("f", discarding, "f.qcow2"),
        *device("nvme,id=ctrl,serial=two"), *device("nvme-ns,drive=n,bus=ctrl,nsid=1"), *device("nvme-ns,drive=n2,bus=ctrl,nsid=7"),
        *device("virtio-blk-pci,drive=v,disable-modern=on"), *device("virtio-blk-pci,drive=g"), *device("virtio-blk-pci,drive=c"),
        *device("nvme,serial=e,drive=e"), *device("ide-hd,drive=a,bus=ide.0"), *device("ide-hd,drive=f,bus=ide.1"),
        *drive("cd", "media=cdrom,format=raw,file=", "i.img"), *device("ide-cd,drive=cd,bus=ide.2"))
    for disk, image in [("nvme0n1", "n"), ("vda", "v")]:
        m.do("sha256 " + disk, disk + r": read of sector \d+: ")
        m.wait("sha256: EIO")
        m.do("sha256 " + disk, "@sha256 %s %s" % (disk, sha(image)))
        print("%s: one error, told, and then the right bytes" % disk)
    m.do("sha256 sda", r"sda: read of sector \d+: ")
    m.wait("sha256: EIO")
    m.do("sha256 sda@0+512K", "@sha256 slice0 " + sha("a", 512 << 10))
    m.do("sha256 serial=two-7", "@sha256 nvme0n7 " + sha("n2"))
    m.do("sha256 sr0", "@sha256 sr0 " + sha("i"))
    m.hmp("eject -f cd")
    m.wait("sr0: no medium")
    m.hmp("change cd %s/h.img raw" % work)
    m.wait("sr0: another medium, 2048 KiB")
    m.do("sha256 sr0", "@sha256 sr0 " + sha("h"))
    m.hmp("block_resize g 4M")
    m.wait("vdb: 4096 KiB now")
    m.do("fill vdb@2M+2M 9", "@fill slice1")
    for disk in ["vdc", "nvme1n1", "sdb"]:
        m.do("discard " + disk, "@discard " + disk)
    m.end()

def silence(name, disk, image, *devices):
    m = machine("-icount", "shift=0,sleep=off", *drive(image, "throttling.bps-total=4096,format=raw,file="), *devices)
    m.do("start 'sha256 %s'" % disk, name + ": no answer: reset 1")
    m.hmp("block_set_io_throttle %s 0 0 0 0 0 0" % image)
    m.wait("@sha256 %s %s" % (disk, sha(image)))
    m.end()
    print(name + ": silent, reset, and the right bytes")

errors()
silence("nvme0", "nvme0n1", "h", *device("nvme,serial=x,drive=h"))
silence("vda", "vda", "h", *device("virtio-blk-pci,drive=h,request-merging=off"))
P
PYTHONPATH=tests/lib python3 -B "$work/drive.py" || exit 1
for d in c e f; do
	used=$(qemu-img map --output=json "$work/$d.qcow2" | grep -c '"data": true')
	[ "$used" = 0 ] || { echo "$d.qcow2 still has data after a discard:"; qemu-img map "$work/$d.qcow2"; exit 1; }
done
tail -c 2M "$work/g.img" >"$work/tail"
"$BUILD/amphi-tool" verify-pattern "$work/tail" 9 >/dev/null || { echo "what the disk grew by was not written"; exit 1; }
echo "errors reach their request, silence ends in a reset, growth and discards are seen"
