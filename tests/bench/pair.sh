# pair.sh: blkfront and blkback on this machine, in two processes that share memory, beside a virtio ring driven the same way
# (pair/pair.c). The only part of the benches that is not counted in instructions: time and cache misses of whatever machine this is,
# noisy, and no bar. Taken in by tests/bench.sh.
"${CC:-gcc}" -std=gnu11 -O2 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers -Iinclude -I. -DAMPHI_HOST_TEST \
	-fno-strict-aliasing -mno-red-zone -o "$work/pair" tests/bench/pair/*.c tests/host/blk_world.c tests/host/mock_*.c protocol/xenbus*.c \
	protocol/grant_retire.c protocol/blkif_names.c drivers-front/blkfront*.c drivers-back/blkback*.c drivers-native/virtio_ring.c \
	lib/printf.c lib/text.c -Wl,--wrap=host_event_notify,--wrap=host_event_offer,--wrap=host_event_bind
echo "on this machine, noisy: front and back in two processes, 32 reads of 4 KiB in flight, beside a virtio ring"
"$work/pair" >"$work/pair.out" || { echo "bench: the pair did not end well"; exit 1; }
sed 's/^@pair /  /' "$work/pair.out"

# Without counters, cachegrind's model of the caches: the two processes have each their own, so what one side takes out of the other's cache is not
# in it. The difference of a long run and a short one leaves out start and end.
missed() { # missed RING REQUESTS: D1 and last-level misses of both processes
	rm -f "$work"/cachegrind.*
	valgrind -q --tool=cachegrind --cachegrind-out-file="$work/cachegrind.%p" "$work/pair" $1 $2 >"$work/pair.model" 2>&1 || return 1
	awk '/^summary:/ {d1 += $6 + $9; last += $7 + $10; n++} END {if (n != 2) exit 1; print d1, last}' "$work"/cachegrind.*
}
if grep -q 'misses_per_request=unknown' "$work/pair.out"; then
	tools/deps.sh bench
	for ring in blkif virtio; do
		short=$(missed $ring 5000) && long=$(missed $ring 25000) || { tail -n 5 "$work/pair.model"; echo "bench: cachegrind did not end well"; exit 1; }
		echo "$ring $short $long" | awk '{printf "  %s, simulated by cachegrind, of both sides: misses_per_request=%.2f of the first-level data cache, %.2f of the last level\n",
			$1, ($4 - $2) / 20000, ($5 - $3) / 20000}'
	done
fi
