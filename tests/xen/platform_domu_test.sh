#!/bin/sh
# platform_domu_test: the rows of real Xen's domains that xl makes, PV and PVH, all in one boot of Xen.
# Why: nothing is theirs but what Xen gives. Expected: the same self-test as on a bare machine, ring 3 included.
# Each vCPU of a PVH domain has a processor for itself: the program of ring 3 watches addresses, and QEMU before 9.1 dies
# when Xen changes vCPUs on one whose debug registers are in use. VMRUN and #VMEXIT write DR7 there without telling the
# list of watched addresses, and the next mov to DR7 takes a watched address off the list for one of instructions.
# timeout: 600
. "$(dirname "$0")/lib.sh"
. "$here/../lib/rows.sh"
mkdir -p "$work/test"
cp "$BUILD/amphi" "$work/module" "$work/test/"
{
	echo "row_do='$row_do' CPUS='$CPUS'"
	cat <<-'R'
	one() { # one NAME TYPE CPUS [LINE...]
		cat >/tmp/$1.cfg <<-C
			name="$1"
			type="$2"
			kernel="/test/amphi"
			ramdisk="/test/module"
			cmdline="role=guest do=\"$row_do\""
			memory=16
			vcpus=$3
			tsc_mode="native"
			on_poweroff="destroy"
			on_crash="preserve"
			${4:-}
			${5:-}
		C
		xl create /tmp/$1.cfg || return
		until_ended $1
		sed "s/^/[$1] /" /var/log/xen/console/guest-$1.log
	}
	for n in $CPUS; do
		one pv$n pv $n
		one pvh$n pvh $n shadow_memory=4 "cpus=[$(seq -s, 0 $((n - 1)))]"
	done
	R
} >"$work/test/run.sh"
XEN_ARGS=dom0_max_vcpus=1
xen_linux "$work/test" -smp 4 >"$work/log"
for n in $CPUS; do
	for type in pv pvh; do
		sed -n "s/^\[$type$n\] //p" "$work/log" >"$work/domain"
		[ -s "$work/domain" ] || { tail -n 40 "$work/log"; exit 1; }
		row "$type domU, $n CPUs" "$work/domain" "$n"
		expect "$work/domain" "platform=xen-$type\$"
		expect "$work/domain" '^@exit 0'
	done
done
rows_end "domains of real Xen"
