/* dma.c: DMA for drivers: which layer a device goes by, groups, and pages that are shared.
 *
 * Callers: drivers-native through dma.h; the kernel sets the policy before they start. What a map is is the layers' (dma_layer.h): an IOMMU's space
 * (dma_space.c), or of a hypervisor (dma_io.c), copies below the device's mask (dma_bounce.c), or nothing (dma_direct.c). dma_debug.c remembers every map when asked to.
 */
#include <amphi/dma.h>
#include <amphi/host.h>

#include "dma_debug.h"
#include "dma_layer.h"

#define DEVICES_MAX 64u

static const struct dma_layer *const layers[] = {&dma_space_layer, &dma_io_layer, &dma_bounce_layer,
						 &dma_direct_layer};
static enum dma_debug debug;
static bool untrusted;
static uint64_t mask_max = ~0ull;
/* Where they are, in the order in which they came; a device that went leaves a gap. */
static struct {
	bool here;
	struct dma_device dev;
	const char *name; /* the layer's */
} devices[DEVICES_MAX];
static unsigned n_devices;

void dma_set_debug(enum dma_debug level)
{
	debug = level;
	dma_debug_stops(level == DMA_DEBUG_STOP);
}

void dma_set_limits(uint64_t mask, bool no_trust)
{
	mask_max = mask;
	untrusted = no_trust;
}

static const struct dma_layer *layer_of(const struct dma_device *dev)
{
	return dev->layer ? dev->layer : &dma_direct_layer;
}

/* Where nothing holds the device, its pieces need no pages of their own: it reads what it likes. */
static bool wants_whole_pages(const struct dma_device *dev)
{
	return dev->untrusted && layer_of(dev)->cut;
}

/* ---- devices --------------------------------------------------------------------------------------- */

/* The first layer that wants it; the last takes all. */
static int choose(struct dma_device *dev, bool translated, const char **out_name)
{
	int err = -XEN_ENODEV;

	for (unsigned i = 0; i < ARRAY_SIZE(layers) && err == -XEN_ENODEV; i++) {
		err = layers[i]->attach(dev, translated, out_name);
		dev->layer = layers[i];
	}
	return err;
}

int dma_attach(struct dma_device *dev, bool translated)
{
	unsigned at = 0;
	const char *name;
	int err;

	/* A function that was pulled out and is in again has its old place. A driver that gave nothing back then has nothing of the old device in use. */
	while (at < n_devices && devices[at].here && devices[at].dev.bdf != dev->bdf)
		at++;
	if (at == DEVICES_MAX)
		return -XEN_ENOSPC;
	if (at < n_devices && devices[at].here && dma_detach(&devices[at].dev))
		return -XEN_EIO;
	dev->mask = MIN(dev->mask, mask_max);
	dev->untrusted |= untrusted;
	err = choose(dev, translated, &name);
	if (err) {
		dev->layer = NULL;
		return err;
	}
	n_devices = MAX(n_devices, at + 1);
	devices[at].here = true;
	devices[at].dev = *dev;
	devices[at].name = name;
	host_log(HOST_LOG_INFO, "dma: %02x:%02x.%x %s%s", dev->bdf >> 8, dev->bdf >> 3 & 31,
		 dev->bdf & 7, name, wants_whole_pages(dev) ? ", whole pages" : "");
	return 0;
}

int dma_detach(struct dma_device *dev)
{
	int err = 0;

	for (unsigned i = 0; i < n_devices; i++)
		if (devices[i].here && devices[i].dev.bdf == dev->bdf)
			devices[i].here = false;
	if (debug)
		dma_debug_forget(dev->bdf);
	if (wants_whole_pages(dev))
		dma_untrusted_forget(dev);
	if (layer_of(dev)->detach)
		err = layer_of(dev)->detach(dev);
	dev->layer = NULL;
	dev->state = NULL;
	return err;
}

int dma_cut(uint16_t bdf)
{
	for (unsigned i = 0; i < n_devices; i++) {
		const struct dma_device *dev = &devices[i].dev;

		if (devices[i].here && dev->bdf == bdf)
			return dev->layer->cut ? dev->layer->cut(dev) : -XEN_EOPNOTSUPP;
	}
	return -XEN_ENODEV;
}

bool dma_count(unsigned n, struct dma_counts *out)
{
	for (unsigned i = 0; i < n_devices; i++) {
		const struct dma_device *dev = &devices[i].dev;

		if (!devices[i].here || n--)
			continue;
		*out = (struct dma_counts){.bdf = dev->bdf, .layer = devices[i].name};
		if (debug)
			dma_debug_count(dev->bdf, out);
		if (dev->layer->count)
			dev->layer->count(dev, out);
		return true;
	}
	return false;
}

/* ---- map and unmap --------------------------------------------------------------------------------- */

static int map(const struct dma_device *dev, struct dma_piece *pieces, unsigned n,
	       enum dma_direction dir)
{
	int err;

	for (unsigned i = 0; i < n; i++)
		HOST_ASSERT(pieces[i].len &&
			    ((uintptr_t)pieces[i].va & ~PAGE_MASK) + pieces[i].len <= PAGE_SIZE);
	err = wants_whole_pages(dev) ? dma_untrusted_map(dev, pieces, n, dir)
				     : layer_of(dev)->map(dev, pieces, n, dir);
	for (unsigned i = 0; debug && !err && i < n; i++)
		dma_debug_map(dev->bdf, pieces[i].at, pieces[i].len, dir, false);
	return err;
}

static void unmap(const struct dma_device *dev, const struct dma_extent *all, unsigned n)
{
	for (unsigned i = 0; debug && i < n; i++)
		dma_debug_unmap(dev->bdf, all[i].at, all[i].len, (enum dma_direction)all[i].dir);
	if (wants_whole_pages(dev))
		dma_untrusted_unmap(dev, all, n);
	else if (layer_of(dev)->unmap)
		(void)layer_of(dev)->unmap(dev, all, n);
}

int dma_map(const struct dma_device *dev, void *va, size_t len, enum dma_direction dir,
	    dma_addr_t *out_addr)
{
	struct dma_piece piece = {.va = va, .len = (uint32_t)len};
	int err = map(dev, &piece, 1, dir);

	*out_addr = piece.at;
	return err;
}

void dma_unmap(const struct dma_device *dev, dma_addr_t addr, size_t len, enum dma_direction dir)
{
	struct dma_extent e = {.at = addr, .len = (uint32_t)len, .dir = dir};

	unmap(dev, &e, 1);
}

static void sync(const struct dma_device *dev, dma_addr_t addr, size_t len, bool for_device)
{
	if (wants_whole_pages(dev))
		dma_untrusted_sync(dev, addr, len, for_device);
	else if (layer_of(dev)->sync)
		layer_of(dev)->sync(dev, addr, len, for_device);
}

void dma_sync_for_cpu(const struct dma_device *dev, dma_addr_t addr, size_t len)
{
	sync(dev, addr, len, false);
}

void dma_sync_for_device(const struct dma_device *dev, dma_addr_t addr, size_t len)
{
	sync(dev, addr, len, true);
}

/* ---- groups ---------------------------------------------------------------------------------------- */

/* Chunks are taken from the host a page at a time and never given back: as many as requests were in flight at most. */
struct dma_chunk {
	struct dma_chunk *next;
	unsigned n;
	struct dma_extent maps[15];
};
_Static_assert(sizeof(struct dma_chunk) == 256, "16 to a page");

static struct dma_chunk *free_chunks;

static struct dma_chunk *take_chunk(void)
{
	struct dma_chunk *c = free_chunks;

	if (!c) {
		c = host_pages_alloc(1);
		for (unsigned i = 1; c && i < PAGE_SIZE / sizeof(*c); i++) {
			c[i].next = free_chunks;
			free_chunks = &c[i];
		}
		return c;
	}
	free_chunks = c->next;
	return c;
}

/* The chunk that the next map goes to; NULL: no memory. */
static struct dma_chunk *room(struct dma_group *group)
{
	struct dma_chunk *c = group->first;

	if (c && c->n < ARRAY_SIZE(c->maps))
		return c;
	c = take_chunk();
	if (!c)
		return NULL;
	c->next = group->first;
	c->n = 0;
	return group->first = c;
}

static void remember(struct dma_chunk *c, const struct dma_piece *pieces, unsigned n,
		     enum dma_direction dir)
{
	for (unsigned i = 0; i < n; i++)
		c->maps[c->n++] = (struct dma_extent){pieces[i].at, pieces[i].len, dir};
}

/* How many of them the group remembers: less than n, when there is no memory. */
static unsigned remember_all(struct dma_group *group, const struct dma_piece *pieces, unsigned n,
			     enum dma_direction dir)
{
	struct dma_chunk *c;
	unsigned done = 0, part;

	for (; done < n && (c = room(group)); done += part) {
		part = MIN(n - done, (unsigned)ARRAY_SIZE(c->maps) - c->n);
		remember(c, pieces + done, part, dir);
	}
	return done;
}

/* By one call of the layer, which may be one of a hypervisor. What cannot be remembered is undone, and with it the newest of the group. */
int dma_group_map_all(const struct dma_device *dev, struct dma_group *group,
		      struct dma_piece *pieces, unsigned n, enum dma_direction dir)
{
	int err = map(dev, pieces, n, dir);
	unsigned done;

	if (err || (!layer_of(dev)->unmap && !debug))
		return err;
	done = remember_all(group, pieces, n, dir);
	if (done == n)
		return 0;
	for (unsigned i = done; i < n; i++)
		unmap(dev, &(struct dma_extent){pieces[i].at, pieces[i].len, dir}, 1);
	for (struct dma_chunk *c = group->first; done; done--) {
		while (!c->n)
			c = c->next;
		unmap(dev, &c->maps[--c->n], 1);
	}
	return -XEN_ENOMEM;
}

int dma_group_map(const struct dma_device *dev, struct dma_group *group, void *va, size_t len,
		  enum dma_direction dir, dma_addr_t *out_addr)
{
	struct dma_piece piece = {.va = va, .len = (uint32_t)len};
	int err = dma_group_map_all(dev, group, &piece, 1, dir);

	*out_addr = piece.at;
	return err;
}

/* A request's by one call, too: it may be one flush. */
void dma_group_end(const struct dma_device *dev, struct dma_group *group)
{
	static struct dma_extent all[18 * 15]; /* the worker's: those of 256 pieces */
	unsigned n = 0;

	while (group->first) {
		struct dma_chunk *c = group->first;

		for (unsigned i = 0; i < c->n; i++)
			all[n++] = c->maps[i];
		group->first = c->next;
		c->next = free_chunks;
		free_chunks = c;
		if (group->first && n + ARRAY_SIZE(c->maps) <= ARRAY_SIZE(all))
			continue;
		unmap(dev, all, n);
		n = 0;
	}
}

/* ---- pages that are shared ------------------------------------------------------------------------- */

/* A run that is a power of 2, at a multiple of its size, crosses no multiple of what is not smaller than it. */
void *dma_pages_alloc_fit(const struct dma_device *dev, unsigned count, const struct dma_fit *fit,
			  dma_addr_t *out_addr)
{
	uint64_t bytes = count * PAGE_SIZE, align = MAX(fit->align, PAGE_SIZE);
	void *pages;

	if (fit->boundary && bytes > fit->boundary)
		return NULL;
	while (fit->boundary && align < bytes)
		align *= 2;
	pages = layer_of(dev)->share(dev, count, (unsigned)(align / PAGE_SIZE), out_addr);
	for (unsigned i = 0; debug && pages && i < count; i++)
		dma_debug_map(dev->bdf, (dma_addr_t){out_addr->v + i * PAGE_SIZE}, PAGE_SIZE,
			      DMA_BOTH, true);
	return pages;
}

void *dma_pages_alloc(const struct dma_device *dev, unsigned count, dma_addr_t *out_addr)
{
	return dma_pages_alloc_fit(dev, count, &(struct dma_fit){0}, out_addr);
}

void dma_pages_free(const struct dma_device *dev, void *pages, unsigned count, dma_addr_t addr)
{
	for (unsigned i = 0; debug && i < count; i++)
		dma_debug_unmap(dev->bdf, (dma_addr_t){addr.v + i * PAGE_SIZE}, PAGE_SIZE,
				DMA_BOTH);
	layer_of(dev)->unshare(dev, pages, count, addr);
}

void *dma_page_alloc(const struct dma_device *dev, dma_addr_t *out_addr)
{
	return dma_pages_alloc(dev, 1, out_addr);
}

void dma_page_free(const struct dma_device *dev, void *page, dma_addr_t addr)
{
	dma_pages_free(dev, page, 1, addr);
}
