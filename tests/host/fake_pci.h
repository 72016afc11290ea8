/* fake_pci.h: a machine with a few PCI functions, for tests of control/: the host's part and pciback's.
 *
 * Implements host_pci_control.h, the configuration space of host_pci.h and what control/ calls of pciback.h; and of the
 * hypervisor of fake_control.h the calls by which a function becomes a domain's. What happens is noted in order. A reset forgets
 * base registers, as real ones do.
 */
#ifndef TESTS_FAKE_PCI_H
#define TESTS_FAKE_PCI_H

#include <amphi/host_pci_control.h>

#define FAKE_PCI_FUNCTIONS 6u
#define FAKE_PCI_EXPRESS   0x40u
#define FAKE_PCI_POWER     0x80u

struct fake_pci {
	struct host_pci_function is;
	uint8_t config[256];
	bool gone;       /* does not answer any more */
	bool dies;       /* when it is reset */
	bool pulls;      /* its line, whatever is written to its command register */
	unsigned resets; /* whatever way */
};

extern struct fake_pci fake_pci[FAKE_PCI_FUNCTIONS];
extern char fake_pci_events[2048];
extern int fake_pci_assign_err, fake_pci_permit_err, fake_pci_lend_err, fake_pci_test_err,
    fake_pci_virtual_result, fake_pci_line_err;
extern const char *fake_pci_why_not;
extern uint64_t fake_pci_memory_end; /* the machine's memory is from 0 to there */

/* 00:01.0 is a bridge to bus 1; 00:02.0 has 16 KiB at 0xfe000000 and can FLR; 01:00.0 is alone on its bus, has 4 KiB and 32
 * ports, and no reset of its own; 00:03.0 forgets in D3hot; 00:04.0 has no way. No function is above that. */
void fake_pci_reset(void);
/* What the next words about errors of functions are refused with, 0: one at a time is taken; and a reset function's restoring. */
extern int fake_pci_aer_err, fake_pci_restore_err;
/* The guest's answer to the word that it was told; false: there is none. */
bool fake_pci_answer(int result);
struct fake_pci *fake_pci_at(uint16_t bdf);

/* One more, in place i; 5 is free. It masters the bus, and has no registers. */
struct fake_pci *fake_pci_add(unsigned i, uint16_t bdf, uint32_t class_code);

#endif
