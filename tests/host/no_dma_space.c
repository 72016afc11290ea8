/* no_dma_space.c: a machine without an IOMMU, for tests whose devices go by the direct layer of DMA.
 *
 * Stands in for iommu/dma_space.c: dma.c never gets as far while its policy is DMA_POLICY_DIRECT.
 */
#include <stdlib.h>

#include "iommu/dma_space.h"

int dma_space_new(uint16_t bdf, uint64_t mask, bool lazy, struct dma_space **out)
{
	abort();
}

void dma_space_free(struct dma_space *s, uint16_t bdf)
{
	abort();
}

int dma_space_map(struct dma_space *s, void *va, unsigned count, enum dma_direction dir,
		  dma_addr_t *out_addr)
{
	abort();
}

void dma_space_unmap(struct dma_space *s, dma_addr_t addr, unsigned count)
{
	abort();
}

int dma_space_cut(struct dma_space *s, uint16_t bdf)
{
	abort();
}

void dma_space_count(const struct dma_space *s, struct dma_counts *out)
{
	abort();
}
