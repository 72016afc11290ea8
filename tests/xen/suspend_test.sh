#!/bin/sh
# suspend_test: a PV and a PVH domU of real Xen are saved and restored, checkpointed, migrated, and shut down by xl, with a disk
# from Linux's xen-blkback under load and programs in ring 3. Why: whatever of the hypervisor's is not told to it again
# (frames, ports, grants, timers, vCPUs) is missed only here. Expected: both CPUs are there again; the programs find memory, registers and the
# clock in order, every round of the disk reads what it wrote, requests in flight were sent again, the kernel's clock
# never steps back and does not count the time away, the date does; a key of sysrq and a reboot are obeyed.
# MIGRATE=1: the PVH domain is migrated too, live (a minute and a half under emulation); for PV Debian's Xen lacks the shadow
# tables that this would take. timeout: 600
. "$(dirname "$0")/lib.sh"
mkdir -p "$work/test"
cp "$BUILD/amphi" "$work/test/"
(cd "$BUILD/user" && printf '%s\n' count | cpio --quiet -o -H newc) >"$work/test/ramdisk"
for type in pv pvh; do
	cat >"$work/test/$type.cfg" <<-C
	name="$type"
	type="$type"
	kernel="/test/amphi"
	ramdisk="/test/ramdisk"
	cmdline="role=guest do=\"ramdisk r 2048; fill r 3; start run -2 count 12; repeat 10000 'cpu; fill xvdb %; verify xvdb %; verify r 3; date; stats; sleep 20'\""
	memory=24
	vcpus=2
	tsc_mode="native"
	disk=["vdev=xvdb,format=raw,backendtype=phy,access=rw,target=/dev/vd$([ $type = pv ] && echo a || echo b)"]
	on_poweroff="destroy"
	on_crash="preserve"
	C
done
[ -z "${MIGRATE:-}" ] || touch "$work/test/migrate"
echo 'shadow_memory=4' >>"$work/test/pvh.cfg"
cat >"$work/test/run.sh" <<'R'
said() { cat /var/log/xen/console/guest-$1.log /var/log/xen/console/guest-$1--incoming.log 2>/dev/null | tr -d '\r'; }
more() { # more DOMAIN LINE: such a line comes, that was not there before
	had=$(said $1 | grep -c "$2")
	until_said -n $((had + 1)) -t 1500 "$2" /var/log/xen/console/guest-$1.log /var/log/xen/console/guest-$1--incoming.log && return
	echo "$1 says no more '$2'"; said $1 | tail -n 20; exit 1
}
works() { more $1 '^@verify xvdb ok'; more $1 '^@verify xvdb ok'; }
end_pv() { xl shutdown -w pv >/dev/null || exit 1; }
end_pvh() { # whoever would start it again has left when it was checkpointed
	xl reboot pvh >/dev/null
	for i in $(seq 400); do xl list -v pvh | grep -qE ' [0-9a-f-]{36} +1 ' && break; sleep 0.1; done
	xl list -v pvh | grep -E ' [0-9a-f-]{36} +1 ' || { xl list -v; exit 1; }
	xl destroy pvh
}
modprobe -a virtio_pci virtio_blk
for d in pv pvh; do
	xl create /test/$d.cfg >/dev/null || exit 1
done
for d in pv pvh; do works $d; done
echo "# load runs: $(cut -d" " -f1 /proc/uptime)"
for round in "pv pvh" pv; do
	for d in $round; do
		xl save $d /tmp/$d.save >/tmp/xl.log 2>&1 || { cat /tmp/xl.log; exit 1; }
		xl domid $d >/dev/null 2>&1 && exit 1
	done
	sleep 3
	for d in $round; do
		xl restore /tmp/$d.save >/tmp/xl.log 2>&1 || { cat /tmp/xl.log; exit 1; }
		rm /tmp/$d.save
		works $d
		echo "# $d restored: $(cut -d" " -f1 /proc/uptime)"
	done
done
for d in pv pvh; do
	id=$(xl domid $d)
	xl save -c $d /tmp/$d.save >/tmp/xl.log 2>&1 || { cat /tmp/xl.log; exit 1; }
	[ "$(xl domid $d)" = "$id" ] || exit 1
	works $d
done
if [ -e /test/migrate ]; then
	xl migrate -s '' pvh 'xl migrate-receive' >/tmp/xl.log 2>&1 || { cat /tmp/xl.log; exit 1; }
	[ "$(xl domid pvh)" != "$id" ] || exit 1
	works pvh
fi
echo "# all done: $(cut -d" " -f1 /proc/uptime)"
for d in pv pvh; do
	more $d 'Z by xen'
	echo "dom0-date $d $(date -u +%s) $(date -u -D %Y-%m-%dT%H:%M:%SZ -d $(said $d | sed -n 's/ by xen.*//p' | tail -n 1) +%s)"
	xl sysrq $d m
	more $d 'Z by xen'
	end_$d
	said $d | sed "s/^/[$d] /"
done
R
# Disks so slow that nearly always a request is in flight, by bytes since dom0 makes few requests of many; the processor is free for the rest.
disk() {
	truncate -s 3M "$work/$1.img"
	echo "-drive file=$work/$1.img,format=raw,if=none,id=$1,throttling.bps-total=4194304 -device virtio-blk-pci,drive=$1"
}
# shellcheck disable=SC2046
XEN_SECONDS=560 xen_linux "$work/test" $(disk pv) $(disk pvh) >"$work/log"
expect "$work/log" '^TEST-EXIT: 0'
for d in pv pvh; do
	[ $d = pv ] || [ -n "${MIGRATE:-}" ] && want=2 || want=1
	sed -n "s/^\[$d\] //p" "$work/log" >"$work/$d"
	expect "$work/$d" '^count: in order, rounds [0-9]+$'
	[ "$(grep -c '^@program count [12] exit 0' "$work/$d")" = 2 ] || { echo "$d: programs:"; grep '^@program' "$work/$d"; exit 1; }
	[ "$(grep '^@cpu' "$work/$d" | sort -u)" = '@cpu count=2 online=2' ] || { echo "$d: CPUs are missing:"; grep '^@cpu' "$work/$d" | uniq; exit 1; }
	[ "$(grep -c '^@suspend resumed' "$work/$d")" = $want ] && [ "$(grep -c '^@suspend cancelled' "$work/$d")" = 1 ] ||
		{ echo "$d: not what happened to it:"; grep '^@suspend' "$work/$d"; exit 1; }
	grep -E '^@verify .* bad|refused|panic' "$work/$d" && exit 1
	expect "$work/$d" '^@stat front=xvdb .* errors=0 .* replayed=[1-9]'
	sed -n '/asks for reboot/q; s/^\[ *\([0-9.]*\)\] .*/\1/p' "$work/$d" | sort -c -n || { echo "$d: the clock has stepped back"; exit 1; }
	expect "$work/$d" '^memory [0-9]+ KiB, free'
	sed -n "s/^dom0-date $d //p" "$work/log" | { read -r a b; [ "$((a - b))" -le 5 ] && [ "$((b - a))" -le 5 ]; } ||
		{ echo "the date in $d is not dom0's:"; grep '^dom0-date' "$work/log"; exit 1; }
	[ $d = pvh ] && end='the toolstack asks for reboot' || end='^@exit 0'
	expect "$work/$d" "$end"
	echo "$d: $(grep -c '^@verify xvdb ok' "$work/$d") rounds of the disk, $(sed -n 's/.*front=xvdb.*replayed=\([0-9]*\).*/\1/p' "$work/$d" | tail -n 1) requests sent again"
done
