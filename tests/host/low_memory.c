/* low_memory.c: the memory and the other device of low_memory.h.
 *
 * Called by drivers under test, by iommu/. Weak, what a test's own world has too.
 */
#include "low_memory.h"

#include <amphi/dma.h>
#include <amphi/host.h>
#include <amphi/host_dma.h>
#include <amphi/xen.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "iommu/dma_layer.h"

#define WEAK  __attribute__((weak))
#define BELOW 0xffffffffull

static int no_device(struct dma_device *dev, bool translated, const char **out_name)
{
	return -XEN_ENODEV;
}

const struct dma_layer dma_space_layer = {.attach = no_device};
const struct dma_layer dma_io_layer = {.attach = no_device};

/* ---- memory -------------------------------------------------------------------------------- */

WEAK void *host_alloc(size_t size_bytes)
{
	return calloc(1, size_bytes);
}

WEAK void host_free(void *p, size_t size_bytes)
{
	free(p);
}

WEAK void *host_pages_alloc(unsigned count)
{
	void *p = aligned_alloc(PAGE_SIZE, count * PAGE_SIZE);

	assert_true((uintptr_t)p > BELOW);
	return memset(p, 0, count * PAGE_SIZE);
}

WEAK void host_pages_free(void *pages, unsigned count) {}

WEAK maddr_t host_virt_to_maddr(const void *va)
{
	return (maddr_t){(uintptr_t)va};
}

WEAK void host_bug(const char *what, const char *file, int line)
{
	fail_msg("%s:%d: %s", file, line, what);
	abort();
}

void *host_dma_pages(unsigned count, unsigned align_pages, uint64_t mask)
{
	size_t align = align_pages * PAGE_SIZE, bytes = count * PAGE_SIZE;
	char *p = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	assert_true(p != MAP_FAILED);
	p += -(uintptr_t)p & (align - 1);
	assert_true((uintptr_t)p + bytes - 1 <= mask);
	return p;
}

void host_dma_pages_free(void *pages, unsigned count) {}

uint64_t host_dma_reach(void)
{
	return ~0ull;
}

unsigned host_dma_cpu(void)
{
	return 0;
}

/* ---- the other device ------------------------------------------------------------------------ */

static struct dma_device other = {.bdf = 0xffff, .mask = BELOW};
static dma_addr_t has[LOW_POOL_PAGES];
static unsigned n_has;
static char *page;

void low_begin(void)
{
	dma_set_pool(LOW_POOL_PAGES * PAGE_SIZE, LOW_POOL_PAGES * PAGE_SIZE);
	dma_set_limits(BELOW, false);
	assert_int_equal(dma_attach(&other, true), 0);
	page = host_pages_alloc(1);
}

unsigned low_used(void)
{
	struct dma_pool_counts c;

	dma_pool_count(&c);
	return (unsigned)(c.used_bytes / PAGE_SIZE);
}

void low_leave(unsigned pages)
{
	while (n_has < LOW_POOL_PAGES &&
	       !dma_map(&other, page, PAGE_SIZE, DMA_TO_DEVICE, &has[n_has]))
		n_has++;
	for (; pages && n_has; pages--)
		dma_unmap(&other, has[--n_has], PAGE_SIZE, DMA_TO_DEVICE);
}
