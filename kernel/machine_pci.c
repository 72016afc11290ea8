/* machine_pci.c: configuration space, for drivers of real devices (amphi/machine.h).
 *
 * By whoever has it: ports 0xcf8 and 0xcfc and the firmware's window in memory where this kernel owns the machine (a
 * hypervisor checks each access of its first domain), pcifront where another domain lends functions. Called by
 * drivers-native in the worker context.
 */
#include <amphi/machine.h>

#include <amphi/pcifront.h>
#include <amphi/pvops.h>

#include "boot.h"
#include "io.h"
#include "machine_acpi.h"
#include "mm.h"

#define PCI_ADDRESS 0xcf8u
#define PCI_DATA    0xcfcu
#define PCI_SPACE   256u /* what the ports reach */

/* The address port and the data port are one operation: interrupts off between them. */
static uint16_t pci_select(uint16_t bdf, unsigned offset)
{
	io_out32(PCI_ADDRESS, 1u << 31 | (uint32_t)bdf << 8 | (offset & 0xfc));
	return (uint16_t)(PCI_DATA + (offset & 3));
}

uint32_t machine_io_read(uint16_t port, unsigned width_bytes)
{
	if (width_bytes == 1)
		return io_in8(port);
	return width_bytes == 2 ? io_in16(port) : io_in32(port);
}

void machine_io_write(uint16_t port, unsigned width_bytes, uint32_t value)
{
	if (width_bytes == 1)
		io_out8(port, (uint8_t)value);
	else if (width_bytes == 2)
		io_out16(port, (uint16_t)value);
	else
		io_out32(port, value);
}

/* ---- the window in memory ---------------------------------------------------------------- */

/* The page of a function's extended space; NULL: there is none. The one of the last function that was asked for is
 * kept: who asks asks several times. */
static volatile uint8_t *extended(uint16_t bdf)
{
	const struct acpi_info *acpi = machine_acpi();
	static volatile uint8_t *page;
	static uint16_t page_bdf;

	if (!acpi->ecam || bdf >> 8 < acpi->ecam_first_bus || bdf >> 8 > acpi->ecam_last_bus)
		return NULL;
	if (!page || page_bdf != bdf) {
		machine_mmio_unmap((void *)page, PAGE_SIZE);
		page = machine_mmio_map((maddr_t){acpi->ecam + ((uint64_t)bdf << 12)}, PAGE_SIZE);
	}
	page_bdf = bdf;
	return page;
}

static uint32_t read_extended(uint16_t bdf, unsigned offset, unsigned width_bytes)
{
	volatile uint8_t *page = extended(bdf);

	if (!page)
		return ~0u >> (32 - 8 * width_bytes);
	if (width_bytes == 1)
		return page[offset];
	if (width_bytes == 2)
		return *(volatile uint16_t *)(page + offset);
	return *(volatile uint32_t *)(page + offset);
}

static void write_extended(uint16_t bdf, unsigned offset, unsigned width_bytes, uint32_t value)
{
	volatile uint8_t *page = extended(bdf);

	if (!page)
		return;
	if (width_bytes == 1)
		page[offset] = (uint8_t)value;
	else if (width_bytes == 2)
		*(volatile uint16_t *)(page + offset) = (uint16_t)value;
	else
		*(volatile uint32_t *)(page + offset) = value;
}

/* The width is kept at the data port: reading more than was asked may touch a register that
 * changes when it is read. */
uint32_t machine_pci_read(uint16_t bdf, unsigned offset, unsigned width_bytes)
{
	uint64_t flags;
	uint32_t value;

	if (!machine_has_devices())
		return pcifront_read(bdf, offset, width_bytes);
	if (offset >= PCI_SPACE)
		return read_extended(bdf, offset, width_bytes);
	flags = irq_save();
	value = machine_io_read(pci_select(bdf, offset), width_bytes);
	irq_restore(flags);
	return value;
}

void machine_pci_write(uint16_t bdf, unsigned offset, unsigned width_bytes, uint32_t value)
{
	uint64_t flags;

	if (!machine_has_devices()) {
		(void)pcifront_write(bdf, offset, width_bytes, value);
		return;
	}
	if (offset >= PCI_SPACE) {
		write_extended(bdf, offset, width_bytes, value);
		return;
	}
	flags = irq_save();
	machine_io_write(pci_select(bdf, offset), width_bytes, value);
	irq_restore(flags);
}
