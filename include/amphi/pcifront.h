/* pcifront.h: PCI functions that another domain lends to this one, over xen/io/pciif.h.
 *
 * Caller: kernel (start, configuration space, interrupts). Implemented by drivers-front/pcifront*.c. Device memory and I/O
 * are not here: what a base register names is a machine address, which the hypervisor lets this domain map. Worker
 * context. Every call that asks the backend [waits]; one that does not answer for PCIFRONT_ANSWER_NS loses its connection,
 * and each later call is answered at once, as if the function were not there.
 *
 * Which functions there are is in vdev-N; where a backend names none, the buses it names (root-N) are searched, and what those hold goes with the connection
 * alone. A function's number (bdf) is the backend's where that is free in segment 0; else its bus is another. Not promised: that
 * a write had an effect; a backend keeps some registers for itself, and says so or does not. The line of one with
 * a pin alone (INTx) is in its configuration space, as a pirq: nobody is asked for it.
 */
#ifndef AMPHI_PCIFRONT_H
#define AMPHI_PCIFRONT_H

#include <amphi/drivers.h>
#include <amphi/types.h>

#define PCIFRONT_ANSWER_NS     10000000000ull
#define PCIFRONT_FUNCTIONS_MAX 32u
/* Interrupts of one function: a backend enables them once and all together, and a domain has some dozens. */
#define PCIFRONT_VECTORS 8u

struct pcifront_user {
	/* A function is there, and answers. The user may call all below about it. */
	void (*added)(uint16_t bdf);
	/* It is about to go: the user stops it and gives it up before the return. Its registers may not answer any more. */
	void (*removing)(uint16_t bdf);
	/* The backend says that it has an error: it is stopped; that this is over (it may have been reset meanwhile, and has its
	 * interrupts again): it goes on; that it is gone for good. From an event's handler: nothing may be asked of the backend. */
	void (*error)(uint16_t bdf, enum drivers_error what);
};

/* Begins to watch device/pci. Needs the store. user lives for ever. */
int pcifront_init(const struct pcifront_user *user);

/* Functions there are now. */
unsigned pcifront_count(void);

/* Backends that have shown what they have, or have closed, or were refused: nobody waits for those. */
unsigned pcifront_settled(void);

/* What the hypervisor calls a function (segment, bus, device, function, as XEN_DOMCTL_assign_device has it), by the toolstack's word. False: there is no such
 * function, or nobody told. */
bool pcifront_machine(uint16_t bdf, uint32_t *out_sbdf);

/* [waits] Configuration space: width 1, 2 or 4 bytes at an offset below 4096 that is a multiple of it. All ones: nobody
 * answers, or the backend refuses. */
uint32_t pcifront_read(uint16_t bdf, unsigned offset, unsigned width_bytes);
/* [waits] False: nobody answers, or the backend refuses. */
bool pcifront_write(uint16_t bdf, unsigned offset, unsigned width_bytes, uint32_t value);

/* [waits] The pirq of one entry of the function's MSI-X table, which has n_entries. The first call turns as many on as the
 * backend gives, at most PCIFRONT_VECTORS. -XEN_ENODEV: no such function; -XEN_ENOSPC: this entry has none;
 * -XEN_EBUSY: it has MSI on. */
int pcifront_msix(uint16_t bdf, unsigned entry, unsigned n_entries, uint32_t *out_pirq);
/* [waits] The same of plain MSIs, count of them (a power of two, at most 32): the first of as many pirqs in a row. Once for a
 * function. -XEN_EIO: the backend gives none; of several fewer may do. */
int pcifront_msi(uint16_t bdf, unsigned count, uint32_t *out_first_pirq);
/* [waits] Takes all interrupts of a function back; nobody is bound to its pirqs any more. */
void pcifront_interrupts_off(uint16_t bdf);

/* Drops every connection and frees all; for host programs. */
void pcifront_exit(void);

#endif
