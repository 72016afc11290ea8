/* host_dma.h: what bounce buffers and coherent memory ask of the program they are linked into.
 *
 * Callers: iommu/dma*.c, iommu/swiotlb.c. Implemented by kernel/host_dma.c and by the tests. Errors: NULL. Called in the worker; of
 * host_dma_cpu also wherever a test likes. Memory of here has addresses like other memory of ours (host_virt_to_maddr).
 */
#ifndef AMPHI_HOST_DMA_H
#define AMPHI_HOST_DMA_H

#include <amphi/types.h>

/* The highest address that a byte of the machine's memory has: what a peer lends us lies anywhere below it. */
uint64_t host_dma_reach(void);

/* count zeroed pages side by side in the machine, the first at a multiple of align_pages (a power of 2), no byte of them above mask. NULL:
 * there are none, or count is more than HOST_DMA_PAGES. A page of them that is given back by host_pages_free is not lost,
 * but a low one may then serve what does not need it. */
#define HOST_DMA_PAGES 64u
void *host_dma_pages(unsigned count, unsigned align_pages, uint64_t mask);
void host_dma_pages_free(void *pages, unsigned count);

/* The number of the processor that we run on. */
unsigned host_dma_cpu(void);

#endif
