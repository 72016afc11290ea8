/* dma_window.h: which pages of a device's window of addresses are taken: a bit each.
 *
 * Private to iommu/dma*.c: dma_space.c has one for each device in a space of a unit of ours, dma_io.c for each in one of a hypervisor's. Nothing but bits: what an address leads to is
 * the user's. Devices that share a space (functions that no unit tells apart) have windows in different places of it:
 *
 *	place 0		[DMA_WINDOW_LOW, mask]: for a device that knows no more, below DMA_WINDOW, as many as there are
 *	place 1, 2...	[DMA_WINDOW + (place - 1) * DMA_WINDOW_STRIDE, + DMA_WINDOW_PAGES pages): below 4 GiB for devices that know no more, and
 *			below where bridges have their devices' registers, which on a conventional bus would answer
 */
#ifndef IOMMU_DMA_WINDOW_H
#define IOMMU_DMA_WINDOW_H

#include <amphi/types.h>

#define DMA_WINDOW       0x10000000ull
#define DMA_WINDOW_PAGES 65536u
#define DMA_WINDOW_BYTES (DMA_WINDOW_PAGES * PAGE_SIZE)

#define DMA_WINDOW_LOW    0x100000ull
#define DMA_WINDOW_STRIDE 0x18000000ull /* more than a window: what is between is the user's */
#define DMA_WINDOW_PLACES 7u

struct dma_window {
	uint64_t first; /* its first address */
	unsigned place;
	unsigned next; /* no word below has a free bit */
	uint64_t taken[DMA_WINDOW_PAGES / 64u];
};

static inline uint64_t dma_window_address(const struct dma_window *w, unsigned page)
{
	return w->first + (uint64_t)page * PAGE_SIZE;
}

/* Of an address in it. */
static inline unsigned dma_window_page(const struct dma_window *w, uint64_t address)
{
	return (unsigned)((address - w->first) >> PAGE_SHIFT);
}

static inline bool dma_window_is_taken(const struct dma_window *w, unsigned page)
{
	return w->taken[page / 64] >> page % 64 & 1;
}

static inline bool dma_window_has(const struct dma_window *w, uint64_t address)
{
	return address >= w->first && address < w->first + DMA_WINDOW_BYTES;
}

/* Of zeroed memory a window with all of it free, at a place that is not in places (bits), where no address is above mask: the lowest that is not 0, if there is one.
 * -XEN_EFAULT: there are none at all; -XEN_ENOSPC: those there are have others. */
int dma_window_fit(struct dma_window *w, uint64_t mask, unsigned places);
/* count (>= 1) pages side by side, the first a multiple of align (a power of 2), as DMA_WINDOW is of any. False: there are none. */
bool dma_window_take(struct dma_window *w, unsigned count, unsigned align, unsigned *out_page);
void dma_window_give(struct dma_window *w, unsigned page);
/* Takes what of the addresses [start, end) lies in it, for good: they are somebody else's. */
void dma_window_keep(struct dma_window *w, uint64_t start, uint64_t end);

#endif
