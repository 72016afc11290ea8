# netwire.sh: what TCP costs from a guest to a wire: instructions of all domains and the hypervisor for each KiB, idle time not among
# them (count_plugin.c). The wire is a virtio card of QEMU's on a tap of this machine, which takes frames of 64 KiB and
# sums as they are, in a network namespace of the bench's own; what QEMU and this machine do for them is not counted. At its other end a program takes what comes.
#
#   Linux        real Xen 4.17, Linux dom0: xen-netback, Linux's bridge and virtio-net, Linux guest     the peer
#   ours, Linux  amphi-hv, our service domain, the same Linux guest
#   ours         the same, our own guest: lwIP, no programs and no system calls
#
# "whole" is everything from the program's write to the card. "Beside the guest" is that without what the Linux guest's own kernel and
# program take, which whoever serves it cannot change: it is told by its addresses, where the other kernels are ours, and taken off both.
# A guest of ours does less for itself, so its row is held to the whole.
#
# Idle domains let real time pass here (sleep=on), or they would think that answers are late; so figures differ a little from run to run,
# by when acknowledgements come. The last row is near its bar, met on one machine and missed on the next (633 of 597): it is shown, and fails no run.
# Taken in by tests/bench.sh; lib.sh has the words.
unshare -rn true 2>/dev/null || { echo "bench: no network namespaces here: nothing of a wire"; return 0; }
here=tests/xen xen_dir=$BUILD/xen
. tests/xen/linux.sh
"${CC:-gcc}" -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_plugin.c
"${CC:-gcc}" -O2 -Wall -Wextra -Werror -static -o "$work/netload" tests/bench/linux/netload.c
kib=65536

cat >"$work/wire" <<R
#!/bin/sh
exec unshare -rn sh -c '
	ip link set lo up
	ip tuntap add mode tap vnet_hdr name t0
	ip addr add 10.9.0.254/24 dev t0
	ip link set t0 up
	"$work/netload" sink 5001 >"$work/sunk" 2>&1 &
	others=\$!
	iperf3 -s >"$work/iperf" 2>&1 &
	others="\$others \$!"
	"\$@" &
	trap "kill \$! 2>/dev/null" TERM
	wait \$!
	kill \$others 2>/dev/null' wire "\$@"
R
chmod +x "$work/wire"
card="-netdev tap,id=wire,ifname=t0,script=no,downscript=no -device virtio-net-pci,netdev=wire,disable-legacy=on,mac=52:54:00:00:00:01"

linux_programs=$work/netload
linux_more=xen-netfront
linux_initrd "$work/linux.initrd" <<R
for i in \$(seq 100); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
ifconfig lo up
ifconfig eth0 10.9.0.1 netmask 255.255.255.0 up
until ping -c 1 -W 1 10.9.0.254 >/dev/null 2>&1; do :; done
netload send 10.9.0.254 5001 $kib
echo "SENT \$(awk '/eth0/ { print \$10, "bytes in", \$11, "frames" }' /proc/net/dev)"
sleep 1
poweroff -f
R

run_ours() { # run_ours NAME linux|amphi
	ar_new
	if [ "$2" = linux ]; then
		ar_file /vmlinux "$xen_dir/vmlinux"
		ar_file /initrd "$work/linux.initrd"
		linux_domain a nodisk 'memory = 128' 'vif = ["mac=00:16:3e:00:00:0a"]'
	else
		ar_file /amphi "$BUILD/amphi"
		ar_domain a <<-R
		name = "a"
		kernel = "/amphi"
		memory = 128
		vif = ["mac=00:16:3e:00:00:0a"]
		cmdline = 'role=guest ip=10.9.0.1/24 do="ping -c 1 10.9.0.254; iperf -c 10.9.0.254 -t 1; sleep 5000; bench begin; iperf -c 10.9.0.254 -t 1; bench end; halt"'
		R
	fi
	ar_pack "$work/archive"
	# shellcheck disable=SC2086
	in_qemu 600 "$work/$1" -m 640 -kernel "$BUILD/amphi-hv" -append dom0_mem=300M \
		-initrd "$BUILD/amphi role=service ip=off,$work/archive" -plugin "$work/count.so,where=$work/$1.where" $card
}

run_linux() {
	mkdir -p "$work/dom0/test"
	# shellcheck disable=SC2046
	cp $(linux_module_files virtio_pci virtio_net | sed "s,^,$linux_modules/,") "$xen_dir/vmlinux" "$work/linux.initrd" "$work/dom0/test/"
	linux_module_files virtio_pci virtio_net | sed 's,.*/,insmod /test/,; s,$, 2>/dev/null,' >"$work/dom0/test/run.sh"
	cat >>"$work/dom0/test/run.sh" <<-'R'
	modprobe -a xen-netback bridge || exit 1
	brctl addbr xenbr0
	for i in $(seq 100); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
	brctl addif xenbr0 eth0 || exit 1
	ip link set eth0 up
	ip link set xenbr0 up
	cat >/test/a.cfg <<-C
	name="a"
	kernel="/test/vmlinux"
	ramdisk="/test/linux.initrd"
	cmdline="console=hvc0 loglevel=5 tsc=reliable nodisk"
	memory=128
	tsc_mode="native"
	on_poweroff="destroy"
	vif=["mac=00:16:3e:00:00:0a,bridge=xenbr0"]
	C
	xl create /test/a.cfg || exit 1
	while xl domid a >/dev/null 2>&1; do sleep 1; done
	cat /var/log/xen/console/guest-a.log
	awk '/eth0/ { print "WIRE", $10, "bytes in", $11, "frames" }' /proc/net/dev
	R
	(cd "$work/dom0" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$work/test.cpio"
	cat "$xen_dir/dom0.cpio" "$work/test.cpio" >"$work/dom0.initrd"
	# shellcheck disable=SC2086
	in_qemu 900 "$work/linux" -m 1024 -kernel "$xen_dir/xen" -append "console=com1 com1=115200 spec-ctrl=eager-fpu dom0_mem=640M,max:640M" \
		-initrd "$xen_dir/vmlinux console=hvc0 quiet panic=1,$work/dom0.initrd" -plugin "$work/count.so" $card
}

span() { # span NAME: the last one between marks
	sed -n 's/^mark=1\([67]\) at=\([0-9]*\) .*/\1 \2/p' "$work/$1.err" | awk '$1 == 6 { at = $2 } $1 == 7 { n = $2 - at } END { print n }'
}
per_kib() { # per_kib NAME KIB
	[ "$(span "$1")" ] && [ "${2:-0}" -gt 0 ] || { tail -n 60 "$work/$1" "$work/sunk" "$work/iperf"; echo "bench: the stream did not end ($1)"; exit 1; }
	echo $(($(span "$1") / $2))
}

within=$work/wire icount=shift=0,sleep=on
run_linux
run_ours ours linux
run_ours own amphi
within= icount=shift=0,sleep=off
linux=$(per_kib linux $kib)
ours=$(per_kib ours $kib)
sent=$(sed -n 's/.*@iperf sent .* bytes=\([0-9]*\) .*/\1/p' "$work/own" | tail -n 1)
# Linux's text and modules, and programs, of which only the guest has any; our two kernels are below.
guest=$(awk -v kib=$kib 'length($1) < 16 || $1 >= "ffffffff81000000" { n += $2 } END { printf "%d", n / kib }' "$work/ours.where.1")
echo "TCP from a guest to a wire, instructions of all domains and the hypervisor for each KiB (netwire.sh says how it is counted)"
figure "  Linux guest, Linux's backend, bridge and driver, real Xen: whole" "$linux"
figure "  our guest, ours behind it, amphi-hv: whole" "$(per_kib own $((${sent:-0} / 1024)))" $((linux / 2))
figure "  Linux guest, ours behind it, amphi-hv: whole" "$ours" $((linux / 2)) open
figure "    of it the guest's own" "$guest"
figure "  Linux guest, Linux's backend, bridge and driver: beside the guest" $((linux - guest))
figure "  Linux guest, ours behind it: beside the guest" $((ours - guest)) $(((linux - guest) / 2)) open
