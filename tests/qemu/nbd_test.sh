#!/bin/sh
# nbd_test: a guest's disks are exports of an NBD server, reached by the service domain's network card.
# Why: this is how storage outgrows one machine: frontend, backend, NBD client, TCP/IP, bridge and card in one path, and a
# server that restarts must be nobody's error. Expected: the guest reads an export's SHA-256 and fills and verifies another,
# while the server (nbdkit) is killed and started again under it; what is in the files afterwards is what the guest wrote; an
# export that is not there keeps only its own guest waiting.
# timeout: 120
BUILD=${BUILD:-build}
work=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null; rm -rf "$work"' EXIT
mkdir "$work/disks"
head -c 24M /dev/urandom >"$work/disks/a.img"
truncate -s 24M "$work/disks/b.img"
sum=$(sha256sum <"$work/disks/a.img" | cut -d' ' -f1)
port=$((22000 + $$ % 200 * 10))

serve() { # nbdkit on the loopback, which QEMU's user network shows as 10.0.2.2
	nbdkit -f -i 127.0.0.1 -p $port file dir="$work/disks" >/dev/null 2>&1 &
	server=$!
}
cat >"$work/one.cfg" <<C
name = "one"
kernel = "$BUILD/amphi"
memory = 8
cmdline = 'role=guest do="sha256 xvda; fill xvdb 9; verify xvdb 9; sha256 xvda; halt 0"'
disk = [ "nbd://10.0.2.2:$port/a.img,raw,xvda,ro", "nbd://10.0.2.2:$port/b.img,raw,xvdb,rw" ]
C
cat >"$work/two.cfg" <<C
name = "two"
kernel = "$BUILD/amphi"
memory = 8
cmdline = 'role=guest do="disks; halt 3"'
disk = [ "nbd://10.0.2.2:$port/none.img,raw,xvda,ro" ]
C
serve
"$BUILD/amphi-tool" run --timeout 270 "$work/one.cfg" "$work/two.cfg" >"$work/log" 2>&1 </dev/null &
run=$!
while kill -0 $run 2>/dev/null; do
	sleep 1
	[ "$(grep -c 'is back' "$work/log")" -lt 6 ] || continue # enough of it: each time costs seconds of waiting
	kill -9 $server; wait $server 2>/dev/null
	sleep 0.3
	serve
done
wait $run
status=$?
bad() { tail -n 60 "$work/log"; echo "$1"; exit 1; }
[ $status = 3 ] || bad "exit $status, not the second guest's 3"
[ "$(grep -c "^\[one\] @sha256 xvda $sum" "$work/log")" = 2 ] || bad "the guest did not read a.img twice as it is"
grep -q '^\[one\] @verify xvdb ok' "$work/log" || bad "what was written does not come back"
grep -q '^\[service\].*is back' "$work/log" || bad "the server was never away"
grep -q '^\[service\].*none.img: no such host or export' "$work/log" || bad "nobody says that none.img is not there"
"$BUILD/amphi-tool" verify-pattern "$work/disks/b.img" 9 || exit 1
echo "two disks of an NBD server that was killed $(grep -c 'is back' "$work/log") times; a third that is not there"
