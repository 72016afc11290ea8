#!/bin/sh
# grub_test: Debian's grub-xen in a PV domain boots a Linux from a disk that our backend serves: on amphi-hv, and on real Xen with
# our service domain as the first domain. Why: its block frontend is an old one of its own, which knows nothing but a ring of one page
# and grants for each request, and gives its connection back before the next kernel makes another; and users of xl who leave the
# kernel to the guest have it. Expected: it finds its menu on the second disk (the first has none), loads kernel and ramdisk whole,
# and the Linux it starts connects to the same disks and finds their bytes as the host has them.
# timeout: 600
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
"$here/grub.sh" || { echo "cannot get grub-xen"; exit 1; }
PATH=$PATH:/sbin:/usr/sbin

linux_initrd "$work/initrd" <<'R'
for i in $(seq 200); do [ -b /dev/xvdb ] && break; sleep 0.1; done
mount -t ext4 -o ro /dev/xvdb /mnt && echo "GUEST words $(cat /proc/cmdline)"
echo "GUEST xvda $(sha256sum </dev/xvda | cut -d' ' -f1)"
echo "GUEST file $(sha256sum </mnt/boot/some | cut -d' ' -f1)"
poweroff -f
R
mkdir -p "$work/disk/boot/grub"
cp "$xen_dir/vmlinux" "$work/initrd" "$work/disk/boot/"
head -c 3000013 /dev/urandom >"$work/disk/boot/some"
cat >"$work/disk/boot/grub/grub.cfg" <<'R'
echo "GRUB menu on $root"
linux /boot/vmlinux console=hvc0 loglevel=5 tsc=reliable from-grub
initrd /boot/initrd
boot
R
head -c 1M /dev/urandom >"$work/a.img"
mke2fs -q -F -t ext4 -d "$work/disk" "$work/b.img" 96M >/dev/null
ar_file /grub "$xen_dir/grub"
ar_disk /a.img amphi0
ar_disk /b.img amphi1
ar_domain guest <<'R'
name = "guest"
kernel = "/grub"
memory = 256
disk = ['/a.img,raw,xvda,ro', '/b.img,raw,xvdb,ro']
R
ar_pack "$work/archive"

SERVICE_WORDS='do="stats"'
for on in amphi-hv xen; do
	linux_start $on 1 800 -drive "file=$work/a.img,if=none,id=a,format=raw,readonly=on" -device nvme,serial=amphi0,drive=a \
		-drive "file=$work/b.img,if=none,id=b,format=raw,readonly=on" -device nvme,serial=amphi1,drive=b
	linux_wait '^@exit ' 200
	wait $machine
	tr -d '\r' <"$log" >"$work/said"
	expect "$work/said" 'GRUB menu on xen/xvdb'
	expect "$work/said" '^\[guest\] GUEST words .*from-grub'
	expect "$work/said" "^\\[guest\\] GUEST xvda $(sha256sum <"$work/a.img" | cut -d' ' -f1)"
	expect "$work/said" "^\\[guest\\] GUEST file $(sha256sum <"$work/disk/boot/some" | cut -d' ' -f1)"
	sed -n "s/^@stat back=\(.*\)/$on: \1/p" "$work/said" | tail -n 2
done
echo "Debian's grub-xen booted a Linux from a disk of ours, on amphi-hv and on real Xen"
