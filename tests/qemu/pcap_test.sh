#!/bin/sh
# pcap_test: somebody on the host looks on at a guest's packets, and commands the machine over TCP.
# Why: a capture that drops, doubles or spoils frames sends people the wrong way, and a control port on a network is the machine's for
# whoever is let in. Expected: `ctl pcap` makes a file that tcpdump reads, with every frame of a ping and every byte of a fetch, right
# sums and times; snap, count and direction hold; an interface that goes ends it with a word; two look on at once and commands go on
# between; guests are not let in, lines and connections are bounded, and who leaves leaves nothing behind.
# timeout: 160
set -u
BUILD=${BUILD:-build}
tool=$BUILD/amphi-tool
command -v tcpdump >/dev/null || { echo "no tcpdump"; exit 77; }
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
work=$(mktemp -d)
pid=
trap 'kill $pid 2>/dev/null; wait; rm -rf "$work"' EXIT
mkdir "$work/run"
export XDG_RUNTIME_DIR="$work/run"
port=$((28000 + $$ % 200 * 10))
fail() { echo "$*"; echo "--- last answer:"; tail -n 20 "$work/out"; echo "--- machine:"; grep -v '@stat' "$work/log" | tail -n 40; exit 1; }
tcp() { "$tool" ctl --tcp 127.0.0.1:$port "$@"; }
says() { grep -qE -- "$1" "$work/out" || fail "expected /$1/"; }
logs() { # logs PATTERN: waits for a line of the machine
	for _ in $(seq 1200); do grep -qE -- "$1" "$work/log" && return; sleep 0.1; done
	fail "expected /$1/"
}
type() { # type GUEST LINE PATTERN [OPTION...]: at its console, by the serial port unless said, until the pattern shows
	guest=$1 line=$2 pattern=$3
	shift 3
	mkfifo "$work/keys" 2>/dev/null
	"$tool" ctl "$@" --timeout 60 console "$guest" <"$work/keys" >"$work/typed" 2>&1 &
	console=$!
	exec 9>"$work/keys"
	printf '%s\n' "$line" >&9
	for _ in $(seq 1200); do grep -qE -- "$pattern" "$work/typed" && break; sleep 0.1; done
	printf '\035' >&9
	exec 9>&-
	wait $console
	grep -qE -- "$pattern" "$work/typed" || { cat "$work/typed"; fail "$guest: $line: no /$pattern/"; }
}
begun() { for _ in $(seq 1200); do [ -s "$1" ] && return; sleep 0.1; done; fail "no capture begins in $1"; }

strip -g -o "$work/amphi" "$BUILD/amphi"
printf 'name = "one"\nkernel = "%s"\nmemory = 16\ncmdline = "role=guest ip=10.0.2.50/24,gw=10.0.2.2"\nvif = [ "mac=00:16:3e:00:00:01" ]\n' "$work/amphi" >"$work/one.cfg"
printf "name = 'two'\nkernel = '%s'\nmemory = 16\ncmdline = 'role=guest ip=10.0.2.40/24,gw=10.0.2.2 do=\"ramdisk r 128; fill r 7; httpd 8080\"'\nvif = [ 'mac=00:16:3e:00:00:02' ]\n" "$work/amphi" >"$work/two.cfg"
timeout -k 5 140 "$tool" run --accel tcg --net "user,hostfwd=tcp:127.0.0.1:$port-:7000" --service-args 'stay ctl=tcp:7000' \
	"$work/one.cfg" "$work/two.cfg" >"$work/log" 2>&1 &
pid=$!

# From the first moment on: the forwarded port is there before anybody listens.
: >"$work/out"
for _ in $(seq 600); do python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" 2>/dev/null && break; sleep 0.1; done
tcp --timeout 60 list >"$work/out" 2>&1 || fail "list over TCP: $?"
says '^two +2 '
logs '\[service\] .*control port is open at TCP port 7000, to who is outside and near, without a password'
logs '\[two\] @ready'
type one 'ping -c 1 10.0.2.40' '@ping .* received=1'

# A ping and a fetch, seen at the interface of who is asked.
"$tool" ctl --tcp 127.0.0.1:$port -o "$work/two.pcap" pcap two 2>"$work/words" &
capture=$!
begun "$work/two.pcap"
tcp pcap vif2.0 >"$work/file" 2>"$work/out"
[ $? = 1 ] || fail "two look on at one interface"
says 'vif2.0: somebody looks on there already \(EBUSY\)'
type one 'ping -i 0 -c 3 -s 1000 10.0.2.40' '@ping .* sent=3 received=3'
type one 'fetch http://10.0.2.40:8080/disk/r' '@fetch .* code=200 .*sha256=[0-9a-f]{64}'
kill -INT $capture # what waits in the machine still comes
wait $capture || fail "pcap's status: $? $(cat "$work/words")"
grep -qE '^[0-9]+ frames, 0 dropped$' "$work/words" || fail "no last word: $(cat "$work/words")"
tcpdump -nvv -r "$work/two.pcap" >"$work/dump" 2>"$work/out" || fail "tcpdump does not read it"
grep -E 'incorrect|wrong|bad |\[bad|truncated|invalid' "$work/dump" | head -n 5 >"$work/wrong"
[ -s "$work/wrong" ] && fail "tcpdump finds fault: $(cat "$work/wrong")"
[ "$(grep -c '10.0.2.50 > 10.0.2.40: ICMP echo request, .*length 1008' "$work/dump")" = 3 ] || fail "not three requests"
[ "$(grep -c '10.0.2.40 > 10.0.2.50: ICMP echo reply, .*length 1008' "$work/dump")" = 3 ] || fail "not three replies"
grep -q '10.0.2.40.8080 > .*cksum 0x[0-9a-f]* (correct)' "$work/dump" || fail "no sums of TCP were looked at"
python3 - "$work/two.pcap" "$work/typed" <<'P' >"$work/out" 2>&1 || fail "not what was fetched"
import hashlib, re, struct, sys, time
d = open(sys.argv[1], "rb").read()
magic, major, minor, _, _, snap, link = struct.unpack("<IHHIIII", d[:24])
assert (magic, major, minor, snap, link) == (0xa1b23c4d, 2, 4, 65535, 1)
at, last, stream, first, longest = 24, 0, {}, None, 0
while at < len(d):
    s, ns, kept, whole = struct.unpack("<IIII", d[at:at + 16])
    f = d[at + 16:at + 16 + kept]
    at += 16 + kept
    assert kept == whole == len(f) and ns < 10**9
    t = s + ns / 1e9
    assert t >= last and abs(time.time() - t) < 300, (t, time.time())
    last = t
    if f[12:14] != b"\x08\0" or f[23] != 6: continue
    ip = f[14:14 + struct.unpack(">H", f[16:18])[0]]
    tcp = ip[20:]
    sport, dport, seq = struct.unpack(">HHI", tcp[:8])
    data = tcp[(tcp[12] >> 4) * 4:]
    longest = max(longest, whole)
    if sport != 8080: continue
    if tcp[13] & 2: first = (seq + 1) & 0xffffffff
    elif data: stream[(seq - first) & 0xffffffff] = data
body = b""
for off in sorted(stream):
    assert off <= len(body), ("a hole at", len(body), off)
    body += stream[off][len(body) - off:]
body = body.split(b"\r\n\r\n", 1)[1]
wanted = re.search(r"sha256=([0-9a-f]{64})", open(sys.argv[2]).read()).group(1)
assert len(body) == 128 << 10, len(body)
assert hashlib.sha256(body).hexdigest() == wanted, "other bytes"
assert longest <= 1514, longest
print("the stream of", len(body), "bytes is whole")
P

# The wire, by the serial port, while another looks on over TCP: so many, so much of each, in one direction. Through a pipe.
"$tool" ctl --tcp 127.0.0.1:$port -o "$work/one.pcap" pcap vif1.0 2>"$work/words" &
capture=$!
"$tool" ctl pcap eth0 count 3 snap 60 in 2>"$work/words2" | tee "$work/wire.pcap" | tcpdump -enr - >"$work/dump" 2>/dev/null &
wire=$!
begun "$work/one.pcap"
tcp --json netstat two >"$work/out" 2>&1 || fail "netstat"
python3 - "$work/out" <<'P' || fail "not what scripts were promised"
import json, sys
rows = json.load(open(sys.argv[1]))
assert rows[0]["name"] == "two" and rows[0]["interface"] == "vif2.0" and rows[0]["queue"] is None, rows
assert rows[0]["bytes_in"] > 128 << 10 and (rows[0]["drops"] or "filtered:").startswith("filtered:") and rows[0]["frames_in"] >= rows[0]["batches_in"] > 0, rows
P
# Both ways of typing are taken: a guest's console by TCP.
type one 'ping -i 0 -c 6 10.0.2.2' '@ping .* received=6' --tcp 127.0.0.1:$port
wait $wire
[ "$(wc -l <"$work/dump")" = 3 ] || { cat "$work/dump"; fail "not three frames of the wire"; }
grep -q '10.0.2.15\.[0-9]* >' "$work/dump" && { cat "$work/dump"; fail "a direction was not asked for"; }
grep -q '^3 frames, 0 dropped' "$work/words2" || fail "the wire: $(cat "$work/words2")"
n=$(wc -c <"$work/wire.pcap")
[ "$n" -gt 100 ] && [ "$n" -le $((24 + 3 * (16 + 60))) ] || fail "more of the frames than was asked for: $n bytes"

# Who is not let in: a guest, and one connection more than there may be. Who talks too long is told.
type two 'nc 10.0.2.15 7000 x destroy one' 'nc: |reset|refused|EIO|EPIPE|#|>'
logs 'control port: 10.0.2.40 is not let in'
python3 - $port <<'P' >"$work/out" 2>&1 || fail "bounds"
import socket, sys, time
def new():
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
    s.settimeout(20)
    return s
def line(s):
    b = b""
    while not b.endswith(b"\n"):
        c = s.recv(1)
        if not c: return b
        b += c
    return b
a = new()
a.sendall(b"a " + b"x" * 5000 + b"\n")
assert line(a).startswith(b"a! E2BIG"), "too long"
a.sendall(b"b help")
b, c = new(), new()
for s in (b, c):
    s.sendall(b"n\n")
    assert line(s).startswith(b"n! "), "an empty command"
full = new()  # one looks on at an interface, three are these: this is the fifth
try:
    full.sendall(b"n\n")
    got = full.recv(1)
except OSError:
    got = b""
assert got == b"", "a fifth was let in"
a.sendall(b"\n")
assert line(a).startswith(b"b> "), "half a line"
P
logs 'finds all 4 connections taken'

# The interface goes.
"$tool" ctl destroy one >"$work/out" 2>&1 || fail "destroy"
wait $capture
[ $? = 1 ] || fail "an interface that goes is no end"
grep -q 'vif1.0 has gone (ENODEV)' "$work/words" || fail "no word of it: $(cat "$work/words")"
grep -qE '^[1-9][0-9]* frames, 0 dropped' "$work/words" || fail "no count: $(cat "$work/words")"
tcpdump -nr "$work/one.pcap" 2>/dev/null | grep -q '10.0.2.50 > 10.0.2.2: ICMP echo request' || fail "what was seen before is lost"

# Who is cut off looks on no more, and can come back.
"$tool" ctl --tcp 127.0.0.1:$port -o "$work/cut.pcap" pcap two 2>/dev/null &
capture=$!
begun "$work/cut.pcap"
kill -KILL $capture
wait $capture 2>/dev/null
for _ in $(seq 300); do tcp --timeout 2 pcap two >"$work/file" 2>"$work/out" && break; sleep 0.2; done
says '^[0-9]+ frames, 0 dropped$'
tcp pcap nobody >"$work/file" 2>"$work/out"
[ $? = 1 ] || fail "pcap of nobody"
says 'nobody: no interface that is connected \(ENODEV\)'
"$tool" ctl pcap two frames 3 >"$work/file" 2>"$work/out"
says 'usage: pcap NAME'
echo "a ping and a stream seen whole; commands over TCP; guests are not let in"
