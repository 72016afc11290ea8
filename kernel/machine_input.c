/* machine_input.c: where interrupt lines (INTx) of functions lead, and whose that is (machine_input.h).
 *
 * Called by machine_line.c (our drivers) and host_pci*.c (what is lent). Calls machine_acpi.h and the hypervisor.
 */
#include "machine_input.h"

#include <amphi/hypercall.h>

#include "machine_acpi.h"

#define PINS   4u
#define INPUTS 128u /* a higher number is none */

/* Numbers below 16 are those of the old controllers, which ACPI may lead elsewhere; above them firmware has written the input itself. ACPI's byte
 * code, by which a board may lead a pin to another input while I/O APICs are used, is not read. */
uint8_t machine_input_of(uint32_t reg)
{
	uint32_t line = reg & 0xff, pin = reg >> 8 & 0xff, input = line;

	if (!pin || pin > PINS || !line)
		return 0;
	if (line < ACPI_ISA_IRQS)
		input = machine_acpi()->isa[line].gsi;
	return input < INPUTS ? (uint8_t)input : 0;
}

/* Lines are low when pulled (PCI 3.0, 2.2.6), but where firmware says that an old controller's input is a level, and high: there
 * the board turns it over on the way. */
static bool is_low(uint8_t input)
{
	const struct acpi_info *acpi = machine_acpi();

	for (unsigned i = 0; i < ACPI_ISA_IRQS; i++)
		if (acpi->isa[i].gsi == input && acpi->isa[i].level)
			return acpi->isa[i].active_low;
	return true;
}

static int map_to(uint8_t input, domid_t domid)
{
	struct physdev_map_pirq map = {
	    .domid = domid, .type = MAP_PIRQ_TYPE_GSI, .index = input, .pirq = input};

	return (int)hypercall_physdev_op(PHYSDEVOP_map_pirq, &map);
}

/* The hypervisor knows inputs of the old controllers, and takes those for edges of which firmware says nothing; of all others it knows
 * nothing before it is told. One that somebody listens to is set up already, which it says (-XEN_EEXIST). Xen lets a domain
 * pass on only what it has mapped itself; amphi-hv takes such a map as given up. */
int machine_input_map(uint8_t input, domid_t domid)
{
	struct physdev_setup_gsi setup = {.gsi = input, .triggering = 1, .polarity = is_low(input)};
	int err;

	(void)hypercall_physdev_op(PHYSDEVOP_setup_gsi, &setup);
	err = map_to(input, DOMID_SELF);
	return domid == DOMID_SELF ? err : map_to(input, domid);
}
