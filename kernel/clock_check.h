/* clock_check.h: whether the clocks of all CPUs are one.
 *
 * Callers: time_native.c when a CPU has come, the shell's `clock`, selftest. All CPUs read the clock as fast as
 * they can at the same time and hand the latest reading round; a clock that is behind it has stepped
 * back. The
 * caller runs a turn on each (smp_call_all); a host test has threads as CPUs.
 */
#ifndef KERNEL_CLOCK_CHECK_H
#define KERNEL_CLOCK_CHECK_H

#include <amphi/types.h>

typedef uint64_t clock_read_fn(void);

struct clock_check {
	/* IN */
	clock_read_fn *read;
	uint64_t length; /* of each CPU's turn, in what read counts */
	/* OUT, by all CPUs; zeros before */
	uint64_t latest;
	uint64_t readings, back,
	    most_back; /* how many, how many were behind the latest, and by how much at most */
};

/* One CPU's turn. */
void clock_check_turn(struct clock_check *check);

#endif
