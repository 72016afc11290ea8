/* machine.h: what a driver of a real device asks of the kernel beneath it.
 *
 * Callers: drivers-native. Implemented by kernel/machine.c and machine_pci.c for each platform (natively: page
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

/* A function is there: whoever watches over memory has to know it before it is used. A virtual one, which no scan finds, is of
 * `physical`; others are of themselves, and told before they have any: Xen measures then what registers these will have. */
void machine_pci_appeared(uint16_t bdf, uint16_t physical);

/* An I/O port of a device that has its registers there; width 1, 2 or 4. */
uint32_t machine_io_read(uint16_t port, unsigned width_bytes);
void machine_io_write(uint16_t port, unsigned width_bytes, uint32_t value);

/* Plain messages of a function at most (PCI 3.0, 6.8.1.3). */
#define MACHINE_MSI_MAX 32u

struct machine_msi {
	/* IN */
	uint16_t bdf;
	unsigned entry;        /* of the MSI-X table */
	unsigned entries;      /* that the table has; 0: plain MSI */
	unsigned messages;     /* plain: how many, a power of 2 up to MACHINE_MSI_MAX; 0: one */
	size_t stride;         /* of several, message i calls fn(ctx + i * stride): bytes */
	maddr_t table;         /* where the device's MSI-X table is */
	maddr_t table_bar;     /* start of the BAR it is in: what Xen's map_pirq asks for */
	bool of_iommu;         /* an IOMMU itself sends it: nobody stands between */
	void (*fn)(void *ctx); /* after one or more interrupts */
	void *ctx;
	/* OUT, when write_entry is true the driver puts them into the table (or the capability: several messages are told apart by the lowest bits of the
	 * data, which are 0 here) and unmasks the entry;
	 * when it is false the hypervisor has done it. The driver enables MSI-X in either case. */
	bool write_entry;
	uint64_t address;
	uint32_t data;
};

/* 0 or -XEN_ENOSPC (no vector; fewer messages may do), or the hypervisor's error. */
int machine_msi_bind(struct machine_msi *msi);

/* The line of a function that has nothing else (INTx): fn(ctx) once for each time that it is found pulled, by this function or another on the line, which it is
 * again after fn returns, unless the device was told. -XEN_ENODEV: it has none, or nobody says which; -XEN_EOPNOTSUPP: natively; -XEN_EBUSY: another
 * domain has the line; the hypervisor's error. fn binds and unbinds nothing. */
int machine_line_bind(uint16_t bdf, void (*fn)(void *ctx), void *ctx);

/* All interrupts of the function: their handlers are not called any more. */
void machine_msi_unbind(uint16_t bdf);

/* Busy wait, for device resets only. */
void machine_delay_us(unsigned us);

#endif
