/* thread_cpus_test.c: threads and timers of several CPUs, on processors that are played in turn.
 *
 * Shows: a thread runs on its CPU and nowhere else, and that CPU is kicked when it must be; programs go to the CPU
 * with the fewest, and from a busy one to an idle one, whose registers are saved first and which is never the
 * one that is stood upon; a CPU that leaves ends in its idle thread, its sleepers and timers go on elsewhere, and
 * it may come back; a timer fires where it was set, and is cancelled from anywhere. Why: a thread that two CPUs run,
 * or none, is found long after. Expected: all hold.
 *
 * links: kernel/thread.c kernel/thread_home.c kernel/timers.c tests/host/fake_processor.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/percpu.h>
#include "fake_processor.h"
#include "kernel/thread.h"
#include "kernel/time.h"

static char trail[128];
static struct wait_queue queue;
static bool flag;

/* Where it runs, too. */
static void mark(const char *what)
{
	size_t len = strlen(trail);

	snprintf(trail + len, sizeof(trail) - len, "%s%u ", what, this_cpu()->cpu);
}

static void mark_once(void *ctx)
{
	mark(ctx);
}

static void mark_when_flag(void *ctx)
{
	mark(ctx);
	WAIT_UNTIL(&queue, flag);
	mark(ctx);
}

static void mark_after_sleep(void *ctx)
{
	thread_sleep_ns(1000);
	mark(ctx);
}

static void start(unsigned cpu)
{
	void *stack = thread_cpu_prepare(cpu);

	assert_non_null(stack);
	fake_cpu_start(cpu, stack);
}

static void stop(unsigned cpu)
{
	unsigned before = fake_gone[cpu];

	thread_cpu_close(cpu);
	fake_cpu_step(cpu);
	assert_int_equal(fake_gone[cpu], before + 1);
	thread_cpu_take(cpu);
	timers_take(cpu);
}

static int begin(void **state)
{
	trail[0] = '\0';
	flag = false;
	fake_user_leaves = 0;
	memset(fake_kicks, 0, sizeof(fake_kicks));
	start(1);
	start(2);
	return 0;
}

static void count_all(void *ctx, const struct thread_info *info)
{
	*(unsigned *)ctx += !info->idle;
}

/* No thread is left, wherever it was. */
static int end(void **state)
{
	unsigned n = 0;

	stop(1);
	stop(2);
	thread_yield();
	thread_for_each(count_all, &n);
	assert_int_equal(n, 1);
	return 0;
}

static void a_thread_stays_where_it_is(void **state)
{
	assert_null(thread_create_on(3, "none", mark_once, (char[]){"x"}));
	assert_null(thread_create_on(CPUS_MAX, "none", mark_once, (char[]){"x"}));
	thread_create_on(1, "a", mark_when_flag, (char[]){"a"});
	assert_int_equal(fake_kicks[1], 1);
	thread_yield();
	assert_string_equal(trail, "");
	fake_cpu_step(1);
	assert_string_equal(trail, "a1 ");
	flag = true;
	wait_wake(&queue);
	assert_int_equal(fake_kicks[1], 2);
	thread_yield();
	fake_cpu_step(2);
	assert_string_equal(trail, "a1 ");
	fake_cpu_step(1);
	assert_string_equal(trail, "a1 a1 ");
	thread_create("b", mark_once, (char[]){"b"}); /* the kernel's own, made anywhere: CPU 0 */
	assert_int_equal(fake_kicks[0], 0);
	thread_yield();
	assert_string_equal(trail, "a1 a1 b0 ");
	assert_true(thread_cpu_switches(1) >= 4);
}

/* Who finds its CPU's queue not empty need not kick again, unless it cannot wait for a slice's end. */
static void kicks_that_are_needed(void **state)
{
	thread_create_on(1, "a", mark_once, (char[]){"a"});
	thread_create_on(1, "b", mark_once, (char[]){"b"});
	assert_int_equal(fake_kicks[1], 2);
	thread_create_movable("p", mark_once, (char[]){"p"}); /* 0 */
	thread_create_movable("q", mark_once, (char[]){"q"}); /* 1: somebody is in the queue */
	assert_int_equal(fake_kicks[1], 2);
	thread_create_movable("r", mark_once, (char[]){"r"}); /* 2 */
	assert_int_equal(fake_kicks[2], 1);
	thread_yield();
	fake_cpu_step(1);
	fake_cpu_step(2);
	assert_string_equal(trail, "p0 a1 b1 q1 r2 ");
}

static char programs[4];

static void program(void *ctx)
{
	thread_set_user(ctx);
	mark(ctx == &programs[0] ? "p" : "q");
	thread_yield();
	mark(ctx == &programs[0] ? "p" : "q");
	thread_set_user(NULL);
}

/* Nobody is idle; then somebody is, and gets the one that does not run. */
static void a_busy_cpu_gives(void **state)
{
	thread_create_on(1, "busy", mark_when_flag, (char[]){"x"});
	thread_create_on(2, "busy", mark_when_flag, (char[]){"y"});
	thread_create_movable("p", program, &programs[0]); /* 0 */
	thread_create_movable("q", program, &programs[1]); /* 1 */
	thread_create_movable("r", program, &programs[2]); /* 2 */
	thread_create_movable("q", program, &programs[1]); /* 0 */
	thread_yield();
	assert_string_equal(trail, "p0 q0 ");
	thread_balance(); /* the other two have threads and were not played: they do not idle since */
	fake_cpu_step(1);
	fake_cpu_step(2);
	trail[0] = '\0';
	fake_user_leaves = 0;
	thread_balance(); /* both are idle, and both programs of ours are ready */
	assert_int_equal(fake_user_leaves, 2);
	assert_false(thread_others_ready());
	thread_balance();
	fake_cpu_step(1);
	fake_cpu_step(2);
	assert_string_equal(trail, "p1 q2 ");
	flag = true;
	wait_wake(&queue);
	fake_cpu_step(1);
	fake_cpu_step(2);
}

static void balance(void *ctx)
{
	thread_balance();
}

static void leap(void *ctx)
{
	fake_now_ns += 1000;
}

/* CPU 0 idles on the stack of the last that waited. When that one is ready again it is in the queue, and is
 * nobody's to take. The leap makes one interrupt of its deadline and of the look for somebody to give. */
static void never_the_one_that_is_stood_upon(void **state)
{
	struct timer later = {.fn = balance}, first = {.fn = leap};

	thread_create_movable("p", mark_after_sleep, (char[]){"p"}); /* 0 */
	timer_set(&first, fake_now_ns + 500);
	timer_set(&later, fake_now_ns + 1001);
	thread_sleep_ns(5000);
	fake_cpu_step(1);
	fake_cpu_step(2);
	assert_string_equal(trail, "p0 ");
}

/* Sleepers of a CPU that leaves: a kernel thread comes here, programs are spread; their deadlines hold. One
 * that was woken and had not run yet runs here. */
static void a_cpu_leaves(void **state)
{
	uint64_t from = fake_now_ns;

	thread_create_on(1, "k", mark_after_sleep, (char[]){"k"});
	thread_create_movable("p", mark_after_sleep, (char[]){"p"}); /* 0 */
	thread_create_movable("q", mark_after_sleep, (char[]){"q"}); /* 1 */
	thread_create_movable("r", mark_after_sleep, (char[]){"r"}); /* 2 */
	thread_create_on(1, "w", mark_when_flag, (char[]){"w"});
	fake_cpu_step(1);
	fake_cpu_step(2);
	assert_true(fake_programmed_on[1] == from + 1000);
	flag = true;
	wait_wake(&queue);
	stop(1);
	thread_sleep_ns(2000);
	/* q: the others had as many programs, and the first of them is CPU 0. */
	assert_string_equal(trail, "w1 w0 k0 q0 p0 ");
	time_interrupt();
	fake_cpu_step(2);
	assert_string_equal(trail, "w1 w0 k0 q0 p0 "); /* its own timer has not rung */
	stop(2);
	thread_sleep_ns(1);
	assert_string_equal(trail, "w1 w0 k0 q0 p0 r0 ");
	start(1);
	start(2);
}

static void a_cpu_comes_back(void **state)
{
	void *before = thread_cpu_prepare(1);

	for (int i = 0; i < 3; i++) {
		stop(1);
		thread_yield();
		assert_null(thread_create_on(1, "a", mark_once, (char[]){"x"}));
		start(1);
		thread_create_on(1, "a", mark_once, (char[]){"a"});
		fake_cpu_step(1);
	}
	assert_string_equal(trail, "a1 a1 a1 ");
	assert_ptr_equal(thread_cpu_prepare(1), before);
}

/* ---- timers ------------------------------------------------------------------------------- */

static unsigned rung;

static void ring(void *ctx)
{
	rung++;
}

static struct timer theirs = {.fn = ring};

static void set_theirs(void *ctx)
{
	timer_set(&theirs, fake_now_ns + 100);
	WAIT_UNTIL(&queue, flag);
	time_interrupt();
}

static void timers_of_a_cpu(void **state)
{
	struct timer ours = {.fn = ring};

	rung = 0;
	thread_create_on(1, "t", set_theirs, NULL);
	fake_cpu_step(1);
	assert_true(fake_programmed_on[1] == fake_now_ns + 100);
	timer_set(&ours, fake_now_ns + 50);
	fake_now_ns += 200;
	time_interrupt();
	assert_int_equal(rung, 1);
	assert_true(theirs.queued);
	flag = true;
	wait_wake(&queue);
	fake_cpu_step(1);
	assert_int_equal(rung, 2);
	assert_false(theirs.queued);
}

static void cancelled_and_moved_from_elsewhere(void **state)
{
	rung = 0;
	thread_create_on(1, "t", set_theirs, NULL);
	fake_cpu_step(1);
	timer_cancel(&theirs);
	assert_false(theirs.queued);
	flag = true;
	wait_wake(&queue);
	fake_now_ns += 200;
	fake_cpu_step(1);
	assert_int_equal(rung, 0);
	flag = false;
	thread_create_on(1, "t", set_theirs, NULL);
	fake_cpu_step(1);
	timer_set(&theirs, fake_now_ns + 10);
	fake_now_ns += 10;
	time_interrupt();
	assert_int_equal(rung, 1);
	flag = true;
	wait_wake(&queue);
	fake_now_ns += 200;
	fake_cpu_step(1);
	assert_int_equal(rung, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_thread_stays_where_it_is, begin, end),
	    cmocka_unit_test_setup_teardown(kicks_that_are_needed, begin, end),
	    cmocka_unit_test_setup_teardown(a_busy_cpu_gives, begin, end),
	    cmocka_unit_test_setup_teardown(never_the_one_that_is_stood_upon, begin, end),
	    cmocka_unit_test_setup_teardown(a_cpu_leaves, begin, end),
	    cmocka_unit_test_setup_teardown(a_cpu_comes_back, begin, end),
	    cmocka_unit_test_setup_teardown(timers_of_a_cpu, begin, end),
	    cmocka_unit_test_setup_teardown(cancelled_and_moved_from_elsewhere, begin, end),
	};

	thread_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
