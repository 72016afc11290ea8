/* host_mem.c: host.h's memory, for the kernel.
 *
 * Callers: the portable rooms. Calls mm.h. Small blocks come from the heap, pages from the page
 * allocator, whose pages may all be granted.
 */
#include <amphi/host.h>
#include "mm.h"

/* The size comes back at host_free(), so small blocks carry no header of their own. */
void *host_alloc(size_t size_bytes)
{
	return kmalloc(size_bytes);
}

void host_free(void *p, size_t size_bytes)
{
	kfree(p, size_bytes);
}

void *host_pages_alloc(unsigned count)
{
	return pages_alloc(count);
}

void host_pages_free(void *pages, unsigned count)
{
	pages_free(pages, count);
}

/* By the page tables where it is no page of the direct map: a mapped grant has an address too. */
maddr_t host_virt_to_maddr(const void *va)
{
	return virt_to_maddr(va);
}
