/* host_pci_control.h: what control/ asks of its host about PCI functions that it gives to other domains.
 *
 * Implemented by kernel/host_pci_control.c, and by the fake of tests/host. Configuration space is host_pci.h's. Functions are named
 * as there, by bus << 8 | device << 3 | function of segment 0. Worker context. Errors: negative XEN_Exxx. Not here: the calls of
 * the hypervisor by which a function becomes another domain's (host_control.h).
 *
 *	a driver of ours has it --let_go--> free --lend--> a guest's, whose back half may claim it
 *	        ^------------take-----------'  ^--back-----'
 */
#ifndef AMPHI_HOST_PCI_CONTROL_H
#define AMPHI_HOST_PCI_CONTROL_H

#include <amphi/host_pci.h>

/* Registers of a function in memory or among ports; bytes 0: there are none. */
struct host_pci_range {
	uint64_t start, bytes;
	bool ports;
};

enum host_pci_state { HOST_PCI_OURS, HOST_PCI_FREE, HOST_PCI_LENT };

struct host_pci_function {
	uint16_t bdf, vendor, device;
	uint32_t class_code; /* class << 16 | subclass << 8 | programming interface */
	uint16_t physical;   /* of a virtual function the one it is of; else its own */
	bool bridge;
	enum host_pci_state state;
	domid_t guest; /* of one that is lent */
	struct host_pci_range ranges[HOST_PCI_BARS];
	/* Of its pin (INTx); 0: it has none, or firmware does not say. only_line: it has a pin, and no messages. */
	uint8_t line;
	bool only_line;
};

/* The n-th function there is; false: there are not so many. The first look at a function measures its base registers, for which it
 * answers nobody for a moment; each look at a free one does. */
bool host_pci_nth(unsigned n, struct host_pci_function *out);

/* Why this domain can give functions to no other at all, in words; NULL: it can. */
const char *host_pci_why_not(void);

/* Our driver of it stops it, its disks and interfaces are gone; bus mastering is off. Nothing when it is free. */
void host_pci_let_go(uint16_t bdf);

/* A free one: our drivers may have it again. Virtual functions stay free. */
void host_pci_take(uint16_t bdf);

/* A free one, still this domain's to the hypervisor, is the guest's to claim, and its MSI-X table the hypervisor's; -XEN_ENODEV:
 * it is not there; or what the hypervisor says about the table, and nothing has changed. Or it is free again: who has claimed it
 * has released it, and it has no interrupts. */
int host_pci_lend(uint16_t bdf, domid_t guest);
void host_pci_back(uint16_t bdf);

/* The line of one that is lent becomes a pirq of the guest's, of the same number, which pciback shows it; a guest has a line once, for all its functions on
 * it. What others pull it is the caller's to see to. -XEN_ENODEV: it has none; -XEN_EBUSY: another domain listens to it; the hypervisor's error. And back;
 * last: no other function of the guest is on it. Nothing when it is not on. */
int host_pci_line_on(uint16_t bdf, domid_t guest);
void host_pci_line_off(uint16_t bdf, domid_t guest, bool last);

/* The function's driver is started anew with so many virtual functions (1 to 64), which are free. How many there are now.
 * -XEN_ENODEV: none of ours that has any; -XEN_EBUSY: it has some already. */
int host_pci_virtual(uint16_t bdf, unsigned count);

/* Waits, and the worker with it: for a function that is reset. */
void host_pci_wait_us(unsigned us);

#endif
