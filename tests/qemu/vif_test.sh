#!/bin/sh
# vif_test: guests of ours on amphi-hv, with an interface each, on the bridge of the service domain.
# Why: the whole way of a packet between two guests is our own code: both halves, the bridge, the stacks. Expected: pings of every
# size up to the longest go and come, each once; a guest that sends from another address than its own is not heard and told of; two in a VLAN
# hear each other and nobody else; the service domain has both guests' pages mapped and refused none of their packets; everybody ends well.
# timeout: 90
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/lib/archive.sh

expect() {
	grep -qE -- "$1" "$work/log" && return
	echo "expected /$1/ in:"; tail -n 80 "$work/log"; exit 1
}
guest() { # guest NAME ADDRESS DO VIF
	{
		printf 'name = "%s"\nkernel = "/amphi"\nmemory = 24\n' "$1"
		printf "cmdline = 'role=guest ip=%s do=\"%s\"'\n" "$2" "$3"
		printf 'vif = ["%s"]\n' "$4"
	} | ar_domain "$1"
}

strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
sizes='0 1 56 1472 1473 9000 65507'
pings=
for s in $sizes; do pings="$pings; ping -c 1 -s $s 10.0.0.2"; done
guest two 10.0.0.2/24 'sleep 6000; netstat; halt 0' 'mac=00:16:3e:00:00:02,bridge=xenbr0'
guest one 10.0.0.1/24 "sleep 500$pings; netstat; sleep 5000; halt 0" 'mac=00:16:3e:00:00:01,bridge=xenbr0,ip=10.0.0.1'
guest liar 10.0.0.3/24 'sleep 500; -ping -c 1 10.0.0.2; halt 0' 'mac=00:16:3e:00:00:03,bridge=xenbr0,ip=10.0.0.9'
guest five 10.0.0.5/24 'sleep 6000; halt 0' 'bridge=xenbr0.5'
guest four 10.0.0.4/24 'sleep 500; ping -c 1 -s 9000 10.0.0.5; -ping -c 1 -W 500 10.0.0.2; halt 0' 'vlan=5'
ar_pack "$work/archive"
# Time is counted in instructions: a busy machine does not make a domain late.
timeout -k 5 240 qemu-system-x86_64 -M q35 -accel tcg -icount shift=0,sleep=off -cpu max -m 256 -nodefaults -display none -no-reboot \
	-serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=64M \
	-initrd "$BUILD/amphi dma_panic role=service do=\"sleep 4000; netstat\",$work/archive" </dev/null 2>&1 | tr -d '\r' >"$work/log"

n=$(grep -c '^\[one\] @ping 10.0.0.2 sent=1 received=1 twice=0 wrong=0' "$work/log")
[ "$n" = 7 ] || { grep '@ping' "$work/log"; echo "of 7 sizes of ping $n were answered"; tail -n 40 "$work/log"; exit 1; }
expect '^\[liar\] @ping 10.0.0.2 sent=1 received=0'
expect '^\[four\] @ping 10.0.0.5 sent=1 received=1 twice=0 wrong=0'
expect '^\[four\] @ping 10.0.0.2 sent=1 received=0'
expect 'vif/3/0: domain 3: packet refused: an address that is not its own'
for v in vif1.0 vif2.0; do
	expect "^@stat netback=$v requests=[1-9].* refused=0 .* staged=[1-9]"
	expect "^@stat net=$v queue=0 frames_in=[5-9][0-9] "
done
expect '^\[two\] @stat net=eth0 queue=0 .* dropped=0'
for d in one two liar four five; do expect "^@domain $d exit 0"; done
sed -n 's/^@stat netback=/counted: /p' "$work/log"
sed -n 's/^\[one\] @ping .*least_ns=\([0-9]*\).*/\1/p' "$work/log" | paste -sd' ' | sed 's/^/a ping there and back, in instructions, by size: /'
