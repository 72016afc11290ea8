/* suspend_order_test.c: a suspend that stops anywhere leaves things as they were, and the way back is the way there.
 *
 * Shows: steps are taken in order and taken back in reverse, each told how it ended; whichever step refuses, or
 * the call itself, exactly those that were taken are taken back, the reason is the one that was given, and no
 * later step is touched; steps without a function on one of the ways are passed. Why: this is the part of a
 * suspend that happens seldom and must be right the first time.
 *
 * links: kernel/suspend_order.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/suspend.h"

static char story[128];
static int refuser;
static int64_t answer;

static const char *stop(int step)
{
	if (step == refuser)
		return "it will not";
	sprintf(story + strlen(story), "s%d ", step);
	return NULL;
}

static void go_on(int step, enum suspend_end end)
{
	sprintf(story + strlen(story), "%c%d ", end == SUSPEND_NEW_WORLD ? 'n' : 'g', step);
}

static int64_t leave(void)
{
	strcat(story, "leave ");
	return answer;
}

#define STEP(n)                                                                                    \
	static const char *stop_##n(void)                                                          \
	{                                                                                          \
		return stop(n);                                                                    \
	}                                                                                          \
	static void go_on_##n(enum suspend_end end)                                                \
	{                                                                                          \
		go_on(n, end);                                                                     \
	}
STEP(0)
STEP(1)
STEP(2)

static const struct suspend_step steps[] = {
    {"zero", stop_0, go_on_0},
    {"one", stop_1, go_on_1},
    {"two", stop_2, go_on_2},
};

static struct suspend_report run(int who_refuses, int64_t what_is_answered)
{
	story[0] = '\0';
	refuser = who_refuses;
	answer = what_is_answered;
	return suspend_run(steps, 3, leave);
}

static void there_and_back(void **state)
{
	struct suspend_report r = run(-1, 0);

	assert_string_equal(story, "s0 s1 s2 leave n2 n1 n0 ");
	assert_int_equal(r.end, SUSPEND_NEW_WORLD);
	assert_null(r.why);
	r = run(-1, 1);
	assert_string_equal(story, "s0 s1 s2 leave g2 g1 g0 ");
	assert_int_equal(r.end, SUSPEND_SAME_WORLD);
	assert_null(r.why);
}

static void any_step_may_refuse(void **state)
{
	static const char *const told[] = {"", "s0 g0 ", "s0 s1 g1 g0 "};

	for (int i = 0; i < 3; i++) {
		struct suspend_report r = run(i, 0);

		assert_string_equal(story, told[i]);
		assert_string_equal(r.step, steps[i].name);
		assert_string_equal(r.why, "it will not");
		assert_int_equal(r.end, SUSPEND_SAME_WORLD);
	}
}

static void the_call_may_fail(void **state)
{
	struct suspend_report r = run(-1, -38);

	assert_string_equal(story, "s0 s1 s2 leave g2 g1 g0 ");
	assert_non_null(r.why);
	assert_int_equal(r.end, SUSPEND_SAME_WORLD);
}

static void steps_may_have_one_way_only(void **state)
{
	static const struct suspend_step half[] = {
	    {"zero", stop_0, NULL}, {"one", NULL, go_on_1}, {"two", NULL, NULL}};

	story[0] = '\0';
	refuser = -1;
	answer = 0;
	assert_null(suspend_run(half, 3, leave).why);
	assert_string_equal(story, "s0 leave n1 ");
	story[0] = '\0';
	assert_null(suspend_run(half, 0, leave).why);
	assert_string_equal(story, "leave ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(there_and_back),
	    cmocka_unit_test(any_step_may_refuse),
	    cmocka_unit_test(the_call_may_fail),
	    cmocka_unit_test(steps_may_have_one_way_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
