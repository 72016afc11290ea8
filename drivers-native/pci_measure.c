/* pci_measure.c: how large a function's registers are: what its base registers keep when all ones are written to them.
 *
 * Decoding is off meanwhile, so that the function answers nowhere it should not; whoever uses it waits, as all of its users are
 * in this worker. A virtual function's are made up of what the physical one's capability says. PCI 3.0, section 6.2.5.1. Called
 * through amphi/pci.h, by who gives functions away. Calls machine.h.
 */
#include <amphi/machine.h>
#include <amphi/pci.h>

#define REG_COMMAND     0x04u
#define REG_BAR0        0x10u
#define COMMAND_DECODES 3u
#define BAR_64          4u

static void measure_virtual(const struct pci_function *f, struct pci_bars *out)
{
	uint64_t mask = ~(f->virtual_bytes - 1);

	out->bar[0] = (uint32_t)f->virtual_bar.v | BAR_64;
	out->bar[1] = (uint32_t)(f->virtual_bar.v >> 32);
	out->probe[0] = (uint32_t)mask | BAR_64;
	out->probe[1] = (uint32_t)(mask >> 32);
}

void pci_measure(const struct pci_function *f, struct pci_bars *out)
{
	uint32_t command;

	*out = (struct pci_bars){0};
	if (f->virtual_bar.v) {
		measure_virtual(f, out);
		return;
	}
	command = machine_pci_read(f->bdf, REG_COMMAND, 2);
	machine_pci_write(f->bdf, REG_COMMAND, 2, command & ~COMMAND_DECODES);
	for (unsigned i = 0; i < ARRAY_SIZE(out->bar); i++) {
		unsigned at = REG_BAR0 + 4 * i;

		out->bar[i] = machine_pci_read(f->bdf, at, 4);
		machine_pci_write(f->bdf, at, 4, ~0u);
		out->probe[i] = machine_pci_read(f->bdf, at, 4);
		machine_pci_write(f->bdf, at, 4, out->bar[i]);
	}
	machine_pci_write(f->bdf, REG_COMMAND, 2, command);
}
