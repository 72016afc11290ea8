/* dma_space.h: the layer of DMA that gives a device addresses of its own, in a space of an IOMMU.
 *
 * Private to iommu/dma*.c. As dma.h says; the addresses are pages of a window, whose taken ones are a bit each.
 */
#ifndef IOMMU_DMA_SPACE_H
#define IOMMU_DMA_SPACE_H

#include <amphi/dma.h>

struct dma_space;

int dma_space_new(uint16_t bdf, uint64_t mask, bool lazy, struct dma_space **out);
void dma_space_free(struct dma_space *s, uint16_t bdf);
/* count pages from va's on, which are side by side for the processor. */
int dma_space_map(struct dma_space *s, void *va, unsigned count, enum dma_direction dir,
		  dma_addr_t *out_addr);
void dma_space_unmap(struct dma_space *s, dma_addr_t addr, unsigned count);
/* As dma_cut; the space stays, for the driver to unmap. */
int dma_space_cut(struct dma_space *s, uint16_t bdf);
void dma_space_count(const struct dma_space *s, struct dma_counts *out);

#endif
