#!/bin/sh
# pci_driver_domain_test: a PV driver domain of ours on real Xen owns an NVMe disk and an e1000e, by Linux's xen-pciback, and serves both to others.
# Why: this is what driver domains are for: the disk's driver is not in dom0, and guests' pages go to the device by its frontend's
# backend. Expected: a Linux guest makes a file system on its part of the disk and works it, e2fsck and fio find it whole, and its
# bytes are those on the disk's image; a guest of ours writes its part at the same time; the Linux guest is destroyed under load,
# and another guest of ours reads the bytes that Linux left. Then xl takes the disk away from the driver domain while a guest writes:
# the guest gets an error, the driver domain lives, has nobody's page, and has its disk again when it is given back. The functions
# have the numbers that they have on the machine. A guest's packets reach the outside by the card, which is a wire of the driver domain's bridge.
# timeout: 700
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
"$here/tools.sh" || { echo "cannot get fio"; exit 1; }
mkdir -p "$work/test"
linux_programs="$here/fs.sh"
linux_initrd "$work/initrd" <<'R'
. /bin/fs.sh
fs_programs /dev/xvdz
fs_make /dev/xvda
fs_check /dev/xvda
echo "bytes of xvda $(sha256sum </dev/xvda | cut -d' ' -f1)."
dmesg -r | grep -E '^<[0-4]>' | grep -iE 'blk|xvd|ext4|jbd|i/o error|warn|bug|hung|stall' | sed 's/^/GUEST complains: /'
while :; do
	dd if=/dev/urandom of=/tmp/bytes bs=64k count=16 2>/dev/null
	dd if=/tmp/bytes of=/dev/xvdb bs=1M count=1 conv=fsync 2>/dev/null
	blockdev --flushbufs /dev/xvdb
	dd if=/dev/xvdb bs=1M count=1 2>/dev/null | cmp - /tmp/bytes || echo "GUEST cannot read what it wrote"
	echo "GUEST round"
done
R
truncate -s 64M "$work/disk"
cp "$work/initrd" "$xen_dir/vmlinux" "$BUILD/amphi" "$work/test/"
cat >"$work/test/run.sh" <<'R'
logs=/var/log/xen/console
end() { for d in back u1 l1 u2 u3; do sed "s/^/[$d] /" $logs/guest-$d.log; done; exit $1; }
says() { # says NAME REGEX: waits until its console has a line
	until grep -aqE "$2" $logs/guest-$1.log 2>/dev/null; do
		[ "$(cut -d. -f1 /proc/uptime)" -lt 450 ] || { echo "MISSED $1: $2"; end 1; }
		sleep 0.2
	done
}
tell() { echo "$2" >"$(xenstore-read /local/domain/$(xl domid $1)/console/tty)"; }
create() { # create NAME LINE...
	n=$1; shift
	printf '%s\n' "name='$n'" 'type="pv"' 'tsc_mode="native"' 'on_poweroff="destroy"' 'on_crash="preserve"' "$@" >/tmp/$n.cfg
	xl create /tmp/$n.cfg >/dev/null 2>&1 || { echo "MISSED create $n"; end 1; }
}
disk() { echo "'backend=back,vdev=$1,format=raw,backendtype=phy,access=rw,target=nvme0n1@$2'"; }
modprobe xen-pciback passthrough=1
xl pci-assignable-add 00:10.0 || exit 1
xl pci-assignable-add 00:12.0 || exit 1
modprobe nvme # the disk of programs alone
create back 'kernel="/test/amphi"' 'memory=64' 'vcpus=2' 'cmdline="dma_panic do=\"fill nvme0n1 1; serve; echo serving\""' 'pci=["00:10.0","00:12.0"]'
says back '^serving'
create l1 'kernel="/test/vmlinux"' 'ramdisk="/test/initrd"' 'memory=224' 'cmdline="console=hvc0 loglevel=4 tsc=reliable"' \
	"disk=[$(disk xvda 0+32M), $(disk xvdb 32M+8M), 'vdev=xvdz,format=raw,backendtype=phy,access=ro,target=/dev/nvme0n1']"
create u1 'kernel="/test/amphi"' 'memory=32' \
	'cmdline="dma_panic ip=10.0.2.60/24,gw=10.0.2.2 do=\"fill xvda 3; verify xvda 3; ping -c 5 -s 3000 10.0.2.2; halt 4\""' "disk=[$(disk xvda 40M+8M)]" \
	'vif=["mac=00:16:3e:00:00:05,bridge=xenbr0,backend=back"]'
says u1 '^@exit 4'
says l1 '^bytes of xvda .*[.]'
says l1 '^GUEST round'
xl destroy l1
create u2 'kernel="/test/amphi"' 'memory=32' 'cmdline="dma_panic do=\"sha256 xvda; sha256 xvdb; halt 5\""' "disk=[$(disk xvda 0+32M), $(disk xvdb 40M+8M)]"
says u2 '^@exit 5'
for i in $(seq 400); do xl domid u2 >/dev/null 2>&1 || break; sleep 0.2; done
# Its disk goes while a guest writes.
fills='fill xvda 6; fill xvda 7; fill xvda 6; fill xvda 7; fill xvda 6; fill xvda 7; fill xvda 6; fill xvda 7'
create u3 'kernel="/test/amphi"' 'memory=32' "cmdline='do=\"$fills; $fills; $fills; $fills; $fills; $fills; $fills; halt 6\"'" "disk=[$(disk xvda 48M+16M)]"
says u3 '^@fill xvda 7'
xl pci-detach back 00:10.0 || echo "MISSED detach"
says u3 '^fill: E'
says u3 '^@exit'
for i in $(seq 400); do xl domid u3 >/dev/null 2>&1 || break; sleep 0.2; done
tell back 'mem; disks; echo no disk'
says back '^no disk'
xl pci-attach back 00:10.0 || echo "MISSED attach"
tell back 'sha256 nvme0n1; stats; mem; halt 3'
says back '^@exit 3'
end 0
R
XEN_SECONDS=200
xen_linux "$work/test" -machine kernel-irqchip=off -device intel-iommu,intremap=on,aw-bits=48 \
	-drive "file=$work/disk,if=none,id=d,format=raw" -device nvme,drive=d,serial=pcidisk,addr=0x10 \
	-netdev user,id=n,restrict=on -device e1000e,netdev=n,addr=0x12 \
	-drive "file=$xen_dir/tools.img,if=none,id=t,format=raw,readonly=on" -device nvme,serial=t,drive=t,addr=0x11 >"$work/log"
[ "$(grep -c '^\[back\] .*nvme0: is taken away' "$work/log")" = 1 ] || { echo "not taken away"; exit 1; }
part() { dd if="$work/disk" bs=1M skip="$1" count="$2" 2>/dev/null | sha256sum | cut -d' ' -f1; }
! grep -E 'MISSED|GUEST (complains|cannot)' "$work/log" || { tail -n 60 "$work/log"; exit 1; }
expect "$work/log" '^TEST-EXIT: 0'
expect "$work/log" '^\[l1\] FS /dev/xvda made'
expect "$work/log" '^\[l1\] FS /dev/xvda clean'
expect "$work/log" '^\[l1\] FS /dev/xvda verified'
expect "$work/log" '^\[l1\] FS /dev/xvda files equal'
expect "$work/log" "^\\[l1\\] bytes of xvda $(part 0 32)\\."
expect "$work/log" "^\\[u2\\] @sha256 xvda $(part 0 32)"
expect "$work/log" "^\\[u2\\] @sha256 xvdb $(part 40 8)"
expect "$work/log" '^\[back\] .*pci 00:10.0: from domain 0'
expect "$work/log" '^\[back\] .*device/pci/0: bus 0000:00'
expect "$work/log" '^\[back\] .*xenbr0: eth0 is a port'
expect "$work/log" '^\[u1\] @ping 10.0.2.2 sent=5 received=5 twice=0 wrong=0 '
expect "$work/log" '^\[u3\] fill: E'
expect "$work/log" '^\[u3\] @exit 1'
expect "$work/log" '^\[u1\] @fill xvda 3'
expect "$work/log" '^\[u1\] @verify xvda ok'
expect "$work/log" "^\\[back\\] @sha256 nvme0n1 $(part 0 64)"
expect "$work/log" '^\[back\] .*of others 0 pages'
# xl resets a device before it tells its owner: with requests in flight that is seen, as a device that failed.
! grep -E '^\[back\] .*(no answer|does not answer|not usable)' "$work/log" || exit 1
expect "$work/log" '^\[back\] @exit 3'
echo "a PV driver domain of ours with its own NVMe: Linux's file system on it is whole, and the bytes are those of the image"
