#!/bin/sh
# cycle_test: domains with disks are made and ended over and over on amphi-hv, on one CPU and on four, at once, while they start, and
# while they read. Why: a service domain lives for months; what one domain leaves behind adds up.
# Expected: pages of hypervisor and service domain, grants, ports, store nodes, watches and connections
# are all where they were; and a domain made after that still reads its disk rightly. CYCLES (200) is how many are made and
# ended at once, before those that live for a while; `make soak` has a thousand.
# timeout: 240
BUILD=${BUILD:-build}
many=${CYCLES:-200}
work=$(mktemp -d)
trap '{ [ ! -f "$work/pid" ] || kill "$(cat "$work/pid")"; rm -rf "$work"; } 2>/dev/null' EXIT
. tests/lib/archive.sh

strip -g -o "$work/amphi" "$BUILD/amphi"
head -c 4M /dev/urandom >"$work/a.img"
truncate -s 4M "$work/b.img"
sum=$(sha256sum <"$work/a.img" | cut -d' ' -f1)

fail() {
	echo "$cpus CPUs: $1:"; grep -v '^\[g\]\|^@domain g id' "$work/log" | tail -n 40; exit 1
}

ended() { # ended PID MARK: waits until the domain has, behind the mark in the log, or the machine has
	until sed -n "/^$2/,\$p" "$work/log" | grep -q '^@domain g exit'; do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
}

# cycles CPUS VCPUS N COMMANDS: the first of four runs of "cycle" is of N domains.
cycles() {
	cpus=$1
	ar_new
	ar_file /amphi "$work/amphi"
	ar_disk /a.img amphi0
	ar_disk /b.img amphi1
	ar_domain g <<-C
	name = "g"
	kernel = "/amphi"
	memory = 8
	vcpus = $2
	cmdline = 'role=guest do="sha256 xvda; fill xvdb 7; fill xvdb 8; verify xvdb 8; halt 0"'
	disk = ["/a.img,raw,xvda,ro", "/b.img,raw,xvdb,rw"]
	C
	ar_pack "$work/archive"
	rm -f "$work/log" "$work/keys"; mkfifo "$work/keys"
	timeout -k 5 $((110 + many / 2)) qemu-system-x86_64 -M q35 -accel tcg,thread=single -smp "$1" -cpu max -m 128 -nodefaults -display none -no-reboot \
		-pidfile "$work/pid" -serial stdio -monitor none -kernel "$BUILD/amphi-hv" -append dom0_mem=32M \
		-initrd "$BUILD/amphi dma_panic role=service stay loglevel=2,$work/archive" \
		-drive "if=none,id=a,format=raw,file=$work/a.img" -device nvme,serial=amphi0,drive=a \
		-drive "if=none,id=b,format=raw,file=$work/b.img" -device virtio-blk-pci,serial=amphi1,drive=b \
		<"$work/keys" 2>&1 | stdbuf -oL tr -d '\r' >"$work/log" &
	exec 3>"$work/keys"
	ended $! '' # one whole life first: what grows once has grown, and the commands begin with the same
	echo "cycle g $3; $4; echo =last; create g" >&3
	ended $! '=last'
	! kill -0 $! 2>/dev/null || echo halt >&3
	exec 3>&-
	wait
	grep -q "^@cycle ok g $3\$" "$work/log" || fail "$3 cycles left something"
	[ "$(grep -c '^@cycle ok g' "$work/log")" = 4 ] || fail "cycles of living domains left something"
	grep -q "^\[g\] .*@sha256 xvda $sum" "$work/log" || fail "the last domain did not read its disk"
	grep -q '^@domain g exit 0' "$work/log" || fail "the last domain did not end well"
}
cycles 1 1 $many "cycle g 30 5; cycle g 30 20; cycle g 20 60"
cycles 4 2 30 "cycle g 10 5; cycle g 10 20; cycle g 10 60"
echo "$((many + 80)) domains made and ended on one CPU, 60 of two vCPUs on four: nothing left"
