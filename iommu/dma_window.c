/* dma_window.c: the bits of dma_window.h.
 *
 * Callers: dma_space.c, dma_io.c. Calls nobody. The lowest free page is given first: what was used lately has its tables, and they are few. A single
 * page is found where the last search ended; several at once are asked for at the start of a device only, so that search may look at every place.
 */
#include "dma_window.h"

#include <amphi/xen.h>

static bool are_free(const struct dma_window *w, unsigned page, unsigned count, unsigned align)
{
	if (page & (align - 1))
		return false;
	for (unsigned i = 0; i < count; i++)
		if (page + i >= DMA_WINDOW_PAGES || dma_window_is_taken(w, page + i))
			return false;
	return true;
}

static void take(struct dma_window *w, unsigned page)
{
	w->taken[page / 64] |= 1ull << page % 64;
}

bool dma_window_take(struct dma_window *w, unsigned count, unsigned align, unsigned *out_page)
{
	for (unsigned word = w->next; word < ARRAY_SIZE(w->taken); word++)
		for (uint64_t open = ~w->taken[word]; open; open &= open - 1) {
			unsigned page = word * 64 + (unsigned)__builtin_ctzll(open);

			if (!are_free(w, page, count, align))
				continue;
			for (unsigned n = 0; n < count; n++)
				take(w, page + n);
			w->next = count == 1 && align == 1 ? word : w->next;
			*out_page = page;
			return true;
		}
	return false;
}

void dma_window_give(struct dma_window *w, unsigned page)
{
	w->taken[page / 64] &= ~(1ull << page % 64);
	w->next = MIN(w->next, page / 64);
}

void dma_window_keep(struct dma_window *w, uint64_t start, uint64_t end)
{
	end = MIN(end, w->first + DMA_WINDOW_BYTES);
	for (uint64_t at = MAX(start, w->first); at < end; at += PAGE_SIZE)
		take(w, dma_window_page(w, at));
}

/* The low one has more bits than addresses at both ends. */
int dma_window_fit(struct dma_window *w, uint64_t mask, unsigned places)
{
	for (w->place = 1; w->place < DMA_WINDOW_PLACES; w->place++) {
		w->first = DMA_WINDOW + (w->place - 1) * DMA_WINDOW_STRIDE;
		if (mask >= w->first + DMA_WINDOW_BYTES - 1 && !(places >> w->place & 1))
			return 0;
	}
	if (mask <= DMA_WINDOW_LOW)
		return -XEN_EFAULT;
	if (places & 1)
		return -XEN_ENOSPC;
	w->place = 0;
	w->first = 0;
	dma_window_keep(w, 0, DMA_WINDOW_LOW);
	dma_window_keep(w, (MIN(mask, DMA_WINDOW_BYTES - 1) + 1) & PAGE_MASK, DMA_WINDOW_BYTES);
	return 0;
}
