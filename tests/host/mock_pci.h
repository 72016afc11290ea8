/* mock_pci.h: functions of a machine, for tests of pciback: host_pci.h over bytes in memory.
 *
 * A function has 4096 bytes of configuration space; each bit can be written unless the test says otherwise, so that a write
 * which should not have come is seen, and each access is counted. The toolstack's part (who was given what) is a field.
 * Interrupts are numbers. One machine; which domain calls is not looked at.
 */
#ifndef TESTS_MOCK_PCI_H
#define TESTS_MOCK_PCI_H

#include <amphi/host_pci.h>

#define MOCK_PCI_MAX 48u

struct mock_pci {
	uint16_t bdf;
	bool there;       /* answers */
	domid_t given_to; /* by the toolstack; DOMID_INVALID: nobody */
	domid_t claimed_by;
	struct host_pci_info info;
	uint8_t space[4096];
	uint8_t fixed[4096];  /* bits that no write changes */
	uint8_t clears[4096]; /* bits that a one clears */
	unsigned n_reads, n_writes, n_claims, n_releases;
	unsigned last_at, last_width;
	uint32_t last_value;
	/* interrupts */
	unsigned vectors_left, n_on, n_offs, n_again;
	bool decoded; /* memory, when its interrupts were turned on */
	enum host_pci_kind kind;
	uint16_t entries[HOST_PCI_VECTORS];
};

void mock_pci_reset(void);
/* A function there, given to the domain, quiet, with no capabilities. */
struct mock_pci *mock_pci_add(uint16_t bdf, uint32_t id, domid_t given_to);
struct mock_pci *mock_pci_find(uint16_t bdf); /* NULL: none */
void mock_pci_put(struct mock_pci *f, unsigned at, unsigned width, uint32_t value);
uint32_t mock_pci_get(const struct mock_pci *f, unsigned at, unsigned width);
/* The capabilities of a list: id at each offset, linked; the list's end 0. */
void mock_pci_cap(struct mock_pci *f, unsigned at, unsigned id, unsigned next);
/* Functions that are claimed, and interrupts that are on, of all. */
unsigned mock_pci_claimed(void);
unsigned mock_pci_vectors(void);

#endif
