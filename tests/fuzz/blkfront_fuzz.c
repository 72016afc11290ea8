/* blkfront_fuzz: a backend that is nothing but fuzz, against blkfront and its users.
 *
 * The input chooses what is offered (queues, pages of a ring, long requests, features, trust) and is then a
 * script: bytes written into the rings' pages, answers good and wild, states and keys of the store, pages mapped
 * and kept, requests of every kind made meanwhile, other backends in its place, new worlds. Expected: no bad
 * access, each request ends exactly once, and when the disk is gone and the backend has let go nothing is left.
 *
 * links: tests/host/blk_plain_back.c tests/host/blk_world.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c protocol/xenbus*.c protocol/grant_retire.c
 * links: protocol/blkif*.c drivers-front/blkfront*.c drivers-back/blkback*.c
 * links: lib/printf.c lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz_script.h"
#include "tests/host/blk_plain_back.h"

#define USERS 40u /* more than a short ring holds */

static struct plain_back b;
static struct block_device *dev;
static struct world_request users[USERS];
static unsigned n_kept;
static struct host_grant_map kept[8];

/* ---- requests ---- */

static void once(struct block_request *req, int status)
{
	struct world_request *w = req->ctx;

	if (w->done)
		abort();
	w->done = true;
	w->status = status;
}

/* Those that carry no data are known by shift, which world_prepare keeps. */
static bool in_use(const struct world_request *w)
{
	return w->req.done && !w->done;
}

static void make_request(void)
{
	static const enum block_op ops[] = {BLOCK_READ,  BLOCK_WRITE, BLOCK_READ,   BLOCK_WRITE,
					    BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD};
	struct world_request *w = &users[byte() % USERS];
	uint8_t shape = byte(), kind = byte();
	enum block_op op = ops[kind % ARRAY_SIZE(ops)];
	bool data = op == BLOCK_READ || op == BLOCK_WRITE;

	dev = mock_find_registered(1, "xvda");
	if (!dev || in_use(w))
		return;
	world_release(w, 1);
	world_prepare(w, 1, op, shape, data ? 512u * (1u + shape * (kind >> 6)) : 0,
		      data ? 512 * (shape & 7) : 0);
	w->req.flags = kind & 32 ? BLOCK_FUA | BLOCK_SECURE : 0;
	w->req.n_sectors = op == BLOCK_DISCARD ? shape : 0;
	w->req.queue = kind >> 3;
	w->req.done = once;
	world_submit(w, 1, dev);
	world_kick(1, dev);
}

/* ---- rings ---- */

/* One of the rings that are mapped; NULL: none is. */
static struct plain_queue *any_queue(void)
{
	unsigned n = byte();

	return b.n_queues ? &b.q[n % b.n_queues] : NULL;
}

static void poke_bytes(void)
{
	struct plain_queue *q = any_queue();
	unsigned offset = byte() | byte() << 8, n = byte() % 64;

	for (; q && n && offset < b.n_pages * PAGE_SIZE; n--, offset++)
		((uint8_t *)q->va)[offset] = byte();
}

static void put_answer(struct plain_queue *q, uint32_t index, uint64_t id, uint8_t op, int status)
{
	struct blkif_response rsp = {.id = id, .operation = op, .status = (int16_t)status};

	memcpy((void *)ring_slot(&q->ring, index), &rsp, sizeof(rsp));
}

static void good_answer(void)
{
	static const int16_t statuses[] = {BLKIF_RSP_OKAY, BLKIF_RSP_OKAY, BLKIF_RSP_ERROR,
					   BLKIF_RSP_EOPNOTSUPP};
	struct plain_queue *q = any_queue();
	uint8_t how = byte();
	struct plain_request r;

	if (!q)
		return;
	memcpy(&r.direct, (void *)ring_slot(&q->ring, q->ring.shared->rsp_prod), sizeof(r.direct));
	put_answer(q, q->ring.shared->rsp_prod, r.direct.id,
		   r.direct.operation == BLKIF_OP_INDIRECT && !(how & 8) ? r.indirect.indirect_op
									 : r.direct.operation,
		   statuses[how & 3]);
	if (q->ring.shared->rsp_prod != q->ring.shared->req_prod)
		q->ring.shared->rsp_prod++;
}

static void wild_answer(void)
{
	struct plain_queue *q = any_queue();

	if (!q)
		return;
	put_answer(q, byte(), byte() | byte() << 8, byte() % 8, (int8_t)byte());
	q->ring.shared->rsp_prod += byte() % 3;
}

static void notify(void)
{
	struct plain_queue *q = any_queue();

	mock_enter(0);
	if (q)
		host_event_notify(q->port);
}

/* Maps whatever page a request names, or the page of its segments, and keeps it. */
static void keep_page(void)
{
	struct plain_queue *q = any_queue();
	struct host_grant_map map = {.owner = 1};
	struct plain_request r;

	if (!q || n_kept == ARRAY_SIZE(kept))
		return;
	memcpy(&r.direct, (void *)ring_slot(&q->ring, byte()), sizeof(r.direct));
	map.ref.v = byte() & 1 ? r.direct.seg[0].gref : r.indirect.indirect_grefs[0];
	mock_enter(0);
	if (!host_grants_map(&map, 1) && map.status == GNTST_okay)
		kept[n_kept++] = map;
}

/* ---- the store, time, worlds ---- */

static void change_state(void)
{
	char state[2] = {(char)('0' + byte() % 10), '\0'};

	world_put_back(1, XVDA, "state", state);
}

static void change_key(void)
{
	static const char *const keys[] = {"sectors",
					   "sector-size",
					   "info",
					   "feature-flush-cache",
					   "feature-persistent",
					   "feature-barrier",
					   "feature-discard",
					   "feature-max-indirect-segments",
					   "max-ring-page-order",
					   "multi-queue-max-queues",
					   "discard-granularity",
					   "physical-sector-size"};
	const char *key = keys[byte() % ARRAY_SIZE(keys)];
	char value[24];
	unsigned n = byte() % sizeof(value);

	for (unsigned i = 0; i < n; i++)
		value[i] = (char)byte();
	value[n] = '\0';
	world_put_back(1, XVDA, key, value);
}

/* What is offered next, from the input. */
static void choose_offer(void)
{
	static const unsigned segments[] = {0, 12, 64, 256};
	uint8_t features = byte(), sizes = byte();

	b.order = sizes % 3;
	b.queues = 1 + (sizes >> 2) % 4;
	b.indirect = segments[sizes >> 6];
	b.persistent = features & 1;
	b.flush = features & 2;
	b.barrier = features & 4;
	b.discard = features & 8;
	b.secure = features & 16;
	b.info = features >> 5;
}

static void connect_if_asked(void)
{
	int left = mock_fail_left();

	if (world_front(1, XVDA, "state")[0] != '3' || b.n_queues)
		return;
	mock_fail_after(-1); /* it is the frontend that shall lack something */
	(void)plain_try(&b);
	mock_fail_after(left);
}

static void other_backend(void)
{
	plain_drop(&b);
	world_put_back(1, XVDA, "state", "6");
	mock_run();
	choose_offer();
	plain_offer(&b, false);
	connect_if_asked();
}

static void let_go(void)
{
	mock_enter(0);
	if (n_kept)
		host_grants_unmap(kept, n_kept);
	n_kept = 0;
	plain_drop(&b);
}

static void new_world(void)
{
	let_go();
	mock_new_world(1);
	mock_enter(1);
	blkfront_resume();
	mock_run();
	connect_if_asked();
}

static void time_goes(void)
{
	mock_advance(byte() * 1000000000ull);
}

static void shortage(void)
{
	mock_fail_after(byte());
}

static void (*const steps[])(void) = {
    make_request, make_request, poke_bytes, good_answer,   good_answer, wild_answer, notify,
    change_state, change_key,   keep_page,  other_backend, new_world,   time_goes,   shortage};

static void part(void)
{
	mock_fail_after(-1);
	let_go();
	mock_store_remove("/local/domain/0/backend/vbd/1/51712");
	mock_run();
	world_detach_end(1, XVDA);
	mock_advance(3000000000ull);
	for (unsigned i = 0; i < USERS; i++) {
		if (in_use(&users[i]))
			abort();
		world_release(&users[i], 1);
	}
}

/* The last two are as who runs the domain may say. */
static void begin(void)
{
	struct blkfront_limits limits = {
	    .queues = 4, .ring_order = 2, .segments = 256, .copy_pages = 60};
	uint8_t said;

	memset(&b, 0, sizeof(b));
	memset(users, 0, sizeof(users));
	n_kept = 0;
	world_begin(8);
	b.sectors = 256;
	b.passive = true;
	choose_offer();
	said = byte();
	limits.old_keys = said & 2;
	limits.large_sectors = said & 4;
	b.sector_size = said & 8 ? 4096 : 0;
	blkfront_limit(&limits);
	world_attach(1, XVDA, "none", "w");
	world_put_front(1, XVDA, "trusted", said & 1 ? "0" : "1");
	world_start_front(1);
	plain_offer(&b, false);
	connect_if_asked();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	script_begin(data, size);
	begin();
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
