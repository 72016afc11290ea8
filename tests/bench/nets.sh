# nets.sh: what a packet costs from one guest to another: instructions of all domains and the hypervisor together, idle time not
# among them (count_plugin.c), for the same load in the same two Linux guests:
#
#   Linux        real Xen 4.17, Linux dom0: xen-netback and Linux's bridge     the peer
#   ours, Xen    real Xen, our service domain as first domain
#   ours         amphi-hv, our service domain
#
# The loads: frames of 60 bytes (64 with what a wire adds) from pktgen in one guest's kernel, which the other drops at its IP layer, being
# for somebody else; TCP, in writes of 64 KiB; echo requests one at a time. The guests' own work is in
# all rows. Taken in by tests/bench.sh; lib.sh has the words.
here=tests/xen xen_dir=$BUILD/xen
. tests/xen/linux.sh
"${CC:-gcc}" -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_plugin.c
"${CC:-gcc}" -O2 -Wall -Wextra -Werror -static -o "$work/netload" tests/bench/linux/netload.c
frames=20000 tcp_kib=32768 echoes=500

linux_programs=$work/netload
linux_more="xen-netfront pktgen"
linux_initrd "$work/linux.initrd" <<R
side=\$(sed 's/.*side=\([ab]\).*/\1/' /proc/cmdline)
for i in \$(seq 100); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
ifconfig lo up
if [ \$side = b ]; then
	ifconfig eth0 10.9.0.2 netmask 255.255.255.0 up
	echo "B ready"
	netload sink 5001
	echo "B got \$(awk '/eth0/ { print \$3 }' /proc/net/dev) frames"
	poweroff -f
fi
ifconfig eth0 10.9.0.1 netmask 255.255.255.0 up
until ping -c 1 -W 1 10.9.0.2 >/dev/null 2>&1; do :; done
pg() { echo "\$2" >/proc/net/pktgen/\$1 || echo "PKTGEN does not know \$2"; }
pg kpktgend_0 rem_device_all
pg kpktgend_0 "add_device eth0"
for word in "count $frames" "pkt_size 60" "delay 0" "dst 10.9.0.77" "dst_mac 00:16:3e:00:00:0b"; do pg eth0 "\$word"; done
netload mark
for turn in warm real; do
	[ \$turn = warm ] || netload begin
	pg pgctrl start
	[ \$turn = warm ] || netload end
done
grep -E 'errors' /proc/net/pktgen/eth0
ping -c 20 -A 10.9.0.2 >/dev/null
netload begin
ping -c $echoes -A 10.9.0.2 >/dev/null
netload end
netload send 10.9.0.2 5001 $tcp_kib
echo "A done"
sleep 1
poweroff -f
R

xen_words="console=com1 com1=115200 spec-ctrl=eager-fpu"
run_ours() { # run_ours NAME HV WORDS
	ar_new
	ar_file /vmlinux "$xen_dir/vmlinux"
	ar_file /initrd "$work/linux.initrd"
	linux_domain b 'nodisk side=b' 'memory = 128' 'vif = ["mac=00:16:3e:00:00:0b"]'
	linux_domain a 'nodisk side=a' 'memory = 128' 'vif = ["mac=00:16:3e:00:00:0a"]'
	ar_pack "$work/archive"
	in_qemu 900 "$work/$1" -m 896 -kernel "$2" -append "$3" \
		-initrd "$BUILD/amphi role=service,$work/archive" -plugin "$work/count.so"
}

run_linux() {
	mkdir -p "$work/dom0/test"
	cp "$xen_dir/vmlinux" "$work/linux.initrd" "$work/dom0/test/"
	cat >"$work/dom0/test/run.sh" <<-'R'
	modprobe -a xen-netback bridge || exit 1
	brctl addbr xenbr0
	ip link set xenbr0 up
	for d in b a; do
		cat >/test/$d.cfg <<-C
		name="$d"
		kernel="/test/vmlinux"
		ramdisk="/test/linux.initrd"
		cmdline="console=hvc0 loglevel=5 tsc=reliable nodisk side=$d"
		memory=128
		tsc_mode="native"
		on_poweroff="destroy"
		vif=["mac=00:16:3e:00:00:0$d,bridge=xenbr0"]
		C
		xl create /test/$d.cfg || exit 1
	done
	while xl domid a >/dev/null 2>&1 || xl domid b >/dev/null 2>&1; do sleep 1; done
	for d in a b; do sed "s/^/[$d] /" /var/log/xen/console/guest-$d.log; done
	R
	(cd "$work/dom0" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$work/test.cpio"
	cat "$xen_dir/dom0.cpio" "$work/test.cpio" >"$work/dom0.initrd"
	in_qemu 1200 "$work/linux" -m 1152 -kernel "$xen_dir/xen" -append "$xen_words dom0_mem=640M,max:640M" \
		-initrd "$xen_dir/vmlinux console=hvc0 quiet panic=1,$work/dom0.initrd" -plugin "$work/count.so"
}

# The first pair is one program's, and shows nothing but that marks come; then flood, echoes, TCP.
rows() { # rows NAME: makes $work/NAME.KIND.all and .hypercalls, each for a frame, an echo, a KiB
	grep -q 'A done' "$work/$1" || { tail -n 60 "$work/$1"; echo "bench: the loads did not end ($1)"; exit 1; }
	grep 'PKTGEN' "$work/$1" && exit 1
	sed -n 's/^mark=1\([67]\) at=\([0-9]*\) hypercalls=\([0-9]*\)$/\1 \2 \3/p' "$work/$1.err" | awk -v to="$work/$1." \
		-v frames=$frames -v echoes=$echoes -v kib=$tcp_kib '
		$1 == 6 { at = $2; calls = $3 }
		$1 == 7 && ++n > 1 {
			kind = n == 2 ? "flood" : n == 3 ? "echo" : "tcp"; by = n == 2 ? frames : n == 3 ? echoes : kib
			printf "%d\n", ($2 - at) / by >(to kind ".all"); printf "%.3f\n", ($3 - calls) / by >(to kind ".hypercalls") }'
}
of() { cat "$work/$1.$kind.$2"; } # of NAME PART

# What the other guest counts, a few of TCP, ping and ARP apart.
arrived() { sed -n 's/.*B got \([0-9]*\) frames.*/\1/p' "$work/$1" | head -n 1; }

run_linux
rows linux
run_ours xen "$xen_dir/xen" "$xen_words dom0_mem=300M,max:300M"
rows xen
run_ours ours "$BUILD/amphi-hv" dom0_mem=300M
rows ours

echo "network between two Linux guests, instructions of all domains and the hypervisor (nets.sh says how it is counted)"
for kind in flood echo tcp; do
	case $kind in
	flood) echo "64-byte packets, for each"; percent=40 ;;
	echo) echo "one ping, there and back"; percent=50 ;;
	*) echo "TCP, for each KiB"; percent=50 ;;
	esac
	figure "  Linux's backend and bridge, real Xen" "$(of linux all)"
	figure "  ours, real Xen" "$(of xen all)"
	figure "  ours, amphi-hv" "$(of ours all)" "$(($(of linux all) * percent / 100))" open
	[ $kind != flood ] || figure "  of 40000 packets arrived: Linux's" "$(arrived linux)"
	[ $kind != flood ] || figure "  of 40000 packets arrived: ours, amphi-hv" "$(arrived ours)"
	figure "  hypercalls: Linux's, real Xen" "$(of linux hypercalls)"
	figure "  hypercalls: ours, amphi-hv" "$(of ours hypercalls)"
done
