/* clock_test.c: a counter's ticks become the right nanoseconds, for any rate and any length of
 * time.
 *
 * Shows: for rates from 1 MHz to 6 GHz the error stays below one part in a million over a year, the
 * clock never steps back between ticks, and Xen's own pairs of multiplier and shift are read as
 * xen.h says; the APIC's timer counts what it should, near and far. Why: an overflow here shows after
 * days. Expected: all hold.
 *
 * links: lib/clock_scale.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <amphi/lapic.h>
#include "kernel/clock.h"
#include "kernel/time.h"

static const uint64_t rates[] = {1000000,    1193182,    24000000,   999999999,
				 1000000000, 1000000001, 1999999999, 2000000000,
				 2000000001, 2596120100, 4000000001, 5999999999};

static void error_is_small(void **state)
{
	struct clock_scale s;
	uint64_t seconds, ns, wanted, difference;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		s = clock_scale_for(rates[i]);
		for (seconds = 1; seconds < 365ull * 86400; seconds = seconds * 3 + 1) {
			ns = clock_scale_ns(s, rates[i] * seconds);
			wanted = seconds * NS_PER_S;
			difference = ns > wanted ? ns - wanted : wanted - ns;
			assert_true(difference <= wanted / 1000000 + 1);
		}
	}
}

static void never_back(void **state)
{
	uint64_t tick, last, ns;
	struct clock_scale s;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		s = clock_scale_for(rates[i]);
		last = clock_scale_ns(s, 0xffffff00ull);
		for (tick = 0xffffff00ull; tick < 0x100000100ull; tick++) {
			ns = clock_scale_ns(s, tick);
			assert_true(ns >= last);
			last = ns;
		}
	}
}

static void as_xen_says(void **state)
{
	/* 1 GHz: half of 2^32 after one shift to the left, or nearly all of it without. */
	assert_int_equal(clock_scale_ns((struct clock_scale){0x80000000u, 1}, 1000), 1000);
	assert_int_equal(clock_scale_ns((struct clock_scale){0x80000000u, 0}, 1000), 500);
	assert_int_equal(clock_scale_ns((struct clock_scale){0x80000000u, -1}, 1000), 250);
	assert_int_equal(clock_scale_ns((struct clock_scale){0xffffffffu, 0}, 1ull << 62),
			 (1ull << 62) - (1ull << 30));
}

/* What the count takes in ns, at least; the truncation of a kHz and of a division is below a tick each. */
static double lasts_ns(struct lapic_count c, uint64_t hz)
{
	return (double)c.count * (c.divide == LAPIC_DIVIDE_BY_128 ? 128 : 1) * 1e9 / (double)hz;
}

static void apic_counts(void **state)
{
	static const uint64_t hz[] = {1000000,    24000000,   62500000,
				      1000000000, 4000000000, 8000000000};

	for (unsigned i = 0; i < ARRAY_SIZE(hz); i++) {
		double tick = 1e9 / (double)hz[i];

		for (uint64_t ns = 0; ns < 1000 * NS_PER_S; ns = ns * 2 + 1) {
			struct lapic_count c = lapic_count_for(ns, hz[i]);

			assert_true(c.count > 0);
			if (c.count == UINT32_MAX)
				continue; /* a step on the way */
			assert_true(lasts_ns(c, hz[i]) >= (double)ns * 0.999999);
			assert_true(lasts_ns(c, hz[i]) <= (double)ns * 1.000001 + 256 * tick);
		}
		/* None is cut off before a minute. */
		assert_true(lasts_ns(lapic_count_for(UINT64_MAX, hz[i]), hz[i]) > 60e9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(apic_counts),
	    cmocka_unit_test(error_is_small),
	    cmocka_unit_test(never_back),
	    cmocka_unit_test(as_xen_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
