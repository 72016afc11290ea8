/* fake_processor.h: what host tests of the kernel's threads see of the processor that is played for
 * them by fake_processor.c.
 */
#ifndef TESTS_FAKE_PROCESSOR_H
#define TESTS_FAKE_PROCESSOR_H

#include <stdint.h>

#define FAKE_CPUS 8

extern uint64_t fake_now_ns;        /* the clock; moves when everybody waits */
extern uint64_t fake_programmed_ns; /* the one-shot timer */
extern unsigned long fake_irqs_on;  /* 1: on */
extern unsigned fake_user_loads;    /* how often a thread with a program was about to run */
extern void *fake_user_loaded;      /* the last one's program */
extern unsigned fake_sendings;      /* how often what was held for idling was to go out */
extern unsigned fake_blocks_held;   /* stacks and small blocks not freed */

/* ---- more CPUs, played one after the other: by step() until they have nothing to do. They begin on a stack of
 * thread_cpu_prepare()'s. Called on CPU 0. */
void fake_cpu_start(unsigned cpu, void *stack_top);
void fake_cpu_step(unsigned cpu);
extern unsigned fake_kicks[FAKE_CPUS];         /* by others */
extern unsigned fake_gone[FAKE_CPUS];          /* a closed CPU has reached its end */
extern uint64_t fake_programmed_on[FAKE_CPUS]; /* each one's timer */
extern unsigned fake_user_leaves;              /* how often a program was to leave its CPU */
extern void *fake_user_left;                   /* the last */

#endif
