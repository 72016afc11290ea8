/* heap.h: memory smaller than a page, cut from pages of whoever has them.
 *
 * Two sides: lib/heap.c keeps the books in a struct heap; its owner (kernel/heap.c, the
 * hypervisor's frame.c) gives the pages, locks if it must, and says what becomes of a wrong free.
 * A slab whose blocks are all free goes back at once, so that whoever frees everything leaves every
 * counter where it was. Errors: NULL or false. Not promised: any order in time, or a lock.
 */
#ifndef AMPHI_HEAP_H
#define AMPHI_HEAP_H

#include <amphi/types.h>

#define HEAP_CLASSES 14u

struct heap_slab;

struct heap {
	/* The owner's: n contiguous zeroed pages, or NULL; and back again. */
	void *(*pages_get)(size_t n);
	void (*pages_put)(void *pages, size_t n);
	/* The heap's; zero at the start. */
	struct heap_slab *partial[HEAP_CLASSES]; /* slabs with a free block, by class */
	size_t slabs, used_bytes; /* pages of slabs; bytes of blocks given out of them */
};

/* size zeroed bytes, aligned to 16, from 64 bytes up to 64; above the largest class (1984 bytes)
 * whole pages. NULL: the owner has no page. */
void *heap_alloc(struct heap *h, size_t size_bytes);

/* size is that of heap_alloc; NULL is freed as nothing. False, and nothing done, when no such block
 * is out. */
bool heap_free(struct heap *h, void *p, size_t size_bytes);

#endif
