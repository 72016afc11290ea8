/* clock_check_test.c: the check finds the clock that steps back, and lets the one pass that does not.
 *
 * Shows: with threads as CPUs, one clock for all gives no step back; a CPU whose clock is behind the others' is
 * found, with the size of the step; a clock that stands still, or
 * goes backwards all the time, ends the turn. Why: a check that never complains looks like a good clock.
 *
 * links: kernel/clock_check.c
 */
#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/clock_check.h"

#define THREADS 4
#define BEHIND  1000000000ull

static uint64_t common;
static __thread uint64_t behind;

/* A counter that every reading moves: as strict as a clock can be. */
static uint64_t one_clock(void)
{
	return BEHIND * 2 + __atomic_fetch_add(&common, 1, __ATOMIC_SEQ_CST) - behind;
}

static struct clock_check check;
static pthread_barrier_t start;

static void *turn(void *nothing)
{
	pthread_barrier_wait(&start);
	clock_check_turn(&check);
	return NULL;
}

static void one_clock_for_all(void **state)
{
	pthread_t threads[THREADS];

	check = (struct clock_check){.read = one_clock, .length = 200000};
	common = 0;
	pthread_barrier_init(&start, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, turn, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&start);
	assert_int_equal(check.back, 0);
	assert_int_equal(check.most_back, 0);
	assert_true(check.readings > 1000);
	assert_true(check.latest > BEHIND * 2);
}

/* One after the other, so that it does not depend on who the machine runs when. */
static void one_is_behind(void **state)
{
	check = (struct clock_check){.read = one_clock, .length = 1000};
	common = 0;
	behind = 0;
	clock_check_turn(&check);
	assert_int_equal(check.back, 0);
	behind = BEHIND;
	clock_check_turn(&check);
	assert_true(check.back > 0);
	assert_true(check.most_back > BEHIND / 2 && check.most_back <= BEHIND);
}

static uint64_t falling = 1000000;

static uint64_t backwards(void)
{
	return falling -= 10;
}

/* The first reading of the turn is the start; each later one is behind the latest, which ends the turn only
 * when the latest is a turn's length ahead: it is set so here. */
static void backwards_all_the_time(void **state)
{
	check = (struct clock_check){.read = backwards, .length = 50, .latest = 2000000};
	clock_check_turn(&check);
	assert_int_equal(check.readings, 1);
	assert_int_equal(check.back, 1);
	assert_int_equal(check.most_back, 2000000 - 999980);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_clock_for_all),
	    cmocka_unit_test(one_is_behind),
	    cmocka_unit_test(backwards_all_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
