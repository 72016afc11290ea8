#!/bin/sh
# storage_domain_test: on amphi-hv a domain that is not the first owns the machine's NVMe by pcifront and serves guests from it, another owns its e1000e
# and carries their packets, behind VT-d and behind AMD-Vi. Why: whoever breaks a driver or its device has neither the control domain's memory nor
# more of a guest's than that has granted: what it reaches is an IO space that the driver domain fills with its own pages and with granted ones. Expected:
# all bytes arrive, of partitions of the disk, in the guest's own pages, each mapped once and not for each request, and copied by nobody; no fault; a guest
# that is destroyed under load leaves no page behind in the space, and the next one is served. A guest's packets go out by the card, long ones
# uncut and unsummed, and TCP from outside comes in. Both domains are destroyed under a guest at work and made anew: its connection goes on, and its disk.
# timeout: 200
set -u
BUILD=${BUILD:-build}
work=$(mktemp -d)
servers=
trap '{ kill $servers; [ ! -f "$work/pid" ] || kill "$(cat "$work/pid")"; rm -rf "$work"; } 2>/dev/null' EXIT
. tests/lib/archive.sh
for program in python3 iperf3 sfdisk; do
	command -v $program >/dev/null || { echo "no $program here"; exit 77; }
done

head -c 8388608 /dev/urandom >"$work/bytes"
printf 'label: gpt\nstart=2048,size=8192\nsize=4096\n' | sfdisk -q "$work/bytes"
digest=$(dd if="$work/bytes" bs=1M skip=1 count=4 2>/dev/null | sha256sum | cut -d' ' -f1)
port=$((20000 + $$ % 200 * 10))
strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
ar_domain store <<C
name = "store"
kernel = "/amphi"
memory = 48
cmdline = "role=guest iommu=strict dma_debug do=\\"serve; repeat 1000 'sleep 500; stats'\\""
pci = ['00:04.0']
C
ar_domain net <<C
name = "net"
kernel = "/amphi"
memory = 48
cmdline = "role=guest iommu=strict dma_debug do=\\"serve; repeat 1000 'sleep 500; -netstat eth0'\\""
pci = ['00:05.0']
C
ar_domain load <<C
name = "load"
kernel = "/amphi"
memory = 24
cmdline = 'role=guest do="bench random xvda 16 256; echo under way; bench random xvda 16 1000000"'
disk = ['nvme0n1p1,raw,xvda,r,backend=store']
C
ar_domain g <<C
name = "g"
kernel = "/amphi"
memory = 24
cmdline = 'role=guest do="sha256 xvda; fill xvda 7; verify xvda 7; bench read xvda 4 320 64; stats; halt 5"'
disk = ['nvme0n1p1,raw,xvda,w,backend=store']
C
ar_domain a <<C
name = "a"
kernel = "/amphi"
memory = 24
cmdline = "role=guest ip=10.0.2.50/24,gw=10.0.2.2 do=\\"ramdisk r 4096; fill r 5; sha256 r; ping -c 3 -s 3900 10.0.2.2; iperf -c 10.0.2.2 -p $port -t 1; httpd; fill xvda 9; repeat 10000 'verify xvda 9; -ping -c 1 -W 500 10.0.2.2; sleep 300'\\""
vif = ['mac=00:16:3e:00:00:01,mtu=4000,backend=net']
disk = ['nvme0n1p2,raw,xvda,w,backend=store']
C
ar_pack "$work/archive"
# The guest's memory by HTTP: some of it while its network is the first, the rest when it is another.
cat >"$work/fetch.py" <<'P'
import hashlib, os, socket, sys, time
work, port = sys.argv[1], int(sys.argv[2])
c = socket.socket()
c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
c.connect(("127.0.0.1", port))
c.sendall(b"GET /disk/r HTTP/1.0\r\n\r\n")
data = b""
while b"\r\n\r\n" not in data or len(data) < 500000:
    got = c.recv(65536)
    if not got:
        sys.exit("ended after %d bytes" % len(data))
    data += got
open(work + "/some", "w")
while not os.path.exists(work + "/again"):
    time.sleep(0.1)
while got := c.recv(65536):
    data += got
print(hashlib.sha256(data[data.index(b"\r\n\r\n") + 4:]).hexdigest(), len(data), flush=True)
P
says() { # says REGEX [TIMES]: waits for so many lines
	for i in $(seq 400); do
		[ "$(grep -cE -- "$1" "$work/log")" -lt "${2:-1}" ] || return 0
		sleep 0.2
	done
	echo "$unit: waited for /$1/ in:"; tail -n 60 "$work/log" | cut -c1-300; exit 1
}
anew() { # anew NAME REGEX: destroys and makes it, until it has said this once more
	n=$(grep -cE -- "$2" "$work/log")
	echo "destroy $1" >&3
	says "^@domain $1 destroyed"
	echo "create $1" >&3
	says "$2" $((n + 1))
}
for unit in intel-iommu amd-iommu; do
	cp "$work/bytes" "$work/disk"
	rm -f "$work/keys" "$work/some" "$work/again"; mkfifo "$work/keys"; : >"$work/log"
	iperf3 -s -1 -B 127.0.0.1 -p $port >"$work/iperf" 2>&1 &
	servers=$!
	timeout -k 5 120 qemu-system-x86_64 -M q35,kernel-irqchip=split -accel tcg -cpu max -m 384 -nodefaults -display none -no-reboot -pidfile "$work/pid" \
		-serial stdio -monitor none -device $unit -drive "if=none,id=d,format=raw,file=$work/disk" -device nvme,drive=d,serial=x,addr=4 \
		-netdev "user,id=n,hostfwd=tcp:127.0.0.1:$((port + 1))-10.0.2.50:80" -device e1000e,netdev=n,addr=5 \
		-kernel "$BUILD/amphi-hv" -append dom0_mem=48M -initrd "$BUILD/amphi role=service stay,$work/archive" \
		<"$work/keys" 2>&1 | stdbuf -oL tr -d '\r' >"$work/log" &
	exec 3>"$work/keys"
	says '^\[store\] .*dma: .* io-strict'
	says '^\[g\] @exit 5'
	says '^\[load\] under way'
	echo 'destroy load' >&3
	says '^@domain load destroyed'
	echo 'create g' >&3
	says '^\[g\] @exit 5' 2
	says '^@domain g exit 5' 2
	n=$(grep -c '^\[store\] @stat dma=' "$work/log")
	says '^\[store\] @stat dma=' $((n + 2))
	line=$(grep '^\[store\] @stat dma=' "$work/log" | tail -n 1)
	# The network is another one in the middle of a connection, then the disk's domain between two looks at it.
	says '^\[a\] @iperf sent streams=1 bytes=[1-9]'
	says '^\[a\] @verify xvda ok'
	python3 "$work/fetch.py" "$work" $((port + 1)) >"$work/fetched" 2>&1 &
	fetch=$!
	servers="$servers $fetch"
	until [ -e "$work/some" ]; do kill -0 $fetch 2>/dev/null || { echo "$unit: fetch: $(cat "$work/fetched")"; exit 1; }; sleep 0.1; done
	n=$(grep -c '^\[net\] @stat net=eth0 queue=0' "$work/log")
	says '^\[net\] @stat net=eth0 queue=0' $((n + 1))
	card=$(grep '^\[net\] @stat net=eth0 queue=0' "$work/log" | tail -n 1)
	anew net '^\[net\] .* vif[0-9]*\.0 is a port'
	touch "$work/again"
	wait $fetch
	anew store '^\[store\] .*xvda for domain [0-9]* from nvme0n1p2'
	n=$(grep -c '^\[a\] @verify xvda ok' "$work/log")
	# The card is taken from a domain that serves, and comes to it.
	echo 'pci-detach net 00:05.0' >&3
	says '^\[net\] .*xenbr0: eth0 has left'
	n_port=$(grep -c '^\[net\] .*xenbr0: eth0 is a port' "$work/log")
	echo 'pci-attach net 00:05.0' >&3
	says '^\[net\] .*xenbr0: eth0 is a port' $((n_port + 1))
	n_ping=$(grep -c '^\[a\] @ping 10.0.2.2 sent=1 received=1' "$work/log")
	says '^\[a\] @ping 10.0.2.2 sent=1 received=1' $((n_ping + 2))
	says '^\[a\] @verify xvda ok' $((n + 2))
	echo 'halt' >&3
	exec 3>&-
	kill $servers 2>/dev/null
	wait
	says "^\[g\] @sha256 xvda $digest"
	says '^\[g\] @verify xvda ok' 2
	says '^\[g\] @stat front=xvda .* errors=0 .* copied_bytes=0 ' 2
	says '^\[a\] @ping 10.0.2.2 sent=3 received=3 twice=0 wrong=0 '
	says '^\[net\] @stat net=eth0 .* mtu=4000 .* can=.*csum4.*gso4'
	! grep -E 'iommu: .* may not|dma_debug|has failed|not unmapped|error=[1-9]|^\[a\] @exit' "$work/log" || { echo "$unit: this should not be said"; exit 1; }
	# What stays mapped is the driver's own, and 512 pages that a guest at work has lent for good.
	echo "$line" | sed 's/[a-z]*=//g' | awk '{ exit !($5 - $6 < 612 && $5 >= $6 && $5 > 1000 && $5 < 8000 && $9 == 0) }' ||
		{ echo "$unit, maps and unmaps: $line"; exit 1; }
	says "^\[a\] @sha256 r $(cut -d' ' -f1 "$work/fetched")"
	# Frames of more bytes than the wire takes: the card cuts them.
	echo "$card" | sed 's/[a-z_]*=//g' | awk '{ exit !($8 > 4100 * $7) }' || { echo "$unit: cut before the card: $card"; exit 1; }
	echo "$unit: $line"
	echo "$unit: $card"
done
