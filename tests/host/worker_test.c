/* worker_test.c: the worker runs each piece of work once, in order, at its time, in its own thread.
 *
 * Shows: order of arrival, delayed work by due time, cancelling of both, work that queues itself
 * again, calls from threads and from the worker itself, posting from a timer's interrupt. Why:
 * every driver's state machine is driven by this list alone. Expected: all hold.
 *
 * links: kernel/worker.c kernel/thread.c kernel/thread_home.c kernel/timers.c tests/host/fake_processor.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "fake_processor.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/worker.h"

static char trail[128];

static void mark(void *ctx)
{
	assert_true(worker_is_current());
	assert_int_equal(fake_irqs_on, 1);
	strncat(trail, ctx, sizeof(trail) - strlen(trail) - 1);
}

static struct host_work work_of(const char *letter)
{
	return (struct host_work){.fn = mark, .ctx = (void *)(uintptr_t)letter};
}

static int begin(void **state)
{
	trail[0] = '\0';
	return 0;
}

static void in_order_and_once(void **state)
{
	struct host_work a = work_of("a"), b = work_of("b"), c = work_of("c");

	host_work_soon(&a);
	host_work_soon(&b);
	host_work_soon(&a); /* queued already */
	worker_post(&c);
	worker_post(&b);
	assert_string_equal(trail, "");
	thread_yield();
	assert_string_equal(trail, "abc");
	host_work_soon(&a);
	thread_yield();
	assert_string_equal(trail, "abca");
}

static void delayed_by_due_time(void **state)
{
	struct host_work a = work_of("a"), b = work_of("b"), c = work_of("c"), d = work_of("d");
	uint64_t start = fake_now_ns;

	host_work_after(&a, 300);
	host_work_after(&b, 100);
	host_work_after(&c, 200);
	host_work_after(&d, 100);
	host_work_soon(&a); /* it is queued: stays where it is */
	thread_sleep_ns(150);
	assert_string_equal(trail, "bd");
	thread_sleep_ns(1000);
	assert_string_equal(trail, "bdca");
	assert_true(fake_now_ns >= start + 1150);
	host_work_after(&a, 0);
	thread_sleep_ns(10);
	assert_string_equal(trail, "bdcaa");
}

static void cancelled_is_not_run(void **state)
{
	struct host_work a = work_of("a"), b = work_of("b"), c = work_of("c"), d = work_of("d");

	host_work_soon(&a);
	host_work_soon(&b);
	host_work_soon(&c);
	host_work_cancel(&c);
	host_work_cancel(&a);
	host_work_cancel(&a);
	host_work_soon(&d);
	host_work_after(&c, 100);
	host_work_after(&a, 200);
	host_work_cancel(&c);
	thread_sleep_ns(1000);
	assert_string_equal(trail, "bda");
	host_work_cancel(&a);
	host_work_after(&a, 50);
	host_work_cancel(&a);
	host_work_soon(&a);
	thread_sleep_ns(1000);
	assert_string_equal(trail, "bdaa");
}

static struct host_work self;
static unsigned rounds;

static void again(void *ctx)
{
	if (++rounds < 200)
		host_work_soon(&self);
}

/* Work that never ends lets other threads run in between. */
static void itself_again(void **state)
{
	unsigned turns = 0;

	self = (struct host_work){.fn = again};
	rounds = 0;
	host_work_soon(&self);
	for (; rounds < 200; turns++)
		thread_yield();
	assert_true(turns >= 3);
}

static int add_one(void *ctx)
{
	assert_true(worker_is_current());
	return ++*(int *)ctx;
}

static int call_inside(void *ctx)
{
	return worker_call(add_one, ctx) + 100;
}

static void calls(void **state)
{
	int n = 5;

	assert_false(worker_is_current());
	assert_int_equal(worker_call(add_one, &n), 6);
	assert_int_equal(worker_call(call_inside, &n), 107);
	assert_int_equal(n, 7);
}

static struct host_work posted;

static void interrupt(void *ctx)
{
	assert_int_equal(fake_irqs_on, 0);
	worker_post(&posted);
	worker_post(&posted);
}

static void posted_by_an_interrupt(void **state)
{
	struct timer timer = {.fn = interrupt};

	posted = work_of("p");
	timer_set(&timer, fake_now_ns + 100);
	thread_sleep_ns(200);
	assert_string_equal(trail, "p");
	assert_int_equal(fake_irqs_on, 1);
}

static unsigned sendings[2], sendings_seen;

static void note_sendings(void *ctx)
{
	sendings[sendings_seen++] = fake_sendings;
}

/* What a piece of work has to tell waits for no other; after the last it is idling, or who runs next, that sees to it. */
static void peers_do_not_wait_for_the_next_piece(void **state)
{
	struct host_work a = {.fn = note_sendings}, b = {.fn = note_sendings};
	unsigned before;

	host_work_soon(&a);
	host_work_soon(&b);
	before = fake_sendings;
	thread_yield();
	assert_int_equal(sendings_seen, 2);
	assert_int_equal(sendings[0], before + 1); /* by the switch to the worker */
	assert_int_equal(sendings[1], before + 2);
	assert_int_equal(fake_sendings, before + 3); /* by the switch back */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(in_order_and_once, begin),
	    cmocka_unit_test_setup(delayed_by_due_time, begin),
	    cmocka_unit_test_setup(cancelled_is_not_run, begin),
	    cmocka_unit_test_setup(itself_again, begin),
	    cmocka_unit_test_setup(calls, begin),
	    cmocka_unit_test_setup(posted_by_an_interrupt, begin),
	    cmocka_unit_test_setup(peers_do_not_wait_for_the_next_piece, begin),
	};

	thread_init();
	worker_init();
	thread_yield();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
