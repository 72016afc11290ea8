#!/bin/sh
# netfront_test: our netfront, in a PV and in a PVH domU of real Xen, with Linux's xen-netback and its bridge.
# Why: our own halves agree with each other in any case; this other half was written by others. Expected: two queues with two
# ports each; frames of 60 bytes to 9 KiB go out and their answers, made by dom0's own stack, come back with every byte; with
# our own stack, and a backend that is not trusted, too; an interface is attached and detached while the guest runs; each seen in our counters and in
# the backend's own (sysfs).
# timeout: 700
. "$(dirname "$0")/lib.sh"
mkdir -p "$work/test"
cp "$BUILD/amphi" "$here/guests.sh" "$work/test/"
cat >"$work/test/run.sh" <<'R'
. /test/guests.sh
end() {
	for d in u1 u2 h1; do sed "s/^/[$d] /" $logs/guest-$d.log; done
	exit $1
}
modprobe -a xen-netback bridge || exit 1
echo 2 >/sys/module/xen_netback/parameters/max_queues
brctl addbr xenbr0
ip link set xenbr0 up
ip addr add 10.7.0.1/24 dev xenbr0
domain() { # domain NAME TYPE VCPUS VIF COMMANDS [IP [UNTRUSTED]]
	cat >/tmp/$1.cfg <<C
name="$1"
type="$2"
kernel="/test/amphi"
cmdline="role=guest ip=${6:-off} do=\"$5\""
vcpus=$3
memory=128
tsc_mode="native"
on_poweroff="destroy"
on_crash="preserve"
vif=["$4"]
C
	xl create -p /tmp/$1.cfg || exit 1
	# libxl knows the word, xl of this version does not.
	[ -z "${7:-}" ] || xenstore-write /local/domain/$(xl domid $1)/device/vif/0/trusted 0
	xl unpause $1
}
look() { # look NAME: at both halves' nodes and the backend's counters
	id=$(xl domid $1)
	xenstore-ls /local/domain/$id/device/vif | sed "s/^/[$1 front] /"
	xenstore-ls /local/domain/0/backend/vif/$id | sed "s/^/[$1 back] /"
	for d in /sys/class/net/vif$id.*; do
		echo "[$1 sysfs] $(basename $d)$(for c in rx_packets rx_bytes tx_packets rx_errors rx_dropped; do echo " $c=$(cat $d/statistics/$c)"; done | tr -d '\n')"
	done
}
ping="netblast eth0"
domain u1 pv 2 "mac=00:16:3e:00:07:02,bridge=xenbr0" \
	"$ping 2000 60 10.7.0.2 10.7.0.1; $ping 500 1514 10.7.0.2 10.7.0.1; $ping 300 257 10.7.0.2 10.7.0.1; netstat; echo plugged; -netblast eth1 2 60 10.7.0.3 10.7.0.1; netblast eth1 200 1000 10.7.0.3 10.7.0.1; netstat"
says u1 '^plugged'
xl network-attach u1 "mac=00:16:3e:00:07:03" "bridge=xenbr0"
says u1 '@blast eth1 size=1000'
look u1
xl network-detach u1 1 && echo "detached eth1"
tell u1 'halt 5'
gone u1
domain u2 pv 1 "mac=00:16:3e:00:07:04,bridge=xenbr0" \
	"ping -i 0 -c 50 -s 56 10.7.0.1; ping -i 0 -c 50 -s 1472 10.7.0.1; ping -i 0 -c 10 -s 20000 10.7.0.1; netstat; halt 6" 10.7.0.4/24 no
says u2 '@exit'
domain h1 pvh 1 "mac=00:16:3e:00:07:05,bridge=xenbr0,mtu=9000" \
	"$ping 500 60 10.7.0.5 10.7.0.1; $ping 300 1514 10.7.0.5 10.7.0.1; $ping 100 9014 10.7.0.5 10.7.0.1; netstat"
says h1 '@stat netfront'
look h1
tell h1 'halt 7'
gone h1
end 0
R
xen_linux "$work/test" >"$work/log"
log=$work/log
! grep MISSED "$log" || { tail -n 60 "$log"; exit 1; }
all() { expect "$log" "^\[$1\] @blast $2 size=$3 sent=$4 answered=$4 wrong=0 refused=0 "; }
all u1 eth0 60 2000
all u1 eth0 1514 500
all u1 eth0 257 300
all u1 eth1 1000 200
[ "$(grep -cE '^\[u2\] @ping 10.7.0.1 sent=([0-9]*) received=\1 twice=0 wrong=0 ' "$log")" = 3 ] || expect "$log" 'u2 with three pings answered'
all h1 eth0 60 500
all h1 eth0 1514 300
all h1 eth0 9014 100
expect "$log" '^\[u1\] .*eth0: domain 0, 2 queues of two ports, mtu 1500, sg csum4 csum6 gso4 gso6'
expect "$log" '^\[u1 front\] *multi-queue-num-queues = "2"'
expect "$log" '^\[u1 front\] *event-channel-rx = '
expect "$log" '^\[u1\] @stat netfront=eth0 copied_out=[1-9].* granted_out=[1-9].* split=1 '
expect "$log" '^\[u2\] @stat netfront=eth0 .* granted_out=0 .* untrusted=1 '
expect "$log" '^\[h1\] .*eth0: .* mtu 9000'
expect "$log" '^\[h1\] @stat netfront=eth0 .* merged_in=[1-9]'
expect "$log" '^detached eth1'
expect "$log" '^\[u1\] @exit 5'
expect "$log" '^\[u2\] @exit 6'
expect "$log" '^\[h1\] @exit 7'
expect "$log" '^TEST-EXIT: 0'
echo "netfront with Linux's netback, PV and PVH: queues, ports, jumbo frames, no trust, hot-plug"
