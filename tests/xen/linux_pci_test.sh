#!/bin/sh
# linux_pci_test: a stock Debian Linux, PV guest of amphi-hv behind an emulated VT-d, owns an NVMe, an e1000e, and an xHCI controller with
# a USB disk by our pciback, and gets a virtual function of another NVMe while it runs. Why: its pcifront is the other half as others
# wrote it, its drivers ask configuration space for what ours never do, and the devices' DMA goes by the tables that amphi-hv keeps
# of the guest's pages. Expected: lspci -vv says of each function what the same Linux says natively on the same machine (lspci_diff.py
# has what may differ), fio verifies every block it wrote on the NVMe and on the virtual function, a transfer by the e1000e has the
# host's SHA-256 and iperf3 runs both ways, the USB disk reads as the host's and holds what the guest wrote; no fault is told, Linux has no
# complaint. Errors that QEMU makes in the port above the NVMe (AER) while fio writes and verifies on it: of a corrected one it does not
# hear (QEMU 7.2 sends no message of it at all); one that is not corrected, and a fatal one, reach Linux's xen-pcifront and its nvme driver, which goes on with every byte as it was. The virtual function is taken away in the middle of fio's work and given back, three times. The guest reboots with its devices
# at work, and is destroyed so: who has them next finds each device's registers as after a reset, and when the last has gone all functions are
# free, the service domain holds no grant or port more, and the images have the guest's bytes.
# timeout: 600
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
"$here/tools.sh" && "$here/tools.sh" net || { echo "cannot get fio and iperf3"; exit 1; }
PATH=$PATH:/sbin:/usr/sbin
host= native=
trap 'kill $machine $host $native 2>/dev/null || :; wait; rm -rf "$work"' EXIT

truncate -s 16M "$work/v.img"
head -c 16M /dev/urandom >"$work/a.img"
head -c 8M /dev/urandom >"$work/u.img"
head -c 3M /dev/urandom >"$work/file"
a=$(sha256sum <"$work/a.img" | cut -d' ' -f1) u=$(sha256sum <"$work/u.img" | cut -d' ' -f1)
f=$(sha256sum <"$work/file" | cut -d' ' -f1) half=$(tail -c 8M "$work/a.img" | sha256sum | cut -d' ' -f1)

# The peer of iperf3 is the host, at a port of its own.
net=$xen_dir/nettools port=$((10000 + $$ % 8000)) # other tests have those above
until [ "$host" ] && grep -q listening "$work/iperf"; do
	if [ ! "$host" ] || ! kill -0 "$host" 2>/dev/null; then
		port=$((port + 1))
		LD_LIBRARY_PATH=$net/lib stdbuf -oL "$net/bin/iperf3" -s -B 127.0.0.1 -p $port --forceflush >"$work/iperf" 2>&1 &
		host=$!
	fi
	sleep 0.1
done

devices() { # devices IMAGES: the machine's, natively and under amphi-hv; IMAGES has a.img, u.img and v.img
	set -- -drive "file=$xen_dir/tools.img,if=none,id=t,format=raw,readonly=on" -device nvme,serial=tools,drive=t,addr=3 \
		-device pcie-root-port,id=r1,slot=1,addr=5 -device pcie-root-port,id=r2,slot=2,addr=6 -device pcie-root-port,id=r3,slot=3,addr=7 \
		-device pcie-root-port,id=r4,slot=4,addr=8 -drive "file=$1/a.img,if=none,id=a,format=raw" -device nvme,serial=given,drive=a,bus=r4 \
		-netdev "user,id=n,guestfwd=tcp:10.0.2.100:80-cmd:cat $work/file" -device e1000e,netdev=n,bus=r1 \
		-device qemu-xhci,id=x,bus=r2 -drive "file=$1/u.img,if=none,id=u,format=raw" -device usb-storage,bus=x.0,drive=u \
		-drive "file=$1/v.img,if=none,id=v,format=raw" -device nvme-subsys,id=s \
		-device nvme,id=c,serial=physical,subsys=s,bus=r3,sriov_max_vfs=2,sriov_vq_flexible=8,sriov_vi_flexible=4,max_ioqpairs=10,msix_qsize=9 \
		-device nvme-ns,drive=v,bus=c,nsid=1,shared=on
	for word in "$@"; do printf '%s\n' "$word"; done >"$work/devices"
}

# Natively: nothing but lspci, beside the other machine.
linux_more="xen-pcifront nvme e1000e xhci-pci usb-storage sd_mod"
linux_initrd "$work/native.initrd" <<'R'
there() { for i in $(seq 300); do [ -e "$1" ] && return; sleep 0.1; done; }
for n in 0 1 2; do there /dev/nvme${n}n1; done
for d in /sys/block/nvme*; do grep -q tools $d/device/serial && mount -t ext4 -o ro /dev/${d##*/} /tools; done
for d in dev proc sys tmp; do mount --bind /$d /tools/$d; done
there /sys/class/net/eth0; there /dev/sda
ifconfig eth0 10.0.2.15 up
chroot /tools /bin/lspci -vv -n | sed 's/^/NATIVE /'
poweroff -f
R
mkdir "$work/copies"
cp "$work/a.img" "$work/u.img" "$work/v.img" "$work/copies/"
devices "$work/copies"
(IFS='
'; exec timeout -k 5 500 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 400 -nodefaults -display none -no-reboot -serial stdio -monitor none \
	-kernel "$xen_dir/vmlinux" -append "console=ttyS0 quiet nodisk tsc=reliable" -initrd "$work/native.initrd" $(cat "$work/devices")) \
	</dev/null >"$work/native" 2>&1 &
native=$!

# What the devices' registers say before a driver has them: of the NVMe CC and CSTS, of the e1000e RCTL and TDBAL, of the xHCI USBCMD
# and the lower half of DCBAAP. While a driver works none of them is 0. A start with the word `look` does no more.
mkdir -p "$work/overlay/bin" "$work/overlay/lib"
ln -s lib "$work/overlay/lib64"
cp "$net/bin/iperf3" "$work/overlay/bin/"
for lib in $(LD_LIBRARY_PATH=$net/lib ldd "$net/bin/iperf3" | grep -o 'lib[a-z0-9]*[-.][^ ]* =>\|ld-linux[^ ]*' | cut -d' ' -f1); do
	cp "$net/lib/$lib" "$work/overlay/lib/"
done
cat >"$work/overlay/early" <<'R'
insmod /m/xen-pcifront.ko dyndbg=+p # says which words of the control domain it hears
registers() { # registers FUNCTION OFFSET...
	d=/sys/bus/pci/devices/0000:00:$1; shift
	for i in $(seq 300); do [ -e $d/enable ] && break; sleep 0.1; done
	echo 1 >$d/enable
	for at in "$@"; do printf ' %s' $(devmem $(($(head -n 1 $d/resource | cut -d' ' -f1) + at)) 32); done
	echo 0 >$d/enable
}
echo "GUEST registers$(registers 00.0 0x14 0x1c; registers 01.0 0x100 0x3800; registers 09.0 0x40 0x70)"
! grep -q look /proc/cmdline || poweroff -f
R
linux_overlay=$work/overlay
linux_initrd "$work/initrd" <<'R'
mount -t ext4 -o ro /dev/xvda /tools || echo "GUEST cannot mount xvda"
for d in dev proc sys tmp; do mount --bind /$d /tools/$d; done
there() { for i in $(seq 300); do [ -e "$1" ] && return; sleep 0.1; done; echo "GUEST has no $1"; }
sum() { sha256sum <$1 | cut -d' ' -f1; }
fio() { # fio DISK HOW WORD...
	disk=$1 how=$2; shift 2
	chroot /tools /bin/fio --name=$how --filename=/dev/$disk --ioengine=libaio --direct=1 --iodepth=32 --bs=16k --rw=$how --size=6m \
		--allow_file_create=0 --output-format=terse "$@" >/tmp/fio.$disk 2>&1
}
verify() { # verify DISK HOW...: the first part of it
	disk=$1; shift
	for how in "$@"; do
		fio $disk $how --verify=crc32c --verify_fatal=1 --verify_state_save=0
		echo "GUEST fio $disk $how status $? errors $(cut -d';' -f5 /tmp/fio.$disk | tail -n 1)"
		[ "$(cut -d';' -f5 /tmp/fio.$disk)" = 0 ] || cat /tmp/fio.$disk
	done
}
done_by() { cat /sys/block/${1%n1}*n1/stat | awk '{ n += $1 + $5 } END { print n }'; } # of a disk with several ways they are counted there
load() { # load DISK: reads and writes go on, and have begun
	was=$(done_by $1)
	fio $1 randrw --time_based --runtime=1000 &
	for i in $(seq 300); do [ $(done_by $1) -ge $((was + 64)) ] && return; sleep 0.1; done
	echo "GUEST has no work for $1"
}
load_all() {
	for i in $(seq 300); do [ "$(cat /sys/class/net/eth0/carrier)" = 1 ] && break; sleep 0.1; done
	load nvme0n1
	while :; do nc 10.0.2.100 80 </dev/null; done >/dev/null &
	was=$(cat /sys/class/net/eth0/statistics/rx_bytes)
	for i in $(seq 300); do [ $(cat /sys/class/net/eth0/statistics/rx_bytes) -gt $((was + 2000000)) ] && return; sleep 0.1; done
	echo "GUEST has no stream"
}
port=$(sed 's/.*port=\([0-9]*\).*/\1/' /proc/cmdline)
there /dev/nvme0n1
there /sys/class/net/eth0
there /dev/sda
ifconfig lo up; ifconfig eth0 10.0.2.15 up
if [ "$(dd if=/dev/nvme0n1 bs=4k skip=4095 2>/dev/null | head -c 5)" = again ]; then
	load_all
	echo "GUEST works again"
	sleep 1000
fi
chroot /tools /bin/lspci -vv -n | sed 's/^/GUEST lspci /'
echo "GUEST nvme $(sum /dev/nvme0n1)"
verify nvme0n1 randwrite
for i in $(seq 100); do [ "$(cat /sys/class/net/eth0/carrier)" = 1 ] && break; sleep 0.1; done
nc 10.0.2.100 80 </dev/null >/tmp/net
echo "GUEST net $(sum /tmp/net)"
for way in "" -R; do
	iperf3 $way -c 10.0.2.2 -p $port -n 6M >/tmp/iperf 2>&1
	echo "GUEST iperf3$way status $? $(grep receiver /tmp/iperf)"
done
echo "GUEST usb $(sum /dev/sda)"
dd if=/dev/urandom of=/dev/sda bs=64k count=16 conv=fsync 2>/dev/null
echo "GUEST usb wrote $(head -c 1048576 /dev/sda | sha256sum | cut -d' ' -f1)"
grep -E 'nvme0q|eth0|xhci' /proc/interrupts | sed 's/^/GUEST interrupts /'
heard() { dmesg | sed -n 's/.*AER process: cmd \([0-9a-f]*\) .*/\1/p' | tr '\n' ' '; }
while [ ! -e /tmp/over ]; do verify nvme0n1 randwrite; done &
echo "GUEST has errors"
for i in $(seq 600); do heard | grep -q '9 7 $' && break; sleep 0.1; done
touch /tmp/over; wait # for a verification that begins or ends behind them
echo 3 >/proc/sys/vm/drop_caches
echo "GUEST heard $(heard)and has $(dd if=/dev/nvme0n1 bs=1M skip=8 2>/dev/null | sha256sum | cut -d' ' -f1)"
dmesg | grep -E 'nvme nvme[0-9]: (frozen|restart)' | sed 's/^/GUEST heals /'
echo "GUEST waits"
for n in 1 2 3; do
	there /dev/nvme1n1
	[ $n = 3 ] || verify nvme1n1 $([ $n = 1 ] && echo randwrite || echo write)
	load nvme1n1
	echo "GUEST works $n"
	for i in $(seq 300); do [ -e /sys/block/nvme1n1 ] || break; sleep 0.1; done
	[ -e /sys/block/nvme1n1 ] || echo "GUEST has lost nvme1n1 $n"
	wait
done
dmesg -r | grep -E '^<[0-4]>' | grep -iE 'pci|nvme|e1000|xhci|usb|swiotlb|bug|hung|stall|error' | grep -v 'nvme1n1\|nvme_ns_head_submit_bio\|frozen state error detected' | sed 's/^/GUEST complains: /'
echo again | dd of=/dev/nvme0n1 bs=4k seek=4095 count=1 conv=sync,fsync 2>/dev/null
load_all
echo "GUEST reboots"
reboot -f
R
ar_file /vmlinux "$xen_dir/vmlinux"
ar_file /initrd "$work/initrd"
ar_disk /tools.img tools
given="pci = ['04:00.0', '01:00.0,permissive=0', '02:00.0@9']"
linux_domain linux "iommu=soft swiotlb=8192 port=$port" 'memory = 256' "disk = ['/tools.img,raw,xvda,ro']" 'passthrough = "enabled"' "$given" 'on_reboot = "restart"'
linux_domain next 'iommu=soft swiotlb=512 nodisk look' 'memory = 128' 'passthrough = "enabled"' "$given"
sed -i "s/^domain next/spare next/" "$work/ar/manifest" # made by the test
ar_pack "$work/archive"

devices "$work"
LINUX_SECONDS=580
IFS='
'
# shellcheck disable=SC2046
linux_start amphi-hv 1 900 -monitor "unix:$work/mon,server=on,wait=off" -machine kernel-irqchip=split -device intel-iommu $(cat "$work/devices")
unset IFS
error() { # error NAME...: QEMU makes them in the port above the NVMe, and the guest goes on after the last
	linux_mark
	for name in "$@"; do
		python3 "$here/../lib/monitor.py" "$work/mon" "pcie_aer_inject_error r4 $name" || linux_fail "no error is made"
	done
	linux_wait 'linux: pci 04:00[.]0: goes on after an error'
}
linux_wait 'GUEST has errors' 300
error BAD_TLP COMP_TIME # corrected; not corrected, and not fatal
error MALF_TLP          # fatal
linux_wait 'GUEST waits' 300
linux_ctl sriov 2 03:00.0
linux_says '03:00.1 .* free .* 03:00.0 .*flr' pci-assignable
linux_says '^linux .* 02:00.0 .*:09.0 ' pci-list
for n in 1 2 3; do
	linux_ctl pci-attach linux 03:00.1
	linux_says '^linux .* 03:00.1 .* 4 ' pci-list
	linux_wait "GUEST works $n" 100
	linux_ctl pci-detach linux 03:00.1
	linux_says '03:00.1 .* free ' pci-assignable
	linux_wait "GUEST has lost nvme1n1 $n" 100
done
linux_wait 'GUEST works again' 300
# What the service domain holds, and how many functions are free, when the guest has gone.
held() { # held FILE
	linux_ctl pci-assignable
	grep -cE '^(04:00|01:00|02:00|03:00)\.[01] .* free ' "$work/out" >"$1"
	linux_ctl --json list
	tr '{}' '\n\n' <"$work/out" | grep '"Domain-0"' | grep -oE '"(grants|events)":[0-9]+' >>"$1"
}
linux_ctl destroy linux
held "$work/destroyed"
linux_ctl create next
linux_wait '^@domain next exit 0' 100
held "$work/ended"
linux_stop
wait $native
native=
tr -d '\r' <"$log" >"$work/said"
guest() { expect "$work/said" "^\\[linux\\] GUEST $1"; }
expect "$work/said" 'vt-d0: '
guest "nvme $a"
guest "heard 6 7 6 9 7 and has $half" # detected, resume; detected, slot reset, resume
for word in 'frozen state error detected, reset controller' 'restart after slot reset'; do guest "heals .*nvme nvme[0-9]: $word"; done
[ "$(grep -c 'linux: pci 04:00[.]0: reset after an error' "$work/said")" = 1 ] || linux_fail "not one reset after an error"
for job in 'nvme0n1 randwrite' 'nvme1n1 randwrite' 'nvme1n1 write'; do guest "fio $job status 0 errors 0"; done
guest "net $f"
for way in '' -R; do guest "iperf3$way status 0 .* [1-9][.0-9]* MBytes .*receiver"; done
guest "usb $u"
for driver in nvme e1000e xhci_hcd; do guest "lspci .*Kernel driver in use: $driver"; done
[ "$(grep -c 'GUEST lspci.*MSI-X: Enable+' "$work/said")" = 3 ] || linux_fail "not three functions have MSI-X on"
[ "$(head -c 1048576 "$work/u.img" | sha256sum | cut -d' ' -f1)" = "$(sed -n 's/.*GUEST usb wrote //p' "$work/said")" ] || linux_fail "the USB disk has other bytes"
[ "$(grep -c 'GUEST registers\( 0x00000000\)\{6\}$' "$work/said")" = 3 ] || linux_fail "not three times reset: $(grep 'GUEST registers' "$work/said")"
[ "$(head -n 1 "$work/ended")" = 4 ] && cmp "$work/destroyed" "$work/ended" || linux_fail "not all is back: $(cat "$work/destroyed" "$work/ended")"
sed -n 's/.*GUEST lspci //p' "$work/said" >"$work/lspci.guest"
tr -d '\r' <"$work/native" | sed -n 's/^NATIVE //p' >"$work/lspci.native"
"$here/lspci_diff.py" "$work/lspci.native" "$work/lspci.guest" 04:00.0=00:00.0 01:00.0=00:01.0 02:00.0=00:09.0 || linux_fail "lspci sees something else"
! grep -E 'GUEST (complains|cannot|has no )|GUEST fio .* (status|errors) [1-9]|may not (read|write)|does not come back|has failed' "$work/said" || linux_fail "something was wrong"
echo "a Debian PV guest's own NVMe, e1000e, xHCI with a USB disk, and a virtual function that came and went: bytes as on the host, no fault; the NVMe's driver heals two errors"
