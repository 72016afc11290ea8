#!/bin/sh
# dom0_pci_test: our control domain as real Xen's first domain lends PCI functions to a guest of ours: an NVMe, an e1000e, an AHCI
# controller (a plain MSI, and no reset), a virtual function of another NVMe, and a USB controller that has nothing but a line (INTx), behind VT-d;
# then the NVMe and the USB controller to a stock Debian Linux. It listens to the line of another USB controller itself, by either input of the board. Why: Xen has rules for functions that
# our own hypervisor does not have: MSI-X tables are told of first, messages are not masked, registers answer while vectors go, and a
# domain that has not asked for an IOMMU gets nothing. Expected: the disks' bytes, an address and answers, as the guest's own
# memory allows (no IO spaces there: direct); destroyed in the middle of its work and made anew it has them again; then
# our drivers have them back, and another guest reads by them what the first has written. Each line is heard as often as it was pulled, bound over and over.
# Linux reads the NVMe's bytes, by messages, finds the USB device by the line, and has the NVMe taken from it while it reads, and given back.
# timeout: 240
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
"$here/tools.sh" || { echo "cannot get lspci"; exit 1; }
pid=
trap 'kill $pid 2>/dev/null; wait; rm -rf "$work"' EXIT
fail() { echo "$*"; tail -n 60 "$work/log" | cut -c1-250; exit 1; }
seen() { grep -cE -- "$1" "$work/log"; }
until_seen() { # until_seen COUNT REGEX: as long as the machine runs
	until [ "$(seen "$2")" -ge "$1" ]; do kill -0 $pid 2>/dev/null || fail "ended without $1 of /$2/"; sleep 0.1; done
}
own_line='^@irq-try 00:08.0 line 1: 4[^0-9]?$' guests_line='^\[g\] @irq-try 00:04.0 line 1: 4[^0-9]?$'
ctl() { "$BUILD/amphi-tool" ctl --timeout 100 --socket "$work/ctl" "$@" >"$work/out" 2>&1 || fail "ctl $*: $(cat "$work/out")"; }

for n in a b c; do head -c 2097152 /dev/urandom >"$work/$n"; done
sum() { sha256sum <"$work/$1" | cut -d' ' -f1; }
sum_a=$(sum a) sum_b=$(sum b) sum_c=$(sum c)
strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_disk /a.img A
ar_disk /b.img QM00001
ar_disk /c.img C
ar_domain bare <<'C'
name = "bare"
kernel = "/amphi"
memory = 16
pci = ['00:04.0']
C
ar_domain g <<'C'
name = "g"
kernel = "/amphi"
memory = 24
passthrough = 'enabled'
cmdline = 'role=guest dma_panic do="sha256 nvme0n1; sha256 sda; sha256 nvme1n1; fill nvme0n1 7; fill sda 8; fill nvme1n1 9; ping -c 2 -s 1400 10.0.2.2; repeat 100000 \'irq-try 00:04.0 line; verify nvme0n1 7; verify sda 8; verify nvme1n1 9\'"'
pci = ['00:04.0', '00:05.0', '00:1f.2', '01:00.1', '00:06.0']
C
ar_domain u <<'C'
name = "u"
kernel = "/amphi"
memory = 16
cmdline = 'role=guest do="verify xvda 7; verify xvdb 8; verify xvdc 9; halt 6"'
disk = ['/a.img,raw,xvda,ro', '/b.img,raw,xvdb,ro', '/c.img,raw,xvdc,ro']
C
# Linux has lspci and its libraries in its ramdisk.
mkdir -p "$work/overlay/bin" "$work/overlay/lib"
ln -s lib "$work/overlay/lib64"
cp "$xen_dir/tools/bin/lspci" "$work/overlay/bin/"
for lib in $(LD_LIBRARY_PATH=$xen_dir/tools/lib ldd "$xen_dir/tools/bin/lspci" | grep -o 'lib[a-z0-9]*[-.][^ ]* =>\|ld-linux[^ ]*' | cut -d' ' -f1); do
	cp "$xen_dir/tools/lib/$lib" "$work/overlay/lib/"
done
linux_overlay=$work/overlay linux_more='xen-pcifront nvme xhci-pci'
linux_initrd "$work/initrd" <<'R'
comes() { for i in $(seq 300); do [ -e "$1" ] && return; sleep 0.1; done; echo "GUEST has no $1"; }
look() { # look TIMES: its bytes, not those that Linux remembers
	comes /dev/nvme0n1
	echo 3 >/proc/sys/vm/drop_caches
	echo "GUEST nvme $1 $(sha256sum </dev/nvme0n1 | cut -d' ' -f1)"
	lspci -vv -n | sed "s/^/GUEST lspci $1 /"
}
look 1
comes /sys/bus/usb/devices/1-1/idVendor
echo "GUEST usb $(cat /sys/bus/usb/devices/1-1/idVendor) $(grep xhci /proc/interrupts)"
echo "GUEST reads"
while [ -e /sys/block/nvme0n1 ]; do
	echo 3 >/proc/sys/vm/drop_caches
	cat /dev/nvme0n1 >/dev/null 2>&1
done
echo "GUEST has lost nvme0n1"
look 2
dmesg -r | grep -E '^<[0-4]>' | grep -iE 'pci|nvme|xhci|usb|swiotlb|bug|hung|stall|error' | grep -v 'nvme0n1' | sed 's/^/GUEST complains: /'
poweroff -f
R
ar_file /vmlinux "$xen_dir/vmlinux"
ar_file /initrd "$work/initrd"
linux_domain l 'iommu=soft swiotlb=512 nodisk' 'memory = 144' 'passthrough = "enabled"' "pci = ['00:04.0', '00:06.0']"
sed -i "s/^domain \([lu]\) /spare \1 /" "$work/ar/manifest" # made by the test
ar_pack "$work/archive"

: >"$work/log"
timeout -k 5 200 qemu-system-x86_64 -M q35,kernel-irqchip=split -accel tcg -cpu max,-smap,-smep,-rdtscp,-xsave -m 640 -nodefaults \
	-display none -no-reboot -serial stdio -monitor "unix:$work/mon,server=on,wait=off" -chardev "socket,id=c,path=$work/ctl,server=on,wait=off" -serial chardev:c \
	-device intel-iommu,intremap=on,aw-bits=48 -kernel "$xen_dir/xen" \
	-append "console=com1 com1=115200 spec-ctrl=eager-fpu loglvl=warning guest_loglvl=warning dom0_mem=240M,max:240M" \
	-initrd "$BUILD/amphi dma_panic vfs=1 role=service stay do=\"repeat 1000 'irq-try 00:08.0 line; sleep 200'\",$work/archive" \
	-drive "if=none,id=a,format=raw,file=$work/a" -device nvme,drive=a,serial=A,addr=4 \
	-netdev user,id=n,restrict=on -device e1000e,netdev=n,addr=5 \
	-drive "if=none,id=b,format=raw,file=$work/b" -device ide-hd,drive=b,bus=ide.0 \
	-device nec-usb-xhci,id=x,msi=off,msix=off,addr=6 -device usb-tablet,bus=x.0 -device nec-usb-xhci,msi=off,msix=off,addr=8 \
	-device pcie-root-port,id=rp,slot=1 -device nvme-subsys,id=s \
	-device nvme,id=v,serial=C,subsys=s,bus=rp,sriov_max_vfs=1,sriov_vq_flexible=8,sriov_vi_flexible=4,max_ioqpairs=10,msix_qsize=9 \
	-drive "if=none,id=c0,format=raw,file=$work/c" -device nvme-ns,drive=c0,bus=v,nsid=1,shared=on </dev/null >"$work/log" 2>&1 &
pid=$!
# Firmware writes down the old controllers' input; its board pulls one above them as well, of which Xen knows nothing before it is told.
until_seen 2 "$own_line"
python3 "$here/../lib/monitor.py" "$work/mon" poke 00:08.0 0x3c 0x0114 || fail "cannot be poked"
until_seen $(($(seen "$own_line") + 2)) "$own_line"
until_seen 1 '^\[g\] @verify nvme1n1 ok'
[ "$(seen "$guests_line")" -ge 1 ] || fail "the guest does not hear its line"
grep -q 'bare: pci 00:04.0: .*passthrough="enabled"' "$work/log" || fail "given to a domain that has asked for no IOMMU"
for disk in "nvme0n1 $sum_a" "sda $sum_b" "nvme1n1 $sum_c"; do
	grep -q "^\[g\] @sha256 $disk" "$work/log" || fail "not the bytes of $disk"
done
grep -q '^\[g\] @ping 10.0.2.2 sent=2 received=2 twice=0 wrong=0' "$work/log" || fail "no answers by the lent card"
[ "$(sed -n 's/^\[g\].* dma: \(.*\) direct.*/\1/p' "$work/log" | sort -u | wc -l)" = 5 ] || fail "not all go direct"
ctl pci-list
grep -qE '^g +01:00.1 +[^ ]+ +4 +[2-9] ' "$work/out" || fail "the virtual function has one vector: $(cat "$work/out")"
# In the middle of its reads; then a new one with the same functions.
ctl destroy g
until_seen 1 'g: pci 00:04.0: taken: reset'
verified=$(seen '^\[g\] @verify nvme1n1 ok') heard=$(seen "$guests_line")
ctl create g
until_seen $((verified + 1)) '^\[g\] @verify nvme1n1 ok'
until_seen $((heard + 1)) "$guests_line"
ctl destroy g
until_seen 2 'g: pci 00:04.0: taken: reset'
ctl pci-assignable
[ "$(grep -cE '^(00:04.0|00:05.0|00:06.0|00:1f.2|01:00.1) .* free ' "$work/out")" = 5 ] || fail "not all are free: $(cat "$work/out")"
for f in 00:04.0 00:05.0 00:1f.2; do ctl pci-assignable-remove $f; done
ctl create u
until_seen 1 '@domain u exit 6'
[ "$(seen '^\[u\] @verify xvd[abc] ok')" = 3 ] || fail "not what the guest has written"
# A stock Linux: messages each time it has the NVMe.
ctl create l
until_seen 1 '^\[l\] GUEST reads'
ctl pci-detach l 00:04.0
until_seen 1 '^\[l\] GUEST has lost nvme0n1'
ctl pci-attach l 00:04.0
until_seen 1 '^@domain l exit 0'
sum_a=$(sum a)
for n in 1 2; do
	grep -q "^\[l\] GUEST nvme $n $sum_a" "$work/log" || fail "Linux reads other bytes of the NVMe"
	[ "$(seen "^\[l\] GUEST lspci $n .*(MSI-X: Enable\+|Kernel driver in use: (nvme|xhci_hcd))")" = 3 ] || fail "no messages of the NVMe, or not both drivers ($n)"
done
grep -q '^\[l\] GUEST usb 0627 .* [1-9][0-9]* .*xhci-hcd' "$work/log" || fail "Linux does not find the USB device by its line"
grep 'GUEST \(complains\|has no \)' "$work/log" && fail "Linux complains"
grep -E 'Xen WARN|masking MSI-X|[Ii]nsecure|already (assigned|enabled)|\[VT-D\]|has failed|does not answer|not usable|dma_debug' "$work/log" && fail "something was wrong"
echo "five functions of real Xen's guest, lent by our first domain: used, destroyed with it, lent anew, driven here again, and by Linux; lines heard in all three"
