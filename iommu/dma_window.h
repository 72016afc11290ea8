/* dma_window.h: which pages of a device's window of addresses are taken: a bit each.
 *
 * Private to iommu/dma*.c: dma_space.c has one for each space of a unit of ours, dma_io.c for each of a hypervisor's. Nothing but bits: what an address leads to is
 * the user's. Zeroed memory is a window with all of it free.
 *
 *	[DMA_WINDOW, DMA_WINDOW_END)	below 4 GiB for devices that know no more, and below 0xfee00000, where writes are interrupts
 *	[DMA_WINDOW_LOW, mask]		for a device whose mask is below that: as many as there are, by the same bits
 */
#ifndef IOMMU_DMA_WINDOW_H
#define IOMMU_DMA_WINDOW_H

#include <amphi/types.h>

#define DMA_WINDOW       0x10000000ull
#define DMA_WINDOW_PAGES 65536u
#define DMA_WINDOW_END   (DMA_WINDOW + DMA_WINDOW_PAGES * PAGE_SIZE)

#define DMA_WINDOW_LOW 0x100000ull

struct dma_window {
	uint64_t below; /* how much lower its addresses are */
	unsigned next;  /* no word below has a free bit */
	uint64_t taken[DMA_WINDOW_PAGES / 64u];
};

static inline uint64_t dma_window_address(const struct dma_window *w, unsigned page)
{
	return DMA_WINDOW + (uint64_t)page * PAGE_SIZE - w->below;
}

/* Of an address in it. */
static inline unsigned dma_window_page(const struct dma_window *w, uint64_t address)
{
	return (unsigned)((address + w->below - DMA_WINDOW) >> PAGE_SHIFT);
}

/* Before anything else: no address of it is above mask. -XEN_EFAULT: there are none. */
int dma_window_fit(struct dma_window *w, uint64_t mask);
/* count (>= 1) pages side by side, the first a multiple of align (a power of 2), as DMA_WINDOW is of any. False: there are none. */
bool dma_window_take(struct dma_window *w, unsigned count, unsigned align, unsigned *out_page);
void dma_window_give(struct dma_window *w, unsigned page);
/* Takes what of the addresses [start, end) lies in it, for good: they are somebody else's. */
void dma_window_keep(struct dma_window *w, uint64_t start, uint64_t end);

#endif
