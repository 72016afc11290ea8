/* trap_parts.h: what kernel/trap*.c and irq.c tell each other. Private to them.
 *
 * trap_dispatch is called by entry_native.S for every exception, interrupt and upcall, with the frame on
 * the interrupted stack and interrupts off.
 */
#ifndef KERNEL_TRAP_PARTS_H
#define KERNEL_TRAP_PARTS_H

#include "trap.h"

/* One CPU's own data, at gs:0. More CPUs: more of these. */
struct percpu {
	struct percpu *self;
	unsigned cpu;
	uint64_t irq_count;
	uint64_t kernel_sp; /* entry_native.S: where the current program's system calls begin */
	uint64_t user_sp;   /* and where the program's own stack is put for three instructions */
};
_Static_assert(offsetof(struct percpu, kernel_sp) == 24 && offsetof(struct percpu, user_sp) == 32,
	       "entry_native.S");
static inline struct percpu *this_cpu(void)
{
	struct percpu *p;

	__asm__("mov %%gs:0, %0" : "=r"(p));
	return p;
}

/* Sets gs for the CPU we boot on. */
void trap_percpu_init(void);

void trap_dispatch(struct trap_frame *frame);

/* Natively: runs the handler of a vector >= 32 and tells the controller. */
void irq_dispatch(unsigned vector);

/* Puts the old interrupt controllers' lines at vectors 32..47, all masked. */
void irq_init_legacy(void);

/* PV: takes the place of irq_vector_alloc's platform; none. */
extern bool trap_is_native;

#endif
