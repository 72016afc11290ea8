/* nbd_world.c: the host of nbd*.c in tests; see nbd_world.h. One thread, no locks. */
#include "nbd_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amphi/host.h>
#include <amphi/host_block.h>

uint64_t world_now_ns;
unsigned world_registered, world_changed;
char world_log[512];
static struct host_work *works;

void *host_alloc(size_t size_bytes)
{
	return calloc(1, size_bytes);
}

void host_free(void *p, size_t size_bytes)
{
	(void)size_bytes;
	free(p);
}

uint64_t host_time_ns(void)
{
	return world_now_ns;
}

void host_work_after(struct host_work *work, uint64_t delay_ns)
{
	if (work->queued)
		return;
	work->queued = true;
	work->due_ns = world_now_ns + delay_ns;
	work->next = works;
	works = work;
}

void host_work_soon(struct host_work *work)
{
	host_work_after(work, 0);
}

void host_work_cancel(struct host_work *work)
{
	struct host_work **link = &works;

	while (*link && *link != work)
		link = &(*link)->next;
	if (*link)
		*link = work->next;
	work->queued = false;
}

void world_run(void)
{
	struct host_work *w = works;

	while (w) {
		if (w->due_ns > world_now_ns) {
			w = w->next;
			continue;
		}
		host_work_cancel(w);
		w->fn(w->ctx);
		w = works; /* the list may be another now */
	}
}

void world_advance(uint64_t ms)
{
	for (; ms; ms--) {
		world_now_ns += 1000000;
		world_run();
	}
}

void host_log(enum host_log_level level, const char *fmt, ...)
{
	va_list args;

	(void)level;
	va_start(args, fmt);
	(void)vsnprintf(world_log, sizeof(world_log), fmt, args);
	va_end(args);
}

void host_bug(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

void host_block_register(struct block_device *dev)
{
	(void)dev;
	world_registered++;
}

void host_block_unregister(struct block_device *dev)
{
	(void)dev;
	world_registered--;
}

void host_block_changed(struct block_device *dev)
{
	(void)dev;
	world_changed++;
}

void world_reset(void)
{
	nbd_exit();
	works = NULL;
	world_now_ns = 1000000000;
	world_changed = 0;
	world_log[0] = 0;
}

/* ---- requests ---------------------------------------------------------------------------- */

static void on_done(struct block_request *req, int status)
{
	struct world_request *r = req->ctx;

	r->ended++;
	r->status = status;
}

struct world_request *world_request(enum block_op op, uint64_t sector, uint32_t len, uint32_t skew)
{
	struct world_request *r = calloc(1, sizeof(*r));
	uint32_t at = 0, n;

	r->req = (struct block_request){.op = op,
					.sector = sector,
					.n_sectors = len / SECTOR_SIZE,
					.segments = r->segments,
					.done = on_done,
					.ctx = r};
	if (op > BLOCK_WRITE)
		return r;
	r->memory = aligned_alloc(PAGE_SIZE, ROUND_UP(len, PAGE_SIZE));
	for (; at < len; at += n) {
		n = MIN(len - at, (uint32_t)PAGE_SIZE - (at ? 0 : skew));
		r->segments[r->req.n_segments++] = (struct block_segment){r->memory + at, n};
	}
	return r;
}

void world_submit(struct block_device *dev, struct world_request *r)
{
	dev->ops->submit(dev, &r->req);
	dev->ops->kick(dev);
}

void world_free(struct world_request *r)
{
	free(r->memory);
	free(r);
}
