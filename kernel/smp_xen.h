/* smp_xen.h: what smp_xen.c, its entry code and smp_native.c tell each other. Private to them.
 *
 * Callers: smp.c through its platform; time.c for a CPU that comes (smp_xen_cpu_online); entry_xen.S; suspend.c
 * (smp_xen_resume).
 */
#ifndef KERNEL_SMP_XEN_H
#define KERNEL_SMP_XEN_H

#include "smp.h"

/* PV's own, or in a PVH domain native's with Xen's kick. Once, on the boot CPU. */
const struct smp_platform *smp_xen_platform(void);

/* PVH: a new CPU, or one that comes again, meets Xen: before it takes any lock. */
void smp_xen_cpu_begin(struct percpu *percpu);

/* On the CPU that comes, interrupts off, kernel lock held: its timer's event, its kick. */
void smp_xen_cpu_online(void);

/* In a new world after a suspend, on CPU 0, the others down: their vCPUs are new ones, and this one's kick is gone.
 * Interrupts off. */
void smp_xen_resume(void);

/* entry_xen.S: where a PV vCPU begins; goes to smp_xen_begin(). */
void smp_xen_entry(void);
void smp_xen_begin(void) __attribute__((noreturn));

/* entry_xen.S: VCPUOP_down without a stack, and then, when it is up again, smp_xen_entry on the stack whose end
 * is at *stack. */
void smp_xen_park(unsigned vcpu, const uint64_t *stack) __attribute__((noreturn));
extern uint64_t smp_xen_stacks[];

#endif
