#!/bin/sh
# smp_test: domUs with several vCPUs on real Xen, made by xl from a Linux dom0: PV and PVH.
# Why: their vCPUs are the toolstack's as well, which holds some back and wants others (`xl vcpu-set`). Expected: 1, 2
# and 4 vCPUs run programs, which go on while vCPUs go down and come up under them; those above vcpus= are
# down soon after the start; vcpu-set is followed, and vcpu-list shows it. timeout: 600
. "$(dirname "$0")/lib.sh"
. tests/lib/cpus.sh
XEN_SECONDS=300 CPUS_MS=300
mkdir -p "$work/test"
cpus_archive "$work/test/ramdisk"
cp "$BUILD/amphi" "$work/test/"
domu() { # domu NAME TYPE VCPUS MAXVCPUS WORDS
	cat >"$work/test/$1.cfg" <<-C
	name="$1"
	type="$2"
	kernel="/test/amphi"
	ramdisk="/test/ramdisk"
	cmdline="role=guest do=\"$5\""
	memory=24
	$([ "$2" = pv ] || echo shadow_memory=4)
	vcpus=$3
	maxvcpus=$4
	tsc_mode="native"
	on_poweroff="destroy"
	on_crash="preserve"
	C
}
for type in pv pvh; do
	for n in 1 2 4; do domu $type-$n $type $n $n "$(cpus_words $n)"; done
	domu $type-set $type 2 4 'run -4 load 2000 &; wait; cpu'
done
# Three at a time. Waits are for what must come, up to a limit.
cat >"$work/test/run.sh" <<'R'
for type in pv pvh; do
	for n in 1 2 4; do xl create /test/$type-$n.cfg || exit 1; done
	for n in 1 2 4; do
		d=$type-$n
		for i in $(seq 1200); do
			xl domid $d >/dev/null 2>&1 || break
			xl list $d | grep -qE ' .{3,5}c.? ' && break
			sleep 0.1
		done
		sed "s/^/[$d] /" /var/log/xen/console/guest-$d.log
	done
done
running() { xl vcpu-list $1 | awk 'NR > 1 && $4 != "-" { n = n " " $3 } END { print n }'; }
comes() { # comes NAME NUMBERS
	for i in $(seq 400); do
		[ "$(running $1)" = "$2" ] && return
		sleep 0.1
	done
	echo "[$1] vCPUs$2 were wanted:"; xl vcpu-list $1; sed "s/^/[$1] /" /var/log/xen/console/guest-$1.log; exit 1
}
for d in pv-set pvh-set; do
	xl create /test/$d.cfg || exit 1
	comes $d ' 0 1'
	xl vcpu-set --ignore-host $d 4; comes $d ' 0 1 2 3'
	xl vcpu-set --ignore-host $d 1; comes $d ' 0'
	xl vcpu-set --ignore-host $d 3; comes $d ' 0 1 2'
	xl destroy $d
	sed "s/^/[$d] /" /var/log/xen/console/guest-$d.log
	printf "\n@set %s ok\n" $d # the log may end in a prompt
done
R
XEN_ARGS=$xen_several xen_linux "$work/test" -smp 2 >"$work/log"
for type in pv pvh; do
	for n in 1 2 4; do
		sed -n "s/^\[$type-$n\] //p" "$work/log" >"$work/one"
		[ -s "$work/one" ] || { tail -n 60 "$work/log"; exit 1; }
		cpus_check "$work/one" $n "a $type domU with $n vCPUs"
	done
	expect "$work/log" "^@set $type-set ok"
	expect "$work/log" "^\[$type-set\] .*CPU 3 is online, as the toolstack wants it"
done
expect "$work/log" '^TEST-EXIT: 0'
echo "domUs of real Xen, PV and PVH: 1, 2 and 4 vCPUs at work, out and in under load and by xl vcpu-set"
