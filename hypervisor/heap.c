/* heap.c: small pieces of the hypervisor's memory.
 *
 * Sizes up to 2048 are rounded up to a power of two from 32 on and cut from pages of one size
 * class; larger ones are whole pages. A page whose pieces are all free goes back at once, so that
 * after everything of a domain is freed the count of pages is what it was before. The page's
 * page_info holds its books, no header is in the page. Callers: all parts. Calls frame.c.
 */
#include <amphi/string.h>

#include "io.h"
#include "mm_private.h"

#define CLASS_SHIFT_MIN 5u
#define CLASS_SHIFT_MAX 11u
#define CLASSES         (CLASS_SHIFT_MAX - CLASS_SHIFT_MIN + 1)

/* In the page_info of a page of pieces: done counts pieces in use, stamp is the offset + 1 of the
 * first free one (0: none), next and prev link pages of the class that have free pieces. A free
 * piece begins with the offset + 1 of the next one. */
static uint32_t class_pages[CLASSES];
static spinlock_t lock;

static unsigned class_of(size_t size)
{
	unsigned class = 0;

	while ((size_t)1 << (CLASS_SHIFT_MIN + class) < size)
		class ++;
	return class;
}

static void link_page(struct page_info *page, unsigned class)
{
	uint32_t head = class_pages[class];

	page->prev = 0;
	page->next = head;
	if (head)
		mfn_to_page((mfn_t){head})->prev = (uint32_t)page_to_mfn(page).v;
	class_pages[class] = (uint32_t)page_to_mfn(page).v;
}

static void unlink_page(struct page_info *page, unsigned class)
{
	if (page->prev)
		mfn_to_page((mfn_t){page->prev})->next = page->next;
	else
		class_pages[class] = page->next;
	if (page->next)
		mfn_to_page((mfn_t){page->next})->prev = page->prev;
	page->next = page->prev = 0;
}

static struct page_info *new_class_page(unsigned class)
{
	struct page_info *page = frames_alloc(0, ~0ull);
	size_t size = (size_t)1 << (CLASS_SHIFT_MIN + class);
	char *va;

	if (!page)
		return NULL;
	va = page_to_virt(page);
	page->stamp = 1;
	page->done = 0;
	for (size_t at = 0; at < PAGE_SIZE; at += size)
		*(uint32_t *)(va + at) = at + size < PAGE_SIZE ? (uint32_t)(at + size + 1) : 0;
	link_page(page, class);
	return page;
}

static void *take_piece(unsigned class)
{
	struct page_info *page = mfn_to_page((mfn_t){class_pages[class]});
	char *piece;

	if (!class_pages[class])
		page = new_class_page(class);
	if (!page)
		return NULL;
	piece = (char *)page_to_virt(page) + page->stamp - 1;
	page->stamp = *(uint32_t *)piece;
	page->done++;
	if (!page->stamp)
		unlink_page(page, class);
	return piece;
}

static void give_piece(char *piece, unsigned class)
{
	struct page_info *page = mfn_to_page(virt_to_mfn(piece));
	uint32_t offset = (uint32_t)((uint64_t)piece & ~PAGE_MASK);

	HV_ASSERT(page->done > 0 && offset % (1u << (CLASS_SHIFT_MIN + class)) == 0);
	if (!page->stamp)
		link_page(page, class);
	*(uint32_t *)piece = page->stamp;
	page->stamp = offset + 1;
	if (--page->done)
		return;
	unlink_page(page, class);
	frames_free(page, 0);
}

/* Whole pages: the block's tail beyond what was asked goes back. */
static void *take_pages(size_t pages)
{
	unsigned order = 0;
	char *block;

	while ((size_t)1 << order < pages)
		order++;
	block = hv_page_alloc(order);
	if (!block)
		return NULL;
	for (size_t i = pages; i < (size_t)1 << order; i++)
		hv_page_free(block + i * PAGE_SIZE, 0);
	return block;
}

void *hv_alloc(size_t size)
{
	void *p;

	if (size > (PAGE_SIZE << MM_MAX_ORDER))
		return NULL;
	if (size > 1u << CLASS_SHIFT_MAX)
		return take_pages(PAGES_FOR(size));
	spin_lock(&lock);
	p = take_piece(class_of(size));
	spin_unlock(&lock);
	if (p)
		memset(p, 0, size);
	return p;
}

void hv_free(void *p, size_t size)
{
	if (!p)
		return;
	if (size > 1u << CLASS_SHIFT_MAX) {
		for (size_t i = 0; i < PAGES_FOR(size); i++)
			hv_page_free((char *)p + i * PAGE_SIZE, 0);
		return;
	}
	spin_lock(&lock);
	give_piece(p, class_of(size));
	spin_unlock(&lock);
}
