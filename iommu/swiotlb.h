/* swiotlb.h: a pool of memory that devices reach, and copies of what they do not reach.
 *
 * Private to iommu/: dma_bounce.c (small masks) and dma_untrusted.c (pieces of pages) call; its size is the kernel's to say (dma.h). Slots of half a page, 64 to
 * a block that is side by side in the machine. Each processor has an area: blocks that only it takes slots from while
 * it has any. Giving back is one atomic operation, whoever does it, so there is no lock. Context: any number of
 * processors at once, as far as the host's memory calls stand that; a slot's owner undoes its map itself.
 */
#ifndef IOMMU_SWIOTLB_H
#define IOMMU_SWIOTLB_H

#include <amphi/dma.h>

/* Makes the first blocks, in the area of this processor, where a device of this mask will find them. Less than was wished is no error: what
 * is not there when it is needed is. */
void swiotlb_start(uint64_t mask);

/* A copy, below mask, of len bytes at va (not crossing a page), with the same offset in its page. All of it is copied in, in either
 * direction: a device that writes less than it was to leaves the rest as it was. whole: the page is its own, and zero but for
 * the bytes. -XEN_ENOSPC: full, and may not grow. */
int swiotlb_map(uint64_t mask, bool whole, const struct dma_piece *piece, enum dma_direction dir,
		maddr_t *out_at);
/* Copies out what the device may have written; free: and gives the slots back, which are lost without (a device that may still reach
 * them). at: as it was given. What is not mapped is said in the log. */
void swiotlb_unmap(maddr_t at, bool free);
/* The same for a part of it, which stays mapped: in for the device, or out. */
void swiotlb_sync(maddr_t at, size_t len, bool for_device);

/* Whether it lies in the pool; and where. */
bool swiotlb_has(maddr_t at);
void *swiotlb_view(maddr_t at);

#endif
