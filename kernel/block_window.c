/* block_window.c: windows onto disks.
 *
 * A window adds its start to a request's sector and hands it on: who is in front of it has checked the range,
 * and the driver behind it counts and answers. It watches its disk, whose size, rights and end are its own too.
 * Contract: block_window.h. Calls the registry of disks.
 */
#include "block_window.h"

#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/string.h>

struct window {
	struct block_device dev;
	struct block_device *whole;
	uint64_t start, wanted; /* sectors: as asked for, were the disk large enough */
	struct window *next;
};

static struct window *windows;

/* The request is the driver's from here on, its sector too: nobody in front looks at it again. */
static void submit(struct block_device *dev, struct block_request *req)
{
	struct window *w = dev->driver;

	if (req->op != BLOCK_FLUSH)
		req->sector += w->start;
	w->whole->ops->submit(w->whole, req);
}

static void kick(struct block_device *dev)
{
	struct window *w = dev->driver;

	w->whole->ops->kick(w->whole);
}

/* What the disk can do, the window can; granules of a discard are counted from the window's own start. */
static void follow(struct window *w)
{
	const struct block_device *whole = w->whole;
	uint32_t granule = whole->discard_granularity;

	w->dev.sectors = w->start >= whole->sectors ? 0 : MIN(w->wanted, whole->sectors - w->start);
	w->dev.readonly = whole->readonly;
	w->dev.max_segments = whole->max_segments;
	if (granule)
		w->dev.discard_alignment = (uint32_t)((whole->discard_alignment + granule -
						       w->start * SECTOR_SIZE % granule) %
						      granule);
}

static void free_those_of(const struct block_device *whole)
{
	struct window **link = &windows, *w;

	while ((w = *link)) {
		if (w->whole != whole) {
			link = &w->next;
			continue;
		}
		*link = w->next;
		host_block_unregister(&w->dev);
		host_free(w, sizeof(*w));
		link = &windows; /* the watchers of the one that went may have changed the list */
	}
}

static void on_change(void *ctx, struct block_device *dev)
{
	(void)ctx;
	if (dev->gone) {
		free_those_of(dev);
		return;
	}
	for (struct window *w = windows; w; w = w->next)
		if (w->whole == dev) {
			follow(w);
			host_block_changed(&w->dev);
		}
}

struct block_device *block_window_new(struct block_device *whole, uint64_t start,
				      uint64_t n_sectors)
{
	static struct host_block_watch watch = {.fn = on_change};
	static const struct block_ops ops = {submit, kick};
	static bool watching;
	struct window *w = host_alloc(sizeof(*w));

	if (!w)
		return NULL;
	if (!watching)
		host_block_watch(&watch);
	watching = true;
	w->dev = *whole; /* its limits; the rest is our own */
	w->dev.ops = &ops;
	w->dev.whole = whole->whole ? whole->whole : whole;
	w->dev.driver = w;
	w->dev.layer = NULL;
	w->dev.stats = (struct block_stats){0};
	w->dev.name[0] = w->dev.serial[0] = w->dev.partuuid[0] = w->dev.partlabel[0] = '\0';
	w->whole = whole;
	w->start = start;
	w->wanted = n_sectors;
	follow(w);
	w->next = windows;
	windows = w;
	return &w->dev;
}

struct block_device *block_window_find(const struct block_device *whole, uint64_t start,
				       uint64_t n_sectors)
{
	for (struct window *w = windows; w; w = w->next)
		if (w->whole == whole && w->start == start && w->wanted == n_sectors &&
		    w->dev.name[0])
			return &w->dev;
	return NULL;
}

/* ---- what lies on what ---------------------------------------------------------------------- */

static const struct window *window_of(const struct block_device *dev)
{
	const struct window *w = windows;

	while (w && &w->dev != dev)
		w = w->next;
	return w;
}

/* Windows may be of windows: down to the disk, and where on it dev begins. */
static const struct block_device *bottom(const struct block_device *dev, uint64_t *out_start)
{
	const struct window *w;

	*out_start = 0;
	while ((w = window_of(dev))) {
		*out_start += w->start;
		dev = w->whole;
	}
	return dev;
}

bool host_block_overlap(const struct block_device *a, const struct block_device *b)
{
	uint64_t start_a, start_b;

	return bottom(a, &start_a) == bottom(b, &start_b) && start_a < start_b + b->sectors &&
	       start_b < start_a + a->sectors;
}

const struct block_device *host_block_part_of(const struct block_device *dev)
{
	for (const struct window *w = windows; w; w = w->next)
		if (w->whole == dev && w->dev.name[0])
			return &w->dev;
	return NULL;
}
