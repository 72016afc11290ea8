/* plain_memory.c: memory for parts that want no more of host.h than that. See plain_memory.h.
 *
 * What they lose the sanitizer sees too, at the end of a program; the count tells which test it was.
 */
#include <stdlib.h>
#include <string.h>

#include <amphi/host.h>

#include "plain_memory.h"

struct plain_memory plain_memory;

static bool refused(void)
{
	return plain_memory.none_left || (plain_memory.fail_in && !--plain_memory.fail_in);
}

static void *given(void *p)
{
	plain_memory.held += p != NULL;
	return p;
}

static void returned(void *p)
{
	plain_memory.held -= p != NULL;
	free(p);
}

void *host_alloc(size_t size_bytes)
{
	return refused() ? NULL : given(calloc(1, size_bytes));
}

void host_free(void *p, size_t size_bytes)
{
	(void)size_bytes;
	returned(p);
}

void *host_pages_alloc(unsigned count)
{
	void *pages = refused() ? NULL : given(aligned_alloc(PAGE_SIZE, count * PAGE_SIZE));

	return pages ? memset(pages, 0, count * PAGE_SIZE) : NULL;
}

void host_pages_free(void *pages, unsigned count)
{
	(void)count;
	returned(pages);
}

maddr_t host_virt_to_maddr(const void *va)
{
	return (maddr_t){(uintptr_t)va};
}
