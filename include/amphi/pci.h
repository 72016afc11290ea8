/* pci.h: finding PCI functions and their parts.
 *
 * Callers: the drivers of drivers-native. Needs machine.h. The list is made by pci_scan() at boot; pci_look() adds
 * what comes later, and nothing moves in it. Worker context or boot.
 */
#ifndef AMPHI_PCI_H
#define AMPHI_PCI_H

#include <amphi/pci_cap.h>
#include <amphi/types.h>

struct pci_function {
	uint16_t bdf; /* bus << 8 | device << 3 | function */
	uint16_t vendor, device;
	uint32_t class_code; /* class << 16 | subclass << 8 | programming interface */
	/* Of a virtual function: its BAR 0 and that one's size, which its own registers do not tell; else 0. */
	maddr_t virtual_bar;
	uint64_t virtual_bytes;
	uint16_t physical; /* of a virtual function the one it is of; else its own bdf */
};
#define PCI_FUNCTIONS_MAX 64u

/* Finds all functions reachable from bus 0 through bridges. Returns their number. */
unsigned pci_scan(void);

/* The n-th function found, NULL beyond the last. */
const struct pci_function *pci_get(unsigned n);

/* Appends a function that a scan does not find. */
void pci_add(const struct pci_function *f);

/* Looks at one function, which is in the list then; NULL: it is not there, or there is no room. A pointer to the one that
 * had this number before is to the new one now. */
const struct pci_function *pci_look(uint16_t bdf);

/* Offset of the first capability with this id after offset `after` (0: from the start); 0 when there is
 * none, also when the list loops or leaves configuration space. */
unsigned pci_find_capability(const struct pci_function *f, unsigned id, unsigned after);

/* Offset of the first extended capability with this id; 0: none, no such space, or a list that leaves it or does not end. */
unsigned pci_find_extended(uint16_t bdf, uint32_t id);

/* Where memory BAR n (0-5) is; false when it is not a memory BAR or has no address. */
bool pci_bar(const struct pci_function *f, unsigned n, maddr_t *out_start);

/* The same of an I/O BAR: its first port. */
bool pci_io_bar(const struct pci_function *f, unsigned n, uint16_t *out_port);

/* The six base registers as they read, and after all ones were written to them (0: there is no such register). While it is asked
 * the function decodes nothing. Of a virtual function as they would read if they were its own. */
struct pci_bars {
	uint32_t bar[6], probe[6];
};
void pci_measure(const struct pci_function *f, struct pci_bars *out);

/* Lets the function decode its memory and ports and master the bus, with INTx off. */
void pci_enable(const struct pci_function *f);

/* It masters the bus no more: a device that does not answer must not reach memory. Its registers are where they were. */
void pci_disable(const struct pci_function *f);

/* Routes the function's one plain MSI to fn(ctx), called in the worker context. -XEN_ENODEV: it has none. */
int pci_msi_bind(const struct pci_function *f, void (*fn)(void *ctx), void *ctx);
/* Several plain MSIs, message i to fn(ctx + i * stride_bytes): as many as the function has and there are vectors for, a power of 2 and at most `wanted` (1 to
 * MACHINE_MSI_MAX). How many, or an error as above. */
int pci_msis_bind(const struct pci_function *f, unsigned wanted, void (*fn)(void *ctx), void *ctx,
		  size_t stride_bytes);

/* Routes the line of a function that has only a pin to fn(ctx), and lets it pull: machine_line_bind(). After pci_enable(). */
int pci_line_bind(const struct pci_function *f, void (*fn)(void *ctx), void *ctx);

struct pci_msix {
	unsigned cap, entries;
	maddr_t table, bar;      /* bar: start of the one the table is in */
	volatile uint32_t *regs; /* the table mapped; NULL until it is needed */
};

/* Finds the MSI-X capability and its table. -XEN_ENODEV when there is none that makes sense. */
int pci_msix_find(const struct pci_function *f, struct pci_msix *out);

/* Routes one entry to fn(ctx), called in the worker context, and turns MSI-X on. */
int pci_msix_bind(const struct pci_function *f, struct pci_msix *msix, unsigned entry,
		  void (*fn)(void *ctx), void *ctx);

#endif
