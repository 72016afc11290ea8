/* dma_direct.c: the layer of DMA that does nothing: an address of the machine is the device's.
 *
 * Called by dma.c; right where there is no IOMMU, or one that is left open for us, and the device reaches all memory. It takes
 * every device, so it is asked last.
 */
#include "dma_layer.h"

#include <amphi/host.h>
#include <amphi/host_dma.h>
#include <amphi/xen.h>

static int attach(struct dma_device *dev, bool translated, const char **out_name)
{
	*out_name = "direct";
	return 0;
}

static int map(const struct dma_device *dev, struct dma_piece *pieces, unsigned n,
	       enum dma_direction dir)
{
	for (unsigned i = 0; i < n; i++) {
		pieces[i].at.v = host_virt_to_maddr(pieces[i].va).v;
		if (pieces[i].at.v + pieces[i].len - 1 > dev->mask)
			return -XEN_EFAULT;
	}
	return 0;
}

/* A single page is mostly right as it comes. */
static void *share(const struct dma_device *dev, unsigned count, unsigned align_pages,
		   dma_addr_t *out_addr)
{
	bool any = count == 1 && align_pages <= 1;
	char *pages = any ? host_pages_alloc(1) : NULL;

	if (pages && host_virt_to_maddr(pages).v + PAGE_SIZE - 1 > dev->mask) {
		host_pages_free(pages, 1);
		pages = NULL;
		any = false;
	}
	if (!pages && !any)
		pages = host_dma_pages(count, align_pages, dev->mask);
	if (pages)
		out_addr->v = host_virt_to_maddr(pages).v;
	return pages;
}

static void unshare(const struct dma_device *dev, void *pages, unsigned count, dma_addr_t addr)
{
	if (count == 1)
		host_pages_free(pages, 1);
	else
		host_dma_pages_free(pages, count);
}

const struct dma_layer dma_direct_layer = {
    .attach = attach, .map = map, .share = share, .unshare = unshare};
