/* dma_untrusted.c: map and unmap for a device that is held to what is mapped, and is to see nothing that lies beside it.
 *
 * Called by dma.c instead of the layer's own, for untrusted devices. An IOMMU's grain is the page: what is less than one is copied to a page
 * of its own, zero around it (swiotlb.h), and that page is mapped. Whole pages go as they are. Which of the two an address is is remembered here, by function and
 * page of the device's, so that it holds for whatever layer, and nobody has to be asked.
 */
#include <amphi/host.h>
#include <amphi/xen.h>

#include "dma_layer.h"

#include "swiotlb.h"

#define BUCKETS 256u
#define AT_ONCE 64u /* pieces of one call of the layer's */

/* A piece that was copied, from its map to its unmap. */
struct copy {
	struct copy *next;
	uint64_t page; /* of the device's; nothing else is mapped there */
	maddr_t bytes; /* in the pool, as it gave them */
	uint16_t bdf;
};

/* Worker context, all of it; at_once and copies are empty between calls. */
static struct copy *buckets[BUCKETS];
static struct dma_piece at_once[AT_ONCE];
static struct copy *copies[AT_ONCE];

static struct copy **bucket_of(uint64_t page)
{
	return &buckets[page / PAGE_SIZE % BUCKETS];
}

/* The link to it; to NULL: what is mapped there is no copy. */
static struct copy **find(const struct dma_device *dev, dma_addr_t at)
{
	struct copy **link = bucket_of(at.v & PAGE_MASK);

	while (*link && ((*link)->bdf != dev->bdf || (*link)->page != (at.v & PAGE_MASK)))
		link = &(*link)->next;
	return link;
}

static struct copy *take(const struct dma_device *dev, dma_addr_t at)
{
	struct copy **link = find(dev, at), *c = *link;

	if (c)
		*link = c->next;
	return c;
}

/* The slots are given back when the device no longer reaches them, or never. */
static void drop(struct copy *c, bool free)
{
	if (!c)
		return;
	swiotlb_unmap(c->bytes, free);
	host_free(c, sizeof(*c));
}

/* ---- in -------------------------------------------------------------------------------------------- */

/* piece is of the copy then. */
static int copy_in(const struct dma_device *dev, struct dma_piece *piece, enum dma_direction dir,
		   struct copy **out)
{
	struct copy *c = host_alloc(sizeof(*c));
	int err = c ? swiotlb_map(~0ull, true, piece, dir, &c->bytes) : -XEN_ENOMEM;

	if (err) {
		host_free(c, sizeof(*c));
		return err;
	}
	c->bdf = dev->bdf;
	piece->va = swiotlb_view(c->bytes);
	*out = c;
	return 0;
}

/* The address is known: from here on it is found. */
static void remember(struct copy *c, dma_addr_t at)
{
	struct copy **bucket;

	if (!c)
		return;
	c->page = at.v & PAGE_MASK;
	bucket = bucket_of(c->page);
	c->next = *bucket;
	*bucket = c;
}

static int map_at_once(const struct dma_device *dev, struct dma_piece *pieces, unsigned n,
		       enum dma_direction dir)
{
	unsigned done = 0;
	int err = 0;

	for (; done < n && !err; done++) {
		at_once[done] = pieces[done];
		copies[done] = NULL;
		if (pieces[done].len < PAGE_SIZE)
			err = copy_in(dev, &at_once[done], dir, &copies[done]);
	}
	if (!err)
		err = dev->layer->map(dev, at_once, n, dir);
	for (unsigned i = 0; i < done; i++) {
		if (err) {
			drop(copies[i], err != -XEN_EIO);
			continue;
		}
		pieces[i].at = at_once[i].at;
		remember(copies[i], pieces[i].at);
	}
	return err;
}

int dma_untrusted_map(const struct dma_device *dev, struct dma_piece *pieces, unsigned n,
		      enum dma_direction dir)
{
	unsigned done = 0, part;
	int err = 0;

	for (; done < n && !err; done += err ? 0 : part) {
		part = MIN(n - done, AT_ONCE);
		err = map_at_once(dev, pieces + done, part, dir);
	}
	while (err && done--)
		dma_untrusted_unmap(
		    dev, &(struct dma_extent){pieces[done].at, pieces[done].len, dir}, 1);
	return err;
}

/* ---- out ------------------------------------------------------------------------------------------- */

static void unmap_at_once(const struct dma_device *dev, const struct dma_extent *all, unsigned n)
{
	int err;

	for (unsigned i = 0; i < n; i++)
		copies[i] = take(dev, all[i].at);
	err = dev->layer->unmap(dev, all, n);
	for (unsigned i = 0; i < n; i++)
		drop(copies[i], !err);
}

void dma_untrusted_unmap(const struct dma_device *dev, const struct dma_extent *all, unsigned n)
{
	for (unsigned done = 0; done < n; done += AT_ONCE)
		unmap_at_once(dev, all + done, MIN(n - done, AT_ONCE));
}

void dma_untrusted_sync(const struct dma_device *dev, dma_addr_t addr, size_t len, bool for_device)
{
	const struct copy *c = *find(dev, addr);

	if (c)
		swiotlb_sync((maddr_t){(c->bytes.v & PAGE_MASK) | (addr.v & ~PAGE_MASK)}, len,
			     for_device);
	else if (dev->layer->sync)
		dev->layer->sync(dev, addr, len, for_device);
}

/* The slots are lost: where the bytes belong may be another's memory by now, and the device may have been left mid-way. */
static void forget_in(struct copy **link, uint16_t bdf)
{
	while (*link) {
		struct copy *c = *link;

		if (c->bdf != bdf) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		host_free(c, sizeof(*c));
	}
}

void dma_untrusted_forget(const struct dma_device *dev)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		forget_in(&buckets[i], dev->bdf);
}
