/* host_iommu.c: host_iommu.h for the hypervisor: its pages, its map of registers, its log.
 *
 * Callers: iommu/, with the lock around the hypervisor held. What a unit reads lies in the direct map, at a machine address that is its
 * offset there. Registers that were mapped once are remembered: no domain may map them (iommu_owns_frame).
 */
#include <stdarg.h>

#include <amphi/host_iommu.h>
#include <amphi/pci_cap.h>
#include <amphi/printf.h>

#include "cpu.h"
#include "iommu_device.h"
#include "mm.h"
#include "io.h"
#include "pci_config.h"
#include "time.h"

#define LOG_MAX       160u
#define REGISTERS_MAX 16u
#define MSI_ON        (1u << 16)
#define MSI_SEVERAL   (7u << 20)
#define MSI_WIDE      (1u << 23)
#define TICKS_A_US(k) ((k) / 1000u)

static struct {
	uint64_t first, last; /* frames */
} registers[REGISTERS_MAX];
static unsigned n_registers;
static uint32_t n_pages;

static unsigned order_of(unsigned count)
{
	unsigned order = 0;

	while (1u << order < count)
		order++;
	return order;
}

void *host_iommu_pages(unsigned count, maddr_t *out_where)
{
	void *pages = hv_page_alloc(order_of(count));

	if (!pages)
		return NULL;
	n_pages += count;
	*out_where = virt_to_maddr(pages);
	return pages;
}

void host_iommu_pages_free(void *pages, unsigned count)
{
	n_pages -= pages ? count : 0;
	hv_page_free(pages, order_of(count));
}

uint32_t iommu_pages_used(void)
{
	return n_pages;
}

void *host_iommu_view(maddr_t where)
{
	return maddr_to_virt(where);
}

void *host_iommu_alloc(size_t bytes)
{
	return hv_alloc(bytes);
}

void host_iommu_free(void *p, size_t bytes)
{
	hv_free(p, bytes);
}

/* ---- registers --------------------------------------------------------------------------- */

volatile void *host_iommu_registers(maddr_t where, size_t len)
{
	if (n_registers == REGISTERS_MAX)
		return NULL;
	registers[n_registers].first = where.v >> PAGE_SHIFT;
	registers[n_registers++].last = (where.v + len - 1) >> PAGE_SHIFT;
	return hv_map_io(where, len);
}

bool iommu_owns_frame(mfn_t mfn)
{
	for (unsigned i = 0; i < n_registers; i++)
		if (mfn.v >= registers[i].first && mfn.v <= registers[i].last)
			return true;
	return false;
}

/* ---- configuration space ------------------------------------------------------------------ */

bool host_iommu_bridge(uint16_t bdf, uint8_t *out_first_bus, uint8_t *out_last_bus)
{
	if ((pci_config_read(bdf, PCI_CONFIG_HEADER, 1) & 0x7f) != PCI_HEADER_BRIDGE)
		return false;
	*out_first_bus = (uint8_t)pci_config_read(bdf, PCI_CONFIG_BUSES + 1, 1);
	*out_last_bus = (uint8_t)pci_config_read(bdf, PCI_CONFIG_BUSES + 2, 1);
	return true;
}

uint32_t host_iommu_config(uint16_t bdf, unsigned offset)
{
	return pci_config_read(bdf, offset, 4);
}

/* PCI 3.0, 6.8.1. The data's neighbour is the mask, or nothing. */
void host_iommu_msi(uint16_t bdf, uint64_t address, uint32_t data)
{
	unsigned cap = pci_config_cap(bdf, PCI_CAP_MSI);
	uint32_t control = cap ? pci_config_read(bdf, cap, 4) : 0;

	if (!cap)
		return;
	pci_config_write(bdf, cap + 4, (uint32_t)address);
	if (control & MSI_WIDE)
		pci_config_write(bdf, cap + 8, (uint32_t)(address >> 32));
	pci_config_write(bdf, cap + (control & MSI_WIDE ? 12 : 8), data);
	pci_config_write(bdf, cap, (control & ~MSI_SEVERAL) | MSI_ON);
}

/* ---- time and words ------------------------------------------------------------------------ */

void host_iommu_pause(void)
{
	uint64_t end = rdtsc() + TICKS_A_US(time_tsc_khz());

	while (rdtsc() < end)
		spin_relax();
}

void host_iommu_log(const char *format, ...)
{
	char line[LOG_MAX];
	va_list args;

	va_start(args, format);
	fmt_vtext(line, sizeof(line), format, args);
	va_end(args);
	hv_printk("iommu: %s", line);
}
