#!/bin/sh
# guest_ip_test: guests of amphi-hv on the network: through netfront, netback, the service domain's bridge and its virtio card to QEMU's user
# network, and to each other. Why: each of these parts has tests of its own; that a file arrives whole at a guest shows that they
# are one. Expected: addresses by DHCP and by ip=, a file fetched with the digest that the host counts, one guest's pages and
# streams read by the other, and the service domain on the same bridge.
# timeout: 90
BUILD=${BUILD:-build}
work=$(mktemp -d)
. tests/lib/archive.sh
expect() {
	grep -qE -- "$1" "$work/log" && return
	echo "expected /$1/ in:"; tail -n 80 "$work/log"; exit 1
}
command -v python3 >/dev/null || { echo "no python3"; exit 77; }

mkdir "$work/web"
head -c 5000011 /dev/urandom >"$work/web/file"
port=$((26000 + $$ % 200 * 10))
(cd "$work/web" && exec python3 -m http.server $port --bind 127.0.0.1) >/dev/null 2>&1 &
web=$!
trap 'kill $web 2>/dev/null; rm -rf "$work"' EXIT
i=0
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>/dev/null; do
	sleep 0.1; i=$((i + 1)); [ $i -lt 200 ] || { echo "the server does not start"; exit 1; }
done

guest() { # guest NAME WORDS DO
	{
		printf 'name = "%s"\nkernel = "/amphi"\nmemory = 16\nvif = [ "" ]\n' "$1"
		printf "cmdline = 'role=guest %s do=\"%s\"'\n" "$2" "$3"
	} | ar_domain "$1"
}
strip -g -o "$work/amphi" "$BUILD/amphi"
ar_file /amphi "$work/amphi"
guest dhcp '' "fetch http://10.0.2.2:$port/file; ping -q -c 3 -i 0 -s 65507 10.0.2.2; halt"
guest server 'ip=10.0.2.40/24,gw=10.0.2.2' 'httpd 8080; iperf -s; nc -l 9; httpd off; halt'
guest client 'ip=10.0.2.50/24,gw=10.0.2.2' 'ping -c 20 -i 0 -s 20000 10.0.2.40; fetch 10.0.2.40:8080; iperf -c 10.0.2.40 -t 1 -P 2; sleep 1000; nc 10.0.2.40 9 the end; halt'
ar_pack "$work/archive"
timeout -k 5 240 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -display none -no-reboot -serial stdio -monitor none \
	-kernel "$BUILD/amphi-hv" -append dom0_mem=64M -netdev user,id=n0 -device virtio-net-pci,netdev=n0 \
	-initrd "$BUILD/amphi dma_panic role=service,$work/archive" </dev/null 2>&1 | tr -d '\r' >"$work/log"

expect '^\[dhcp\] @net eth0 10\.0\.2\.[0-9]+/24 gw 10\.0\.2\.2 '
expect "^\\[dhcp\\] @fetch http://10.0.2.2:$port/file code=200 bytes=5000011 .*sha256=$(sha256sum <"$work/web/file" | cut -d' ' -f1)"
expect '^@domain dhcp exit 0'
expect '^@net xenbr0 10\.0\.2\.[0-9]+/24 gw'
expect '^\[client\] @ping 10\.0\.2\.40 sent=20 received=20 twice=0 wrong=0'
expect '^\[client\] @fetch 10\.0\.2\.40:8080 code=200'
expect '^\[client\] @iperf sent streams=2 bytes=[0-9]{6,} peer_bytes=[0-9]{6,}'
expect '^\[server\] @iperf received streams=2'
expect '^\[server\] the end'
expect '^@domain server exit 0'
expect '^@domain client exit 0'
grep -h '@iperf\|@fetch' "$work/log" | cut -c1-120
