/* no_dma_space.c: a machine without an IOMMU, whose devices reach all memory: for tests that go by the direct layer of DMA.
 *
 * Stands in for the other layers (iommu/dma_layer.h), which want no device, and for host_dma.h.
 */
#include <stdlib.h>
#include <string.h>

#include <amphi/host_dma.h>
#include <amphi/xen.h>

#include "iommu/dma_layer.h"

static int no_device(struct dma_device *dev, bool translated, const char **out_name)
{
	return -XEN_ENODEV;
}

const struct dma_layer dma_space_layer = {.attach = no_device};
const struct dma_layer dma_io_layer = {.attach = no_device};
const struct dma_layer dma_bounce_layer = {.attach = no_device};

int dma_untrusted_map(const struct dma_device *dev, struct dma_piece *pieces, unsigned n,
		      enum dma_direction dir)
{
	abort();
}

void dma_untrusted_unmap(const struct dma_device *dev, const struct dma_extent *all, unsigned n)
{
	abort();
}

void dma_untrusted_sync(const struct dma_device *dev, dma_addr_t addr, size_t len, bool for_device)
{
	abort();
}

void dma_untrusted_forget(const struct dma_device *dev)
{
	abort();
}

void *host_dma_pages(unsigned count, unsigned align_pages, uint64_t mask)
{
	void *pages = aligned_alloc(align_pages * PAGE_SIZE, count * PAGE_SIZE);

	return pages ? memset(pages, 0, count * PAGE_SIZE) : NULL;
}

void host_dma_pages_free(void *pages, unsigned count)
{
	free(pages);
}
