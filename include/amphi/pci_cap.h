/* pci_cap.h: the list of capabilities of a PCI function.
 *
 * Both sides: the drivers of real devices, and the hypervisor, which arms message-signalled
 * interrupts itself; lib/pci_cap.c walks. Configuration space is read through the function given.
 * What a device says of itself is not believed further than that space reaches.
 */
#ifndef AMPHI_PCI_CAP_H
#define AMPHI_PCI_CAP_H

#include <stdint.h>

#define PCI_CAP_MSI    0x05u
#define PCI_CAP_VENDOR 0x09u
#define PCI_CAP_MSIX   0x11u
#define PCI_CAP_LAST   0xfcu /* the last place for one */

/* Reads width bytes (1, 2 or 4) at an offset that is a multiple of them. */
typedef uint32_t pci_read_fn(uint16_t bdf, unsigned offset, unsigned width);

/* Offset of the first capability with this id after the one at `after` (0: from the start); 0 when
 * there is none, also when the list loops or leaves configuration space. */
unsigned pci_cap_find(pci_read_fn *read, uint16_t bdf, unsigned id, unsigned after);

#endif
