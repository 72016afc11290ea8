/* iommu_world.c: what the drivers of IOMMUs ask for, from the host's memory.
 *
 * A machine address is the host's own address of the page: no page lies at 0, and none above 2^47, which is all the drivers know of
 * them. Pages are filled with rubbish when they are given back, so that a use after that shows.
 */
#include "tests/host/iommu_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amphi/host_iommu.h>

static unsigned n_pages, left = ~0u;
static char said[200];
const struct iommu_model *iommu_world_model;
void (*iommu_world_pause)(void);
struct iommu_bridge iommu_world_bridges[4];
struct iommu_config iommu_world_configs[4];

unsigned iommu_world_pages(void)
{
	return n_pages;
}

void iommu_world_memory(unsigned pages)
{
	left = pages;
}

const char *iommu_world_said(void)
{
	return said;
}

void *host_iommu_pages(unsigned count, maddr_t *out_where)
{
	void *p;

	if (left < count || posix_memalign(&p, PAGE_SIZE, count * PAGE_SIZE))
		return NULL;
	left -= left == ~0u ? 0 : count;
	n_pages += count;
	memset(p, 0, count * PAGE_SIZE);
	*out_where = (maddr_t){(uintptr_t)p};
	return p;
}

void host_iommu_pages_free(void *pages, unsigned count)
{
	memset(pages, 0xee, count * PAGE_SIZE);
	n_pages -= count;
	free(pages);
}

void iommu_world_free(void *page)
{
	host_iommu_pages_free(page, 1);
}

void *host_iommu_view(maddr_t where)
{
	return (void *)(uintptr_t)where.v;
}

void *host_iommu_alloc(size_t bytes)
{
	return calloc(1, bytes);
}

void host_iommu_free(void *p, size_t bytes)
{
	memset(p, 0xee, bytes);
	free(p);
}

volatile void *host_iommu_registers(maddr_t where, size_t len)
{
	return iommu_world_model ? (volatile void *)iommu_world_model : NULL;
}

uint32_t host_iommu_read32(volatile void *regs, unsigned offset)
{
	return (uint32_t)iommu_world_model->read(offset, 4);
}

uint64_t host_iommu_read64(volatile void *regs, unsigned offset)
{
	return iommu_world_model->read(offset, 8);
}

void host_iommu_write32(volatile void *regs, unsigned offset, uint32_t value)
{
	iommu_world_model->write(offset, 4, value);
}

void host_iommu_write64(volatile void *regs, unsigned offset, uint64_t value)
{
	iommu_world_model->write(offset, 8, value);
}

void host_iommu_clean(const void *p, size_t len) {}

bool host_iommu_bridge(uint16_t bdf, uint8_t *out_first_bus, uint8_t *out_last_bus)
{
	for (unsigned i = 0; i < ARRAY_SIZE(iommu_world_bridges); i++) {
		if (iommu_world_bridges[i].bdf != bdf || !iommu_world_bridges[i].first)
			continue;
		*out_first_bus = iommu_world_bridges[i].first;
		*out_last_bus = iommu_world_bridges[i].last;
		return true;
	}
	return false;
}

/* Without any that were set, all are zero: no unit of AMD's asks for more. */
uint32_t host_iommu_config(uint16_t bdf, unsigned offset)
{
	for (unsigned i = 0; i < ARRAY_SIZE(iommu_world_configs); i++)
		if (iommu_world_configs[i].word && iommu_world_configs[i].bdf == bdf)
			return iommu_world_configs[i].word;
	return 0;
}

void host_iommu_msi(uint16_t bdf, uint64_t address, uint32_t data) {}

void host_iommu_pause(void)
{
	if (iommu_world_pause)
		iommu_world_pause();
}

void host_iommu_log(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
}
