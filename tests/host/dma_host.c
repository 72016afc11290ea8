/* dma_host.c: the memory and the log of dma_host.h.
 *
 * Called by iommu/ in a test's process. Weak, what a test with a machine of its own has in its own way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dma_host.h"

#define WEAK __attribute__((weak))

char said[200];
unsigned blocks;
bool is_short;

void *host_alloc(size_t size_bytes)
{
	blocks++;
	return calloc(1, size_bytes);
}

void host_free(void *p, size_t size_bytes)
{
	blocks -= p != NULL;
	free(p);
}

static void *zeroed(unsigned count, unsigned align_pages)
{
	void *p = aligned_alloc(align_pages * PAGE_SIZE, count * PAGE_SIZE);

	blocks++;
	return memset(p, 0, count * PAGE_SIZE);
}

WEAK void *host_pages_alloc(unsigned count)
{
	return is_short ? NULL : zeroed(count, 1);
}

WEAK void host_pages_free(void *pages, unsigned count)
{
	blocks -= pages != NULL;
	free(pages);
}

WEAK void *host_dma_pages(unsigned count, unsigned align_pages, uint64_t mask)
{
	return zeroed(count, align_pages);
}

WEAK void host_dma_pages_free(void *pages, unsigned count)
{
	host_pages_free(pages, count);
}

WEAK uint64_t host_dma_reach(void)
{
	return ~0ull;
}

WEAK unsigned host_dma_cpu(void)
{
	return 0;
}

WEAK maddr_t host_virt_to_maddr(const void *va)
{
	return (maddr_t){(uintptr_t)va};
}

void host_log(enum host_log_level level, const char *fmt, ...)
{
	va_list args;

	if (level < HOST_LOG_WARN)
		return;
	va_start(args, fmt);
	vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
}

void host_bug(const char *what, const char *file, int line)
{
	fail_msg("%s:%d: %s", file, line, what);
	abort();
}

int no_device(struct dma_device *dev, bool translated, const char **out_name)
{
	return -XEN_ENODEV;
}
