/* dma_space.c: a device's own addresses: a window of pages in a space of an IOMMU.
 *
 * Callers: dma.c. Calls iommu.h and host.h. Strict, an unmap flushes the page at once, and its address is free when that is done. Lazy, addresses wait until
 * there are DMA_LAZY_MAX, and one flush is for all: cheaper by far, and for that long the device still reaches what was unmapped.
 */
#include "dma_layer.h"

#include <amphi/host.h>
#include <amphi/iommu.h>

#include "dma_window.h"

#define TABLES_MAX (DMA_WINDOW_PAGES / 512u + 64u)

static enum dma_policy policy;

struct dma_space {
	struct iommu_space *io;
	bool lazy;
	struct dma_tally tally;
	unsigned n_waiting;
	uint32_t waiting[DMA_LAZY_MAX]; /* pages of the window, unmapped and not flushed */
	struct dma_window window;
};

/* What firmware uses by this device lies where it says, whoever else wants the addresses. */
static int keep_reserved(struct dma_space *s, uint16_t bdf)
{
	const struct iommu_reserved *r;
	int err = 0;

	for (unsigned n = 0; !err && (r = iommu_reserved(n)) != NULL; n++) {
		if (bdf < r->first_bdf || bdf > r->last_bdf)
			continue;
		if (r->rights)
			err = iommu_map(s->io, r->start, (maddr_t){r->start}, r->end - r->start,
					r->rights);
		dma_window_keep(&s->window, r->start, r->end);
	}
	return err;
}

void dma_set_policy(enum dma_policy wanted)
{
	policy = wanted;
}

/* A page that an untrusted device no longer has is given others' bytes at once: lazy is not for those. */
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
	s->lazy = policy == DMA_POLICY_LAZY && !dev->untrusted;
	err = dma_window_fit(&s->window, dev->mask);
	if (!err)
		err = iommu_space_new(unit, TABLES_MAX, &s->io);
	if (err)
		goto out_memory;
	err = keep_reserved(s, dev->bdf);
	if (!err)
		err = iommu_attach(s->io, dev->bdf);
	if (err)
		goto out_space;
	dev->state = s;
	*out_name = s->lazy ? "lazy" : "strict";
	return 0;

out_space:
	iommu_space_free(s->io);
out_memory:
	host_free(s, sizeof(*s));
	return err;
}

/* A unit that does not answer may still walk the tables: they stay its own then. */
static int detach(struct dma_device *dev)
{
	struct dma_space *s = dev->state;
	int err = iommu_detach(s->io, dev->bdf);

	if (!err || err == -XEN_ENOENT) /* it was cut off before */
		err = iommu_space_free(s->io);
	if (!err)
		host_free(s, sizeof(*s));
	return err;
}

static int cut(const struct dma_device *dev)
{
	const struct dma_space *s = dev->state;

	return iommu_detach(s->io, dev->bdf);
}

/* A flush that fails leaves the addresses taken: the device may still reach what they led to. */
static void flush_waiting(struct dma_space *s)
{
	s->tally.flushes++;
	if (!iommu_flush_all(s->io))
		for (unsigned i = 0; i < s->n_waiting; i++)
			dma_window_give(&s->window, s->waiting[i]);
	s->n_waiting = 0;
}

/* ---- map and unmap --------------------------------------------------------------------------------- */

/* Frame by frame: in a direct map that is scattered they lie anywhere. */
static int map_pages(struct dma_space *s, char *va, unsigned count, uint64_t at, unsigned rights)
{
	int err = 0;

	for (unsigned i = 0; i < count && !err; i++) {
		maddr_t where = host_virt_to_maddr(va + i * PAGE_SIZE);

		err = iommu_map(s->io, at + i * PAGE_SIZE, where, PAGE_SIZE, rights);
		if (err == -XEN_EIO ||
		    (err && i)) /* that one is mapped, though the unit does not answer */
			(void)iommu_unmap(s->io, at, (i + (err == -XEN_EIO)) * PAGE_SIZE);
	}
	return err;
}

/* The window begins at a multiple of every alignment it has room for. */
static int map_run(struct dma_space *s, char *first, unsigned count, unsigned align,
		   unsigned rights, uint64_t *out_at)
{
	unsigned page;
	int err;

	if (!dma_window_take(&s->window, count, align, &page)) {
		flush_waiting(s);
		if (!dma_window_take(&s->window, count, align, &page))
			return -XEN_ENOSPC;
	}
	err = map_pages(s, first, count, dma_window_address(&s->window, page), rights);
	if (err) {
		/* What was mapped for a moment nobody was told of, but a device may guess: addresses that may lead there stay taken. */
		int unseen = iommu_flush_all(s->io);

		for (unsigned i = 0; i < count && !unseen; i++)
			dma_window_give(&s->window, page + i);
		return err;
	}
	s->tally.maps += count;
	*out_at = dma_window_address(&s->window, page);
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
	err = iommu_flush_entry(s->io, dma_window_address(&s->window, page));
	if (!err)
		dma_window_give(&s->window, page);
	return err;
}

static int unmap_run(struct dma_space *s, uint64_t at, unsigned count)
{
	unsigned page = dma_window_page(&s->window, at);
	int err = 0;

	if (iommu_unmap(s->io, at & PAGE_MASK, (uint64_t)count * PAGE_SIZE)) {
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

	dma_tell(&s->tally, iommu_space_tables(s->io), out);
}

const struct dma_layer dma_space_layer = {.attach = attach,
					  .detach = detach,
					  .map = map,
					  .unmap = unmap,
					  .share = share,
					  .unshare = unshare,
					  .cut = cut,
					  .count = count};
