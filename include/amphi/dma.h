/* dma.h: what a driver of a real device asks before the device touches memory.
 *
 * Callers: drivers-native. Implemented by iommu/. Today one layer, direct: a device's address is the
 * machine address. Worker context. Each map is undone by exactly one unmap with the same device
 * address and length. Not promised: that the address equals anything the processor knows.
 */
#ifndef AMPHI_DMA_H
#define AMPHI_DMA_H

#include <amphi/types.h>

/* An address as the device sees it. */
typedef struct {
	uint64_t v;
} dma_addr_t;

enum dma_direction { DMA_TO_DEVICE = 1, DMA_FROM_DEVICE = 2, DMA_BOTH = 3 };

struct dma_device {
	uint16_t bdf;
	uint64_t mask; /* highest address the device can send, e.g. ~0ull or 0xffffffff */
};

/* Gives the device len bytes at va (len >= 1, not crossing a page). 0, or -XEN_EFAULT when the device
 * cannot reach the page: there is no bounce buffer below its mask yet. */
int dma_map(const struct dma_device *dev, void *va, size_t len, enum dma_direction dir,
	    dma_addr_t *out_addr);
void dma_unmap(const struct dma_device *dev, dma_addr_t addr, size_t len, enum dma_direction dir);

/* One zeroed page that processor and device share for as long as the device lives (queues, lists of
 * addresses). NULL when there is none. */
void *dma_page_alloc(const struct dma_device *dev, dma_addr_t *out_addr);

/* The same, for count pages side by side for the device too: NULL where memory is not laid out so (a PV domain's
 * seldom is). */
void *dma_pages_alloc(const struct dma_device *dev, unsigned count, dma_addr_t *out_addr);

#endif
