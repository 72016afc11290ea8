/* pci_config.h: configuration space of segment 0, its first 256 bytes of each function.
 *
 * Private to the hypervisor. By ports 0xcf8 and 0xcfc, under no lock but the one around the hypervisor: the first domain uses the
 * same ports, but not while we run, and finds the address register as it left it. What is not there reads as ones.
 */
#ifndef HV_PCI_CONFIG_H
#define HV_PCI_CONFIG_H

#include <amphi/types.h>

#define PCI_CONFIG_COMMAND 0x04u
#define PCI_CONFIG_CLASS   0x08u /* class code in the upper 24 bits */
#define PCI_CONFIG_HEADER  0x0eu /* its kind in the lower 7 bits, bit 7: several functions */
#define PCI_CONFIG_BUSES   0x18u /* of a bridge: secondary in bits 8 to 15, subordinate in 16 to 23 */

#define PCI_COMMAND_MASTER (1u << 2)
#define PCI_HEADER_BRIDGE  1u

/* width bytes (1, 2 or 4) at an offset that is a multiple of them; writes are of four. */
uint32_t pci_config_read(uint16_t bdf, unsigned offset, unsigned width);
/* Offset of the function's first capability with this id (pci_cap.h); 0: it has none. */
unsigned pci_config_cap(uint16_t bdf, unsigned id);
void pci_config_write(uint16_t bdf, unsigned offset, uint32_t value);

#endif
