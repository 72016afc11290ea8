/* frame.c: which frames are RAM, and the allocator that gives them out by blocks of 2^order.
 *
 * A buddy allocator: a free block's head frame carries PG_FREE and its order, and hangs in the
 * list of that order by frame numbers. It knows nothing of domains or types; page_type.c and
 * mm_domain.c do that. Its lock is the innermost of memory management. On top of it the
 * hypervisor's own pages and its small pieces (lib/heap.c). Callers: frame_boot.c, mm_domain.c,
 * page_type.c, and through hv_page_alloc and hv_alloc everyone. Calls mm_hw.c.
 */
#include <amphi/heap.h>
#include <amphi/string.h>

#include "io.h"
#include "mm_private.h"

/* A list rather than a flag in each page_info: the question is asked of numbers a guest made up,
 * and most of those have no page_info that could be looked at. A machine has a handful of ranges.
 */
#define RAM_RANGES 32u

struct frame_range {
	uint64_t first, end;
};

static struct frame_range ram[RAM_RANGES];
static unsigned ram_count;

/* frames_lock covers the lists, the counter, and PG_FREE and `done` of free frames. */
static spinlock_t frames_lock;
static uint32_t free_list[MM_MAX_ORDER + 1]; /* heads, by order */
static uint64_t free_frames;

bool mfn_valid(mfn_t mfn)
{
	for (unsigned i = 0; i < ram_count; i++)
		if (mfn.v >= ram[i].first && mfn.v < ram[i].end)
			return true;
	return false;
}

int frames_add_ram(uint64_t first, uint64_t end)
{
	if (ram_count == RAM_RANGES)
		return -XEN_ENOMEM;
	ram[ram_count++] = (struct frame_range){first, end};
	return 0;
}

/* Of all ranges: a firmware's map has no order. */
uint64_t frames_highest(void)
{
	uint64_t highest = 0;

	for (unsigned i = 0; i < ram_count; i++)
		highest = MAX(highest, ram[i].end - 1);
	return highest;
}

/* No vector registers: they still hold the state of the guest that called. */
void page_zero(void *page)
{
	uint64_t words = PAGE_SIZE / 8;

	__asm__ volatile("rep stosq" : "+D"(page), "+c"(words) : "a"(0) : "memory");
}

/* ---- lists, of free blocks and of a domain's frames; frame 0 is never RAM to us ---- */

void frame_link(uint32_t *head, struct page_info *page)
{
	page->prev = 0;
	page->next = *head;
	if (*head)
		frame_at(*head)->prev = frame_number(page);
	*head = frame_number(page);
}

void frame_unlink(uint32_t *head, struct page_info *page)
{
	if (page->prev)
		frame_at(page->prev)->next = page->next;
	else
		*head = page->next;
	if (page->next)
		frame_at(page->next)->prev = page->prev;
	page->next = page->prev = 0;
}

/* Only the head of a free block says that it is free; the rest of it looks like frames in use:
 *
 *   frame     8        9   10  11    12       13
 *          [FREE, 2] [ .   .   . ] [FREE, 0] [in use]
 *
 * So a frame inside a larger free block can never be taken for a free buddy, and splitting or
 * joining writes heads only. */
static void block_add(struct page_info *page, unsigned order)
{
	page->flags = PG_FREE;
	page->done = (uint16_t)order;
	frame_link(&free_list[order], page);
}

static void block_take(struct page_info *page)
{
	frame_unlink(&free_list[page->done], page);
	page->flags = 0;
	page->done = 0;
}

/* The first free block of at least order that begins with enough frames below limit. Without a
 * limit that matters the first of a list always does, so the walk is long only for a caller who
 * wants low memory when there is hardly any. */
static struct page_info *find_block(unsigned order, uint64_t limit)
{
	for (unsigned o = order; o <= MM_MAX_ORDER; o++)
		for (uint32_t n = free_list[o]; n; n = frame_at(n)->next)
			if (n + (1ull << order) <= limit)
				return frame_at(n);
	return NULL;
}

/* Frames that may still be in the TLB as what they were before must leave it first. */
struct page_info *frames_alloc(unsigned order, uint64_t limit)
{
	struct page_info *page;
	uint32_t latest = 0;

	spin_lock(&frames_lock);
	page = find_block(order, limit);
	if (page) {
		unsigned have = page->done;

		block_take(page);
		/* Upper halves go back: the limit is for the lowest frames of the block. */
		while (have-- > order)
			block_add(page + (1ull << have), have);
		free_frames -= 1ull << order;
	}
	spin_unlock(&frames_lock);
	for (uint64_t i = 0; page && i < 1ull << order; i++)
		latest = MAX(latest, page[i].stamp);
	if (page)
		tlb_flush_stale(latest);
	return page;
}

/* The other half of a block, when it is free as a whole. Blocks are aligned to their size by
 * frame number, and a block never reaches over the end of a RAM range because its buddy there is
 * not RAM. */
static struct page_info *free_buddy(const struct page_info *page, unsigned order)
{
	mfn_t mfn = {page_to_mfn(page).v ^ (1ull << order)};
	struct page_info *buddy = mfn_to_page(mfn);

	if (order == MM_MAX_ORDER || !mfn_valid(mfn))
		return NULL;
	return (buddy->flags & PG_FREE) && buddy->done == order ? buddy : NULL;
}

void frames_free(struct page_info *page, unsigned order)
{
	struct page_info *buddy;
	uint32_t stamp = tlb_stamp();

	for (uint64_t i = 0; i < 1ull << order; i++) {
		HV_ASSERT(page[i].flags == 0 && page[i].count == 0 && !page[i].owner);
		page[i].type = PT_NONE;
		page[i].stamp = stamp;
	}
	spin_lock(&frames_lock);
	free_frames += 1ull << order;
	while ((buddy = free_buddy(page, order))) {
		block_take(buddy);
		page = MIN(page, buddy);
		order++;
	}
	block_add(page, order);
	spin_unlock(&frames_lock);
}

/* [first, end) becomes free in the largest aligned blocks there are. */
void frames_add_free(uint64_t first, uint64_t end)
{
	while (first < end) {
		unsigned order = (unsigned)__builtin_ctzll(first | 1ull << MM_MAX_ORDER);

		while (first + (1ull << order) > end)
			order--;
		frames_free(frame_at((uint32_t)first), order);
		first += 1ull << order;
	}
}

/* Zeroed, because a table that starts empty is what most callers want, and because what a domain
 * left in the frame must not reach another through a page that we share. */
void *hv_page_alloc(unsigned order)
{
	struct page_info *page = frames_alloc(order, ~0ull);

	for (uint64_t i = 0; page && i < 1ull << order; i++)
		page_zero(page_to_virt(page + i));
	return page ? page_to_virt(page) : NULL;
}

void hv_page_free(void *pages, unsigned order)
{
	frames_free(mfn_to_page(virt_to_mfn(pages)), order);
}

/* ---- small pieces, see lib/heap.c ------------------------------------------------- */

/* The block's tail beyond what was asked goes back. */
static void *heap_pages_get(size_t n)
{
	unsigned order = 0;
	char *block;

	while ((size_t)1 << order < n)
		order++;
	block = hv_page_alloc(order);
	for (size_t i = n; block && i < (size_t)1 << order; i++)
		hv_page_free(block + i * PAGE_SIZE, 0);
	return block;
}

static void heap_pages_put(void *pages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hv_page_free((char *)pages + i * PAGE_SIZE, 0);
}

/* lib/heap.c has no lock of its own; frames_lock nests in this one. */
static struct heap heap = {.pages_get = heap_pages_get, .pages_put = heap_pages_put};
static spinlock_t heap_lock;

void *hv_alloc(size_t size)
{
	void *p = NULL;

	spin_lock(&heap_lock);
	if (size <= PAGE_SIZE << MM_MAX_ORDER)
		p = heap_alloc(&heap, size);
	spin_unlock(&heap_lock);
	return p;
}

/* A wrong size or a second free is a mistake of ours that would surface as somebody else's damaged
 * memory much later, so it ends here. */
void hv_free(void *p, size_t size)
{
	bool ok;

	spin_lock(&heap_lock);
	ok = heap_free(&heap, p, size);
	spin_unlock(&heap_lock);
	HV_ASSERT(ok);
}

/* For people to read: taken without locks, the three need not be of one moment. */
void mm_stats(struct mm_stats *out)
{
	*out = (struct mm_stats){.free_pages = free_frames};
	for (unsigned i = 0; i < ram_count; i++)
		out->total_pages += ram[i].end - ram[i].first;
	out->hv_pages = out->total_pages - free_frames - frames_of_domains;
}
