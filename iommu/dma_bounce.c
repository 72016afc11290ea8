/* dma_bounce.c: the layer of DMA for a device that does not reach all memory: copies below its mask.
 *
 * Called by dma.c; calls swiotlb.h. Pages below the mask are mapped as they are, and others are copied: the address tells which, as
 * nobody maps the pool's own memory. Pages that are shared for long are made below the mask, since a copy is no use there.
 */
#include "dma_layer.h"

#include <amphi/host.h>
#include <amphi/host_dma.h>
#include <amphi/xen.h>

#include "swiotlb.h"

/* dma_device.state stays NULL: the layer remembers nothing of a device. */
static int attach(struct dma_device *dev, bool translated, const char **out_name)
{
	if (dev->mask >= host_dma_reach())
		return -XEN_ENODEV;
	swiotlb_start(dev->mask);
	*out_name = "swiotlb";
	return 0;
}

static int unmap(const struct dma_device *dev, const struct dma_extent *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (swiotlb_has((maddr_t){all[i].at.v}))
			swiotlb_unmap((maddr_t){all[i].at.v}, true);
	return 0;
}

static int map_one(const struct dma_device *dev, struct dma_piece *piece, enum dma_direction dir)
{
	maddr_t at = host_virt_to_maddr(piece->va);
	int err = 0;

	if (at.v + piece->len - 1 > dev->mask)
		err = swiotlb_map(dev->mask, false, piece, dir, &at);
	piece->at.v = at.v;
	return err;
}

static int map(const struct dma_device *dev, struct dma_piece *pieces, unsigned n,
	       enum dma_direction dir)
{
	for (unsigned i = 0; i < n; i++) {
		int err = map_one(dev, &pieces[i], dir);

		if (!err)
			continue;
		while (i--)
			(void)unmap(dev, &(struct dma_extent){.at = pieces[i].at}, 1);
		return err;
	}
	return 0;
}

static void sync(const struct dma_device *dev, dma_addr_t addr, size_t len, bool for_device)
{
	if (swiotlb_has((maddr_t){addr.v}))
		swiotlb_sync((maddr_t){addr.v}, len, for_device);
}

static void *share(const struct dma_device *dev, unsigned count, unsigned align_pages,
		   dma_addr_t *out_addr)
{
	return dma_direct_layer.share(dev, count, align_pages, out_addr);
}

static void unshare(const struct dma_device *dev, void *pages, unsigned count, dma_addr_t addr)
{
	dma_direct_layer.unshare(dev, pages, count, addr);
}

const struct dma_layer dma_bounce_layer = {
    .attach = attach, .map = map, .unmap = unmap, .sync = sync, .share = share, .unshare = unshare};
