/* machine_line.h: what machine.c and the lines of functions (machine_line.c) have in common; private to kernel/. Worker context. */
#ifndef KERNEL_MACHINE_LINE_H
#define KERNEL_MACHINE_LINE_H

#include <amphi/types.h>

/* The function's handler is not called any more; nothing if there is none. Not from a line's handler. */
void machine_line_unbind(uint16_t bdf);

/* Whether the hypervisor wants to be told when an interrupt was seen to (PHYSDEVOP_eoi). */
bool machine_pirq_wants_eoi(uint32_t pirq);

#endif
