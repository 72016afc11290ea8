/* heap.c: memory smaller than a page, zeroed: the kernel's use of lib/heap.c.
 *
 * Called by all of kernel/ through mm.h. Pages are the page allocator's; there is nothing to lock,
 * because threads are cooperative and interrupt handlers may not call. A wrong free is our bug and
 * the end of the kernel.
 */
#include <amphi/heap.h>

#include "mm.h"
#include "panic.h"

static void *pages_get(size_t n)
{
	return pages_alloc((unsigned)n);
}

static void pages_put(void *pages, size_t n)
{
	pages_free(pages, (unsigned)n);
}

static struct heap heap = {.pages_get = pages_get, .pages_put = pages_put};

void *kmalloc(size_t size_bytes)
{
	return heap_alloc(&heap, size_bytes);
}

void kfree(void *p, size_t size_bytes)
{
	if (!heap_free(&heap, p, size_bytes))
		panic("%zu bytes at %p freed that were not allocated so", size_bytes, p);
}

size_t heap_used_bytes(size_t *out_slab_pages)
{
	*out_slab_pages = heap.slabs;
	return heap.used_bytes;
}
