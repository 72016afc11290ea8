/* host_pci.h: what pciback asks of the program it is linked into: functions of the machine that are given away.
 *
 * Caller: drivers-back/pciback*.c. Implemented by kernel/host_pci*.c, and by tests/host/mock_pci.c. Who gets which function is not
 * asked here: the toolstack has reset it, assigned it (XEN_DOMCTL_assign_device) and given the domain its memory and
 * ports before it writes the nodes that pciback reads, and takes all of that back after pciback has released it.
 * Worker context, all calls may be made for functions that have just vanished. Errors: negative XEN_Exxx.
 *
 * A function is bus << 8 | device << 3 | function of segment 0; other segments are not lent.
 */
#ifndef AMPHI_HOST_PCI_H
#define AMPHI_HOST_PCI_H

#include <amphi/types.h>
#include <amphi/xen.h>

#define HOST_PCI_BARS 6u
/* Interrupts of one function at most: what a message of pciif.h can name (SH_INFO_MAX_VEC). */
#define HOST_PCI_VECTORS 128u

/* What a function's own registers do not tell, or only when they are written. */
struct host_pci_info {
	/* device << 16 | vendor. A virtual function's (SR-IOV) registers say ffff. */
	uint32_t id;
	/* bar[n]: as base register n reads, or would, if it were a virtual function's own. probe[n]: what it reads after all ones
	 * were written to it; 0: there is no such register. */
	uint32_t bar[HOST_PCI_BARS], probe[HOST_PCI_BARS];
	/* It has no command bits for memory and ports, they are always on (a virtual function). */
	bool always_decodes;
	/* The guest's pirq for its pin (INTx), of one that has nothing else to interrupt by; 0: its line is not lent. */
	uint8_t line;
};

/* From now on pciback alone touches the function, for guest. It is quiet: bus mastering off, no interrupts on.
 * -XEN_ENODEV: there is none, or it is a bridge. -XEN_EBUSY: a driver here or another guest has it. -XEN_EPERM: the toolstack
 * has not given it to this guest. */
int host_pci_claim(uint16_t bdf, domid_t guest, struct host_pci_info *out_info);
/* Ends it: the toolstack may reset the function and give it to another. pciback has taken its interrupts and bus mastering
 * from it. Only for one that was claimed. */
void host_pci_release(uint16_t bdf, domid_t guest);

/* Configuration space: 1, 2 or 4 bytes at an offset below 4096 that is a multiple of them. Nobody there, or no extended
 * space: all ones of that width, and writes are lost. */
uint32_t host_pci_read(uint16_t bdf, unsigned offset, unsigned width_bytes);
void host_pci_write(uint16_t bdf, unsigned offset, unsigned width_bytes, uint32_t value);

enum host_pci_kind { HOST_PCI_MSI, HOST_PCI_MSIX };

/* Turns message-signalled interrupts of a function on, each as a pirq of guest (PHYSDEVOP_map_pirq for its domid), and the
 * capability's enable bit with them (pciback writes no register of these capabilities).
 *	HOST_PCI_MSI	count (a power of two, at most 32) messages; entries is NULL. The pirqs follow one another.
 *	HOST_PCI_MSIX	count (at most HOST_PCI_VECTORS) entries of the table, different ones, all below its size.
 * All or none. -XEN_ENOSPC: not so many; fewer may do. Others: not at all. A pirq is never 0 and at most 65535. */
int host_pci_interrupts_on(uint16_t bdf, domid_t guest, enum host_pci_kind kind,
			   const uint16_t *entries, unsigned count, uint32_t *out_pirqs);
/* Takes them back, all that the call above gave. The guest may still have them bound: then they are no longer its own. */
void host_pci_interrupts_off(uint16_t bdf, domid_t guest, enum host_pci_kind kind,
			     const uint32_t *pirqs, unsigned count);

/* A reset has taken them from the device: what it was told for pirqs that are on is written into it again, which stay the same.
 * count as they were turned on. An error: none comes any more. */
int host_pci_interrupts_again(uint16_t bdf, enum host_pci_kind kind, unsigned count);

#endif
