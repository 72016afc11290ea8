#!/bin/sh
# linux_net_test: two stock Debian Linux guests on amphi-hv with a network card of the service domain's to the world, and the card fails.
# Why: driver_net_tools_test has real Xen under it and no card; a card that is lost is a matter between our bridge, our driver
# and the guests' own TCP. Expected: echoes, iperf3 both ways, TCP and UDP, and a stream whose bytes tcpdump saw at both ends; a guest fetches a file from
# the host, through a card that is made to forget all that it was told twice on the way, and has every byte; one
# guest reboots while the other floods it, and is reached again; it is destroyed while it is flooded, and the other goes on.
# timeout: 700
. "$(dirname "$0")/lib.sh"
. "$here/linux.sh"
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
"$here/tools.sh" net || { echo "cannot get iperf3"; exit 1; }

# The host's side: serves a file once, and fails the card when a third and when two thirds are gone (it knows QEMU's monitor). Who
# asks afterwards is answered when the test has made a file go.N.
cat >"$work/host.py" <<'P'
import hashlib, os, re, socket, sys, time
work = sys.argv[1]
listener = socket.create_server(("127.0.0.1", 0))
open(work + "/port", "w").write(str(listener.getsockname()[1]))
data = os.urandom(6 << 20)
open(work + "/sum", "w").write(hashlib.sha256(data).hexdigest())
peer, _ = listener.accept()
peer.recv(4096)
monitor = socket.socket(socket.AF_UNIX)
monitor.connect(work + "/mon")
monitor.send(b"info pci\n")
text = ""
while not re.search(r"info pci.*\(qemu\)", text, re.S):
    text += monitor.recv(65536).decode()
port = int(re.search(r"1af4:1000.*?I/O at 0x([0-9a-f]+)", text, re.S).group(1), 16)
peer.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data))
third = len(data) // 3
for n in range(3):
    peer.sendall(data[n * third:(n + 1) * third + (n == 2) * 9])
    if n < 2:
        monitor.send(b"o /1b 0x%x 0\n" % (port + 18))  # virtio's status register: the card forgets everything
        # A card that is lost twice before that is seen is lost once.
        while b"the card has failed: reset %d" % (n + 1) not in open(work + "/log", "rb").read():
            time.sleep(0.1)
peer.shutdown(socket.SHUT_WR)
for n in (1, 2):
    asker, _ = listener.accept()
    while not os.path.exists(work + "/go.%d" % n):
        time.sleep(0.1)
    asker.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\ngo\n")
    asker.shutdown(socket.SHUT_WR)
time.sleep(1000)
P
python3 "$work/host.py" "$work" >"$work/host.log" 2>&1 &
host=$!
trap 'kill $machine $host 2>/dev/null || :; wait; rm -rf "$work"' EXIT
for _ in $(seq 300); do [ -s "$work/port" ] && break; sleep 0.1; done

linux_more=xen-netfront linux_overlay=$xen_dir/nettools
{
	echo net=10.0.2
	cat "$here/linux/netjob.sh"
	cat <<'R'
net_up
if [ "$me" = 42 ]; then
	iperf3 -s >/tmp/iperf 2>&1 &
	account take 5001 &
	echo "GUEST up"
	sleep 10000
fi
reach $peer
netcheck pings $peer 0-3000/7 3001-65507/997 | sed 's/^/GUEST /'
measure tcp $peer
measure tcp-R $peer -R
measure udp $peer -u -b 40M -l 1400
measure udp-R $peer -u -b 40M -l 1400 -R
account send $peer 5001 8
reach 10.0.2.2
wget -q -O /tmp/file "http://10.0.2.2:$(word port)/" && echo "GUEST fetched $(sha256sum </tmp/file | cut -d' ' -f1)"
word_of_host() { wget -q -O /dev/null "http://10.0.2.2:$(word port)/"; }
flood $peer
echo "GUEST floods"
word_of_host
kill $flood
reach $peer
measure again $peer
flood $peer
echo "GUEST floods again"
word_of_host
kill $flood
reach 10.0.2.2
complaints
echo "GUEST done"
sleep 10000
R
} | linux_initrd "$work/initrd"
ar_file /vmlinux "$xen_dir/vmlinux"
ar_file /initrd "$work/initrd"
linux_domain l2 'nodisk host:42 peer:41' 'memory = 200' 'vcpus = 1' 'vif = ["mac=00:16:3e:00:00:42"]'
linux_domain l1 "nodisk host:41 peer:42 port:$(cat "$work/port")" 'memory = 200' 'vcpus = 2' 'vif = ["mac=00:16:3e:00:00:41"]'
ar_pack "$work/archive"
LINUX_SECONDS=600 linux_start amphi-hv 1 900 -monitor "unix:$work/mon,server=on,wait=off" -netdev user,id=n0 -device virtio-net-pci,netdev=n0
linux_wait '^\[l1\] GUEST floods' 400
linux_mark
linux_ctl reboot l2
linux_wait '^\[l2\] GUEST up' 200
touch "$work/go.1"
linux_wait '^\[l1\] GUEST floods again' 200
linux_ctl destroy l2
touch "$work/go.2"
linux_wait '^\[l1\] GUEST done' 200
linux_ctl netstat
cat "$work/out"
linux_stop
grep -aE 'GUEST|the card' "$log" | tr -d '\r'
whole() { grep -aE "^\\[l1\\] GUEST $1" "$log" >/dev/null || linux_fail "expected: GUEST $1"; }
whole 'PINGS sent=([0-9]*) answered=\1 wrong=0 lost=0 '
for n in tcp tcp-R udp udp-R again; do whole "iperf3 $n receiver"; done
whole "fetched $(cat "$work/sum")"
! grep -aE 'GUEST complains' "$log" || exit 1
[ "$(grep -ac 'the card has failed: reset' "$log")" = 2 ] || linux_fail "expected: a card that failed twice"
[ "$(grep -aoE 'ACCOUNT (sent|took) 8388608 bytes sum [0-9a-f]*, tcpdump 8388608 bytes sum [0-9a-f]*' "$log" | grep -oE 'sum [0-9a-f]*' | sort | uniq -c)" = \
	"      4 $(grep -aoE -m 1 'sum [0-9a-f]{8,}' "$log" | head -n 1)" ] || linux_fail "expected: four equal sums"
echo "two Linux guests on amphi-hv: tools, a card lost twice, a reboot and an end under load"
