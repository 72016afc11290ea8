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
    selftest_upcall, selftest_threads, selftest_cpus, selftest_xen, selftest_user;

/* In a check: ends it when cond does not hold. What was taken until then is lost, and the kernel with it is
 * not to be trusted anyway. */
#define WANT(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			return #cond;                                                              \
	} while (0)

/* True: what text does, which leaves the stack as it was, every register survived, those included that the C calling
 * convention would let it change. */
#define SELFTEST_KEEPS_REGISTERS(text)                                                             \
	({                                                                                         \
		register uint64_t r8 __asm__("r8") = 8, r9 __asm__("r9") = 9,                      \
				     r10 __asm__("r10") = 10, r11 __asm__("r11") = 11,             \
				     r12 __asm__("r12") = 12, r13 __asm__("r13") = 13,             \
				     r14 __asm__("r14") = 14, r15 __asm__("r15") = 15;             \
		uint64_t a = 1, b = 2, c = 3, d = 4, S = 5, D = 6;                                 \
		__asm__ volatile(text                                                              \
				 : "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r11), "+r"(r12), "+r"(r13), \
				   "+r"(r14), "+r"(r15), "+a"(a), "+b"(b), "+c"(c), "+d"(d),       \
				   "+S"(S), "+D"(D)::"memory", "cc");                              \
		a == 1 && b == 2 && c == 3 && d == 4 && S == 5 && D == 6 && r8 == 8 && r9 == 9 &&  \
		    r10 == 10 && r11 == 11 && r12 == 12 && r13 == 13 && r14 == 14 && r15 == 15;    \
	})

/* ---- selftest_traps.c: deeds that may fault. True: it did, and trap_last_fixed() tells how. ------- */

bool selftest_write_faults(volatile void *va);
/* va must be selftest_code: fixups are by address. */
bool selftest_execute_faults(void);
extern uint8_t selftest_code[];

#endif
