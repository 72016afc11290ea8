/* dma_space.c: a device's own addresses: a window of pages in a space of an IOMMU.
 *
 * Callers: dma.c. Calls dma_share.c for which space, iommu.h and host.h. Strict, an unmap flushes the page at once, and its address is free when that is done. Lazy,
 * addresses wait until there are DMA_LAZY_MAX, and one flush is for all: cheaper by far, and for that long the device still reaches what was unmapped.
 */
#include "dma_layer.h"

#include <amphi/host.h>
#include <amphi/iommu.h>

#include "dma_share.h"

static enum dma_policy policy;

struct dma_space {
	struct dma_share in;
	bool lazy, untrusted;
	struct dma_tally tally;
	unsigned n_waiting;
	uint32_t waiting[DMA_LAZY_MAX]; /* pages of the window, unmapped and not flushed */
};

void dma_set_policy(enum dma_policy wanted)
{
	policy = wanted;
}

/* A flush that fails leaves the addresses taken: the device may still reach what they led to. */
static void flush_waiting(struct dma_space *s)
{
	s->tally.flushes++;
	if (!iommu_flush_all(s->in.io))
		for (unsigned i = 0; i < s->n_waiting; i++)
			dma_window_give(&s->in.window, s->waiting[i]);
	s->n_waiting = 0;
}

/* ---- devices ---------------------------------------------------------------------------------------- */

static struct dma_space *beside(const struct dma_space *s, struct dma_space *after)
{
	struct dma_share *next = dma_share_beside(&s->in, after ? &after->in : NULL);

	return next ? container_of(next, struct dma_space, in) : NULL;
}

/* A page that an untrusted device no longer has is given others' bytes at once: lazy is not for those, nor for who is in one space with them. */
static void choose_lazy(struct dma_space *s)
{
	bool strict = s->untrusted;

	for (struct dma_space *c = beside(s, NULL); c; c = beside(s, c))
		strict |= c->untrusted;
	s->lazy = policy == DMA_POLICY_LAZY && !strict;
	for (struct dma_space *c = beside(s, NULL); c && strict; c = beside(s, c)) {
		flush_waiting(c);
		c->lazy = false;
	}
}

static const char *name_of(const struct dma_space *s)
{
	return s->lazy ? "lazy" : "strict";
}

static int attach(struct dma_device *dev, bool translated, const char **out_name)
{
	struct iommu *unit;
	struct dma_space *s;
	int err;

	if (!translated || policy == DMA_POLICY_DIRECT)
		return -XEN_ENODEV;
	unit = iommu_of(dev->bdf);
	if (!unit)
		return -XEN_ENXIO;
	s = host_alloc(sizeof(*s));
	if (!s)
		return -XEN_ENOMEM;
	s->untrusted = dev->untrusted;
	err = dma_share_join(&s->in, dev, unit);
	if (err) {
		host_free(s, sizeof(*s));
		return err;
	}
	choose_lazy(s);
	dev->state = s;
	*out_name = name_of(s);
	return 0;
}

static int detach(struct dma_device *dev)
{
	struct dma_space *s = dev->state;
	int err = dma_share_leave(&s->in);

	if (!err)
		host_free(s, sizeof(*s));
	return err;
}

static int cut(const struct dma_device *dev)
{
	struct dma_space *s = dev->state;

	return dma_share_cut(&s->in);
}

/* ---- map and unmap --------------------------------------------------------------------------------- */

/* Frame by frame: in a direct map that is scattered they lie anywhere. */
static int map_pages(struct dma_space *s, char *va, unsigned count, uint64_t at, unsigned rights)
{
	int err = 0;

	for (unsigned i = 0; i < count && !err; i++) {
		maddr_t where = host_virt_to_maddr(va + i * PAGE_SIZE);

		err = iommu_map(s->in.io, at + i * PAGE_SIZE, where, PAGE_SIZE, rights);
		if (err == -XEN_EIO ||
		    (err && i)) /* that one is mapped, though the unit does not answer */
			(void)iommu_unmap(s->in.io, at, (i + (err == -XEN_EIO)) * PAGE_SIZE);
	}
	return err;
}

/* The window begins at a multiple of every alignment it has room for. */
static int map_run(struct dma_space *s, char *first, unsigned count, unsigned align,
		   unsigned rights, uint64_t *out_at)
{
	unsigned page;
	int err;

	if (!dma_window_take(&s->in.window, count, align, &page)) {
		flush_waiting(s);
		if (!dma_window_take(&s->in.window, count, align, &page))
			return -XEN_ENOSPC;
	}
	err = map_pages(s, first, count, dma_window_address(&s->in.window, page), rights);
	if (err) {
		/* What was mapped for a moment nobody was told of, but a device may guess: addresses that may lead there stay taken. */
		int unseen = iommu_flush_all(s->in.io);

		for (unsigned i = 0; i < count && !unseen; i++)
			dma_window_give(&s->in.window, page + i);
		return err;
	}
	s->tally.maps += count;
	*out_at = dma_window_address(&s->in.window, page);
	return 0;
}

static int unmap_page(struct dma_space *s, unsigned page)
{
	int err;

	if (s->lazy) {
		s->waiting[s->n_waiting++] = page;
		if (s->n_waiting == DMA_LAZY_MAX)
			flush_waiting(s);
		return 0;
	}
	s->tally.flushes++;
	err = iommu_flush_entry(s->in.io, dma_window_address(&s->in.window, page));
	if (!err)
		dma_window_give(&s->in.window, page);
	return err;
}

static int unmap_run(struct dma_space *s, uint64_t at, unsigned count)
{
	unsigned page = dma_window_page(&s->in.window, at);
	int err = 0;

	if (iommu_unmap(s->in.io, at & PAGE_MASK, (uint64_t)count * PAGE_SIZE)) {
		host_log(HOST_LOG_ERROR, "dma: address %llx is unmapped and was not mapped",
			 (unsigned long long)at);
		return -XEN_EINVAL;
	}
	s->tally.unmaps += count;
	for (unsigned i = 0; i < count; i++)
		err |= unmap_page(s, page + i);
	return err;
}

static int map(const struct dma_device *dev, struct dma_piece *pieces, unsigned n,
	       enum dma_direction dir)
{
	unsigned rights =
	    (dir & DMA_TO_DEVICE ? IOMMU_READ : 0) | (dir & DMA_FROM_DEVICE ? IOMMU_WRITE : 0);

	for (unsigned i = 0; i < n; i++) {
		uintptr_t offset = (uintptr_t)pieces[i].va & ~PAGE_MASK;
		int err = map_run(dev->state, (char *)pieces[i].va - offset, 1, 1, rights,
				  &pieces[i].at.v);

		if (err) {
			while (i--)
				(void)unmap_run(dev->state, pieces[i].at.v, 1);
			return err;
		}
		pieces[i].at.v += offset;
	}
	return 0;
}

static int unmap(const struct dma_device *dev, const struct dma_extent *all, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < n; i++)
		err |= unmap_run(dev->state, all[i].at.v, 1);
	return err;
}

static void *share(const struct dma_device *dev, unsigned count, unsigned align_pages,
		   dma_addr_t *out_addr)
{
	char *pages = host_pages_alloc(count);

	if (pages && map_run(dev->state, pages, count, align_pages, IOMMU_READ | IOMMU_WRITE,
			     &out_addr->v)) {
		host_pages_free(pages, count);
		return NULL;
	}
	return pages;
}

static void unshare(const struct dma_device *dev, void *pages, unsigned count, dma_addr_t addr)
{
	(void)unmap_run(dev->state, addr.v, count);
	host_pages_free(pages, count);
}

static void count(const struct dma_device *dev, struct dma_counts *out)
{
	const struct dma_space *s = dev->state;

	out->layer = name_of(s);
	dma_tell(&s->tally, iommu_space_tables(s->in.io), out);
}

const struct dma_layer dma_space_layer = {.attach = attach,
					  .detach = detach,
					  .map = map,
					  .unmap = unmap,
					  .share = share,
					  .unshare = unshare,
					  .cut = cut,
					  .count = count};
