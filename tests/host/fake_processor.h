/* fake_processor.h: what host tests of the kernel's threads see of the processor that is played for
 * them by fake_processor.c.
 */
#ifndef TESTS_FAKE_PROCESSOR_H
#define TESTS_FAKE_PROCESSOR_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_CPUS 8

extern uint64_t fake_now_ns;        /* the clock; moves when everybody waits */
extern uint64_t fake_programmed_ns; /* the one-shot timer */
extern unsigned long fake_irqs_on;  /* 1: on */
extern unsigned fake_user_loads;    /* how often a thread with a program was about to run */
extern void *fake_user_loaded;      /* the last one's program */
extern unsigned fake_blocks_held;   /* stacks and small blocks not freed */

/* From now on this is that CPU; what its threads do is the test's to play. */
void fake_on_cpu(unsigned cpu);
extern unsigned fake_kicks[FAKE_CPUS]; /* by others */
extern unsigned fake_user_leaves;      /* how often a program was to leave its CPU */
extern void *fake_user_left;           /* the last */
extern void (*fake_gone)(void);        /* where a closed CPU ends; does not return */
extern bool (*fake_idle)(void);        /* NULL, or called first; true: that was all */

#endif
