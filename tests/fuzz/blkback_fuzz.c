/* blkback_fuzz: a guest's blkfront that is nothing but fuzz, against blkback.
 *
 * The input is a script: bytes written anywhere into the ring's page, indices moved, notifications,
 * keys and states of the store changed, grants ended, disk requests let go. Expected: no bad access
 * (grants are real mappings, so a page used after unmap faults), the disk is asked nothing that
 * breaks block.h (mock_disk.c checks), and when the guest is gone nothing of it is left.
 *
 * links: tests/host/blk_world.c tests/host/blk_rogue.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c
 * links: protocol/xenbus.c protocol/xenbus_class.c protocol/xenbus_keys.c
 * links: protocol/grant_retire.c protocol/blkif_names.c
 * links: drivers-front/blkfront*.c drivers-back/blkback*.c
 * links: lib/printf.c lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include "tests/host/blk_rogue.h"

static const uint8_t *at, *stop;
static struct rogue rogue;
static struct mock_disk *ram;

static uint8_t byte(void)
{
	return at < stop ? *at++ : 0;
}

static uint32_t word(void)
{
	uint32_t v = byte();

	v |= (uint32_t)byte() << 8;
	v |= (uint32_t)byte() << 16;
	return v | (uint32_t)byte() << 24;
}

static void poke_bytes(void)
{
	unsigned offset = byte() | (byte() & 15u) << 8, n = byte() % 64;

	for (; n && offset < PAGE_SIZE; n--, offset++)
		((uint8_t *)rogue.page)[offset] = byte();
}

static void poke_request(void)
{
	uint8_t index = byte();
	struct blkif_request req = rogue_good(&rogue, byte() % 8, byte() % ROGUE_PAGES, byte());

	req.nr_segments = byte() % 13;
	for (unsigned i = 1; i < BLKIF_SEGMENTS; i++) {
		req.seg[i].gref = rogue.grants[byte() % ROGUE_PAGES].v;
		req.seg[i].last_sect = byte() % 10;
	}
	rogue_request(&rogue, index, &req);
}

static void advance_prod(void)
{
	mock_enter(1);
	rogue.page->req_prod = rogue.page->rsp_prod + byte() % 34;
	host_event_notify(rogue.port);
}

static void wild_prod(void)
{
	mock_enter(1);
	rogue.page->req_prod = word();
	host_event_notify(rogue.port);
}

static void change_key(void)
{
	static const char *const keys[] = {"ring-ref", "event-channel", "protocol",
					   "feature-persistent", "ring-page-order"};
	const char *key = keys[byte() % ARRAY_SIZE(keys)];
	char value[24];
	unsigned n = byte() % sizeof(value);

	for (unsigned i = 0; i < n; i++)
		value[i] = (char)byte();
	value[n] = '\0';
	world_put_front(1, XVDA, key, value);
}

static void change_state(void)
{
	char state[2] = {(char)('0' + byte() % 10), '\0'};

	world_put_front(1, XVDA, "state", state);
}

static void regrant(void)
{
	unsigned n = byte() % ROGUE_PAGES;

	mock_enter(1);
	if (rogue.grants[n].v && host_grant_end(rogue.grants[n]) != 0)
		return;
	rogue.grants[n].v = 0;
	host_grant_offer(0, rogue.data[n], byte() & 1, &rogue.grants[n]);
}

static void release(void)
{
	mock_disk_release(ram, byte() % 40);
}

static void run_some(void)
{
	mock_run_some(byte());
}

static void disk_mood(void)
{
	uint8_t mood = byte();

	ram->hold = mood & 1;
	ram->fail_status = mood & 2 ? -XEN_EIO : 0;
	ram->dev.max_segments = 1 + (mood >> 2) % 12;
}

static void shortage(void)
{
	mock_fail_after(byte());
}

static void (*const steps[])(void) = {poke_bytes, poke_request, advance_prod, wild_prod,
				      change_key, change_state, regrant,      release,
				      run_some,   disk_mood,    shortage};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	at = data;
	stop = data + size;
	ram = world_begin(256);
	rogue_front_begin(&rogue, byte() & 1 ? "r" : "w", byte() & 1);
	for (int n = 0; at < stop && n < 200; n++) {
		steps[byte() % ARRAY_SIZE(steps)]();
		if (byte() & 1)
			mock_run();
	}
	mock_fail_after(-1);
	mock_run();
	mock_disk_release(ram, 1000);
	mock_store_remove("/local/domain/1/device/vbd/51712");
	mock_advance(6000000000ull);
	world_detach_begin(1, XVDA);
	mock_disk_release(ram, 1000);
	mock_advance(6000000000ull);
	rogue_front_end(&rogue);
	if (!world_end())
		abort();
	return 0;
}
