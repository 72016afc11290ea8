/* clock_scale.h: a counter's rate as a multiplication that turns its ticks into nanoseconds.
 *
 * Both sides: the kernel's clocks, and the hypervisor's, which hands the same numbers to guests.
 * The form is that of Xen's vcpu_time_info: ns = ticks * mul >> 32, with ticks shifted left by
 * shift before (right when negative). Pure; any context.
 */
#ifndef AMPHI_CLOCK_SCALE_H
#define AMPHI_CLOCK_SCALE_H

#include <stdint.h>

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

#endif
