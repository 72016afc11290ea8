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
