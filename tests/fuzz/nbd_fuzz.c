/* nbd_fuzz.c: whatever a server says, and however it is cut into packets, an NBD disk touches no memory but its requests'.
 *
 * Why: the server is another machine. The input is steps: bytes that the server sends as they are, well-made replies with a field
 * changed, requests of ours, ends of connections, time. Called by libFuzzer; each request ends at most once, and all have at the end.
 * links: drivers-native/nbd.c drivers-native/nbd_conn.c drivers-native/nbd_io.c drivers-native/disk_error.c
 * links: tests/host/nbd_world.c tests/host/fake_tcp.c lib/text.c lib/printf.c
 */
#include <stdlib.h>
#include <string.h>

#include "tests/host/fake_tcp.h"
#include "tests/host/nbd_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS 6u

static struct world_request *requests[REQUESTS];
static struct block_device *disk;
static const uint8_t *at;
static size_t left;

static uint8_t next(void)
{
	if (!left)
		return 0;
	left--;
	return *at++;
}

static void put(uint8_t **to, unsigned bytes, uint64_t v)
{
	while (bytes--)
		*(*to)++ = (uint8_t)(v >> (8 * bytes));
}

/* The handshake as it should be, so that what follows gets behind it. */
static void shake(struct host_tcp *tcp)
{
	uint8_t bytes[128], *to = bytes;

	fake_connect(tcp);
	memcpy(to, "NBDMAGICIHAVEOPT\0\3", 18);
	to += 18;
	put(&to, 8, 0x3e889045565a9), put(&to, 4, 8), put(&to, 4, next() & 1 ? 1 : 0x80000001),
	    put(&to, 4, 0);
	put(&to, 8, 0x3e889045565a9), put(&to, 4, 7), put(&to, 4, 3), put(&to, 4, 12);
	put(&to, 2, 0), put(&to, 8, 1 << 20), put(&to, 2, 0x12d);
	put(&to, 8, 0x3e889045565a9), put(&to, 4, 7), put(&to, 4, 1), put(&to, 4, 0);
	fake_give(tcp, bytes, (size_t)(to - bytes), 1 + next());
}

/* A reply to the n-th request that was sent, with lengths and places near the right ones. */
static void reply(struct host_tcp *tcp)
{
	static uint8_t bytes[9000];
	uint8_t *to = bytes, kind = next();
	const uint8_t *head = fake_take(tcp, 28);
	uint64_t offset = 0;

	if (!head)
		return;
	memcpy(&offset, head + 16, 8);
	if (head[7] == 1)
		(void)fake_take(tcp, (size_t)head[25] << 16 | (size_t)head[26] << 8 | head[27]);
	put(&to, 4, kind & 1 ? 0x668e33ef : 0x67446698);
	if (kind & 1) {
		static const uint16_t types[] = {0, 1, 2, 0x8001, 0x8002, 5};

		put(&to, 2, kind >> 1 & 1);
		put(&to, 2, types[(kind >> 2) % 6]);
		memcpy(to, head + 8, 8), to += 8;
		put(&to, 4, (uint32_t)next() << 5 | next());
		put(&to, 8, __builtin_bswap64(offset) + (next() & 3) * 512);
	} else {
		put(&to, 4, kind >> 1 & 5);
		memcpy(to, head + 8, 8), to += 8;
	}
	to += (size_t)next() << 5;
	fake_give(tcp, bytes, MIN((size_t)(to - bytes), sizeof(bytes)), 1 + next() * 7u);
}

static void submit(void)
{
	unsigned i = next() % REQUESTS;
	uint8_t op = next();

	if (requests[i] && !requests[i]->ended)
		return;
	if (requests[i])
		world_free(requests[i]);
	requests[i] =
	    world_request(op & 3, (op >> 2) * 8u, (1 + next() % 16) * 512u, next() % 8 * 512u);
	world_submit(disk, requests[i]);
}

static void step(void)
{
	uint8_t what = next();
	struct host_tcp *tcp = fake_stream((what >> 4) % NBD_CONNECTIONS);
	size_t n, piece;

	switch (what & 7) {
	case 0:
		piece = 1 + next() % 40;
		n = next();
		n = MIN(n, left);
		if (tcp && tcp->connected)
			fake_give(tcp, at, n, piece);
		at += n;
		left -= n;
		break;
	case 1:
	case 2:
		submit();
		break;
	case 3:
		if (tcp)
			fake_end(tcp, what & 8 ? 0 : -1);
		break;
	case 4:
		world_advance(next() * 40u);
		break;
	case 5:
		if (tcp && !tcp->connected)
			shake(tcp);
		break;
	default:
		if (tcp && tcp->connected) {
			tcp->room = what & 8 ? 100 : 1 << 20;
			tcp->ops->writable(tcp->ctx);
			if (tcp->used)
				reply(tcp);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned i;

	world_reset();
	fake_tcp_reset();
	at = data;
	left = size;
	disk = nbd_find("nbd://s/e");
	world_run();
	while (left)
		step();
	nbd_exit();
	for (i = 0; i < REQUESTS; i++) {
		if (requests[i] && requests[i]->ended != 1)
			abort();
		if (requests[i])
			world_free(requests[i]);
		requests[i] = NULL;
	}
	fake_tcp_reset();
	if (world_registered)
		abort();
	return 0;
}
