/* host_pci.h: a function's place in the kernel's books of who has it; private to kernel/host_pci*.c.
 *
 * host_pci_control.c moves functions between our drivers, nobody and guests; host_pci.c is what their back half may do. There is a
 * seat for each function of amphi/pci.h's list, at the same place. Worker context.
 */
#ifndef KERNEL_HOST_PCI_H
#define KERNEL_HOST_PCI_H

#include <amphi/host_pci_control.h>
#include <amphi/pci.h>

struct pci_seat {
	enum host_pci_state state;
	domid_t guest;
	bool claimed, measured;
	uint16_t bdf; /* of which this is known: a place may be another's later */
	struct pci_bars bars;
	/* Of its pin, as firmware wrote it down (0: there is none, or nobody says which); it has nothing else to interrupt by; it is mapped to the guest. */
	uint8_t line;
	bool only_line, line_on;
};

/* Who has it, without a look at it: it may be at work, or gone. */
enum host_pci_state pci_owner(uint16_t bdf, domid_t *out_guest);

/* NULL: no such function. The bars are measured. */
struct pci_seat *pci_seat(uint16_t bdf, const struct pci_function **out_function);

#endif
