/* blkfront_fuzz: a backend that is nothing but fuzz, against blkfront and its users.
 *
 * The input is a script: bytes written into the ring's page, answers good and wild, states and keys
 * of the store, pages mapped and kept, requests made meanwhile. Expected: no bad access, each
 * request ends exactly once, and when the disk is gone and the backend has let go nothing is left.
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

#define USERS 40u /* more than the ring holds */

static const uint8_t *at, *stop;
static struct rogue rogue;
static struct block_device *dev;
static struct world_request users[USERS];
static unsigned n_kept;
static struct host_grant_map kept[8];

static uint8_t byte(void)
{
	return at < stop ? *at++ : 0;
}

static void once(struct block_request *req, int status)
{
	struct world_request *w = req->ctx;

	if (w->done)
		abort();
	w->done = true;
	w->status = status;
}

static void make_request(void)
{
	struct world_request *w = &users[byte() % USERS];
	uint8_t shape = byte();

	dev = mock_find_registered(1, "xvda");
	if (!dev || (w->len_bytes && !w->done))
		return;
	world_release(w, 1);
	world_prepare(w, 1, shape & 1 ? BLOCK_WRITE : BLOCK_READ, shape, 512 * (1 + shape % 80),
		      512 * (shape & 7));
	w->req.done = once;
	world_submit(w, 1, dev);
	world_kick(1, dev);
}

static void poke_bytes(void)
{
	unsigned offset = byte() | (byte() & 15u) << 8, n = byte() % 64;

	for (; n && offset < PAGE_SIZE; n--, offset++)
		((uint8_t *)rogue.page)[offset] = byte();
}

static void good_answer(void)
{
	struct blkif_request req = rogue_asked(&rogue, rogue.page->rsp_prod);

	rogue_answer(&rogue, rogue.page->rsp_prod, req.id, req.operation,
		     byte() & 1 ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR);
	if (rogue.page->rsp_prod != rogue.page->req_prod)
		rogue.page->rsp_prod++;
}

static void wild_answer(void)
{
	rogue_answer(&rogue, byte(), byte(), byte() % 4, (int16_t)(int8_t)byte());
	rogue.page->rsp_prod += byte() % 3;
}

static void notify(void)
{
	mock_enter(0);
	host_event_notify(rogue.port);
}

static void change_state(void)
{
	char state[2] = {(char)('0' + byte() % 10), '\0'};

	world_put_back(1, XVDA, "state", state);
}

static void change_key(void)
{
	static const char *const keys[] = {"sectors", "sector-size", "info", "feature-flush-cache",
					   "feature-persistent"};
	const char *key = keys[byte() % ARRAY_SIZE(keys)];
	char value[24];
	unsigned n = byte() % sizeof(value);

	for (unsigned i = 0; i < n; i++)
		value[i] = (char)byte();
	value[n] = '\0';
	world_put_back(1, XVDA, key, value);
}

/* Maps whatever page the last request names, and keeps it. */
static void keep_page(void)
{
	struct host_grant_map map = {.owner = 1, .ref = {rogue_asked(&rogue, byte()).seg[0].gref}};

	mock_enter(0);
	if (n_kept == ARRAY_SIZE(kept) || host_grants_map(&map, 1) || map.status != GNTST_okay)
		return;
	kept[n_kept++] = map;
}

static void time_goes(void)
{
	mock_advance(byte() * 1000000000ull);
}

static void shortage(void)
{
	mock_fail_after(byte());
}

static void (*const steps[])(void) = {make_request, make_request, poke_bytes, good_answer,
				      good_answer,  wild_answer,  notify,     change_state,
				      change_key,   keep_page,    time_goes,  shortage};

static void part(void)
{
	mock_fail_after(-1);
	mock_enter(0);
	if (n_kept)
		host_grants_unmap(kept, n_kept);
	rogue_back_end(&rogue);
	for (unsigned i = 0; i < USERS; i++) {
		if (users[i].len_bytes && !users[i].done)
			abort();
		world_release(&users[i], 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	at = data;
	stop = data + size;
	memset(users, 0, sizeof(users));
	n_kept = 0;
	world_begin(256);
	rogue_back_begin(&rogue, "256", byte() & 1, &dev);
	for (int n = 0; at < stop && n < 200; n++) {
		steps[byte() % ARRAY_SIZE(steps)]();
		if (byte() & 1)
			mock_run();
	}
	part();
	if (!world_end())
		abort();
	return 0;
}
