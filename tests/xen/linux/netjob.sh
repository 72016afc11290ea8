# netjob.sh: the words of which the tests of the network make the jobs of their Linux guests (linux_initrd takes it in before a job);
# it runs in the guest, with busybox and the programs of `tools.sh net`, and host:N peer:N in the kernel's line. Everything is
# said with GUEST before it, to a test that reads the console. It does not say what is expected: the tests do.
word() { sed -n "s/.*$1:\([^ ]*\).*/\1/p" /proc/cmdline; }
me=$(word host) net=${net:-10.0.0} peer=${net:-10.0.0}.$(word peer)

net_up() { # an address, a way for groups
	for i in $(seq 100); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
	ifconfig lo 127.0.0.1 up
	ifconfig eth0 $net.$me netmask 255.255.255.0 up || echo "GUEST has no eth0"
	ip route add 224.0.0.0/4 dev eth0
	# Long frames whatever the round trip is: on a busy machine Linux would make them short, to keep its pace.
	echo 44 >/proc/sys/net/ipv4/tcp_min_tso_segs
}

# What a distribution does when a card is plugged in: the same address again.
net_plugged() {
	while sleep 0.5; do
		[ -e /sys/class/net/eth0 ] && ! ifconfig eth0 | grep -q 'inet addr' && ifconfig eth0 $net.$me netmask 255.255.255.0 up
	done 2>/dev/null
}

reach() { until ping -c 1 -W 1 $1 >/dev/null 2>&1; do :; done; }

# A stream on port 5001 with tcpdump beside it: account take 5001, account send ADDRESS 5001 MIB. tcpdump would only notice at its
# next frame that nobody listens to it any more.
account() {
	mkfifo /tmp/frames
	tcpdump -Z root -i eth0 -B 32768 -s 0 -U -w - 'tcp dst port 5001' 2>/tmp/dump >/tmp/frames &
	netaccount "$@" </tmp/frames >/tmp/account
	sed 's/^/GUEST /' /tmp/account
	kill $!
	rm /tmp/frames
	grep -vE 'listening|captured|received|dropped by' /tmp/dump | sed 's/^/GUEST tcpdump: /'
}

# Its second argument is iperf3's server; a server that has not ended its last test yet is asked again.
measure() { # measure NAME ADDRESS IPERF-WORD...
	n=$1 a=$2; shift 2
	for i in 1 2 3 4 5; do
		iperf3 -c $a -t 1 -f m "$@" >/tmp/iperf 2>&1 && break
		sleep 1
	done
	grep -q 'receiver' /tmp/iperf || cat /tmp/iperf
	! grep -i 'out of order' /tmp/iperf || echo "GUEST complains of $n"
	sed -n "s/^\[[^]]*\] *[0-9.]*-[0-9.]* *sec *\(.*\) \(sender\|receiver\).*/GUEST iperf3 $n \2 \1/p" /tmp/iperf
}

# $flood is who does it, until it is killed. Not as much as goes: one that boots beside it needs the processor too.
flood() { # flood ADDRESS [BITS-PER-SECOND]
	iperf3 -c $1 -u -b "${2:-20M}" -l 1400 -t 10000 >/dev/null 2>&1 &
	flood=$!
	sleep 1
}

# Long frames, which are not cut from longer ones.
jumbo() { ip link set eth0 mtu 9000; ethtool -K eth0 tso off gso off; }
not_jumbo() { ip link set eth0 mtu 1500; ethtool -K eth0 tso on gso on; }
frames() { awk '/eth0/ { print $3 + $11 }' /proc/net/dev; }

offloads() {
	ethtool -k eth0 | grep -E '^(rx-checksumming|tx-checksumming|scatter-gather|tcp-segmentation-offload|generic-receive-offload):' |
		sed 's/^/GUEST offload /'
}

complaints() {
	dmesg -r | grep -E '^<[0-4]>' | grep -iE 'xen|vif|eth|net|warn|bug|hung|stall' | sed 's/^/GUEST complains: /'
}
