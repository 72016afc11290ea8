/* dma_debug.h: remembers every map, and says what is wrong with an unmap.
 *
 * Private to iommu/dma.c. Costs memory and time for each map; on when the kernel was told `dma_debug` or `dma_panic`, which the tests with real devices do.
 */
#ifndef IOMMU_DMA_DEBUG_H
#define IOMMU_DMA_DEBUG_H

#include <amphi/dma.h>

/* Whether what is found ends the program. */
void dma_debug_stops(bool on);
/* shared: for as long as the device is there, if its driver likes. */
void dma_debug_map(uint16_t bdf, dma_addr_t addr, size_t len, enum dma_direction dir, bool shared);
/* In the log, with device and address: not mapped at all; or with another length or direction. */
void dma_debug_unmap(uint16_t bdf, dma_addr_t addr, size_t len, enum dma_direction dir);
/* The device goes: what is still mapped then may only be what it shares with its driver. */
void dma_debug_forget(uint16_t bdf);
void dma_debug_count(uint16_t bdf, struct dma_counts *out);

#endif
