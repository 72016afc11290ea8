/* trap_parts.h: what kernel/trap*.c and irq.c tell each other. Private to them.
 *
 * trap_dispatch is called by entry_native.S for every exception, interrupt and upcall, with the frame on
 * the interrupted stack and interrupts off.
 */
#ifndef KERNEL_TRAP_PARTS_H
#define KERNEL_TRAP_PARTS_H

#include <amphi/percpu.h>

#include "trap.h"

/* By number; those of CPUs that never ran are zeros, but what smp.c has put there. */
extern struct percpu trap_percpus[CPUS_MAX];

/* Sets gs for the CPU we run on, which is that one. */
void trap_percpu_init(unsigned cpu);

/* Natively, a further CPU: its tables are made, in thread context on another (-XEN_ENOMEM); and loaded, on it. */
int trap_prepare_native(unsigned cpu);
void trap_init_cpu_native(unsigned cpu);

/* PV: what a further vCPU is made with; and what it must ask for itself, each time it comes. */
struct vcpu_guest_context;
void trap_xen_context(struct vcpu_guest_context *ctx);
void trap_init_cpu_xen_pv(void);

void trap_dispatch(struct trap_frame *frame);

/* Natively: runs the handler of a vector >= 32 and tells the controller. */
void irq_dispatch(unsigned vector);

/* Puts the old interrupt controllers' lines at vectors 32..47, all masked. */
void irq_init_legacy(void);

/* PV: takes the place of irq_vector_alloc's platform; none. */
extern bool trap_is_native;

#endif
