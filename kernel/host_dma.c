/* host_dma.c: host_dma.h for the kernel, and the words of the command line about devices' memory.
 *
 * Callers: iommu/, in the worker; main.c once. Calls mm.h, and in a PV domain dma_xen.c, as there our numbers of frames are not the
 * machine's.
 */
#include <amphi/dma.h>
#include <amphi/host_dma.h>
#include <amphi/hypercall.h>
#include <amphi/percpu.h>

#include "boot.h"
#include "cmdline.h"
#include "dma_options.h"
#include "dma_xen.h"
#include "mm.h"

#define POOL_FIRST (128u << 10)
#define POOL_LEAST (2u << 20)
#define POOL_MAX   (16u << 20)

uint64_t host_dma_reach(void)
{
	int64_t highest;

	if (boot.platform != BOOT_XEN_PV)
		return (pages_end() << PAGE_SHIFT) - 1;
	highest = hypercall_memory_op(XENMEM_maximum_ram_page, NULL);
	return highest < 0 ? ~0ull : (((uint64_t)highest + 1) << PAGE_SHIFT) - 1;
}

void *host_dma_pages(unsigned count, unsigned align_pages, uint64_t mask)
{
	if (count > HOST_DMA_PAGES)
		return NULL;
	if (boot.platform == BOOT_XEN_PV)
		return dma_xen_pages(count, align_pages, mask);
	return pages_alloc_low(count, align_pages, (MIN(mask, ~0ull >> 1) + 1) >> PAGE_SHIFT);
}

void host_dma_pages_free(void *pages, unsigned count)
{
	if (boot.platform == BOOT_XEN_PV)
		dma_xen_pages_free(pages, count);
	else
		pages_free(pages, count);
}

unsigned host_dma_cpu(void)
{
	return this_cpu()->cpu;
}

/* A small domain keeps its memory, but the longest request of a disk, 1 MiB, always finds room in the end. */
static uint64_t default_pool_max(void)
{
	uint64_t eighth = pages_total_count() * PAGE_SIZE / 8;

	return MAX(MIN(eighth, POOL_MAX), POOL_LEAST);
}

void dma_options(void)
{
	dma_set_debug(cmdline.dma_debug);
	dma_set_limits(cmdline.dma_mask_bits ? (1ull << cmdline.dma_mask_bits) - 1 : ~0ull,
		       cmdline.dma_untrusted);
	if (cmdline.pool_max)
		dma_set_pool(cmdline.pool_first, cmdline.pool_max);
	else
		dma_set_pool(POOL_FIRST, default_pool_max());
}
