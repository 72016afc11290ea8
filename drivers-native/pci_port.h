/* pci_port.h: what pci_port.c and pci_aer.c share: a root port. Private to drivers-native.
 *
 * pci_port.c finds ports, binds their interrupts and looks after their slots; pci_aer.c is error reporting. Worker context.
 */
#ifndef DRIVERS_NATIVE_PCI_PORT_H
#define DRIVERS_NATIVE_PCI_PORT_H

#include <amphi/host.h>
#include <amphi/pci.h>
#include <amphi/pci_port.h>

#define PCI_CAP_EXPRESS 0x10u

struct pci_port {
	const struct pci_function *f;
	const struct pci_port_user *user;
	unsigned express; /* the capability */
	unsigned aer;     /* error reporting's; 0: none */
	bool slot;        /* tells what is pulled out */
	/* errors in a span of time: a function that makes too many is not listened to until its end */
	uint64_t span_start_ns;
	unsigned span_errors;
	struct host_work listen; /* again */
};

/* Each function behind the bridge, whatever bridges are between. */
void pci_port_each(const struct pci_function *bridge,
		   void (*fn)(const struct pci_function *f, void *ctx), void *ctx);
/* Nobody answers there. Of a virtual function the identity reads so all the time. */
bool pci_port_lost(const struct pci_function *f);

/* pci_aer.c */

/* Sets port->aer and turns reporting on, in the port and behind it. The number of the port's message; -1: it has no such capability. */
int pci_aer_start(struct pci_port *port);
/* Takes, tells and clears what there is. */
void pci_aer_look(struct pci_port *port);

#endif
