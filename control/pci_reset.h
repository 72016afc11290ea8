/* pci_reset.h: a PCI function back to what it is after power-on, but for where it is; private to control/.
 *
 * Caller: control_pci.c, before a function has an owner and after. Implemented by pci_reset.c over host_pci.h's configuration space.
 * Worker context; waits, up to a second and a half when the function does not come back.
 */
#ifndef CONTROL_PCI_RESET_H
#define CONTROL_PCI_RESET_H

#include <amphi/types.h>

/* The ways there are, in the order in which they are tried. */
#define PCI_RESET_FUNCTION 1u /* function-level reset of PCI Express */
#define PCI_RESET_ADVANCED 2u /* the same of a conventional function (capability AF) */
#define PCI_RESET_POWER    4u /* to D3hot and back, where that forgets */
#define PCI_RESET_BUS      8u /* the bus behind the bridge above it, when it is alone there */
#define PCI_RESET_TEXT     64u

/* Of a bridge that has nothing but the function behind it; PCI_RESET_NO_BRIDGE: there is none such. */
#define PCI_RESET_NO_BRIDGE 0xffffu

unsigned pci_reset_ways(uint16_t bdf, uint16_t bridge);
/* "flr, af, d3, bus", those of ways; "no way" */
const char *pci_reset_text(unsigned ways, char out[PCI_RESET_TEXT]);

/* By the first of its ways. Bus mastering and decoding are off then, base registers are as before. 0;
 * -XEN_EOPNOTSUPP: there is no way, and it is only made quiet; -XEN_ETIMEDOUT: it does not answer any more. */
int pci_reset(uint16_t bdf, uint16_t bridge);

/* Bus mastering, decoding and INTx off. */
void pci_quiet(uint16_t bdf);

#endif
