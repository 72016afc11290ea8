/* pcifront_private.h: what the files of pcifront share: connections, and the functions that came by them.
 *
 * Private to drivers-front. pcifront.c is the connection and which functions it has, pcifront_roots.c the buses they are on, pcifront_op.c asks the
 * backend and answers it, pcifront_calls.c is what the kernel asks of a function. Worker context, so no lock: while one operation waits,
 * no callback runs.
 */
#ifndef DRIVERS_FRONT_PCIFRONT_PRIVATE_H
#define DRIVERS_FRONT_PCIFRONT_PRIVATE_H

#include <amphi/pci_name.h>
#include <amphi/pcifront.h>
#include <amphi/xenbus.h>
#include <xen/io/pciif.h>

struct pf_device;

#define PF_NOT_TOLD ~0u

enum pf_interrupts { PF_NONE, PF_MSI, PF_MSIX };

struct pf_function {
	struct pf_function *next;
	struct pf_device *dev;
	/* as the backend names it */
	uint32_t domain;
	uint8_t bus, devfn;
	uint32_t machine; /* as the hypervisor does */
	bool unlisted;    /* was found on its bus: no vdev-N tells when it goes */
	bool stays;       /* while a list is gone through */
	/* as we do */
	uint16_t bdf;
	enum pf_interrupts interrupts;
	unsigned n_pirqs;
	uint16_t pirqs[PCIFRONT_VECTORS];
};

struct pf_device {
	struct xenbus_device bus; /* first, as is class below: the xenbus engine allocates both */
	struct xen_pci_sharedinfo *page; /* shared; NULL: there is no connection */
	gref_t ref;
	port_t port;
	bool silent;        /* has not answered, or will not */
	unsigned n_answers; /* since the last event was looked at: each was an event too */
	struct pf_function *functions;
};

struct pf_root {
	struct xenbus_class class;
	const struct pcifront_user *user;
};
extern struct xenbus_kind pf_kind;

static inline struct pf_root *pf_root_of(const struct xenbus_class *class)
{
	return container_of(class, struct pf_root, class);
}

struct pf_function *pf_find(uint16_t bdf);

/* pcifront.c: a function that the user has not seen yet, and that answers; machine: PF_NOT_TOLD, or what it is there. NULL: it is there already, or
 * does not answer, or there is no room. */
struct pf_function *pf_add(struct pf_device *dev, const struct pci_name *name, uint32_t machine);

/* pcifront_roots.c: [waits] reads which buses there are, and tells them; search: adds what is on them. */
void pf_roots_look(struct pf_device *dev, bool search);

/* pcifront_op.c */

/* [waits] Sends op, whose first n_entries msix_entries count, and puts the answer's err, value and vectors into it. 0: look
 * at err. -XEN_ENOTCONN: there is no answer. */
int pf_op(struct pf_device *dev, struct xen_pci_op *op, unsigned n_entries);
/* Shares the page and the port; what failed is undone by pf_op_end. */
int pf_op_begin(struct pf_device *dev);
void pf_op_end(struct pf_device *dev);

#endif
