/* clock.h: between the clock's parts: the common one and one file per platform.
 *
 * Callers: time.c, timers.c. Implemented by time.c (clock_program) and by time_native.c,
 * time_xen.c, time_kvm.c. All with interrupts off.
 */
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include <amphi/types.h>

/* Wants time_interrupt() at due_ns or soon after; a moment that has passed means at once. */
void clock_program(uint64_t due_ns);

/* A rate as a multiplication: ns = ticks * mul >> 32, with ticks shifted left by shift before
 * (right when negative), as Xen's vcpu_time_info has it. */
struct clock_scale {
	uint32_t mul;
	int8_t shift;
};

/* The scale for a counter of hz ticks in a second, 1000 < hz < 2^40. */
struct clock_scale clock_scale_for(uint64_t hz);

static inline uint64_t clock_scale_ns(struct clock_scale s, uint64_t ticks)
{
	uint64_t shifted = s.shift < 0 ? ticks >> -s.shift : ticks << s.shift;

	return (uint64_t)((unsigned __int128)shifted * s.mul >> 32);
}

/* Finds the rate, binds the timer interrupt to time_interrupt, provides the pv time operations.
 * Returns the TSC's ticks in a second. */
uint64_t clock_init_native(void);
uint64_t clock_init_xen(void);
uint64_t clock_init_kvm(void);

#endif
