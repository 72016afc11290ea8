/* pci_name.h: how PCI functions are called in the store: "0000:03:1f.7".
 *
 * Callers: pcifront and pciback, and who reads such names elsewhere. Implemented by protocol/pci_name.c. Pure. Digits are
 * hexadecimal; backends write the function as two digits, toolstacks as one, and both are read.
 */
#ifndef AMPHI_PCI_NAME_H
#define AMPHI_PCI_NAME_H

#include <amphi/types.h>

struct pci_name {
	uint16_t domain; /* that is, segment */
	uint8_t bus, devfn;
};

/* The whole of text, and in range; else false. */
bool pci_name_parse(const char *text, struct pci_name *out);

bool pci_name_equal(const struct pci_name *a, const struct pci_name *b);

/* All of text is hexadecimal digits, and the number at most max; else false. */
bool pci_name_hex(const char *text, uint32_t max, uint32_t *out);

#endif
