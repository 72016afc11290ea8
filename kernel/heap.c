/* heap.c: memory smaller than a page, zeroed.
 *
 * Called by all of kernel/ through mm.h. A slab is one page: a header and equal blocks; a block's slab
 * is found by rounding its address down. A slab that becomes empty goes back to the page allocator, so
 * that whoever frees everything leaves every counter where it was. Blocks above the largest class are
 * whole pages. Not for interrupt handlers.
 */
#include <amphi/string.h>

#include "mm.h"
#include "panic.h"

#define SLAB_MAGIC 0x616d7068u

struct block {
	struct block *next;
};

struct slab {
	struct slab *next, *prev; /* of its class, while it has a free block */
	struct block *free;
	uint32_t magic;
	uint16_t used, class;
};
#define SLAB_HEADER 48u
_Static_assert(sizeof(struct slab) <= SLAB_HEADER && SLAB_HEADER % 16 == 0, "blocks are aligned to 16");

/* The last ones are what divides a page well after its header. */
static const uint16_t class_bytes[] = {16, 32, 48, 64, 96, 128, 192, 256, 448, 672, 1008, 1344, 2016};
static struct slab *partial[ARRAY_SIZE(class_bytes)];
static size_t slabs, used_bytes; /* of blocks in slabs */

static int class_of(size_t size)
{
	for (unsigned c = 0; c < ARRAY_SIZE(class_bytes); c++)
		if (size <= class_bytes[c])
			return (int)c;
	return -1;
}

static void list_add(struct slab *s)
{
	s->prev = NULL;
	s->next = partial[s->class];
	if (s->next)
		s->next->prev = s;
	partial[s->class] = s;
}

static void list_remove(struct slab *s)
{
	if (s->next)
		s->next->prev = s->prev;
	if (s->prev)
		s->prev->next = s->next;
	else
		partial[s->class] = s->next;
}

static struct slab *slab_new(unsigned class)
{
	struct slab *s = pages_alloc(1);
	char *end = (char *)s + PAGE_SIZE - class_bytes[class];

	if (!s)
		return NULL;
	s->magic = SLAB_MAGIC;
	s->class = (uint16_t)class;
	slabs++;
	for (char *at = (char *)s + SLAB_HEADER; at <= end; at += class_bytes[class]) {
		struct block *b = (struct block *)at;

		b->next = s->free;
		s->free = b;
	}
	list_add(s);
	return s;
}

void *kmalloc(size_t size_bytes)
{
	int class = class_of(size_bytes);
	struct slab *s;
	struct block *b;

	if (class < 0)
		return pages_alloc((unsigned)PAGES_FOR(size_bytes));
	s = partial[class] ? partial[class] : slab_new((unsigned)class);
	if (!s)
		return NULL;
	b = s->free;
	s->free = b->next;
	s->used++;
	used_bytes += class_bytes[class];
	if (!s->free)
		list_remove(s);
	memset(b, 0, class_bytes[class]);
	return b;
}

void kfree(void *p, size_t size_bytes)
{
	int class = class_of(size_bytes);
	struct slab *s = (struct slab *)((uintptr_t)p & PAGE_MASK);
	struct block *b = p;

	if (!p)
		return;
	if (class < 0) {
		pages_free(p, (unsigned)PAGES_FOR(size_bytes));
		return;
	}
	if (s->magic != SLAB_MAGIC || s->class != class || !s->used)
		panic("%zu bytes at %p freed that were not allocated so", size_bytes, p);
	if (!s->free)
		list_add(s);
	b->next = s->free;
	s->free = b;
	used_bytes -= class_bytes[class];
	if (--s->used == 0) {
		list_remove(s);
		slabs--;
		s->magic = 0;
		pages_free(s, 1);
	}
}

size_t heap_used_bytes(size_t *out_slab_pages)
{
	*out_slab_pages = slabs;
	return used_bytes;
}
