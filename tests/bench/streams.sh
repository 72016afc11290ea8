# streams.sh: what a KiB of TCP costs between guests of ours and with the service domain, on amphi-hv: everything that is executed while
# iperf sends for a second of guest time, which is instructions. The stack of TCP/IP is our own at both ends, so this is the whole way
# of a byte, from one program's memory to the other's; the bar is half of what nets.sh counts between two Linux guests on Linux's
# backend (3823), with Linux's stack at both ends. Taken in by tests/bench.sh; lib.sh has the words.
. tests/lib/archive.sh
strip -g -o "$work/amphi" "$BUILD/amphi"
ar_new
ar_file /amphi "$work/amphi"
stream_guest() { # stream_guest NAME ADDRESS DO
	{
		printf 'name = "%s"\nkernel = "/amphi"\nmemory = 32\nvif = [ "" ]\n' "$1"
		printf "cmdline = 'role=guest ip=%s/24 do=\"%s\"'\n" "$2" "$3"
	} | ar_domain "$1"
}
stream_guest there 10.9.0.2 'iperf -s; halt'
stream_guest here 10.9.0.1 'sleep 2000; iperf -c 10.9.0.2 -t 1; iperf -c 10.9.0.3 -t 1; sleep 1000; iperf -c 10.9.0.3 -t 1 -R; sleep 100; halt'
ar_pack "$work/archive"
in_qemu 300 "$work/streams" -m 384 -kernel "$BUILD/amphi-hv" -append dom0_mem=96M \
	-initrd "$BUILD/amphi role=service ip=10.9.0.3/24 do=\"iperf -s; iperf -s\",$work/archive"
grep -c '^\[here\] @iperf' "$work/streams" | grep -qx 3 || { tail -n 40 "$work/streams"; echo "bench: the streams did not end"; exit 1; }

kib() { # kib N: instructions for each KiB of the N-th stream
	sed -n 's/^\[here\] @iperf .* bytes=\([0-9]*\) peer_bytes=\([0-9]*\) ns=\([0-9]*\) .*/\1 \2 \3/p' "$work/streams" | awk -v n="$1" '
		NR == n { printf "%d\n", $3 * 1024 / ($1 < $2 ? $1 : $2) }'
}
echo "TCP, for each KiB, with our own stack at both ends (amphi-hv; everything counted)"
figure "  from guest to guest" "$(kib 1)" 1911
figure "  from a guest to the service domain" "$(kib 2)" 1911
figure "  from the service domain to a guest" "$(kib 3)" "$(($(kib 2) * 3 / 2))"
