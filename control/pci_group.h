/* pci_group.h: which PCI functions reach each other, or cannot be told from each other, so that no IOMMU keeps them apart; private to control/.
 *
 * Caller: control_pci_group.c, which decides who may have them. Implemented by pci_group.c over host_pci_control.h and host_pci.h's configuration
 * space. Worker context; nothing waits. Functions come and go, so it is read anew for each question.
 */
#ifndef CONTROL_PCI_GROUP_H
#define CONTROL_PCI_GROUP_H

#include <amphi/host_pci_control.h>

/* Reads the machine's functions, turns on what access control those have that can keep others apart, and finds the groups. */
void pci_group_read(void);

/* Of what was read: the n-th other function, bridges left out, that is in one group with bdf; false: there are not so many. */
bool pci_group_other(uint16_t bdf, unsigned n, struct host_pci_function *out);

/* A number for bdf's group, the same for all in it, from 0 on as groups are found; -1: it was not there. */
int pci_group_number(uint16_t bdf);

/* A reset has turned the function's access control off: on again. */
void pci_group_after_reset(uint16_t bdf);

#endif
