/* acpi.h: the few facts that the kernel and the hypervisor want from the firmware's tables.
 *
 * Both sides: boot code calls acpi_read once and keeps the result; lib/acpi.c reads. Memory is seen
 * only through the caller's view, and firmware is trusted to mean well, not to be right: a table
 * that is cut off or fails its checksum counts as absent. Absent facts have the defaults noted
 * below. Not an interpreter of ACPI's byte code.
 */
#ifndef AMPHI_ACPI_H
#define AMPHI_ACPI_H

#include <amphi/types.h>

#define ACPI_MAX_IOAPICS 8u
#define ACPI_ISA_IRQS    16u
#define ACPI_MAX_CPUS    64u

struct acpi_info {
	uint64_t hpet; /* machine address; 0: none */
	uint64_t ecam; /* of PCI configuration space in memory, from bus 0 on; 0: none */
	uint8_t ecam_first_bus, ecam_last_bus; /* those that are there */
	unsigned n_ioapics;
	struct {
		uint64_t address;
		uint32_t first_gsi;
		uint8_t id;
	} ioapic[ACPI_MAX_IOAPICS]; /* one at 0xfec00000 when the tables name none */
	struct {
		uint32_t gsi;
		bool level, active_low;
	} isa[ACPI_ISA_IRQS]; /* identity, edge, high when not overridden */
	unsigned
	    n_cpus; /* those that are enabled, in the tables' order; 0: the tables do not tell */
	uint32_t cpu[ACPI_MAX_CPUS]; /* their local APIC ids */
	uint16_t
	    pm1a_control; /* port; 0x604 (QEMU's boards) when the tables do not tell all of it */
	uint16_t pm1b_control; /* 0: none */
	uint16_t off_value;    /* what to write there for S5, the enable bit included */
	bool power_told;       /* the three above are the tables' own */
	uint16_t reset_port;   /* the chipset's 0xcf9 when the tables name none */
	uint8_t reset_value;
	uint8_t
	    rtc_century; /* register of the battery-backed clock that holds the century; 0: none */
	bool no_rtc;     /* firmware says that there is no such clock */
	uint16_t pm_timer;  /* port of the 3.579545 MHz counter; 0: none */
	bool pm_timer_wide; /* it counts 32 bits, not 24 */
	struct {
		uint64_t address; /* 0: there is none */
		uint32_t len;
	} dmar, ivrs; /* of IOMMUs: iommu.h reads them */
};

/* len bytes of memory at a machine address, for as long as acpi_read runs; NULL: cannot be seen. */
typedef const void *acpi_view_fn(void *ctx, uint64_t address, uint64_t len);

/* Fills *out. rsdp: machine address of the root pointer; 0: it is searched where a PC's BIOS has
 * it. */
void acpi_read(acpi_view_fn *view, void *ctx, uint64_t rsdp, struct acpi_info *out);

#endif
