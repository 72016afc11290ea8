/* pair_blkif.c: blkfront and blkback, the portable cores as they are, in two processes.
 *
 * The world of the host tests (tests/host/mock_host.h) connects them and lets every page be granted and mapped once, all in one
 * process; then the process forks. From there each side has the driver's own memory for itself, and rings and data are shared,
 * because the mock's pages are. Nothing is granted any more (standing grants), so only notifications have to find the other
 * process: they are wrapped at the link. Called by pair.c.
 */
#include <stdlib.h>
#include <string.h>

#include "pair.h"
#include "tests/host/blk_world.h"

#define GUEST 1u

static struct block_device *dev;
static struct {
	struct block_request req;
	struct block_segment segment;
} flights[PAIR_DEPTH];
static bool forked, warming;
static unsigned warm;
/* The last handler that a domain gave: that of its only ring. */
static struct {
	host_event_fn *fn;
	void *ctx;
} handlers[2];

void __real_host_event_notify(port_t port);
void __wrap_host_event_notify(port_t port);
int __real_host_event_offer(domid_t peer, host_event_fn *fn, void *ctx, port_t *out_port);
int __wrap_host_event_offer(domid_t peer, host_event_fn *fn, void *ctx, port_t *out_port);
int __real_host_event_bind(domid_t peer, uint32_t port, host_event_fn *fn, void *ctx,
			   port_t *out_port);
int __wrap_host_event_bind(domid_t peer, uint32_t port, host_event_fn *fn, void *ctx,
			   port_t *out_port);

void __wrap_host_event_notify(port_t port)
{
	if (!forked)
		__real_host_event_notify(port);
	else
		pair_ring(pair_side == PAIR_GUEST ? PAIR_SERVER : PAIR_GUEST);
}

int __wrap_host_event_offer(domid_t peer, host_event_fn *fn, void *ctx, port_t *out_port)
{
	handlers[PAIR_GUEST].fn = fn;
	handlers[PAIR_GUEST].ctx = ctx;
	return __real_host_event_offer(peer, fn, ctx, out_port);
}

int __wrap_host_event_bind(domid_t peer, uint32_t port, host_event_fn *fn, void *ctx,
			   port_t *out_port)
{
	handlers[PAIR_SERVER].fn = fn;
	handlers[PAIR_SERVER].ctx = ctx;
	return __real_host_event_bind(peer, port, fn, ctx, out_port);
}

/* Nothing watches for double fetches here. */
void peer_on_fetch(const volatile void *from, size_t len);
void peer_on_fetch(const volatile void *from, size_t len)
{
	(void)from, (void)len;
}

static void submit(unsigned i)
{
	flights[i].req.sector = pair_next_slot() * (PAIR_BYTES / SECTOR_SIZE);
	dev->ops->submit(dev, &flights[i].req);
}

static void flight_done(struct block_request *req, int status)
{
	if (status)
		abort();
	if (warming) {
		warm++;
		return;
	}
	pair_done(1);
	submit((unsigned)(uintptr_t)req->ctx);
}

static void submit_all(void)
{
	mock_enter(GUEST);
	for (unsigned i = 0; i < PAIR_DEPTH; i++)
		submit(i);
	dev->ops->kick(dev);
}

static void guest_step(void)
{
	handlers[PAIR_GUEST].fn(handlers[PAIR_GUEST].ctx);
	dev->ops->kick(dev);
	mock_run();
}

static void server_step(void)
{
	mock_enter(0);
	handlers[PAIR_SERVER].fn(handlers[PAIR_SERVER].ctx);
	mock_run();
}

void pair_blkif(void)
{
	struct mock_disk *disk = world_begin(PAIR_SLOTS * PAIR_BYTES / SECTOR_SIZE);
	uint8_t *data;

	(void)disk;
	world_start_back();
	world_start_front(GUEST);
	world_attach(GUEST, XVDA, "ram0", "w");
	dev = mock_find_registered(GUEST, "xvda");
	mock_enter(GUEST);
	data = host_pages_alloc(PAIR_DEPTH);
	if (!dev || blkfront_lend(data, PAIR_DEPTH))
		abort();
	for (unsigned i = 0; i < PAIR_DEPTH; i++) {
		flights[i].segment = (struct block_segment){data + i * PAIR_BYTES, PAIR_BYTES};
		flights[i].req = (struct block_request){.op = BLOCK_READ,
							.n_segments = 1,
							.segments = &flights[i].segment,
							.done = flight_done,
							.ctx = (void *)(uintptr_t)i};
	}
	warming = true;
	submit_all();
	mock_run();
	if (warm != PAIR_DEPTH)
		abort();
	warming = false;
	forked = true;
	pair_run("blkif", submit_all, (void (*[2])(void)){guest_step, server_step});
}
