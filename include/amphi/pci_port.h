/* pci_port.h: what root ports say of the functions behind them: errors of PCI Express, and functions that were pulled out.
 *
 * Caller: kernel (host_pci_error.c), once, when drivers_native_init has found all there is. Implemented by drivers-native/pci_port.c and
 * pci_aer.c over machine.h. Worker context, the user's functions too. PCI Express 4.0, sections 6.2 (errors), 6.7 (slots), 7.8.4 (AER).
 *
 * Not promised: errors of functions that are behind no root port (those of a root complex itself), or where firmware's window to extended
 * configuration space is not there. Whether firmware would rather have errors itself (_OSC) is not asked: there is nobody who reads its
 * byte code. A function that is plugged in is not looked for.
 */
#ifndef AMPHI_PCI_PORT_H
#define AMPHI_PCI_PORT_H

#include <amphi/types.h>

enum pci_error_kind {
	PCI_ERROR_CORRECTED, /* nothing was lost; counted and told, and no more */
	PCI_ERROR_NONFATAL,  /* what it was about is lost; its link works */
	PCI_ERROR_FATAL,     /* nothing that goes over its link can be relied on before a reset */
};

struct pci_error {
	uint16_t bdf; /* of no bridge: what a port has itself is told of each function behind it */
	enum pci_error_kind kind;
	uint32_t
	    status; /* bits of the capability's status register of this kind; 0: it could not be read */
};

struct pci_port_user {
	/* Told and cleared in the function already. Only uncorrected ones. */
	void (*error)(const struct pci_error *e);
	/* Nobody answers for it any more. May be told again of the same one. */
	void (*gone)(uint16_t bdf);
};

/* Lets every root port, and every function behind one, report errors and removals. Returns how many ports do. user lives for ever. */
unsigned pci_ports_start(const struct pci_port_user *user);

#endif
