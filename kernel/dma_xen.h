/* dma_xen.h: pages of a PV domain that lie side by side in the machine.
 *
 * Caller: host_dma.c, in a PV domain. Implemented by kernel/dma_xen.c. Worker context.
 */
#ifndef KERNEL_DMA_XEN_H
#define KERNEL_DMA_XEN_H

#include <amphi/types.h>

/* As host_dma_pages and host_dma_pages_free. */
void *dma_xen_pages(unsigned count, unsigned align_pages, uint64_t mask);
void dma_xen_pages_free(void *pages, unsigned count);

#endif
