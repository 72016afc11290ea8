/* host_iommu.c: host_iommu.h for the kernel on a bare machine, where what it calls a frame is the machine's.
 *
 * Callers: iommu/, in the worker. Calls mm.h, machine.h. A domain has no unit of its own: there the hypervisor drives them.
 */
#include <stdarg.h>

#include <amphi/host_iommu.h>
#include <amphi/machine.h>
#include <amphi/pci_cap.h>
#include <amphi/printf.h>

#include "console.h"
#include "mm.h"

#define LOG_MAX 160u

/* Of a function's configuration space: what kind it is, and of a bridge the buses behind it. */
enum { REG_HEADER = 0x0e, REG_SECONDARY_BUS = 0x19, REG_SUBORDINATE_BUS = 0x1a };
#define HEADER_BRIDGE 1u

#define MSI_ON      (1u << 0)
#define MSI_SEVERAL (7u << 4)
#define MSI_WIDE    (1u << 7)

void *host_iommu_pages(unsigned count, maddr_t *out_where)
{
	void *pages = pages_alloc(count);

	if (pages)
		*out_where = virt_to_maddr(pages);
	return pages;
}

void host_iommu_pages_free(void *pages, unsigned count)
{
	pages_free(pages, count);
}

void *host_iommu_view(maddr_t where)
{
	return pfn_to_virt((pfn_t){where.v >> PAGE_SHIFT});
}

void *host_iommu_alloc(size_t bytes)
{
	return kmalloc(bytes);
}

void host_iommu_free(void *p, size_t bytes)
{
	kfree(p, bytes);
}

volatile void *host_iommu_registers(maddr_t where, size_t len)
{
	return machine_mmio_map(where, len);
}

bool host_iommu_bridge(uint16_t bdf, uint8_t *out_first_bus, uint8_t *out_last_bus)
{
	if ((machine_pci_read(bdf, REG_HEADER, 1) & 0x7f) != HEADER_BRIDGE)
		return false;
	*out_first_bus = (uint8_t)machine_pci_read(bdf, REG_SECONDARY_BUS, 1);
	*out_last_bus = (uint8_t)machine_pci_read(bdf, REG_SUBORDINATE_BUS, 1);
	return true;
}

uint32_t host_iommu_config(uint16_t bdf, unsigned offset)
{
	return machine_pci_read(bdf, offset, 4);
}

/* PCI 3.0, 6.8.1: the message lies where the capability's width of addresses puts it. */
void host_iommu_msi(uint16_t bdf, uint64_t address, uint32_t data)
{
	unsigned cap = pci_cap_find(machine_pci_read, bdf, PCI_CAP_MSI, 0);
	uint32_t control = cap ? machine_pci_read(bdf, cap + 2, 2) : 0;

	if (!cap)
		return;
	machine_pci_write(bdf, cap + 4, 4, (uint32_t)address);
	if (control & MSI_WIDE)
		machine_pci_write(bdf, cap + 8, 4, (uint32_t)(address >> 32));
	machine_pci_write(bdf, cap + (control & MSI_WIDE ? 12 : 8), 2, data);
	machine_pci_write(bdf, cap + 2, 2, (control & ~MSI_SEVERAL) | MSI_ON);
}

void host_iommu_pause(void)
{
	machine_delay_us(1);
}

void host_iommu_log(const char *format, ...)
{
	char line[LOG_MAX];
	va_list args;

	va_start(args, format);
	fmt_vtext(line, sizeof(line), format, args);
	va_end(args);
	klog(LOG_WARN, "%s", line);
}
