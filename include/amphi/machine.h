/* machine.h: what a driver of a real device asks of the kernel beneath it.
 *
 * Callers: drivers-native. Implemented by kernel/machine.c for each platform (natively: page
 * tables, local APIC; in a PV domain that owns hardware: foreign mappings and pirqs). Called while
 * booting or from the worker context; handlers are called from the worker context (the interrupt
 * itself only marks them), so drivers do not lock.
 */
#ifndef AMPHI_MACHINE_H
#define AMPHI_MACHINE_H

#include <amphi/types.h>

/* Whether this kernel owns the machine's devices (native, or the first domain). Others have what they are lent, and are told
 * of it by pcifront. */
bool machine_has_devices(void);

/* Uncached mapping of a device's registers; NULL when the range cannot be had. */
void *machine_mmio_map(maddr_t start, size_t len_bytes);
void machine_mmio_unmap(void *regs, size_t len_bytes); /* NULL: nothing */

/* Configuration space: below 256 by ports 0xcf8/0xcfc, from there to 4096 in memory where the firmware says it is; of a
 * function that was lent, by asking its owner [waits].
 * bdf = bus << 8 | device << 3 | function; offset is a multiple of the width. What is not there reads as all ones. */
uint32_t machine_pci_read(uint16_t bdf, unsigned offset, unsigned width_bytes);
void machine_pci_write(uint16_t bdf, unsigned offset, unsigned width_bytes, uint32_t value);

/* An I/O port of a device that has its registers there; width 1, 2 or 4. */
uint32_t machine_io_read(uint16_t port, unsigned width_bytes);
void machine_io_write(uint16_t port, unsigned width_bytes, uint32_t value);

struct machine_msi {
	/* IN */
	uint16_t bdf;
	unsigned entry;        /* of the MSI-X table */
	unsigned entries;      /* that the table has; 0: plain MSI */
	maddr_t table;         /* where the device's MSI-X table is */
	maddr_t table_bar;     /* start of the BAR it is in: what Xen's map_pirq asks for */
	void (*fn)(void *ctx); /* after one or more interrupts */
	void *ctx;
	/* OUT, when write_entry is true the driver puts them into the table and unmasks the entry;
	 * when it is false the hypervisor has done it. The driver enables MSI-X in either case. */
	bool write_entry;
	uint64_t address;
	uint32_t data;
};

/* 0 or -XEN_ENOSPC (no vector), or the hypervisor's error. */
int machine_msi_bind(struct machine_msi *msi);

/* All interrupts of the function: their handlers are not called any more. */
void machine_msi_unbind(uint16_t bdf);

/* Busy wait, for device resets only. */
void machine_delay_us(unsigned us);

#endif
