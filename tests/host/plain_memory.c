/* plain_memory.c: memory for parts that want no more of host.h than that, and grants that nobody has given.
 *
 * For fuzzers and tests of the bridge and of net_fit: what they lose, the sanitizer sees.
 */
#include <stdlib.h>

#include <amphi/host.h>

void *host_alloc(size_t size_bytes)
{
	return calloc(1, size_bytes);
}

void host_free(void *p, size_t size_bytes)
{
	(void)size_bytes;
	free(p);
}

void *host_pages_alloc(unsigned count)
{
	return aligned_alloc(PAGE_SIZE, count * PAGE_SIZE);
}

void host_pages_free(void *pages, unsigned count)
{
	(void)count;
	free(pages);
}

maddr_t host_virt_to_maddr(const void *va)
{
	return (maddr_t){(uintptr_t)va};
}

int host_grants_copy(struct gnttab_copy *ops, unsigned count)
{
	while (count--)
		ops[count].status = GNTST_bad_gntref;
	return 0;
}
