/* save_disk.c: the ring of save_disk.h between a stream and its disk.
 *
 *     put --> [ ring: chunk | chunk | chunk | chunk ] --> write requests, a chunk each
 *                                                          |  done, in any order
 *     room <------------ freed in order <------------------'
 *
 * Requests end in any order, memory is freed in the stream's. Steps that are one request (clear, flush, head)
 * follow each other by step_done. A disk that has no flush has written when it says so.
 * Callers: control_save.c, save_stream.c. Calls block.h, host.h. Worker context.
 */
#include <amphi/host.h>
#include <amphi/string.h>

#include "save_disk.h"

#define PAGE_SECTORS (PAGE_SIZE / SECTOR_SIZE)

static void next_step(struct save_disk *o);
static void seal(struct save_disk *o);

/* ---- single requests ------------------------------------------------------------------------ */

static void fail(struct save_disk *o, int err)
{
	if (!o->err)
		o->err = err;
}

static void step_done(struct block_request *req, int status)
{
	struct save_disk *o = req->ctx;

	o->in_flight--;
	if (status)
		fail(o, status);
	else
		next_step(o);
	o->moved(o->ctx);
}

static void submit(struct save_disk *o, struct block_request *req)
{
	o->in_flight++;
	o->dev->ops->submit(o->dev, req);
	if (o->dev) /* submit may have ended the request, and that all */
		o->dev->ops->kick(o->dev);
}

static void submit_single(struct save_disk *o, enum block_op op, void *page)
{
	o->single_segment = (struct block_segment){page, PAGE_SIZE};
	o->single = (struct block_request){.op = op,
					   .n_segments = page ? 1 : 0,
					   .segments = &o->single_segment,
					   .done = step_done,
					   .ctx = o};
	submit(o, &o->single);
}

static void flush(struct save_disk *o)
{
	if (o->dev->has_flush)
		submit_single(o, BLOCK_FLUSH, NULL);
	else
		next_step(o);
}

/* The step that was under way is done. The head is all zeros until the first chunk goes out. */
static void next_step(struct save_disk *o)
{
	o->step++;
	if (!o->dev)
		return;
	switch (o->step) {
	case SAVE_DISK_CLEARED:
	case SAVE_DISK_WRITTEN:
	case SAVE_DISK_SEALED:
		flush(o);
		return;
	case SAVE_DISK_HEAD:
		submit_single(o, BLOCK_WRITE, o->head);
		return;
	default:
		return;
	}
}

/* ---- chunks --------------------------------------------------------------------------------- */

static unsigned chunk_of(const struct save_disk *o, uint64_t page)
{
	return (unsigned)(page % SAVE_RING_PAGES) / o->chunk_pages;
}

static void chunk_done(struct block_request *req, int status)
{
	struct save_disk *o = req->ctx;

	o->in_flight--;
	o->busy[req - o->chunk] = false;
	if (status)
		fail(o, status);
	while (o->freed < o->given && !o->busy[chunk_of(o, o->freed)])
		o->freed = MIN(o->freed + o->chunk_pages, o->given);
	seal(o);
	o->moved(o->ctx);
}

static void submit_chunk(struct save_disk *o, unsigned pages)
{
	unsigned first = (unsigned)(o->given % SAVE_RING_PAGES), i = chunk_of(o, o->given);
	uint64_t sector = o->given * PAGE_SECTORS;

	if (sector + pages * PAGE_SECTORS > o->dev->sectors) {
		fail(o, -XEN_ENOSPC);
		return;
	}
	if (!o->given) {
		memcpy(o->head, o->ring, PAGE_SIZE);
		memset(o->ring, 0, PAGE_SIZE);
	}
	for (unsigned page = first; page < first + pages; page++)
		o->segments[page] = (struct block_segment){o->ring + page * PAGE_SIZE, PAGE_SIZE};
	o->chunk[i] = (struct block_request){.op = BLOCK_WRITE,
					     .sector = sector,
					     .n_segments = pages,
					     .segments = o->segments + first,
					     .done = chunk_done,
					     .ctx = o};
	o->busy[i] = true;
	o->given += pages;
	submit(o, &o->chunk[i]);
}

size_t save_disk_room(const struct save_disk *o)
{
	if (o->err || o->step != SAVE_DISK_BODY)
		return 0;
	return (size_t)((o->freed + SAVE_RING_PAGES) * PAGE_SIZE - o->put_bytes);
}

void save_disk_put(struct save_disk *o, const void *bytes, size_t len)
{
	HOST_ASSERT(o->err || len <= save_disk_room(o));
	while (len && !o->err) {
		size_t at = o->put_bytes % (SAVE_RING_PAGES * PAGE_SIZE);
		size_t chunk = o->chunk_pages * PAGE_SIZE, part = MIN(len, chunk - at % chunk);

		memcpy(o->ring + at, bytes, part);
		bytes = (const char *)bytes + part;
		len -= part;
		o->put_bytes += part;
		if (o->put_bytes % chunk == 0)
			submit_chunk(o, o->chunk_pages);
	}
}

/* The last chunk has gone out and all have come back: the head's turn. */
static void seal(struct save_disk *o)
{
	if (o->step == SAVE_DISK_DRAIN && !o->in_flight && !o->err)
		next_step(o);
}

void save_disk_finish(struct save_disk *o)
{
	uint64_t left = o->put_bytes - o->given * PAGE_SIZE;
	size_t at = o->put_bytes % (SAVE_RING_PAGES * PAGE_SIZE);

	if (o->err)
		return;
	o->step = SAVE_DISK_DRAIN;
	if (left) {
		memset(o->ring + at, 0, PAGES_FOR(left) * PAGE_SIZE - left);
		submit_chunk(o, (unsigned)PAGES_FOR(left));
	} else {
		seal(o);
	}
}

/* ---- life ----------------------------------------------------------------------------------- */

/* Its requests have ended with errors before. */
static void on_device(void *ctx, struct block_device *dev)
{
	struct save_disk *o = ctx;

	if (dev != o->dev || !dev->gone)
		return;
	o->dev = NULL;
	fail(o, -XEN_ENODEV);
	o->moved(o->ctx);
}

/* Chunks of a power of two, so that none goes round the ring's end. */
static unsigned fitting_chunk(unsigned max_segments)
{
	unsigned pages = SAVE_CHUNK_PAGES;

	while (pages > 1 && pages > max_segments)
		pages /= 2;
	return pages;
}

int save_disk_open(struct save_disk *o, struct block_device *dev, void (*moved)(void *ctx),
		   void *ctx)
{
	if (dev->sectors < PAGE_SECTORS)
		return -XEN_ENOSPC;
	o->ring = host_pages_alloc(SAVE_RING_PAGES + 1);
	if (!o->ring)
		return -XEN_ENOMEM;
	o->head = o->ring + SAVE_RING_PAGES * PAGE_SIZE;
	o->dev = dev;
	o->moved = moved;
	o->ctx = ctx;
	o->chunk_pages = fitting_chunk(dev->max_segments);
	o->watch = (struct host_block_watch){.fn = on_device, .ctx = o};
	host_block_watch(&o->watch);
	submit_single(o, BLOCK_WRITE, o->head);
	return 0;
}

bool save_disk_idle(const struct save_disk *o)
{
	return !o->in_flight;
}

void save_disk_close(struct save_disk *o)
{
	host_block_unwatch(&o->watch);
	host_pages_free(o->ring, SAVE_RING_PAGES + 1);
	o->ring = NULL;
}
