/* machine_input.h: to which input of the board a function's interrupt line (INTx) leads, and whose pirq that is; private to kernel/.
 *
 * For the domain that owns the machine under a hypervisor. Inputs are numbered as ACPI does it (GSI), through all I/O APICs, and the pirq of
 * an input has its number. Worker context.
 */
#ifndef KERNEL_MACHINE_INPUT_H
#define KERNEL_MACHINE_INPUT_H

#include <amphi/types.h>
#include <amphi/xen.h>

/* PCI's header (3.0, 6.2.4): the line's number as firmware wrote it down, then the pin. */
#define REG_LINE 0x3cu

/* Of the two bytes there; 0: it has no pin, or nobody says where that leads. Below 128. */
uint8_t machine_input_of(uint32_t reg);

/* The input becomes a pirq of domid's, a level as PCI has it. 0, or what the hypervisor says. Again: nothing changes. Never undone for
 * DOMID_SELF: Xen takes the right to an input with its map, and gives nobody a way to have it back. */
int machine_input_map(uint8_t input, domid_t domid);

#endif
