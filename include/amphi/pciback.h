/* pciback.h: the back half of xen/io/pciif.h: PCI functions of this machine that guests drive themselves.
 *
 * Callers: the control domain's start-up and commands. Implemented by drivers-back/pciback*.c over host.h, xenbus.h and
 * host_pci.h. Each directory backend/pci/GUEST/0 is one connection with up to PCIBACK_FUNCTIONS_MAX functions. Worker context.
 * Errors: negative XEN_Exxx. Not here: resetting functions, assigning them, memory and ports (the toolstack's:
 * host_pci.h says in which order). A pin (INTx) is lent by the toolstack (host_pci_control.h), with a
 * function that has no messages; here a guest only reads of it. Not promised: expansion ROMs, which guests do not see.
 *
 * Nodes, as xl and Linux's xen-pciback write and read them; N is 0 to num_devs - 1:
 *
 *	toolstack	num_devs; dev-N "0000:03:00.0" (hexadecimal), state-N 1; optional:
 *			opts-N "permissive=1,..." (others are no matter here), vdevfn-N: slot << 3, hexadecimal, the slot wanted;
 *			topology "vpci" (without it, too) or "passthrough" (ours: whole connection, read when it begins)
 *	back		vdev-N "0000:00:00.00", state-N 3; root_num, root-M "0000:00"; state-N 6 when it could not be lent
 *	front		pci-op-ref, event-channel, magic
 *
 * A function is added while both are Connected: dev-N, state-N = 1, num_devs, then state = 7 (Reconfiguring). It is taken away
 * by state-N = 5, then state = 7. Both are done when state is 4 again: the front has let go, the function is released,
 * and what is below N is the toolstack's to remove; numbers may be given anew. In any other state of the two, wait first.
 * A front that does not follow is not waited for by anybody: `online` = 0 ends the connection after 5 s.
 */
#ifndef AMPHI_PCIBACK_H
#define AMPHI_PCIBACK_H

#include <amphi/types.h>
#include <amphi/xen.h>

#define PCIBACK_FUNCTIONS_MAX 32u
/* What one front may ask: so many operations in so long a time; the next ones wait for its end. */
#define PCIBACK_OPS     4096u
#define PCIBACK_SPAN_NS 100000000ull
/* A front has so long to answer a word about an error of a device. */
#define PCIBACK_AER_NS 5000000000ull

/* Watches backend/pci and serves what is there, now and later. */
int pciback_init(void);

/* Ends every connection, releases all functions and frees all. For host tests; a kernel never stops. */
void pciback_exit(void);

struct pciback_info {
	domid_t guest;
	uint16_t bdf;       /* of the machine */
	uint32_t guest_bus; /* domain << 8 | bus, as the guest is told */
	uint8_t guest_devfn;
	bool connected, permissive, masters; /* masters: it may reach memory now */
	unsigned vectors;
	uint64_t ops, refused; /* of the whole connection; refused: answered with an error */
};

/* Each function that is lent. What info points to lives until fn returns. */
void pciback_for_each(void (*fn)(const struct pciback_info *info, void *ctx), void *ctx);

/* Takes a function from a guest that does not follow: no interrupts, no bus mastering, released, vdev-N gone and state-N 6.
 * The front reads all ones from now on. -XEN_ENODEV: not lent. From the worker, not from host_pci_*. */
int pciback_take(uint16_t bdf);

/* Tells the guest that owns bdf of an error of it, in the steps of PCIe's error recovery; cmd is one of XEN_PCI_OP_aer_*, state
 * (of aer_detected) 1 normal, 2 frozen, 3 gone for good. fn is called once, from the worker, later, with what the front
 * says (1 none, 2 can recover, 3 needs a reset, 4 disconnect, 5 recovered), or -XEN_ETIMEDOUT, -XEN_ENOTCONN.
 * -XEN_ENODEV: not lent, or its front does not listen to errors; -XEN_ENOTCONN: there is no front now; -XEN_EBUSY: one such word is
 * under way, perhaps about another function of the guest. */
int pciback_aer(uint16_t bdf, uint32_t cmd, int32_t state, void (*fn)(void *ctx, int result),
		void *ctx);

/* The function was reset while it is lent: what the guest had it do (decode, master the bus, interrupts) it does again. 0 also when it is
 * not lent; else what host_pci_interrupts_again says. */
int pciback_restore(uint16_t bdf);

/* Says in the store that the function's guest does not recover, where Linux's xen-pciback says so: aerState "aerfail". */
void pciback_tell_failed(uint16_t bdf);

#endif
