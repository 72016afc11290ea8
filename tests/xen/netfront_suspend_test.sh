#!/bin/sh
# netfront_suspend_test: a PV and a PVH domU of real Xen with an interface of Linux's xen-netback are saved and restored by xl while
# they send and receive. Why: ports, grants and rings are gone without a word in the new world, and nobody touches the guest. Expected:
# the same interface, connected anew; every echo comes back with every byte before and after; a checkpoint changes nothing.
# timeout: 500
. "$(dirname "$0")/lib.sh"
mkdir -p "$work/test"
cp "$BUILD/amphi" "$work/test/"
cat >"$work/test/run.sh" <<'R'
modprobe -a xen-netback bridge || exit 1
echo 2 >/sys/module/xen_netback/parameters/max_queues
brctl addbr xenbr0
ip link set xenbr0 up
ip addr add 10.7.0.1/24 dev xenbr0
for t in pv pvh; do
	cat >/tmp/$t.cfg <<C
name="$t"
type="$t"
kernel="/test/amphi"
cmdline="role=guest ip=off do=\"repeat 1000 '-netblast eth0 100 60 10.7.0.2 10.7.0.1; -netblast eth0 50 1400 10.7.0.2 10.7.0.1; netstat; sleep 100'\""
vcpus=2
memory=32
tsc_mode="native"
on_poweroff="destroy"
on_crash="preserve"
vif=["mac=00:16:3e:00:07:02,bridge=xenbr0"]
C
done
said() { cat /var/log/xen/console/guest-$1*.log | tr -d '\r'; }
good() { said $1 | grep -c '@blast eth0 size=1400 sent=50 answered=50 wrong=0 '; }
more() { # two more rounds, one of which began after this
	had=$(good $1)
	until_said -n $((had + 2)) -t 400 '@blast eth0 size=1400 sent=50 answered=50 wrong=0 ' /var/log/xen/console/guest-$1*.log && return
	echo "no more of $1"; said $1 | tail -n 20; exit 1
}
for t in pv pvh; do
	xl create /tmp/$t.cfg >/dev/null || exit 1
	more $t
	xl save $t /tmp/$t.save >/tmp/xl.log 2>&1 || { cat /tmp/xl.log; exit 1; }
	xl restore /tmp/$t.save >/tmp/xl.log 2>&1 || { cat /tmp/xl.log; exit 1; }
	more $t
	echo "$t goes on after a restore"
	[ $t = pvh ] || { xl save -c $t /tmp/$t.save >/tmp/xl.log 2>&1 && more $t && echo "$t goes on after a checkpoint"; }
	said $t | sed "s/^/[$t] /"
	xl destroy $t
done
R
xen_linux "$work/test" >"$work/log"
log=$work/log
for t in pv pvh; do
	expect "$log" "^$t goes on after a restore"
	expect "$log" "^\[$t\] @stat netfront=eth0 .* reconnects=1 "
	grep -E "^\[$t\] @blast .* wrong=[1-9]" "$log" && exit 1
done
expect "$log" '^pv goes on after a checkpoint'
expect "$log" '^\[pv\] @suspend cancelled'
expect "$log" '^TEST-EXIT: 0'
echo "interfaces of a PV and a PVH domain go on where they are carried"
