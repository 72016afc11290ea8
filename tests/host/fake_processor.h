/* fake_processor.h: what host tests of the kernel's threads see of the processor that is played for
 * them by fake_processor.c.
 */
#ifndef TESTS_FAKE_PROCESSOR_H
#define TESTS_FAKE_PROCESSOR_H

#include <stdint.h>

extern uint64_t fake_now_ns;        /* the clock; moves when everybody waits */
extern uint64_t fake_programmed_ns; /* the one-shot timer */
extern unsigned long fake_irqs_on;  /* 1: on */
extern unsigned fake_user_loads;    /* how often a thread with a program was about to run */
extern void *fake_user_loaded;      /* the last one's program */
extern unsigned fake_blocks_held;   /* stacks and small blocks not freed */

#endif
