/* trap.h: what entry.S calls.
 *
 * Private; implemented by trap.c. Interrupts are off. regs is the current vCPU's frame, except in
 * trap_from_hypervisor and trap_anywhere, where it is on a stack of ours and what they change in it
 * takes effect on return.
 */
#ifndef HV_TRAP_H
#define HV_TRAP_H

#include <amphi/types.h>

struct guest_regs;

void trap_syscall(struct guest_regs *regs);
void trap_syscall32(struct guest_regs *regs);
void trap_from_guest(struct guest_regs *regs);
void trap_from_hypervisor(struct guest_regs *regs);
void trap_anywhere(struct guest_regs *regs);
/* The iretq to the current vCPU's guest faulted. */
void trap_bad_iret(unsigned vector, uint32_t error_code);

#endif
