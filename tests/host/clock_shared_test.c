/* clock_shared_test.c: the clock shared with a hypervisor is read in one piece.
 *
 * Shows: the line from a moment and a rate, at known rates; that a version which is odd, or another one at
 * the end than at the beginning, is read again with the TSC that belongs to it; that the rate comes back
 * from every scale; that no CPU sees a step back, whether the CPUs' clocks are one or not, and that the
 * common word is written only when they are not. Why: half of one version and half of the next is a clock
 * that jumps by days. The
 * hypervisor writes here at the worst moment there is: while the reader reads the TSC.
 *
 * links: lib/clock_scale.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kernel/clock_shared.h"

static struct vcpu_time_info info;
static uint64_t tsc;
static unsigned reads;

static uint64_t still(void)
{
	reads++;
	return tsc;
}

static void set(uint64_t stamp, uint64_t ns, uint64_t hz)
{
	struct clock_scale s = clock_scale_for(hz);

	info.tsc_timestamp = stamp;
	info.system_time = ns;
	info.tsc_to_system_mul = s.mul;
	info.tsc_shift = s.shift;
}

static void a_line(void **state)
{
	static const uint64_t rates[] = {1000000,    999999999,  1000000000,
					 2000000000, 2596120000, 5999999999};

	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		uint64_t ns, hz;

		info = (struct vcpu_time_info){.version = 2};
		set(5000, 777, rates[i]);
		tsc = 5000;
		assert_int_equal(clock_shared_ns(&info, still), 777);
		tsc = 5000 + rates[i] * 10;
		ns = clock_shared_ns(&info, still);
		assert_in_range(ns, 777 + 10 * NS_PER_S - 10000, 777 + 10 * NS_PER_S + 10000);
		hz = clock_shared_hz(&info);
		assert_in_range(hz, rates[i] - rates[i] / 1000000,
				rates[i] + rates[i] / 1000000 + 1);
	}
	info.tsc_to_system_mul = 0;
	assert_int_equal(clock_shared_hz(&info), 0);
}

/* The first reading of the TSC is interrupted by the whole of an update. */
static uint64_t updated_meanwhile(void)
{
	if (reads++ == 0) {
		info.version += 2;
		set(1000000, 5 * NS_PER_S, 1000000000);
		return 2000000;
	}
	return 1000000 + 500;
}

static void another_version_is_read_again(void **state)
{
	info = (struct vcpu_time_info){.version = 4};
	set(0, 0, 3000000000);
	reads = 0;
	assert_in_range(clock_shared_ns(&info, updated_meanwhile), 5 * NS_PER_S + 499,
			5 * NS_PER_S + 500);
	assert_int_equal(reads, 2);
}

/* The hypervisor is in the middle, and finishes while we read for the third time. */
static uint64_t finished_late(void)
{
	if (++reads == 3) {
		set(100, 42, 1000000000);
		info.version++;
	}
	return 100;
}

static void an_odd_version_is_waited_for(void **state)
{
	info = (struct vcpu_time_info){.version = 7};
	set(0, 999, 1000000000);
	reads = 0;
	assert_int_equal(clock_shared_ns(&info, finished_late), 42);
	assert_int_equal(reads, 4);
}

static void no_step_back(void **state)
{
	uint64_t all = 0, own[2] = {0};

	/* two clocks: what one CPU has read the other does not see undone */
	assert_int_equal(clock_shared_forward(false, &all, &own[0], 1000), 1000);
	assert_int_equal(clock_shared_forward(false, &all, &own[1], 990), 1000);
	assert_int_equal(clock_shared_forward(false, &all, &own[1], 1010), 1010);
	assert_int_equal(clock_shared_forward(false, &all, &own[0], 1005), 1010);
	/* one clock: nobody writes what is common, but a version's line may begin below the last */
	assert_int_equal(clock_shared_forward(true, &all, &own[0], 2000), 2000);
	assert_int_equal(clock_shared_forward(true, &all, &own[0], 1999), 2000);
	assert_int_equal(all, 1010);
	/* and before it became one, another CPU was further */
	assert_int_equal(clock_shared_forward(true, &all, &own[1], 1009), 1010);
	own[0] = 0;
	assert_int_equal(clock_shared_forward(true, &all, &own[0], 1009), 1010);
}

/* Before the clock is read for the first time: reading waits for a version, and divides by the scale. */
static void nonsense_is_no_clock(void **state)
{
	const struct vcpu_time_info good = {
	    .version = 2, .tsc_to_system_mul = 0x80000000u, .tsc_shift = 0};
	struct vcpu_time_info t = good;

	assert_true(clock_shared_plausible(&t));
	t.version = 3; /* for ever */
	assert_false(clock_shared_plausible(&t));
	t = good;
	t.tsc_to_system_mul = 0;
	assert_false(clock_shared_plausible(&t));
	t = good;
	t.tsc_shift = -56; /* 200, as a byte */
	assert_false(clock_shared_plausible(&t));
	t.tsc_shift = 32;
	assert_false(clock_shared_plausible(&t));
	t.tsc_shift = 10; /* 2 MHz */
	assert_false(clock_shared_plausible(&t));
	t.tsc_shift = -10; /* 2 THz */
	assert_false(clock_shared_plausible(&t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line),
	    cmocka_unit_test(another_version_is_read_again),
	    cmocka_unit_test(an_odd_version_is_waited_for),
	    cmocka_unit_test(no_step_back),
	    cmocka_unit_test(nonsense_is_no_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
