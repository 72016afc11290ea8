/* heap.c: slabs: one page each, a header and equal blocks.
 *
 * A block's slab is found by rounding its address down, and a free block's first word links it to
 * the next. Called by the owners of a struct heap (kernel/heap.c, hypervisor/frame.c), which say
 * where pages come from and keep others out; calls only them.
 */
#include <amphi/heap.h>
#include <amphi/string.h>

/*   a slab:  | struct heap_slab, 64 bytes | block | block | ... | rest of the page |
 *                             free ------->  next ----> next ----> NULL
 *
 * A page is of one class as long as any of its blocks is out. Larger sizes are whole pages and have
 * no header, which is why heap_free is told the size. */
#define SLAB_MAGIC 0x616d7068u

struct block {
	struct block *next;
};

/* magic tells a slab from any other page when an address that was never given out is freed. */
struct heap_slab {
	struct heap_slab *next, *prev; /* of its class, while it has a free block */
	struct block *free;
	uint32_t magic;
	uint16_t used, class;
};
#define SLAB_HEADER 64u
_Static_assert(sizeof(struct heap_slab) <= SLAB_HEADER, "blocks begin behind the header");

/* From 64 on multiples of 64, for alignment; the last ones are what divides a page well. 960 goes
 * four times into what the header leaves, 1344 three times, 1984 twice. */
static const uint16_t class_bytes[HEAP_CLASSES] = {16,  32,  48,  64,  128, 192,  256,
						   320, 448, 576, 768, 960, 1344, 1984};

/* Fourteen comparisons at most, and sizes are constants nearly everywhere: no table is worth it. */
static unsigned class_of(size_t size)
{
	unsigned c = 0;

	while (c < HEAP_CLASSES && size > class_bytes[c])
		c++;
	return c;
}

/* The list holds only slabs with a free block, so that heap_alloc never searches. */
static void list_add(struct heap *h, struct heap_slab *s)
{
	s->prev = NULL;
	s->next = h->partial[s->class];
	if (s->next)
		s->next->prev = s;
	h->partial[s->class] = s;
}

static void list_remove(struct heap *h, struct heap_slab *s)
{
	if (s->next)
		s->next->prev = s->prev;
	if (s->prev)
		s->prev->next = s->next;
	else
		h->partial[s->class] = s->next;
}

/* The page comes zeroed, so counts and links of the header begin at 0. */
static struct heap_slab *slab_new(struct heap *h, unsigned class)
{
	struct heap_slab *s = h->pages_get(1);
	size_t size = class_bytes[class];

	if (!s)
		return NULL;
	s->magic = SLAB_MAGIC;
	s->class = (uint16_t) class;
	h->slabs++;
	for (size_t at = SLAB_HEADER; at + size <= PAGE_SIZE; at += size) {
		struct block *b = (struct block *)((char *)s + at);

		b->next = s->free;
		s->free = b;
	}
	list_add(h, s);
	return s;
}

/* Blocks are zeroed here and not when freed: one that was written after its end is clean again,
 * too. */
void *heap_alloc(struct heap *h, size_t size_bytes)
{
	unsigned class = class_of(size_bytes);
	struct heap_slab *s;
	struct block *b;

	if (class == HEAP_CLASSES)
		return h->pages_get(PAGES_FOR(size_bytes));
	s = h->partial[class] ? h->partial[class] : slab_new(h, class);
	if (!s)
		return NULL;
	b = s->free;
	s->free = b->next;
	s->used++;
	h->used_bytes += class_bytes[class];
	if (!s->free)
		list_remove(h, s);
	memset(b, 0, class_bytes[class]);
	return b;
}

bool heap_free(struct heap *h, void *p, size_t size_bytes)
{
	unsigned class = class_of(size_bytes);
	struct heap_slab *s = (struct heap_slab *)((uintptr_t)p & PAGE_MASK);
	struct block *b = p;

	if (!p)
		return true;
	if (class == HEAP_CLASSES) {
		h->pages_put(p, PAGES_FOR(size_bytes));
		return true;
	}
	/* Before anything is changed: a wrong size, a page's address, or a block of a slab that is
	 * all free. A second free of a block whose slab has others out is not seen. */
	if (s->magic != SLAB_MAGIC || s->class != class || !s->used)
		return false;
	/* It was full and on no list. */
	if (!s->free)
		list_add(h, s);
	b->next = s->free;
	s->free = b;
	h->used_bytes -= class_bytes[class];
	if (--s->used)
		return true;
	list_remove(h, s);
	h->slabs--;
	s->magic = 0;
	h->pages_put(s, 1);
	return true;
}
