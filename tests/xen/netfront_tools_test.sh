#!/bin/sh
# netfront_tools_test: our netfront and stack, in a PV and a PVH domU of real Xen, against what Linux's first domain has for looking at a
# network: iperf3, echoes, groups, its netback's counters.
# Why: netfront_test holds frames against each other; here a stack talks to a stack, long enough that a lost wake-up stops it.
# Expected: echoes of every length up to 3000 and of many beyond, byte by byte, and of 8972 bytes uncut where the MTU is 9000; iperf3
# both ways, each side once the server; Linux's filter lets pass the groups that our stack joined (IPv6 finds the guest by one) and
# drops another; a guest whose netback is unbound and bound again, three times, is reached again each time; a guest reboots while it is
# flooded, and is reached again.
# timeout: 800
. "$(dirname "$0")/lib.sh"
"$here/tools.sh" net || { echo "cannot get iperf3"; exit 1; }
mkdir -p "$work/test"
cp -a "$xen_dir/nettools" "$work/test/nettools"
cp "$BUILD/amphi" "$work/test/"
cat >"$work/test/run.sh" <<'R'
logs=/var/log/xen/console
modprobe -a xen-netback bridge || exit 1
echo 2 >/sys/module/xen_netback/parameters/max_queues
brctl addbr xenbr0
echo 0 >/sys/class/net/xenbr0/bridge/multicast_snooping
ip addr add 10.7.0.1/24 dev xenbr0
ip link set xenbr0 up
ip link set lo up
mkdir -p /test/nettools/dev && mount --bind /dev /test/nettools/dev
iperf3() { chroot /test/nettools /bin/iperf3 "$@"; }
netcheck() { /test/nettools/bin/netcheck "$@"; }
step() { echo "STEP $(cut -d' ' -f1 /proc/uptime) $*"; }
end() { for d in u1 h1; do sed "s/^/[$d] /" $logs/guest-$d.log; echo; done; exit $1; }
says() { # says NAME REGEX [TIMES]
	until [ "$(grep -acE "$2" $logs/guest-$1.log 2>/dev/null)" -ge ${3:-1} ] 2>/dev/null; do
		[ "$(cut -d. -f1 /proc/uptime)" -lt 700 ] || { echo "MISSED $1: $2"; end 1; }
		sleep 0.2
	done
}
tell() { echo "$2" >"$(xenstore-read /local/domain/$(xl domid $1)/console/tty)"; }
domain() { # domain NAME TYPE VCPUS IP VIF
	printf '%s\n' "name='$1'" "type='$2'" 'kernel="/test/amphi"' "cmdline='role=guest ip=$4/24'" "vcpus=$3" 'memory=128' \
		'tsc_mode="native"' 'on_poweroff="destroy"' 'on_crash="preserve"' "vif=['$5']" >/tmp/$1.cfg
	xl create /tmp/$1.cfg >/dev/null || { echo "MISSED create $1"; end 1; }
	says $1 '@net eth0'
}
domain u1 pv 2 10.7.0.4 'mac=00:16:3e:00:07:04,bridge=xenbr0'
domain h1 pvh 1 10.7.0.5 'mac=00:16:3e:00:07:05,bridge=xenbr0,mtu=9000'
step pings
netcheck pings 10.7.0.4 0-3000 3001-65507/197 4040-4110 8160-8210 65480-65507 | sed 's/^/u1 /'
netcheck pings 10.7.0.5 0-3000/7 3001-65507/997 | sed 's/^/h1 /'
# The bridge would have the MTU of its narrowest port.
step jumbo
ip link set xenbr0 mtu 9000
sent=$(cat /sys/class/net/xenbr0/statistics/tx_packets)
netcheck pings 10.7.0.5 8800-8972 | sed 's/^/h1 jumbo /'
echo "jumbo frames $(($(cat /sys/class/net/xenbr0/statistics/tx_packets) - sent))"
ip link set xenbr0 mtu 1500
step groups
dropped() { cat /sys/class/net/vif$(xl domid u1).0/statistics/tx_dropped; }
before=$(dropped)
tell h1 "ping -c 5 -i 10 -W 100 239.9.9.9" # netback filters what comes in at the bridge, and not what dom0 itself sends
says h1 '@ping 239.9.9.9 sent=5 received=0'
echo "groups: filtered $(($(dropped) - before))"
for i in $(seq 20); do ping -6 -c 1 -W 1 "fe80::216:3eff:fe00:704%xenbr0" >/tmp/ping 2>&1 && { echo "groups: u1 found by its group"; break; }; done
step iperf
line() { sed -n "s/^\[[^]]*\] *[0-9.]*-[0-9.]* *sec *\(.*\) \(sender\|receiver\).*/iperf3 $1 \2 \1/p" /tmp/iperf; }
measure() { # measure DOMAIN ADDRESS NAME IPERF-WORD...
	d=$1 a=$2 n=$3; shift 3
	tell $d "iperf -s"
	for i in 1 2 3 4 5; do iperf3 -c $a -t 1 -f m "$@" >/tmp/iperf 2>&1 && break; sleep 1; done
	grep -q receiver /tmp/iperf || cat /tmp/iperf
	line $n
}
measure u1 10.7.0.4 u1
measure u1 10.7.0.4 u1-R -R
measure h1 10.7.0.5 h1
measure h1 10.7.0.5 h1-R -R
iperf3 -s >/tmp/server 2>&1 &
tell u1 "iperf -c 10.7.0.1 -t 1"
says u1 '@iperf sent' 
tell u1 "iperf -c 10.7.0.1 -t 1 -R"
says u1 '@iperf received'
step counters
tell u1 "netstat eth0; echo counted"
says u1 '^counted'
step rebind
id=$(xl domid u1)
for i in 1 2 3; do
	for word in unbind bind; do echo vif-$id-0 >/sys/bus/xen-backend/drivers/vif/$word || echo "MISSED $word"; done
	for k in $(seq 600); do [ -e /sys/class/net/vif$id.0 ] && break; sleep 0.1; done
	ip link set vif$id.0 up
	brctl addif xenbr0 vif$id.0
	xenstore-write /local/domain/0/backend/vif/$id/0/hotplug-status connected # the vif script's word
	for k in $(seq 60); do ping -c 1 -W 1 10.7.0.4 >/dev/null 2>&1 && { echo "rebound $i after $k"; break; }; done
done
netcheck pings 10.7.0.4 0-3000/31 | sed 's/^/rebound /'
step reboot
ping -c 100000 -A 10.7.0.5 >/dev/null 2>&1 & flood=$!
xl reboot h1 || echo "MISSED reboot"
says h1 '@net eth0' 2
kill $flood
netcheck pings 10.7.0.5 0-3000/31 | sed 's/^/rebooted /'
step done
xl destroy u1
xl destroy h1
end 0
R
XEN_SECONDS=250
xen_linux "$work/test" -m 1400 >"$work/log"
log=$work/log
! grep -a MISSED "$log" || { tail -n 80 "$log"; exit 1; }
whole() { expect "$log" "^$1 PINGS sent=([0-9]*) answered=\\1 wrong=0 lost=0 "; }
for n in u1 h1 'h1 jumbo' rebound rebooted; do whole "$n"; done
# 173 requests, each in one frame, and what else the bridge says.
[ "$(sed -n 's/^jumbo frames //p' "$log")" -lt 250 ] || expect "$log" 'long frames uncut'
[ "$(grep -ac '^rebound [1-3] after' "$log")" = 3 ] || expect "$log" 'three times rebound'
expect "$log" '^groups: filtered ([5-9]|[1-9][0-9])'
expect "$log" '^groups: u1 found by its group'
for n in u1 u1-R h1 h1-R; do expect "$log" "^iperf3 $n receiver"; done
expect "$log" '^\[u1\] @iperf sent streams=1 bytes=[1-9]'
expect "$log" '^\[u1\] @iperf received streams=1 bytes=[1-9]'
expect "$log" '^\[u1\] @stat netfront=eth0 .* gso_out=[1-9][0-9]* gso_in=[1-9].* multicast=1'
expect "$log" '^TEST-EXIT: 0'
grep -aE '^(iperf3|[^ ]+ PINGS|groups)' "$log"
echo "netfront and our stack with Linux's tools and netback"
