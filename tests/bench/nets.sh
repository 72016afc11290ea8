# nets.sh: what a packet costs from one guest to another: instructions of all domains and the hypervisor together, idle time not
# among them (count_plugin.c), for the same load each way:
#
#   Linux        real Xen 4.17, Linux dom0 (xen-netback and Linux's bridge), two Linux guests            the peer
#   ours         amphi-hv, our service domain, two guests of ours: pages staged, and not
#   mixed, Xen   real Xen, our service domain as first domain, the peer's two Linux guests
#   mixed        the same on amphi-hv
#
# Held to the bars is the pair, our front with our back against Linux's front with Linux's back. In the mixed rows the guests' Linux alone,
# without front, back or hypervisor's part, takes about as much as a bar allows (0.38 of the peer for a packet, 0.45 for TCP):
# they are shown for what they are.
#
# The loads: frames of 60 bytes (64 with what a wire adds) from pktgen in one guest's kernel, or from our netsend, which the other drops
# at its IP layer, being for somebody else; TCP, in writes of 64 KiB, or our iperf for a second; echo requests one at a time.
# Taken in by tests/bench.sh; lib.sh has the words.
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
run_mixed() { # run_mixed NAME HV WORDS
	ar_new
	ar_file /vmlinux "$xen_dir/vmlinux"
	ar_file /initrd "$work/linux.initrd"
	linux_domain b 'nodisk side=b' 'memory = 128' 'vif = ["mac=00:16:3e:00:00:0b"]'
	linux_domain a 'nodisk side=a' 'memory = 128' 'vif = ["mac=00:16:3e:00:00:0a"]'
	ar_pack "$work/archive"
	in_qemu 900 "$work/$1" -m 896 -kernel "$2" -append "$3" \
		-initrd "$BUILD/amphi role=service,$work/archive" -plugin "$work/count.so"
}

# Two guests of ours, with commands for both to begin with. iperf's second is the machine's, so it says how much it has sent.
run_pair() { # run_pair NAME COMMANDS
	ar_new
	ar_file /amphi "$BUILD/amphi"
	for side in a b; do
		case $side in
		a) ip=10.9.0.1 run="ping -i 0 -c 20 10.9.0.2; bench begin; bench end; $(pair_load)" ;;
		*) ip=10.9.0.2 run="iperf -s; sleep 3000; netstat; halt" ;;
		esac
		printf 'name = "%s"\nkernel = "/amphi"\nmemory = 128\nvif = ["mac=00:16:3e:00:00:0%s"]\ncmdline = '"'role=guest ip=%s/24 do=\"%s%s\"'\n" \
			$side $side $ip "$2" "$run" | ar_domain $side
	done
	ar_pack "$work/archive"
	in_qemu 300 "$work/$1" -m 896 -kernel "$BUILD/amphi-hv" -append dom0_mem=300M \
		-initrd "$BUILD/amphi role=service,$work/archive" -plugin "$work/count.so"
}
# In the order of the Linux guests: flood, echoes, TCP. netsend marks itself; the first warms.
pair_load() {
	send="netsend eth0 $frames 60 0x00163e00000b 10.9.0.1 10.9.0.77"
	echo "$send; netstat; hypercalls; $send; netstat; hypercalls; bench begin; ping -i 0 -c $echoes 10.9.0.2; bench end; bench begin; iperf -c 10.9.0.2 -t 1; bench end; sleep 500; netstat; echo A done; halt"
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

# The first pair of marks shows nothing but that they come, and that of netsend warms; then flood, echoes, TCP.
rows() { # rows NAME WARM KIB: makes $work/NAME.KIND.all and .hypercalls, each for a frame, an echo, a KiB
	grep -q 'A done' "$work/$1" || { tail -n 60 "$work/$1"; echo "bench: the loads did not end ($1)"; exit 1; }
	grep 'PKTGEN' "$work/$1" && exit 1
	sed -n 's/^mark=1\([67]\) at=\([0-9]*\) hypercalls=\([0-9]*\)$/\1 \2 \3/p' "$work/$1.err" | awk -v to="$work/$1." \
		-v frames=$frames -v echoes=$echoes -v kib="$3" -v warm="$2" '
		$1 == 6 { at = $2; calls = $3 }
		$1 == 7 && ++n > warm {
			k = n - warm; kind = k == 1 ? "flood" : k == 2 ? "echo" : "tcp"; by = k == 1 ? frames : k == 2 ? echoes : kib
			printf "%d\n", ($2 - at) / by >(to kind ".all"); printf "%.4f\n", ($3 - calls) / by >(to kind ".hypercalls") }'
}
pair_rows() { # pair_rows NAME COMMANDS
	run_pair "$1" "$2"
	rows "$1" 2 "$(awk -v b="$(get "$work/$1" '@iperf sent' bytes)" 'BEGIN { print b / 1024 }')"
}
of() { cat "$work/$1.$kind.$2"; } # of NAME PART

# What the other guest counts, a few of TCP, ping and ARP apart.
arrived() { sed -n 's/.*B got \([0-9]*\) frames.*/\1/p' "$work/$1" | head -n 1; }

# Of guest a, whose first two netstats are around the flood: both ways, with the service domain.
notified() { # notified NAME
	awk -v n=$frames '/^\[a\] @stat net=eth0 queue=/ {
		for (i = 1; i <= NF; i++) if (split($i, w, "=") && w[1] ~ /^notif/) sum[row + 0] += w[2]
		row++ }
		END { printf "%.4f", (sum[1] - sum[0]) / n }' "$work/$1"
}
# Hypercalls about grants in the flood, of all domains, for each packet.
granted() { # granted NAME
	sed -n 's/^mark=1[67] grants=//p' "$work/$1.err" | awk -v n=$frames 'NR == 5 { was = $1 } NR == 6 { printf "%.4f", ($1 - was) / n }'
}
# Of all that a sent, in the whole run; the service domain itself may have sent b a word besides.
lost() { # lost NAME
	awk '/^\[[ab]\] @stat net=eth0 queue=/ { for (i = 1; i <= NF; i++) if (split($i, w, "=") == 2) v[$1 w[1]] = w[2] }
		END { n = v["[a]frames_out"] - v["[b]frames_in"]; print (n > 0 ? n : 0) }' "$work/$1"
}

pair_rows staged ''
pair_rows copied 'sleep 100; net staging eth0 off; sleep 300; '
run_linux
rows linux 1 $tcp_kib
run_mixed xen "$xen_dir/xen" "$xen_words dom0_mem=300M,max:300M"
rows xen 1 $tcp_kib
run_mixed mixed "$BUILD/amphi-hv" dom0_mem=300M
rows mixed 1 $tcp_kib

echo "network between two guests, instructions of all domains and the hypervisor (nets.sh says how it is counted)"
for kind in flood echo tcp; do
	percent=50
	case $kind in
	flood) echo "64-byte packets, for each"; percent=40 ;;
	echo) echo "one ping, there and back" ;;
	*) echo "TCP, for each KiB" ;;
	esac
	bar=$(($(of linux all) * percent / 100))
	figure "  Linux's front, back and bridge, real Xen" "$(of linux all)"
	figure "  ours with ours, amphi-hv, copied by the hypervisor" "$(of copied all)" "$bar"
	[ $kind != flood ] || bar=$(($(of linux all) / 4))
	figure "  ours with ours, amphi-hv, pages staged" "$(of staged all)" "$bar"
	figure "  Linux's front, our back, real Xen" "$(of xen all)"
	figure "  Linux's front, our back, amphi-hv" "$(of mixed all)"
	figure "  hypercalls: Linux with Linux, real Xen" "$(of linux hypercalls)"
	load=$([ $kind != flood ] || echo 0.03125)
	figure "  hypercalls: ours with ours, copied" "$(of copied hypercalls)" $load
	figure "  hypercalls: ours with ours, staged" "$(of staged hypercalls)" $load
	figure "  hypercalls: Linux's front, our back, amphi-hv" "$(of mixed hypercalls)"
	[ $kind = flood ] || continue
	figure "  of these, about grants: ours with ours, staged" "$(granted staged)" 0
	figure "  notifications of the sender, both ways, copied" "$(notified copied)" 0.03125
	figure "  notifications of the sender, both ways, staged" "$(notified staged)" 0.03125
	figure "  of 40000 packets arrived: Linux's" "$(arrived linux)"
	figure "  of 40000 packets arrived: mixed, amphi-hv" "$(arrived mixed)"
	figure "  did not arrive, ours with ours, staged" "$(lost staged)" 0
	figure "  did not arrive, ours with ours, copied" "$(lost copied)" 0
done
