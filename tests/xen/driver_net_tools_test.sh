#!/bin/sh
# driver_net_tools_test: the programs by which people judge a network, between a PV and a PVH Linux and a guest of ours, all behind a
# network driver domain of ours on real Xen: iperf3, ethtool, tcpdump, echoes, groups.
# Why: driver_net_test shows that packets pass; this shows that Linux uses what the interface offers, and that nothing is lost or
# made up, not even when the driver domain is. Expected: offloads are on, and large and unsummed frames are counted at our back; echoes of every length
# about what a head and a frame hold, and of many between and beyond, byte by byte; iperf3 TCP and UDP both ways, none out of order, and against our own iperf; a group is joined
# and heard; a stream's bytes are the same at its ends and in tcpdump at both; frames of 9014 bytes both ways; a guest
# of ours (REBOOTS=l2: Linux) reboots while it is flooded, and is reached again; the driver domain is destroyed and made anew, xl gives a Linux and a guest of
# ours an interface of the new one's, and they reach each other without a word to them. ACCOUNT_MIB, PINGS and REBOOTS are for `make soak`, which has more of them.
# timeout: 600
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
"$here/tools.sh" net || { echo "cannot get iperf3"; exit 1; }
reboots=${REBOOTS:-a1} mib=${ACCOUNT_MIB:-4} pings=${PINGS:-0-130 131-1400/7 1401-1560 1561-65507/997 4080-4110 8180-8200 65500-65507}

mkdir -p "$work/test"
linux_more=xen-netfront linux_overlay=$xen_dir/nettools
{
	cat "$here/linux/netjob.sh"
	echo "mib=$mib pings='$pings' reboots=$reboots"
	cat <<'R'
net_up
net_plugged &
if [ "$me" = 2 ]; then
	iperf3 -s >/tmp/iperf 2>&1 &
	(netcheck hear 239.1.2.3 5000 | sed 's/^/GUEST /'; netcheck hear 239.1.2.4 5000; jumbo) &
	(account take 5001; account take 5001) &
	echo "GUEST up"
	sleep 10000
fi
ours=10.0.0.3
reach $peer
offloads
ethtool -X eth0 equal 2 2>&1 | sed 's/^/GUEST hash setting: /'
(for i in $(seq 40); do netcheck say 239.1.2.3 5000 hello; sleep 0.5; done) & # the other may still be on its way into the group
echo "GUEST pings at $(cut -d' ' -f1 /proc/uptime)"
netcheck pings $peer $pings | sed 's/^/GUEST /'
netcheck pings $ours 0-2000/9 2001-65507/1999 | sed 's/^/GUEST ours /'
echo "GUEST iperf at $(cut -d' ' -f1 /proc/uptime)"
for k in tcp tcp-R udp udp-R; do
	case $k in
	tcp*) measure $k $peer ${k#tcp}; measure ours-$k $ours ${k#tcp} ;;
	udp*) measure $k $peer -u -b 5M -l 1400 ${k#udp} ;;
	esac
done
echo "GUEST accounts at $(cut -d' ' -f1 /proc/uptime)"
account send $peer 5001 $mib
echo "GUEST jumbo at $(cut -d' ' -f1 /proc/uptime)"
netcheck say 239.1.2.4 5000 jumbo
jumbo
sleep 1
before=$(frames)
netcheck pings $peer 8900-8972 | sed 's/^/GUEST jumbo /'
echo "GUEST jumbo frames $(($(frames) - before))"
account send $peer 5001 2
not_jumbo
echo "GUEST measured at $(cut -d' ' -f1 /proc/uptime)"
case $reboots in a1) victim=$ours ;; *) victim=$peer ;; esac
flood $victim 4M
echo "GUEST floods at $(cut -d' ' -f1 /proc/uptime)"
read -r word </dev/hvc0
kill $flood
reach $victim
measure again $victim
complaints
echo "GUEST done at $(cut -d' ' -f1 /proc/uptime)"
while [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
echo "GUEST has lost its interface"
reach $ours
netcheck pings $ours 0-3000/31 | sed 's/^/GUEST back /'
echo "GUEST is back"
sleep 10000
R
} | linux_initrd "$work/initrd"
cp "$work/initrd" "$xen_dir/vmlinux" "$BUILD/amphi" "$work/test/"
XEN_SECONDS=${XEN_SECONDS:-190}
echo "reboots=$reboots limit=$((XEN_SECONDS * 3 - 40))" >"$work/test/run.sh" # the machine has three times, when it is busy
cat >>"$work/test/run.sh" <<'R'
logs=/var/log/xen/console
common='tsc_mode="native"
on_poweroff="destroy"
on_crash="preserve"'
step() { echo "STEP $(cut -d' ' -f1 /proc/uptime) $*"; }
says() { # says NAME REGEX [TIMES]: waits until its console has a line
	step "$1 $2"
	until [ "$(grep -acE "$2" $logs/guest-$1.log 2>/dev/null)" -ge ${3:-1} ] 2>/dev/null; do
		[ "$(cut -d. -f1 /proc/uptime)" -lt $limit ] || { echo "MISSED $1: $2"; end 1; }
		sleep 0.2
	done
}
tell() { echo "$2" >"$(xenstore-read /local/domain/$(xl domid $1)/console/tty)"; }
end() {
	for d in bnet a1 l1 l2; do sed "s/^/[$d] /" $logs/guest-$d.log; echo; done
	exit $1
}
guest() { # guest NAME TYPE VCPUS HOST PEER VIF
	printf '%s\n' "name='$1'" "type='$2'" 'kernel="/test/vmlinux"' 'ramdisk="/test/initrd"' 'memory=240' "vcpus=$3" "$common" \
		"cmdline='console=hvc0 loglevel=4 tsc=reliable nodisk host:$4 peer:$5'" "vif=['$6']" >/tmp/$1.cfg
	xl create /tmp/$1.cfg >/dev/null 2>/tmp/err || { cat /tmp/err; echo "MISSED create $1"; end 1; }
}
ours() { # ours NAME COMMANDS LINE...
	printf '%s\n' "name='$1'" "type='pvh'" 'kernel="/test/amphi"' 'memory=48' 'shadow_memory=4' "$common" "cmdline='$2'" >/tmp/$1.cfg
	[ -z "$3" ] || echo "$3" >>/tmp/$1.cfg
	xl create /tmp/$1.cfg >/dev/null 2>/tmp/err || { cat /tmp/err; echo "MISSED create $1"; end 1; }
}
ours bnet 'do="serve; echo serving"' ''
says bnet '^serving'
guest l1 pv 2 1 2 'mac=00:16:3e:00:00:01,bridge=xenbr0,backend=bnet,mtu=9000'
guest l2 pvh 1 2 1 'mac=00:16:3e:00:00:02,bridge=xenbr0,backend=bnet,mtu=9000'
ours a1 'role=guest ip=10.0.0.3/24 do="repeat 20 iperf -s"' "vif=['mac=00:16:3e:00:00:03,bridge=xenbr0,backend=bnet']"
says l1 '^GUEST measured'
tell bnet "netstat; echo counted"
says bnet '^counted'
says l1 '^GUEST floods'
xl reboot $reboots || echo "MISSED reboot"
case $reboots in
a1) says a1 '^@net eth0' 2 ;;
*) says l2 '^GUEST up' 2 ;;
esac
tell l1 enough
says l1 '^GUEST done'
step away
xl destroy bnet
# xl waits ten seconds for the backend that is no more.
for d in l1 a1; do xl network-detach $d 0 >/tmp/$d.xl 2>&1 & waits="$waits $!"; done
ours bnet 'do="serve; echo serving"' ''
says bnet '^serving' 2
wait $waits
step detached
renew() { # renew NAME LAST-OF-ADDRESS
	xl network-attach $1 mac=00:16:3e:00:00:0$2 bridge=xenbr0 backend=bnet >>/tmp/$1.xl 2>&1 || { echo "MISSED $1"; cat /tmp/$1.xl; }
}
waits=
for d in l1:1 a1:3; do renew ${d%:*} ${d#*:} & waits="$waits $!"; done
wait $waits
step attached
says l1 "^GUEST is back"
waits=
for d in l1 l2 a1; do xl destroy $d & waits="$waits $!"; done
wait $waits
step destroyed
for i in $(seq 60); do # the driver domain lets go when it has its turn
	tell bnet mem
	sleep 1
	grep -aq 'granted to others 0 pages, of others 0 pages' $logs/guest-bnet.log && break
done
tell bnet "halt 3"
says bnet '@exit 3'
end 0
R
xen_linux "$work/test" -m 1700 >"$work/log"
log=$work/log
! grep -a MISSED "$log" || { tail -n 80 "$log"; exit 1; }
! grep -aE 'GUEST (complains|lost|has no|tcpdump)' "$log" || exit 1
expect "$log" '^TEST-EXIT: 0'
l1() { expect "$log" "^\\[l1\\] GUEST $1"; }
for o in tx-checksumming scatter-gather tcp-segmentation-offload; do l1 "offload $o: on"; done
back() { expect "$log" "^\\[bnet\\] @stat netback=vif$1.0 .* blank_in=[1-9][0-9]* gso_in=[1-9][0-9]* blank_out=[1-9][0-9]* gso_out=[1-9]"; }
back 2
back 3
# xen-netfront has no way to set it, and never asks a backend to filter groups.
l1 'hash setting: .*not supported'
expect "$log" '^\[l2\] GUEST GROUP 239.1.2.3 heard hello'
for n in PINGS 'ours PINGS' 'jumbo PINGS' 'back PINGS'; do l1 "$n sent=([0-9]*) answered=\\1 wrong=0 lost=0 "; done
for n in tcp tcp-R udp udp-R ours-tcp ours-tcp-R again; do l1 "iperf3 $n receiver *[0-9.]* .*[1-9].*Bytes"; done
# Each request and each answer is one frame.
[ "$(sed -n 's/^\[l1\] GUEST jumbo frames //p' "$log")" -lt 200 ] || expect "$log" 'long frames uncut'
accounts() { # accounts BYTES: what the ends and tcpdump say of it are four equal sums
	[ "$(grep -aoE "ACCOUNT (sent|took) $1 bytes sum [0-9a-f]*, tcpdump $1 bytes sum [0-9a-f]*" "$log" | grep -oE 'sum [0-9a-f]*' | sort | uniq -c | awk '{ print $1 }')" = 4 ] ||
		expect "$log" "four equal sums of $1 bytes"
}
accounts $((mib << 20))
accounts 2097152
l1 'ACCOUNT sent 2097152 .* longest 8948,'
expect "$log" '^\[bnet\] .*granted to others 0 pages, of others 0 pages'
grep -aE 'GUEST (.*PINGS|iperf3|ACCOUNT|GROUP)' "$log"
echo "Linux's tools behind our driver domain: nothing lost, nothing made up"
