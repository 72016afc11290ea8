/* clock_scale.c: from a counter's rate to the multiplication that turns its ticks into nanoseconds.
 *
 * Callers: the kernel's native clock, the hypervisor's. Pure. The form is that of Xen's
 * vcpu_time_info, so that one function (clock_scale_ns of clock_scale.h) reads all clocks.
 */
#include <amphi/clock_scale.h>

#define NS_PER_S 1000000000ull

struct clock_scale clock_scale_for(uint64_t hz)
{
	struct clock_scale s = {.shift = 0};

	/* mul = 2^32 * 10^9 / (hz * 2^shift) must use its 32 bits well: hz in (10^9, 2*10^9]. */
	while (hz > 2 * NS_PER_S) {
		hz >>= 1;
		s.shift--;
	}
	while (hz <= NS_PER_S) {
		hz <<= 1;
		s.shift++;
	}
	s.mul = (uint32_t)((NS_PER_S << 32) / hz);
	return s;
}
