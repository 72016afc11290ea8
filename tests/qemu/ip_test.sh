#!/bin/sh
# ip_test: TCP/IP at the prompt of a bare machine, with real programs at the other end: QEMU's user network (DHCP, DNS, router advertisements,
# echoes), Python's HTTP server and client, iperf3. Why: two ends of one making agree about their mistakes, too. Expected: an address
# by DHCP and by ip=, echoes of all kinds of sizes, files fetched and served with their digests, and words both ways.
. "$(dirname "$0")/lib.sh"
for program in python3 iperf3; do
	command -v $program >/dev/null || { echo "no $program"; exit 77; }
done

head -c 3000001 /dev/urandom >"$work/file"
head -c 2097152 /dev/urandom >"$work/disk"
digest() { sha256sum <"$1" | cut -d' ' -f1; }

# The other end, on loopback: a server of $work at a port of its own choosing, an echo of lines, and a client that asks
# the guest once its server is up.
cat >"$work/peer.py" <<'P'
import http.client, http.server, hashlib, socket, sys, threading, time
work, web_port, guest_http, guest_nc = sys.argv[1], *map(int, sys.argv[2:])
class Files(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *a): super().__init__(*a, directory=work)
    def log_message(self, *a): pass
web = http.server.ThreadingHTTPServer(("127.0.0.1", web_port), Files)
threading.Thread(target=web.serve_forever, daemon=True).start()
lines = socket.create_server(("127.0.0.1", web_port + 1))
def talk():
    c, _ = lines.accept()
    c.sendall(b"heard: " + c.makefile("rb").readline())
    c.close()
threading.Thread(target=talk, daemon=True).start()
print("ready", flush=True)
def ask(path):
    c = http.client.HTTPConnection("127.0.0.1", guest_http, timeout=20)
    c.request("GET", path)
    r = c.getresponse()
    return r.status, r.read()
for _ in range(3000):  # QEMU accepts before the guest does: only an answer is one
    try:
        status, state = ask("/")
        break
    except (OSError, http.client.HTTPException):
        time.sleep(0.1)
print("state", status, state.decode().replace("\n", " | "))
print("disk", hashlib.sha256(ask("/disk/vda")[1]).hexdigest())
print("none", ask("/none")[0])
for _ in range(100):
    c = socket.create_connection(("127.0.0.1", guest_nc))
    c.settimeout(10)
    try:
        said = c.makefile("rb").readline()
    except OSError:
        said = b""
    if said:
        print("guest said", said.decode().strip())
        c.sendall(b"and the host answered\n")
        break
    time.sleep(0.1)
c.close()
print("done", flush=True)
time.sleep(60)
P
port=$((24000 + $$ % 200 * 10))
python3 "$work/peer.py" "$work" $port $((port + 2)) $((port + 3)) >"$work/peer.log" 2>&1 &
peer=$!
# One server for each run: after one it listens anew, and on a busy machine the next would come too early.
iperf=
for at in 4 6 7 8; do
	iperf3 -s -1 -B 127.0.0.1 -p $((port + at)) >"$work/iperf-server$at.log" 2>&1 &
	iperf="$iperf $!"
done
# The guest serves once it has done everything else; until then there is nobody, or the connection breaks.
for words in '-P 2' '-u -b 4M -l 1400' '-u -b 4M -l 1400 -R'; do
	for i in $(seq 800); do
		iperf3 -c 127.0.0.1 -p $((port + 5)) -t 1 $words && break
		sleep 0.2
	done
done >"$work/iperf-client.log" 2>&1 &
client=$!
trap 'kill $peer $iperf $client 2>/dev/null; rm -rf "$work"' EXIT
i=0
until grep -q ready "$work/peer.log"; do
	sleep 0.1; i=$((i + 1)); [ $i -lt 200 ] || { echo "the peer does not start:"; cat "$work/peer.log"; exit 1; }
done

commands="ping -c 2 -i 10 10.0.2.2; ping -q -c 20 -i 0 -s 1472 10.0.2.2; ping -q -c 3 -i 0 -s 1473 10.0.2.2; ping -q -c 3 -i 0 -s 65507 10.0.2.2; fetch http://10.0.2.2:$port/file; -fetch 10.0.2.2:$port/nothing; -fetch 10.0.2.2:$((port + 9)); nc 10.0.2.2 $((port + 1)) some words; -host no.such.name.invalid; httpd; nc -l 9 guest speaks; httpd off; ip; ip neigh; iperf -c 10.0.2.2 -p $((port + 4)) -t 1; iperf -c 10.0.2.2 -p $((port + 6)) -t 1 -R -P 3; iperf -c 10.0.2.2 -p $((port + 7)) -t 1 -u -P 2 -b 4M; iperf -c 10.0.2.2 -p $((port + 8)) -t 1 -u -R -b 4M -l 1000; iperf -s; iperf -s; iperf -s; halt"
native 64 "do=\"$commands\"" </dev/null >"$work/log" \
	-netdev user,id=n0,hostfwd=tcp:127.0.0.1:$((port + 2))-:80,hostfwd=tcp:127.0.0.1:$((port + 3))-:9,hostfwd=tcp:127.0.0.1:$((port + 5))-:5201,hostfwd=udp:127.0.0.1:$((port + 5))-:5201 -device virtio-net-pci,netdev=n0 \
	-drive if=none,id=d0,format=raw,file="$work/disk" -device virtio-blk-pci,drive=d0
expect_status 0 "$work/log"
expect "$work/log" '^@net eth0 10\.0\.2\.15/24 gw 10\.0\.2\.2 .*dns 10\.0\.2\.3'
expect "$work/log" '^@ping 10\.0\.2\.2 sent=2 received=2 twice=0 wrong=0'
[ "$(grep -c '^@ping' "$work/log")" = 1 ] || { echo "an echo was lost, or wrong:"; grep '^@ping' "$work/log"; exit 1; }
expect "$work/log" '^    inet6 fec0::'
expect "$work/log" '^10\.0\.2\.2 dev eth0 52:55:0a:00:02:02'
expect "$work/log" "^@fetch http://10.0.2.2:$port/file code=200 bytes=3000001 .*sha256=$(digest "$work/file")"
expect "$work/log" "^@fetch 10.0.2.2:$port/nothing code=404"
expect "$work/log" '^fetch: ECONNREFUSED'
expect "$work/log" '^heard: some words'
expect "$work/log" '^no.such.name.invalid: no such name'
expect "$work/log" '^and the host answered'
expect "$work/log" '^@httpd requests=[0-9]+ bytes=2[0-9]{6}'
expect "$work/peer.log" '^state 200 amphi .*inet 10\.0\.2\.15/24'
expect "$work/peer.log" "^disk $(digest "$work/disk")"
expect "$work/peer.log" '^none 404'
expect "$work/peer.log" '^guest said guest speaks'
expect "$work/log" '^@iperf sent streams=1 bytes=[0-9]{6,} peer_bytes=[0-9]{6,} '
expect "$work/log" '^@iperf received streams=3 bytes=[0-9]{6,} peer_bytes=[0-9]{6,} '
expect "$work/log" '^@iperf received streams=2 bytes=[0-9]{6,} peer_bytes=[0-9]{6,} '
expect "$work/iperf-client.log" 'SUM.*receiver'
# 4 Mbit/s are half a million bytes in a second of each stream, and no more; a host that stands still when the second ends takes some of it.
# How many arrive is the host's affair.
expect "$work/log" '^@iperf sent streams=2 bytes=([5-9]|10)[0-9]{5} peer_bytes=[0-9]{5,} .* packets=[3-7][0-9]{2} lost=[0-9]+ jitter_ns=[1-9][0-9]*$'
[ "$(grep -cE '^@iperf received streams=1 bytes=[0-9]{5,} peer_bytes=[2-5][0-9]{5} .* packets=[1-5][0-9]{2} lost=[0-9]+ jitter_ns=[1-9][0-9]*$' "$work/log")" = 2 ] ||
	expect "$work/log" 'two streams of UDP received, at their rate'
expect "$work/log" '^@iperf sent streams=1 bytes=[2-5][0-9]{5} peer_bytes=[0-9]{5,} .* packets=[1-3][0-9]{2} lost=[0-9]+ jitter_ns=[1-9][0-9]*$'
[ "$(grep -cE '[0-9.]+ ms +[0-9]+/[0-9]+ \([0-9.e+-]+%\) +receiver' "$work/iperf-client.log")" = 2 ] || { echo "iperf3 has no figures of UDP:"; cat "$work/iperf-client.log"; exit 1; }
grep '^@iperf' "$work/log"
echo "fetch: $(sed -n 's/^@fetch.*bytes=\(3[0-9]*\) ns=\([0-9]*\) .*/\1 bytes in \2 ns/p' "$work/log")"

# An address of one's own, no DHCP; and none at all.
native 64 'ip=10.0.2.77/24,gw=10.0.2.2,dns=10.0.2.3 do="ping -c 1 10.0.2.2; ip addr add 10.0.2.78/24 dev eth0; ping -c 1 10.0.2.2; ip; ip route add 10.77.0.0/16 via 10.0.2.2; ip route add fd07::/32 dev eth0; ip route add default via 10.0.2.2; ip route; ip route del default; ip route show; ip route del fd07::/32; -ip route del fd07::/32; -ip route add 10.78.0.0/16 via 10.3.0.1; halt"' \
	</dev/null >"$work/log" -netdev user,id=n0 -device virtio-net-pci,netdev=n0
expect_status 0 "$work/log"
expect "$work/log" '^@net eth0 10\.0\.2\.77/24 gw 10\.0\.2\.2 dns 10\.0\.2\.3'
expect "$work/log" '^    inet 10\.0\.2\.78/24'
expect "$work/log" '^10\.77\.0\.0/16 via 10\.0\.2\.2 dev eth0'
expect "$work/log" '^fd07::/32 dev eth0'
[ "$(grep -c '^default via 10' "$work/log")" = 1 ] || { echo "a gateway that was taken away"; cat "$work/log"; exit 1; }
expect "$work/log" '^ip: ENOENT'
expect "$work/log" '^ip: EADDRNOTAVAIL'
[ "$(grep -c 'received=1' "$work/log")" = 2 ] || { echo "no echo with a fixed address"; tail "$work/log"; exit 1; }
native 64 'ip=off do="ip; halt"' </dev/null >"$work/log" -netdev user,id=n0 -device virtio-net-pci,netdev=n0
expect_status 0 "$work/log"
! grep -q '^@net' "$work/log" || { echo "ip=off, and an address"; exit 1; }
