/* pci_config.c: reads and writes PCI configuration space for the hypervisor's own needs.
 *
 * Callers: msi.c (where a function's messages go), iommu_boot.c (which functions there are), host_iommu.c, iommu_assign.c. Guests
 * have their own ways: the first domain by the ports, others by a backend of its.
 */
#include "pci_config.h"

#include <amphi/pci_cap.h>

#include "cpu.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc

/* The address register is the guest's between its own two accesses, so it gets it back. */
static uint32_t access(uint16_t bdf, unsigned offset, const uint32_t *write)
{
	uint32_t saved = port_in(CONFIG_ADDRESS, 4), value = 0;

	port_out(CONFIG_ADDRESS, 4, 1u << 31 | (uint32_t)bdf << 8 | (offset & 0xfc));
	if (write)
		port_out(CONFIG_DATA, 4, *write);
	else
		value = port_in(CONFIG_DATA, 4);
	port_out(CONFIG_ADDRESS, 4, saved);
	return value;
}

uint32_t pci_config_read(uint16_t bdf, unsigned offset, unsigned width)
{
	uint32_t value = access(bdf, offset, NULL) >> offset % 4 * 8;

	return width == 4 ? value : value & ((1u << width * 8) - 1);
}

unsigned pci_config_cap(uint16_t bdf, unsigned id)
{
	return pci_cap_find(pci_config_read, bdf, id, 0);
}

void pci_config_write(uint16_t bdf, unsigned offset, uint32_t value)
{
	(void)access(bdf, offset, &value);
}
