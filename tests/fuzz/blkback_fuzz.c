/* blkback_fuzz: a guest's blkfront that is nothing but fuzz, against blkback.
 *
 * The input is a plan (rings, pages, layout, what is kept) and a script: requests of any kind on any ring,
 * bytes written anywhere into a ring's pages or a list, indices moved, notifications, keys and states of the
 * store changed, grants ended, disk requests let go, the disk changed or pulled out. Expected: no bad access
 * (grants are real mappings, so a page used after unmap faults), no byte of a slot fetched twice, the disk is
 * asked nothing that breaks block.h (mock_disk.c checks), and when the guest is gone nothing of it is left.
 *
 * links: tests/host/blk_world.c tests/host/blk_guest.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c
 * links: protocol/xenbus.c protocol/xenbus_class.c protocol/xenbus_keys.c
 * links: protocol/grant_retire.c protocol/blkif_names.c
 * links: drivers-front/blkfront*.c drivers-back/blkback*.c
 * links: lib/printf.c lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz_script.h"
#include "tests/host/blk_guest.h"
#include "tests/host/peer_recorder.h"

static struct guest guest;
static struct mock_disk *ram;

static unsigned any_queue(void)
{
	return byte() % guest.n_queues;
}

static void poke(uint8_t *to, unsigned offset, unsigned size)
{
	for (unsigned n = byte() % 64; n && offset < size; n--, offset++)
		to[offset] = byte();
}

static void poke_ring(void)
{
	poke(guest.queues[any_queue()].pages, word() % 4096, 4096);
}

static void poke_list(void)
{
	poke(guest.list, (byte() % 16u) * 4096u + byte() * 16u, 16 * 4096);
}

/* Of the frontend's kind, nearly right: what is wrong with it is in few of its numbers. */
static void put_request(void)
{
	struct ring *ring = &guest.queues[any_queue()].ring;
	uint8_t shape = byte();
	struct guest_request r = {
	    .op = byte() % 8,
	    .id = shape,
	    .sector = byte() * 2u,
	    .page = byte(),
	    .n_segments = shape & 1 ? byte() % 13 : byte() + 1u,
	    .n_sectors = byte(),
	    .flags = shape >> 7,
	    .first = shape & 2 ? byte() % 9 : 0,
	    .last = shape & 4 ? byte() % 10 : 0,
	    .indirect = shape & 8,
	};

	if (!ring_front_free(ring))
		ring->in = ring->out - byte() % ring->n_slots;
	guest_put(&guest, (unsigned)(container_of(ring, struct guest_queue, ring) - guest.queues),
		  &r);
}

/* The disk answers at once or later; whatever was published is fetched once, but for what waits for memory. */
static void publish(void)
{
	unsigned n = any_queue();
	struct guest_queue *q = &guest.queues[n];
	uint64_t starved = world_back_stats().starved;
	uint8_t *ring;

	mock_enter(0);
	ring = mock_mapping(1, q->refs[0]);
	if (ring)
		peer_recorder_begin(ring + 64, (PAGE_SIZE << guest.plan.order) - 64, true);
	guest_push(&guest, n);
	if (ring && peer_recorder_doubles() && world_back_stats().starved == starved)
		abort();
	peer_recorder_end();
}

static void wild_prod(void)
{
	struct guest_queue *q = &guest.queues[any_queue()];
	uint32_t near = q->ring.shared->rsp_prod + byte() % 34;

	mock_enter(1);
	q->ring.shared->req_prod = byte() & 1 ? word() : near;
	host_event_notify(q->port);
}

static void change_key(void)
{
	static const char *const keys[] = {
	    "ring-ref",           "event-channel",     "protocol",
	    "feature-persistent", "ring-page-order",   "num-ring-pages",
	    "ring-ref0",          "queue-0/ring-ref1", "multi-queue-num-queues",
	    "queue-0/ring-ref",   "queue-1/ring-ref",  "feature-large-sector-size",
	};
	const char *key = keys[byte() % ARRAY_SIZE(keys)];
	char value[SCRIPT_TEXT];

	script_text(value);
	world_put_front(1, XVDA, key, value);
}

static void change_state(void)
{
	char state[2] = {(char)('0' + byte() % 10), '\0'};

	world_put_front(1, XVDA, "state", state);
}

/* One page for reading only, or another reference for it. */
static void regrant(void)
{
	unsigned n = byte();

	mock_enter(1);
	if (host_grant_end(guest.refs[n]) != 0)
		return;
	mock_fail_after(-1);
	host_grant_offer(0, guest.data + n * PAGE_SIZE, byte() & 1, &guest.refs[n]);
}

static void release(void)
{
	mock_disk_release(ram, byte() % 40);
}

static void run_some(void)
{
	mock_run_some(byte());
}

static void time_goes_by(void)
{
	mock_advance(byte() * 1000000000ull);
}

static void disk_mood(void)
{
	uint8_t mood = byte();

	ram->hold = mood & 1;
	ram->fail_status = mood & 2 ? -XEN_EIO : 0;
	ram->dev.has_fua = mood & 4;
	ram->dev.has_flush = mood & 8;
	ram->dev.max_segments = 1 + byte();
}

/* Grows, shrinks or goes; a disk goes when it has nothing in its hands. The data behind it stays as large. */
static void disk_changes(void)
{
	uint8_t how = byte();

	mock_disk_release(ram, 100000);
	ram->dev.sectors = 128 + how % 128;
	ram->dev.gone = how & 128;
	mock_enter(0);
	host_block_changed(&ram->dev);
}

static void toolstack(void)
{
	static const char *const params[] = {"", "ram0", "nosuch"};
	uint8_t how = byte();

	if (how & 1)
		world_put_back(1, XVDA, "params", params[how / 2 % 3]);
	else
		world_put_back(1, XVDA, "device-type", how & 2 ? "cdrom" : "disk");
}

static void shortage(void)
{
	mock_fail_after(byte());
}

static void (*const steps[])(void) = {put_request, put_request, publish,    publish,      poke_ring,
				      poke_list,   wild_prod,   change_key, change_state, regrant,
				      release,     run_some,    disk_mood,  disk_changes, toolstack,
				      shortage,    time_goes_by};

static void connect(void)
{
	uint8_t how = byte(), shape = byte();
	struct guest_plan plan = {
	    .n_queues = how % 4,
	    .order = how / 4 % 5,
	    .protocol = how & 128 ? "x86_32-abi" : NULL,
	    .persistent = shape & 1,
	    .large_sectors = shape & 2,
	    .old_names = shape & 4,
	    .order_named = shape & 4 ? false : shape & 8,
	};

	ram->dev.sector_size = shape & 16 ? 4096 : 512;
	ram->dev.has_discard = shape & 32;
	ram->dev.discard_secure = shape & 64;
	blkback_persistent_limits(shape & 128 ? 40 : 1056, 12288);
	world_attach(1, XVDA, "ram0", byte() & 1 ? "r" : "w");
	guest_connect(&guest, &plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	script_begin(data, size);
	ram = world_begin(256);
	world_start_back();
	connect();
	for (int n = 0; at < stop && n < 300; n++) {
		steps[byte() % ARRAY_SIZE(steps)]();
		if (byte() & 1)
			mock_run();
	}
	mock_fail_after(-1);
	mock_run();
	mock_disk_release(ram, 100000);
	mock_store_remove("/local/domain/1/device/vbd/51712");
	mock_advance(6000000000ull);
	world_detach_begin(1, XVDA);
	ram->hold = false;
	mock_disk_release(ram, 100000);
	mock_advance(6000000000ull);
	guest_end(&guest);
	if (!world_end())
		abort();
	return 0;
}
