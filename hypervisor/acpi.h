/* acpi.h: the few facts the hypervisor wants from the firmware's tables.
 *
 * Private. acpi_init reads once, from the BIOS area or from where the loader said; the first domain
 * reads the tables itself for everything else. Absent facts have the defaults noted below.
 */
#ifndef HV_ACPI_H
#define HV_ACPI_H

#include <amphi/types.h>

#define ACPI_MAX_IOAPICS 8u
#define ACPI_ISA_IRQS    16u

struct acpi_info {
	uint64_t rsdp; /* machine address; 0: none found */
	uint64_t hpet; /* 0: none */
	unsigned n_ioapics;
	struct {
		uint64_t address;
		uint32_t first_gsi;
	} ioapic[ACPI_MAX_IOAPICS]; /* one at 0xfec00000 when the tables name none */
	struct {
		uint32_t gsi;
		bool level, active_low;
	} isa[ACPI_ISA_IRQS];  /* identity, edge, high when not overridden */
	uint16_t pm1a_control; /* port; 0: none */
	uint16_t pm1b_control;
	uint16_t off_value;  /* what to write there for S5, the enable bit included */
	uint16_t reset_port; /* 0: none */
	uint8_t reset_value;
};

void acpi_init(void);
const struct acpi_info *acpi_info(void);

#endif
