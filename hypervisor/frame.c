/* frame.c: which frames are RAM, and the allocator that gives them out by blocks of 2^order.
 *
 * A buddy allocator: a free block's head frame carries PG_FREE and its order, and hangs in the
 * list of that order by frame numbers. It knows nothing of domains or types; page_type.c and
 * mm_domain.c do that. Its lock is the innermost of memory management. Callers: frame_boot.c,
 * heap.c, mm_domain.c, page_type.c, and through hv_page_alloc everyone. Calls mm_hw.c.
 */
#include <amphi/string.h>

#include "io.h"
#include "mm_private.h"

#define RAM_RANGES 32u

struct frame_range {
	uint64_t first, end;
};

static struct frame_range ram[RAM_RANGES];
static unsigned ram_count;

static spinlock_t heap_lock;
static uint32_t free_list[MM_MAX_ORDER + 1]; /* heads; frame 0 is never RAM to us */
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

uint64_t frames_highest(void)
{
	uint64_t highest = 0;

	for (unsigned i = 0; i < ram_count; i++)
		highest = MAX(highest, ram[i].end - 1);
	return highest;
}

void page_zero(void *page)
{
	uint64_t words = PAGE_SIZE / 8;

	__asm__ volatile("rep stosq" : "+D"(page), "+c"(words) : "a"(0) : "memory");
}

/* ---- lists of free blocks: a frame number is its page's name ---- */

static struct page_info *frame(uint32_t number)
{
	return mfn_to_page((mfn_t){number});
}

static uint32_t number(const struct page_info *page)
{
	return (uint32_t)page_to_mfn(page).v;
}

static void list_push(struct page_info *page, unsigned order)
{
	uint32_t head = free_list[order];

	page->flags = PG_FREE;
	page->done = (uint16_t)order;
	page->prev = 0;
	page->next = head;
	if (head)
		frame(head)->prev = number(page);
	free_list[order] = number(page);
}

static void list_remove(struct page_info *page)
{
	if (page->prev)
		frame(page->prev)->next = page->next;
	else
		free_list[page->done] = page->next;
	if (page->next)
		frame(page->next)->prev = page->prev;
	page->flags = 0;
	page->done = 0;
	page->next = page->prev = 0;
}

/* The first free block of at least order that begins with enough frames below limit. Without a
 * limit that matters the first of a list always does, so the walk is long only for a caller who
 * wants low memory when there is hardly any. */
static struct page_info *find_block(unsigned order, uint64_t limit, unsigned *out_order)
{
	for (unsigned o = order; o <= MM_MAX_ORDER; o++) {
		for (uint32_t n = free_list[o]; n; n = frame(n)->next) {
			if (n + (1ull << order) > limit)
				continue;
			*out_order = o;
			return frame(n);
		}
	}
	return NULL;
}

/* Whether any of the block's frames may still be in the TLB as what they were before. */
static bool block_stale(const struct page_info *page, unsigned order)
{
	for (uint64_t i = 0; i < 1ull << order; i++)
		if (page[i].stamp == tlb_clock)
			return true;
	return false;
}

struct page_info *frames_alloc(unsigned order, uint64_t limit)
{
	struct page_info *page;
	unsigned have;

	if (order > MM_MAX_ORDER)
		return NULL;
	spin_lock(&heap_lock);
	page = find_block(order, limit, &have);
	if (page) {
		list_remove(page);
		while (have > order) {
			have--;
			list_push(page + (1ull << have), have);
		}
		free_frames -= 1ull << order;
	}
	spin_unlock(&heap_lock);
	if (page && block_stale(page, order))
		tlb_flush_all();
	return page;
}

/* The other half of a block, when it is free as a whole. Blocks are aligned to their size by
 * frame number, and a block never reaches over the end of a RAM range because its buddy there is
 * not RAM. */
static struct page_info *free_buddy(const struct page_info *page, unsigned order)
{
	mfn_t buddy = {page_to_mfn(page).v ^ (1ull << order)};
	struct page_info *b;

	if (order == MM_MAX_ORDER || !mfn_valid(buddy))
		return NULL;
	b = mfn_to_page(buddy);
	return (b->flags & PG_FREE) && b->done == order ? b : NULL;
}

void frames_free(struct page_info *page, unsigned order)
{
	struct page_info *buddy;

	for (uint64_t i = 0; i < 1ull << order; i++) {
		HV_ASSERT(page[i].flags == 0 && page[i].count == 0 && !page[i].owner);
		page[i].type = PT_NONE;
		page[i].stamp = tlb_clock;
	}
	spin_lock(&heap_lock);
	free_frames += 1ull << order;
	while ((buddy = free_buddy(page, order))) {
		list_remove(buddy);
		page = MIN(page, buddy);
		order++;
	}
	list_push(page, order);
	spin_unlock(&heap_lock);
}

/* [first, end) becomes free in the largest aligned blocks there are. */
void frames_add_free(uint64_t first, uint64_t end)
{
	while (first < end) {
		unsigned order = first ? (unsigned)__builtin_ctzll(first) : MM_MAX_ORDER;

		order = MIN(order, MM_MAX_ORDER);
		while (first + (1ull << order) > end)
			order--;
		frames_free(frame((uint32_t)first), order);
		first += 1ull << order;
	}
}

void *hv_page_alloc(unsigned order)
{
	struct page_info *page = frames_alloc(order, ~0ull);

	if (!page)
		return NULL;
	for (uint64_t i = 0; i < 1ull << order; i++)
		page_zero(page_to_virt(page + i));
	return page_to_virt(page);
}

void hv_page_free(void *pages, unsigned order)
{
	frames_free(mfn_to_page(virt_to_mfn(pages)), order);
}

void mm_stats(struct mm_stats *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < ram_count; i++)
		out->total_pages += ram[i].end - ram[i].first;
	out->free_pages = free_frames;
	out->hv_pages = out->total_pages - free_frames - frames_of_domains;
}
