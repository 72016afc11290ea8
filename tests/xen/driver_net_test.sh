#!/bin/sh
# driver_net_test: a driver domain of ours on real Xen carries the packets of a PV and a PVH domain of Linux, by Debian's xl
# (`backend=` in vif).
# Why: Linux's netfront and xl are the measure of netback. Expected: every size of ping from 0 to 65507 goes and comes, TCP carries
# 8 MiB both ways at the same time, byte by byte, as large frames and not cut; both of Linux's queues are used, and a guest
# whose address is given may not send from another; an interface attached while the guest runs is there, and gone when it is detached; a
# guest is destroyed while it is flooded; at the end the driver domain holds no page of anybody.
# timeout: 700
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"

mkdir -p "$work/test"
linux_more=xen-netfront
linux_initrd "$work/initrd" <<'R'
word() { sed -n "s/.*$1:\([^ ]*\).*/\1/p" /proc/cmdline; }
me=$(word host) peer=10.0.0.$(word peer)
for i in $(seq 400); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.0.$me netmask 255.255.255.0 up || echo "GUEST has no eth0"
head -c 8388608 /dev/urandom >/tmp/data
echo "GUEST sends $(sha256sum </tmp/data | cut -d' ' -f1)."
# A connection each way: nc does not read while it cannot write, and two that do both wait for each other. From fd 5 nothing comes, and no end.
mkfifo /tmp/never
exec 5<>/tmp/never
if [ "$me" = 1 ]; then
	until ping -c 1 -W 1 $peer >/dev/null 2>&1; do :; done
	for s in 0 1 17 18 19 56 214 215 1000 1472 1473 2000 4054 4096 8000 9000 20000 65507; do
		{ ping -c 1 -W 10 -s $s $peer || ping -c 2 -W 10 -s $s $peer; } >/dev/null 2>&1 && echo "GUEST ping $s" || echo "GUEST lost ping of $s"
	done
	until nc $peer 5002 <&5 >/tmp/got && [ -s /tmp/got ]; do sleep 0.2; done &
	until nc $peer 5001 </tmp/data >/dev/null; do sleep 0.2; done
else
	until nc -l -p 5002 </tmp/data >/dev/null; do :; done &
	until [ -s /tmp/got ]; do nc -l -p 5001 <&5 >/tmp/got; done
fi
wait
echo "GUEST got $(sha256sum </tmp/got | cut -d' ' -f1)."
echo "GUEST queues $(ls -d /sys/class/net/eth0/queues/tx-* | wc -l)"
echo "GUEST counted $(grep eth0 /proc/net/dev)"
if [ "$me" = 1 ]; then
	ifconfig eth0:1 10.0.0.77 netmask 255.255.255.0 up
	ping -I 10.0.0.77 -c 2 -W 1 $peer >/dev/null 2>&1 && echo "GUEST may send from another address" || echo "GUEST may not"
	ifconfig eth0:1 down
	for i in $(seq 1200); do [ -e /sys/class/net/eth1 ] && break; sleep 0.5; done
	ifconfig eth1 10.0.1.1 netmask 255.255.255.0 up && echo "GUEST has eth1"
	while [ -e /sys/class/net/eth1 ]; do sleep 0.5; done
	echo "GUEST detached"
	while :; do ping -c 20 -s 1400 -A $peer >/dev/null 2>&1; nc -u -w 1 $peer 9 </tmp/data >/dev/null 2>&1; echo "GUEST floods"; done
fi
while [ ! -e /tmp/enough ]; do read -r word </dev/hvc0; touch /tmp/enough; done
dmesg -r | grep -E '^<[0-4]>' | grep -iE 'xen|vif|eth|net|warn|bug|hung|stall' | sed 's/^/GUEST complains: /'
poweroff -f
R
cp "$work/initrd" "$xen_dir/vmlinux" "$BUILD/amphi" "$here/guests.sh" "$work/test/"
cat >"$work/test/run.sh" <<'R'
. /test/guests.sh
common='tsc_mode="native"
on_poweroff="destroy"
on_crash="preserve"'
end() {
	for d in bnet l1 l2; do sed "s/^/[$d] /" $logs/guest-$d.log; echo; done
	exit $1
}
guest() { # guest NAME TYPE VCPUS HOST PEER VIF
	printf '%s\n' "name='$1'" "type='$2'" 'kernel="/test/vmlinux"' 'ramdisk="/test/initrd"' 'memory=200' "vcpus=$3" "$common" \
		"cmdline='console=hvc0 loglevel=4 tsc=reliable nodisk host:$4 peer:$5'" "vif=['$6']" >/tmp/$1.cfg
	xl create /tmp/$1.cfg >/dev/null 2>/tmp/err || { cat /tmp/err; echo "MISSED create $1"; end 1; }
}
printf '%s\n' "name='bnet'" "type='pvh'" 'kernel="/test/amphi"' 'memory=48' 'shadow_memory=4' "$common" \
	'cmdline="do=\"serve; echo serving\""' >/tmp/bnet.cfg
xl create /tmp/bnet.cfg >/dev/null 2>&1 || { echo "MISSED create bnet"; end 1; }
says bnet '^serving'
guest l1 pv 2 1 2 'mac=00:16:3e:00:00:01,bridge=xenbr0,backend=bnet,ip=10.0.0.1'
guest l2 pvh 1 2 1 'mac=00:16:3e:00:00:02,bridge=xenbr0,backend=bnet'
for d in l1 l2; do says $d '^GUEST counted'; done
says l1 '^GUEST may'
xl network-attach l1 mac=00:16:3e:00:00:03 bridge=xenbr1 backend=bnet || echo "MISSED attach"
says l1 '^GUEST has eth1'
home=/local/domain/$(xl domid bnet)/backend/vif
xenstore-ls -f $home | sed -n "s,^$home/\([0-9]*/[0-9]*\)/,BACK \1 ,p" | grep -E ' (feature|multi|state|carrier|hotplug)'
step detach
xl network-detach l1 1 || xl network-detach l1 1 || echo "MISSED detach"
says l1 '^GUEST floods'
tell bnet "netstat; echo counted"
says bnet '^counted'
xl destroy l2
sleep 1 # and it is flooded still
xl destroy l1
let_go bnet
tell bnet "halt 3"
says bnet '@exit 3'
end 0
R
XEN_SECONDS=220
xen_linux "$work/test" -m 1500 >"$work/log"

! grep MISSED "$work/log" || { tail -n 80 "$work/log"; exit 1; }
expect "$work/log" '^TEST-EXIT: 0'
! grep -E 'GUEST (complains|lost|has no|may send)' "$work/log" || exit 1
expect "$work/log" '^\[l1\] GUEST ping 65507'
expect "$work/log" '^\[l1\] GUEST may not'
expect "$work/log" '^\[l1\] GUEST detached'
expect "$work/log" '^\[l1\] GUEST queues 2'
expect "$work/log" "^\\[l2\\] GUEST got $(sed -n 's/^\[l1\] GUEST sends \([0-9a-f]*\).*/\1/p' "$work/log")"
expect "$work/log" "^\\[l1\\] GUEST got $(sed -n 's/^\[l2\] GUEST sends \([0-9a-f]*\).*/\1/p' "$work/log")"
expect "$work/log" '^\[bnet\] .*granted to others 0 pages, of others 0 pages'
expect "$work/log" '^\[bnet\] @exit 3'
sed -n 's/^\[bnet\] @stat net=/counted: /p' "$work/log"
echo "a driver domain on real Xen carried the packets of a PV and a PVH Linux"
