#!/bin/sh
# driver_peers_test: a driver domain of ours on real Xen serves those who are not a stock 64-bit Linux guest: Debian's dom0 itself, a PV
# and a PVH domain of ours, grub-xen of 64 and of 32 bits, and a Linux that has nothing better than barriers.
# Why: with our frontend both halves are ours, and could be wrong together; grub's is an old one of its own; and a request of 32
# bits is laid out in another way, which only somebody else's compiler shows. Expected: dom0 makes an ext4 on a disk of the
# driver domain and leaves fio's blocks on it; each guest of ours copies it to another disk of the same backend; there dom0
# finds the same bytes, and its e2fsck and fio nothing wrong. Either grub loads a kernel from a disk and starts it, and that
# reads what dom0 has put there; the one of 32 bits by x86_32-abi. Its Linux finds the copy's files whole and adds some,
# each with barriers, and dom0 finds those; the pages of a disk that nobody uses any more are given back. (A Linux of 32 bits does not get far under TCG: it marks the entries of a PAE
# guest's highest table as accessed, and Xen, which must look there to emulate cpuid, takes that bit for a reserved one.)
# timeout: 1050
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
for made in tools grub; do "$here/$made.sh" || { echo "cannot get $made"; exit 1; }; done
mkdir -p "$work/test"
cp "$BUILD/amphi" "$here/fs.sh" "$here/guests.sh" "$xen_dir/grub" "$xen_dir/grub-pvh" "$work/test/"
cp "$xen_dir/x/boot/vmlinuz-$(cat "$xen_dir/kver")" "$work/test/vmlinuz"
linux_initrd "$work/test/initrd" <<'R'
mount -t ext4 -o ro /dev/xvda /mnt && echo "GUEST words $(cat /proc/cmdline)"
echo "GUEST file $(sha256sum </mnt/boot/some | cut -d' ' -f1)"
umount /mnt
if [ -b /dev/xvdb ]; then
	dmesg | sed -n 's/.*\(blkfront: xvdb: .*\)/GUEST \1/p'
	mount -t ext4 /dev/xvdb /mnt || echo "GUEST cannot mount xvdb"
	cd /mnt
	sha256sum -c sums >/tmp/sums 2>&1 && echo "GUEST files equal" || cat /tmp/sums
	for n in 1 50 2000; do dd if=/dev/urandom of=more-$n bs=1009 count=$n conv=fsync 2>/dev/null; done
	sha256sum more-* >>sums
	cd /; umount /mnt && echo "GUEST unmounted"
fi
(read -r word </dev/hvc0; touch /tmp/enough) &
until [ -e /tmp/enough ]; do sleep 0.2; done
dmesg -r | grep -E '^<[0-4]>' | grep -iE 'blk|xvd|ext4|jbd|i/o error|bug|hung|stall' | sed 's/^/GUEST complains: /'
poweroff -f
R
cat >"$work/test/run.sh" <<'R'
. /test/fs.sh
. /test/guests.sh
modprobe -a nvme crc32c_generic ext4 xen-blkfront
fs_programs /dev/nvme0n1
create() { # create NAME LINE...: more words for xl are in $words
	n=$1; shift
	printf '%s\n' "name='$n'" "$@" 'tsc_mode="native"' 'on_poweroff="destroy"' 'on_crash="preserve"' >/tmp/$n.cfg
	xl create $words /tmp/$n.cfg >/dev/null || { echo "MISSED create $n"; end 1; }
}
disk() { # disk VDEV RAM-DISK ACCESS
	echo "backend=back,vdev=$1,format=raw,backendtype=phy,access=$3,target=$2"
}
end() {
	for d in back ours oursh grub grub32; do sed "s/^/[$d] /" $logs/guest-$d.log; echo; done
	exit $1
}
attach() { # attach VDEV RAM-DISK
	xl block-attach 0 "$(disk $1 $2 rw)" || echo "MISSED attach $2"
	for i in $(seq 400); do [ -b /dev/$1 ] && return; sleep 0.1; done
	echo "MISSED /dev/$1"
}
detach() {
	for v in "$@"; do xl block-detach 0 $v || xl block-detach 0 $v || echo "MISSED detach $v"; done
}

create back 'kernel="/test/amphi"' 'memory=128' \
	'cmdline="do=\"ramdisk ram0 20480; ramdisk ram1 20480; ramdisk ram2 20480; ramdisk ram3 24576; serve; echo serving\""'
says back '^serving'
step make
attach xvda ram0
fs_make /dev/xvda
attach xvdd ram3
fs_tool mke2fs -q -F -t ext4 /dev/xvdd
mount -t ext4 /dev/xvdd /mnt
mkdir -p /mnt/boot/grub
cp /test/vmlinuz /test/initrd /mnt/boot/
head -c 3000013 /dev/urandom >/mnt/boot/some
echo "SUM grub $(sha256sum </mnt/boot/some | cut -d' ' -f1)"
printf '%s\n' 'echo "GRUB menu on $root"' 'linux /boot/vmlinuz console=hvc0 loglevel=5 tsc=reliable from-grub' 'initrd /boot/initrd' boot >/mnt/boot/grub/grub.cfg
umount /mnt
detach xvda xvdd

create grub 'kernel="/test/grub"' 'memory=256' "disk=['$(disk xvda ram3 ro)']"
for type in pv pvh; do
	[ $type = pv ] && n=ours to=ram1 || n=oursh to=ram2
	create $n "type='$type'" 'kernel="/test/amphi"' 'memory=32' 'shadow_memory=4' 'cmdline="do=\"copy xvda xvdb; stats; halt 5\""' \
		"disk=['$(disk xvda ram0 ro)','$(disk xvdb $to rw)']"
done
gone ours; gone oursh
step look
for n in 0 1 2; do attach xvd$(echo $n | tr 012 abc) ram$n; done
for d in xvdb xvdc; do cmp /dev/xvda /dev/$d && echo "FS $d same bytes"; done
fs_check /dev/xvdc
detach xvda xvdb xvdc

# Its Linux, which connects anew after grub, finds a backend that knows nothing better than barriers.
words=-p create grub32 'type="pvh"' 'kernel="/test/grub-pvh"' 'memory=256' "disk=['$(disk xvda ram3 ro)','$(disk xvdb ram1 rw)']"
id=$(xl domid grub32)
node=/local/domain/$(xl domid back)/backend/vbd/$id/51728
until [ "$(xenstore-read $node/state 2>/dev/null)" = 2 ]; do sleep 0.1; done
xenstore-write $node/flush-cache-enable 0
xl unpause grub32
says grub '^GUEST file'
until grep -aq 'GRUB menu' $logs/guest-grub32.log; do
	protocol=$(xenstore-read /local/domain/$id/device/vbd/51728/protocol 2>/dev/null) && [ "$protocol" != "$last" ] && echo "FRONT grub32 $protocol"
	last=$protocol
	[ "$(cut -d. -f1 /proc/uptime)" -lt $patience ] || { echo "MISSED grub32"; end 1; }
done
says grub32 '^GUEST unmounted'
xenstore-ls -f $node | sed "s,^$node/,BACK grub32 ," | grep feature
xenstore-ls -f /local/domain/$id/device/vbd/51728 | sed "s,^/local/domain/$id/device/vbd/51728/,FRONT grub32 ," | grep -E 'protocol|feature|ring'
# Of Linux's disk that nobody uses any more the pages are given back, a minute after.
step idle
until grep -aqE '^@stat back=[0-9]*/xvda .* released=[1-9]' $logs/guest-back.log; do
	tell back "stats; echo counted"
	for i in $(seq 25); do waits_for 'pages given back'; done
done
for d in grub32 grub; do tell $d enough; gone $d; done
attach xvdb ram1
fs_check /dev/xvdb
detach xvdb
tell back "mem; halt 3"
says back '@exit 3'
end 0
R
XEN_SECONDS=330
xen_linux "$work/test" -m 1800 -drive "file=$xen_dir/tools.img,if=none,id=t,format=raw,readonly=on" -device nvme,serial=t,drive=t >"$work/log"

! grep MISSED "$work/log" || { tail -n 60 "$work/log"; exit 1; }
expect "$work/log" '^TEST-EXIT: 0'
! grep -E 'GUEST (complains|cannot)' "$work/log" || exit 1
expect "$work/log" '^FS /dev/xvda made'
for d in ours oursh; do expect "$work/log" "^\\[$d\\] @copy xvda xvdb ok 40960"; done
for d in xvdb xvdc; do
	expect "$work/log" "^FS $d same bytes"
	for word in clean verified 'files equal'; do expect "$work/log" "^FS /dev/$d $word"; done
done
for d in grub grub32; do
	expect "$work/log" "^\\[$d\\] GUEST words .*from-grub"
	expect "$work/log" "^\\[$d\\] GUEST file $(sed -n 's/^SUM grub //p' "$work/log")"
done
expect "$work/log" '^\[back\] .*51712: xvda for domain [0-9]* from ram3, .*x86_32-abi'
expect "$work/log" '^\[grub32\] GUEST blkfront: xvdb: .*barrier: enabled'
expect "$work/log" '^\[grub32\] GUEST files equal'
expect "$work/log" '^BACK grub32 feature-flush-cache = "0"'
expect "$work/log" '^\[back\] @stat back=[0-9]*/xvdb .* flushes=0 .* barriers=[1-9]'
expect "$work/log" '^\[back\] @stat back=[0-9]*/xvda .* released=[1-9]'
expect "$work/log" '^\[back\] .*granted to others 0 pages, of others 0 pages'
sed -n 's/^BACK grub32 /back: /p; s/^FRONT grub32 /front: /p; s/^\[back\] @stat back=/counted: /p; s/^\[back\] .*\(xvda for .* x86_32-abi\)/log: \1/p' "$work/log"
echo "our driver domain on real Xen served Linux's dom0, PV and PVH guests of ours, grub-xen of 64 and 32 bits, and a Linux with barriers"
