/* thread_test.c: threads take turns, sleep, wake, time out and end, on a processor made of C.
 *
 * Shows: order of turns, that a wake before the sleep is not lost, that a wait ends at its deadline
 * and is then on no queue, that timers run in order, and that ended threads give their memory
 * back. Why: every wait in the kernel rests on this. The real thread_switch runs here; only
 * interrupts are played: the "idle processor" moves the clock to the next timer. Expected: all
 * hold.
 *
 * links: kernel/thread.c kernel/thread_home.c kernel/timers.c tests/host/fake_processor.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fake_processor.h"
#include "kernel/thread.h"
#include "kernel/time.h"

static char trail[128];

/* ---- tests -------------------------------------------------------------------------- */

static void mark(const char *what)
{
	strncat(trail, what, sizeof(trail) - strlen(trail) - 1);
}

static void three_turns(void *ctx)
{
	int i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(fake_irqs_on, 1);
		mark(ctx);
		thread_yield();
	}
}

static void turns_in_order(void **state)
{
	trail[0] = '\0';
	thread_create("a", three_turns, (char[]){"a"});
	thread_create("b", three_turns, (char[]){"b"});
	assert_string_equal(trail, "");
	while (strlen(trail) < 9) {
		mark(".");
		thread_yield();
	}
	assert_string_equal(trail, ".ab.ab.ab");
	thread_yield();
	thread_yield();
}

static struct wait_queue queue;
static bool flag;

static void waiter(void *ctx)
{
	WAIT_UNTIL(&queue, flag);
	mark(ctx);
}

static void wake_reaches_all_in_order(void **state)
{
	trail[0] = '\0';
	flag = false;
	thread_create("1", waiter, (char[]){"1"});
	thread_create("2", waiter, (char[]){"2"});
	thread_yield();
	wait_wake(&queue);
	thread_yield();
	assert_string_equal(trail, ""); /* woken for nothing, they wait again */
	flag = true;
	wait_wake(&queue);
	thread_yield();
	assert_string_equal(trail, "12");
	WAIT_UNTIL(&queue, flag); /* true already: no sleep, nobody needs to wake */
}

static void deadline_ends_a_wait(void **state)
{
	uint64_t start = fake_now_ns;
	bool seen;

	flag = false;
	seen = WAIT_UNTIL_DEADLINE(&queue, flag, start + 500);
	assert_false(seen);
	assert_int_equal(fake_now_ns, start + 500);
	assert_null(queue.head);
	assert_null(queue.tail);
	thread_sleep_ns(1000);
	assert_int_equal(fake_now_ns, start + 1500);
	seen = WAIT_UNTIL_DEADLINE(&queue, flag, start); /* long past */
	assert_false(seen);
}

static void set_flag_later(void *ctx)
{
	thread_sleep_ns(100);
	flag = true;
	wait_wake(&queue);
}

static void a_wake_before_the_deadline(void **state)
{
	uint64_t start = fake_now_ns;
	bool seen;

	flag = false;
	thread_create("later", set_flag_later, NULL);
	seen = WAIT_UNTIL_DEADLINE(&queue, flag, start + 1000);
	assert_true(seen);
	assert_int_equal(fake_now_ns, start + 100);
	thread_sleep_ns(5000); /* the deadline's timer must not ring now */
	assert_int_equal(fake_now_ns, start + 5100);
}

/* Two sleepers time out, the one in the queue's middle first: the queue stays whole. */
static void waiter_until(void *ctx)
{
	(void)WAIT_UNTIL_DEADLINE(&queue, flag, (uint64_t)(uintptr_t)ctx);
	mark(flag ? "w" : "t");
}

static void queue_survives_time_outs(void **state)
{
	trail[0] = '\0';
	flag = false;
	thread_create("x", waiter_until, (void *)(uintptr_t)(fake_now_ns + 900));
	thread_create("y", waiter_until, (void *)(uintptr_t)(fake_now_ns + 100));
	thread_create("z", waiter_until, (void *)(uintptr_t)(fake_now_ns + 200));
	thread_yield();
	thread_sleep_ns(300);
	assert_string_equal(trail, "tt");
	thread_create("v", waiter_until, (void *)(uintptr_t)(fake_now_ns + 900));
	thread_yield();
	flag = true;
	wait_wake(&queue);
	thread_yield();
	assert_string_equal(trail, "ttww");
}

static void timer_mark(void *ctx)
{
	mark(ctx);
}

static void timers_in_order(void **state)
{
	struct timer a = {timer_mark, (char[]){"a"}}, b = {timer_mark, (char[]){"b"}},
		     c = {timer_mark, (char[]){"c"}};
	struct timer d = {timer_mark, (char[]){"d"}};

	trail[0] = '\0';
	timer_set(&a, fake_now_ns + 300);
	timer_set(&b, fake_now_ns + 100);
	timer_set(&c, fake_now_ns + 200);
	timer_set(&d, fake_now_ns + 100);
	timer_set(&a, fake_now_ns + 150); /* moved */
	timer_cancel(&c);
	timer_cancel(&c);
	assert_int_equal(fake_programmed_ns, fake_now_ns + 100);
	thread_sleep_ns(1000);
	assert_string_equal(trail, "bda");
}

static void count_threads(void *ctx, const struct thread_info *info)
{
	(*(unsigned *)ctx)++;
	if (strcmp(info->name, "main") == 0)
		assert_string_equal(info->state, "running");
	assert_true(info->stack_used_bytes <= info->stack_bytes);
}

static void nothing(void *ctx) {}

static void the_dead_are_freed(void **state)
{
	unsigned threads = 0, i;

	thread_yield();
	assert_int_equal(fake_blocks_held, 0);
	for (i = 0; i < 50; i++) {
		thread_create("short", nothing, NULL);
		thread_sleep_ns(10);
	}
	thread_for_each(count_threads, &threads);
	assert_int_equal(threads, 1);
	assert_int_equal(fake_blocks_held, 0);
	assert_int_equal(fake_irqs_on, 1);
}

/* ---- threads that are the kernel side of a program ------------------------------------- */

static char program[2];
static struct wait_queue never;

static void with_program(void *ctx)
{
	assert_int_equal(thread_stack_top() % 16, 0);
	assert_true(thread_stack_top() > (uint64_t)(uintptr_t)&ctx);
	thread_set_user(ctx);
	thread_yield();
	assert_ptr_equal(thread_user(), ctx);
	assert_ptr_equal(fake_user_loaded, ctx);
	thread_yield();
	assert_ptr_equal(fake_user_loaded, ctx);
	thread_set_user(NULL);
	thread_yield();
}

/* Each time before such a thread goes on its program is loaded; others load nothing. */
static void programs_are_loaded(void **state)
{
	fake_user_loads = 0;
	assert_null(thread_user());
	assert_false(thread_others_ready());
	thread_create("p", with_program, &program[0]);
	assert_true(thread_others_ready());
	thread_create("q", with_program, &program[1]);
	for (int i = 0; i < 6; i++)
		thread_yield();
	assert_int_equal(fake_user_loads, 4);
	assert_false(thread_others_ready());
	assert_false(WAIT_UNTIL_DEADLINE(&never, false, time_ns() + 1));
	assert_int_equal(fake_user_loads, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(turns_in_order),
	    cmocka_unit_test(wake_reaches_all_in_order),
	    cmocka_unit_test(deadline_ends_a_wait),
	    cmocka_unit_test(a_wake_before_the_deadline),
	    cmocka_unit_test(queue_survives_time_outs),
	    cmocka_unit_test(timers_in_order),
	    cmocka_unit_test(programs_are_loaded),
	    cmocka_unit_test(the_dead_are_freed),
	};

	thread_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
