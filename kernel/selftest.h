/* selftest.h: what a check of the shell's selftest is. Private to kernel/selftest*.c.
 *
 * A check looks at one promise of the kernel from inside, on whatever it runs. It leaves everything as it
 * found it, waits for no more than some milliseconds, and never depends on the platform in what it says:
 * where a platform lacks something, the check wants the answer that the contract gives for that.
 */
#ifndef KERNEL_SELFTEST_H
#define KERNEL_SELFTEST_H

#include <amphi/types.h>

#include "trap.h"

struct selftest {
	const char *name;
	/* What is not so, or NULL: all is well. Shell's thread, interrupts on. */
	const char *(*run)(void);
};

/* A room's checks, in the order in which they run. */
struct selftest_room {
	const struct selftest *tests;
	unsigned count;
};
extern const struct selftest_room selftest_pvops, selftest_tables, selftest_memory, selftest_traps,
    selftest_threads, selftest_cpus, selftest_xen, selftest_user;

/* In a check: ends it when cond does not hold. What was taken until then is lost, and the kernel with it is
 * not to be trusted anyway. */
#define WANT(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			return #cond;                                                              \
	} while (0)

/* ---- selftest_traps.c: deeds that may fault. True: it did, and trap_last_fixed() tells how. ------- */

bool selftest_write_faults(volatile void *va);
/* va must be selftest_code: fixups are by address. */
bool selftest_execute_faults(void);
extern uint8_t selftest_code[];

#endif
