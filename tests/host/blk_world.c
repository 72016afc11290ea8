/* blk_world.c: the toolstack's part and a user's part around blkfront and blkback.
 *
 * Keys and their order are those that libxl writes (they are what both halves meet on real Xen).
 * Called by the block tests and fuzzers; calls the mock world and both halves.
 */
#include <stdio.h>
#include <string.h>

#include "blk_world.h"
#include "drivers-front/blkfront_private.h"

static struct xenbus_class *classes[MOCK_DOMAINS];

struct mock_disk *world_begin(uint64_t sectors)
{
	mock_reset();
	memset(classes, 0, sizeof(classes));
	front_kind.classes = NULL;
	return mock_disk_new("ram0", sectors);
}

bool world_end(void)
{
	bool clean = true;

	for (domid_t d = 1; d < MOCK_DOMAINS; d++) {
		mock_enter(d);
		if (classes[d])
			(void)xenbus_class_stop(classes[d]);
		mock_run();
	}
	mock_enter(0);
	blkback_exit();
	mock_run();
	blkback_exit();
	for (int i = 0; i < 3; i++)
		mock_advance(2000000000ull); /* retired grants */
	for (domid_t d = 0; d < MOCK_DOMAINS; d++)
		clean &= mock_nothing_left(d);
	mock_enter(0);
	return clean;
}

struct mock_disk *world_connected(const char *mode, struct block_device **out_dev)
{
	struct mock_disk *ram = world_begin(WORLD_SECTORS);

	world_start_back();
	world_start_front(1);
	world_attach(1, XVDA, "ram0", mode);
	*out_dev = mock_find_registered(1, "xvda");
	if (!*out_dev)
		mock_bug("no xvda in domain 1");
	return ram;
}

void world_fill(uint8_t *p, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
}

void world_start_back(void)
{
	mock_enter(0);
	blkback_init();
	mock_run();
}

void world_start_front(domid_t guest)
{
	mock_enter(guest);
	if (blkfront_init() == 0)
		classes[guest] = front_kind.classes;
	mock_run();
}

const char *world_front(domid_t guest, unsigned vdev, const char *key)
{
	return mock_store_key(mock_front_dir("vbd", guest, vdev), key);
}

const char *world_back(domid_t guest, unsigned vdev, const char *key)
{
	return mock_store_key(mock_back_dir("vbd", guest, vdev), key);
}

void world_put_front(domid_t guest, unsigned vdev, const char *key, const char *value)
{
	mock_store_put_key(mock_front_dir("vbd", guest, vdev), key, value);
}

void world_put_back(domid_t guest, unsigned vdev, const char *key, const char *value)
{
	mock_store_put_key(mock_back_dir("vbd", guest, vdev), key, value);
}

void world_attach(domid_t guest, unsigned vdev, const char *params, const char *mode)
{
	char number[16];
	const char *f = mock_front_dir("vbd", guest, vdev), *b = mock_back_dir("vbd", guest, vdev);

	snprintf(number, sizeof(number), "%u", guest);
	mock_store_put_key(b, "frontend", f);
	mock_store_put_key(b, "frontend-id", number);
	mock_store_put_key(b, "online", "1");
	mock_store_put_key(b, "removable", "0");
	mock_store_put_key(b, "bootable", "1");
	mock_store_put_key(b, "params", params);
	mock_store_put_key(b, "mode", mode);
	mock_store_put_key(b, "type", "phy");
	mock_store_put_key(b, "device-type", "disk");
	mock_store_put_key(b, "state", "1");
	snprintf(number, sizeof(number), "%u", vdev);
	mock_store_put_key(f, "backend", b);
	mock_store_put_key(f, "backend-id", "0");
	mock_store_put_key(f, "virtual-device", number);
	mock_store_put_key(f, "device-type", "disk");
	mock_store_put_key(f, "state", "1");
	mock_run();
}

void world_detach_begin(domid_t guest, unsigned vdev)
{
	mock_store_put_key(mock_back_dir("vbd", guest, vdev), "online", "0");
	mock_store_put_key(mock_back_dir("vbd", guest, vdev), "state", "5");
	mock_run();
}

void world_detach_end(domid_t guest, unsigned vdev)
{
	mock_store_remove(mock_front_dir("vbd", guest, vdev));
	mock_run();
}

/* ---- a user ---- */

static void done(struct block_request *req, int status)
{
	struct world_request *w = req->ctx;

	w->done = true;
	w->status = status;
}

void world_prepare(struct world_request *w, domid_t guest, enum block_op op, uint64_t sector,
		   unsigned len_bytes, unsigned shift)
{
	int faults = mock_fail_left();

	*w = (struct world_request){.len_bytes = len_bytes, .shift = shift};
	w->req.op = op;
	w->req.sector = sector;
	w->req.done = done;
	w->req.ctx = w;
	w->req.segments = w->segments;
	mock_enter(guest);
	mock_fail_after(-1);
	w->data = len_bytes ? host_pages_alloc(PAGES_FOR(len_bytes + shift)) : NULL;
	mock_fail_after(faults);
	for (unsigned at = shift; len_bytes;) {
		unsigned n = MIN(len_bytes, (unsigned)(PAGE_SIZE - at % PAGE_SIZE));

		w->segments[w->req.n_segments++] = (struct block_segment){w->data + at, n};
		at += n;
		len_bytes -= n;
	}
	if (w->data)
		w->data += shift;
}

void world_release(struct world_request *w, domid_t guest)
{
	mock_enter(guest);
	if (w->len_bytes)
		host_pages_free(w->data - w->shift, PAGES_FOR(w->len_bytes + w->shift));
	w->len_bytes = 0;
}

void world_submit(struct world_request *w, domid_t guest, struct block_device *dev)
{
	mock_enter(guest);
	dev->ops->submit(dev, &w->req);
}

void world_kick(domid_t guest, struct block_device *dev)
{
	mock_enter(guest);
	dev->ops->kick(dev);
}

int world_io(domid_t guest, struct block_device *dev, enum block_op op, uint64_t sector, void *data,
	     unsigned len_bytes)
{
	struct world_request w;

	world_prepare(&w, guest, op, sector, len_bytes, 0);
	if (op == BLOCK_WRITE)
		memcpy(w.data, data, len_bytes);
	world_submit(&w, guest, dev);
	world_kick(guest, dev);
	mock_run();
	if (!w.done)
		mock_advance(60000000000ull); /* longer than blkfront holds what has no backend */
	if (!w.done)
		mock_bug("a request never ended");
	if (op == BLOCK_READ)
		memcpy(data, w.data, len_bytes);
	world_release(&w, guest);
	return w.status;
}

/* ---- counters ---- */

static void take_front(const struct block_device *dev, const struct blkfront_stats *stats,
		       void *ctx)
{
	*(struct blkfront_stats *)ctx = *stats;
}

struct blkfront_stats world_front_stats(void)
{
	struct blkfront_stats stats = {0};

	blkfront_for_each(take_front, &stats);
	return stats;
}

static void take_back(const struct blkback_info *info, void *ctx)
{
	*(struct blkback_stats *)ctx = info->stats;
}

struct blkback_stats world_back_stats(void)
{
	struct blkback_stats stats = {0};

	blkback_for_each(take_back, &stats);
	return stats;
}

static void count_back(const struct blkback_info *info, void *ctx)
{
	++*(unsigned *)ctx;
}

unsigned world_back_count(void)
{
	unsigned count = 0;

	blkback_for_each(count_back, &count);
	return count;
}

void *world_front_ring(void)
{
	return world_front_queue_ring(0);
}

void *world_front_queue_ring(unsigned queue)
{
	return front_disk_of(xenbus_next(&front_kind, NULL))->queues[queue].ring.shared;
}
