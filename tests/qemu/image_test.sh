#!/bin/sh
# image_test: the disk of `amphi-tool image` starts its domains on a machine that has nothing else: under a BIOS from
# NVMe, virtio and AHCI, and under UEFI; a domain file is changed on it without making it anew; a qcow2 is the same; domains' disks are partitions of it.
# Why: it is what a user copies to a PC or a cloud VM, where nobody passes a kernel by hand. Expected: each boot runs the
# domain to its exit code; a disk= that nobody explained, a missing kernel and a missing -o are named.
# timeout: 280
set -u
BUILD=${BUILD:-build}
tool=$BUILD/amphi-tool
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strip -g -o "$work/amphi" "$BUILD/amphi"
echo "the ramdisk" >"$work/module"
cat >"$work/g.cfg" <<C
name = "g"
kernel = "$work/amphi"
ramdisk = "$work/module"
memory = 8
cmdline = 'role=guest do="mem; halt 4"'
C
sed "s/\"g\"/\"spare\"/" "$work/g.cfg" >"$work/spare.cfg"
fail() { echo "$*"; tail -n 40 "$work/log"; exit 1; }
refused() { # refused STATUS REGEX WORD...
	wanted=$1 regex=$2; shift 2
	"$tool" image "$@" >"$work/log" 2>&1
	[ $? = "$wanted" ] && grep -qE -- "$regex" "$work/log" || fail "image $*: no $wanted with /$regex/"
}
refused 2 'no -o DISK' "$work/g.cfg"
{ cat "$work/g.cfg"; echo 'disk = ["/dev/vda,raw,xvda,ro"]'; } >"$work/d.cfg"
refused 3 "disk xvda: say --disk '/dev/vda=SERIAL'" -o "$work/no.img" "$work/d.cfg"
refused 2 "'x' is not TARGET=SERIAL" --disk x -o "$work/no.img" "$work/g.cfg"
sed "s,$work/amphi,/none," "$work/g.cfg" >"$work/n.cfg"
refused 3 "kernel '/none'" -o "$work/no.img" "$work/n.cfg"
{ cat "$work/g.cfg"; echo 'disk = ["PARTUUID=cafe1234-05,raw,xvda,ro"]'; } >"$work/m.cfg"
"$tool" image --hypervisor-args panic=halt -o "$work/named.img" "$work/m.cfg" >"$work/log" 2>&1 || fail "a partition by its name is not taken"
mtype -i "$work/named.img@@1M" ::/grub.cfg | grep -q '^multiboot2 .* panic=halt' || fail "no word for the hypervisor in its menu"
[ ! -e "$work/no.img" ] || fail "a disk was made all the same"
"$tool" image --disk /dev/vda=vol1 --later "$work/spare.cfg" -o "$work/disk.img" "$work/g.cfg" >"$work/log" 2>&1 || fail "no disk"
"$tool" image -o "$work/disk.qcow2" "$work/g.cfg" >"$work/log" 2>&1 || fail "no qcow2"

boot() { # boot WHAT CODE QEMU...: the domain ends with this code, and with it the machine
	what=$1 code=$2; shift 2
	timeout -k 5 300 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -display none -no-reboot -serial stdio \
		-monitor none "$@" </dev/null 2>&1 | tr -d '\r' >"$work/log"
	grep -q "^@domain g exit $code\$" "$work/log" || fail "$what: g did not end with $code"
	grep -q "^@exit $code\$" "$work/log" || fail "$what: the machine did not end with $code"
}
raw="if=none,id=d,format=raw,snapshot=on,file=$work/disk.img"
boot "BIOS, virtio" 4 -drive "$raw" -device virtio-blk-pci,drive=d,serial=vol1
grep -q '^\[g\] memory 8192 KiB' "$work/log" || fail "g did not say its memory"
boot "BIOS, NVMe" 4 -drive "$raw" -device nvme,drive=d,serial=x
boot "BIOS, AHCI" 4 -drive "$raw" -device ide-hd,drive=d
boot "BIOS, qcow2" 4 -drive "if=none,id=d,format=qcow2,snapshot=on,file=$work/disk.qcow2" -device virtio-blk-pci,drive=d
boot "UEFI, virtio" 4 -drive "$raw" -device virtio-blk-pci,drive=d \
	-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd

# Disks of its own: partitions of the same disk, one with a file's bytes, one empty that is written.
head -c 3M /dev/urandom >"$work/a.img"
{
	sed "s,do=.*,do=\"sha256 xvda; fill xvdb 7; halt 5\"'," "$work/g.cfg"
	echo "disk = ['$work/a.img,raw,xvda,ro', '/scratch,raw,xvdb,rw']"
} >"$work/p.cfg"
refused 3 "$work/a.img is larger than 2 MiB" --part "$work/a.img=2" --part /scratch=2 -o "$work/no.img" "$work/p.cfg"
refused 2 "'/scratch=x' is not TARGET=MIB" --part "$work/a.img=3" --part /scratch=x -o "$work/no.img" "$work/p.cfg"
"$tool" image --part "$work/a.img=3" --part /scratch=2 -o "$work/parts.img" "$work/p.cfg" >"$work/log" 2>&1 || fail "no disk with partitions"
boot "its own partitions" 5 -drive "if=none,id=d,format=raw,file=$work/parts.img" -device nvme,drive=d,serial=any
grep -q "^\[g\] .*@sha256 xvda $(sha256sum <"$work/a.img" | cut -d' ' -f1)" "$work/log" || fail "xvda has other bytes"
tail -c 2M "$work/parts.img" >"$work/scratch"
"$tool" verify-pattern "$work/scratch" 7 >"$work/log" 2>&1 || fail "xvdb was not written where it belongs"
head -c -2M "$work/parts.img" | tail -c 3M | cmp -s - "$work/a.img" || fail "the partition before it was changed"
mdir -i "$work/parts.img@@1M" ::/amphi/domains/g.cfg >/dev/null || fail "the boot partition is damaged"

# Somebody edits the file where it is.
sed 's/halt 4/halt 7/' "$work/g.cfg" >"$work/new.cfg"
mcopy -o -i "$work/disk.img@@1M" "$work/new.cfg" ::/amphi/domains/g.cfg
boot "BIOS, the file changed" 7 -drive "$raw" -device virtio-blk-pci,drive=d
echo "a disk boots its domains by BIOS and UEFI, from NVMe, virtio and AHCI, and follows a file that is changed on it"
