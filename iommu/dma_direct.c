/* dma_direct.c: the direct DMA layer: the device's address is the machine address.
 *
 * Right where there is no IOMMU, or one that the hypervisor has left open: natively, and for the first
 * domain. Every page is mapped by itself, so a PV domain's scattered frames need no care. Callers:
 * drivers-native through amphi/dma.h; calls host.h.
 */
#include <amphi/dma.h>
#include <amphi/host.h>

int dma_map(const struct dma_device *dev, void *va, size_t len, enum dma_direction dir,
	    dma_addr_t *out_addr)
{
	maddr_t where = host_virt_to_maddr(va);

	HOST_ASSERT(len && ((uintptr_t)va & ~PAGE_MASK) + len <= PAGE_SIZE);
	if (where.v + len - 1 > dev->mask)
		return -XEN_EFAULT;
	*out_addr = (dma_addr_t){where.v};
	return 0;
}

void dma_unmap(const struct dma_device *dev, dma_addr_t addr, size_t len, enum dma_direction dir)
{
	/* x86 is coherent and nothing was set up. */
}

void *dma_page_alloc(const struct dma_device *dev, dma_addr_t *out_addr)
{
	void *page = host_pages_alloc(1);

	if (page && dma_map(dev, page, PAGE_SIZE, DMA_BOTH, out_addr)) {
		host_pages_free(page, 1);
		return NULL;
	}
	return page;
}

void *dma_pages_alloc(const struct dma_device *dev, unsigned count, dma_addr_t *out_addr)
{
	char *pages = host_pages_alloc(count);
	dma_addr_t at;

	for (unsigned i = 0; pages && i < count; i++) {
		if (!dma_map(dev, pages + i * PAGE_SIZE, PAGE_SIZE, DMA_BOTH, &at) &&
		    (!i || at.v == out_addr->v + i * PAGE_SIZE)) {
			*out_addr = i ? *out_addr : at;
			continue;
		}
		host_pages_free(pages, count);
		return NULL;
	}
	return pages;
}
