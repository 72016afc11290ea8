/* host_event_test.c: an event becomes one call in the worker, and none after its port is closed.
 *
 * Shows: several upcalls before the worker runs are one call; a handler may close its own port; a
 * port that is closed with a call pending is not called; errors of the hypervisor leave nothing
 * behind. Why: a call after close would use a freed connection. The worker is real, event.h is
 * played.
 *
 * links: kernel/host_event.c kernel/worker.c kernel/thread.c kernel/thread_home.c kernel/timers.c
 * links: tests/host/fake_processor.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/event.h>
#include <amphi/host.h>
#include "fake_processor.h"
#include "kernel/host_resume.h"
#include "kernel/thread.h"
#include "kernel/worker.h"

static struct {
	event_fn *fn;
	void *ctx;
} ports[8];
static unsigned n_ports, closed, notified;
static int refuse;

static int new_port(event_fn *fn, void *ctx, port_t *out_port)
{
	if (refuse)
		return refuse;
	out_port->v = ++n_ports;
	ports[n_ports].fn = fn;
	ports[n_ports].ctx = ctx;
	return 0;
}

int event_alloc_unbound(domid_t peer, event_fn *fn, void *ctx, port_t *out_port)
{
	return new_port(fn, ctx, out_port);
}

int event_bind_interdomain(domid_t peer, uint32_t peer_port, event_fn *fn, void *ctx,
			   port_t *out_port)
{
	return new_port(fn, ctx, out_port);
}

void event_close(port_t port)
{
	closed++;
	ports[port.v].fn = NULL;
}

static bool masked[8];

void event_mask(port_t port)
{
	masked[port.v] = true;
}

void event_unmask(port_t port)
{
	masked[port.v] = false;
}

void event_notify_soon(port_t port)
{
	notified = port.v;
}

static void upcall(port_t port)
{
	fake_irqs_on = 0;
	ports[port.v].fn(ports[port.v].ctx);
	fake_irqs_on = 1;
}

static unsigned calls;
static port_t own;

static void count(void *ctx)
{
	assert_true(worker_is_current());
	assert_ptr_equal(ctx, &calls);
	calls++;
}

static int setup(void **state)
{
	n_ports = closed = calls = 0;
	refuse = 0;
	return 0;
}

static void many_upcalls_one_call(void **state)
{
	port_t port;

	assert_int_equal(host_event_offer(1, count, &calls, &port), 0);
	upcall(port);
	upcall(port);
	assert_int_equal(calls, 0);
	thread_yield();
	assert_int_equal(calls, 1);
	upcall(port);
	thread_yield();
	assert_int_equal(calls, 2);
	host_event_notify(port);
	assert_int_equal(notified, port.v);
	host_event_close(port);
	host_event_close(port);
	host_event_close(PORT_NONE);
	host_event_close((port_t){EVENT_PORTS});
	assert_int_equal(closed, 1);
}

static void nothing_after_close(void **state)
{
	port_t port;

	assert_int_equal(host_event_bind(1, 5, count, &calls, &port), 0);
	upcall(port);
	host_event_close(port);
	thread_yield();
	assert_int_equal(calls, 0);
}

static bool no_cause;

static void look(void *ctx)
{
	calls++;
	if (no_cause)
		host_event_spurious(own);
}

/* Notifies until it is not listened to any more, or often enough. How often it was heard. */
static unsigned storm(void)
{
	unsigned n = 0;

	for (; n < 20 && !masked[own.v]; n++) {
		upcall(own);
		thread_yield();
	}
	return n;
}

static void rest_ms(unsigned ms)
{
	thread_sleep_ns(ms * 1000000ull);
}

/* A peer that notifies for nothing is heard a few times, then at longer and longer intervals; one that had a
 * cause is heard at once again. */
static void a_storm_is_not_listened_to(void **state)
{
	assert_int_equal(host_event_bind(1, 5, look, NULL, &own), 0);
	no_cause = true;
	assert_int_equal(storm(), 5);
	rest_ms(1);
	assert_int_equal(storm(), 1);
	assert_true(masked[own.v]);
	for (unsigned i = 0; i < 12; i++) {
		rest_ms(65);
		assert_int_equal(storm(), 1);
	}
	rest_ms(60);
	assert_true(masked[own.v]);
	rest_ms(5);
	assert_false(masked[own.v]);
	no_cause = false;
	assert_int_equal(storm(), 20);
	no_cause = true;
	assert_int_equal(storm(), 5);
	host_event_close(own); /* the rest that is queued goes with it */
	rest_ms(65);
	host_event_spurious(own);
	host_event_spurious((port_t){EVENT_PORTS});
}

static void close_own(void *ctx)
{
	calls++;
	host_event_close(own);
}

static void a_handler_closes_its_port(void **state)
{
	assert_int_equal(host_event_bind(1, 5, close_own, NULL, &own), 0);
	upcall(own);
	thread_yield();
	assert_int_equal(calls, 1);
	assert_int_equal(closed, 1);
}

static void refusals_leave_nothing(void **state)
{
	unsigned before = fake_blocks_held;
	port_t port;

	refuse = -XEN_EINVAL;
	assert_int_equal(host_event_bind(1, 5, count, &calls, &port), -XEN_EINVAL);
	assert_int_equal(host_event_offer(1, count, &calls, &port), -XEN_EINVAL);
	assert_int_equal(fake_blocks_held, before);
}

/* A port's number may be somebody else's after a suspend. */
static void a_new_world_forgets(void **state)
{
	unsigned before = fake_blocks_held;
	port_t port, other;

	assert_int_equal(host_event_offer(1, count, &calls, &port), 0);
	upcall(port);
	host_event_forget();
	assert_int_equal(fake_blocks_held, before);
	assert_int_equal(closed, 0);
	thread_yield();
	assert_int_equal(calls, 0);
	host_event_close(port);
	assert_int_equal(closed, 0);
	n_ports = 0;
	assert_int_equal(host_event_offer(1, count, &calls, &other), 0);
	assert_int_equal(other.v, port.v);
	host_event_close(other);
	assert_int_equal(closed, 1);
}

/* ---- waiting ---- */

static int waited;

static int wait_for_own(void *ctx)
{
	waited = 1;
	waited = host_event_wait(own, *(const uint64_t *)ctx);
	return waited;
}

static void wait_work(void *ctx)
{
	(void)wait_for_own(ctx);
}

/* The worker sleeps until the other end notifies, and its handler is called all the same. A notification that came before
 * the wait is the one that was waited for; time ends it too. */
static void the_worker_waits(void **state)
{
	uint64_t timeout_ns = 50000000, before;
	struct host_work work = {.fn = wait_work, .ctx = &timeout_ns};

	assert_int_equal(host_event_bind(1, 5, count, &calls, &own), 0);
	worker_post(&work);
	thread_yield();
	assert_int_equal(waited, 1);
	upcall(own);
	assert_int_equal(calls, 0);
	thread_yield();
	thread_yield();
	assert_int_equal(waited, 0);
	assert_int_equal(calls, 1);
	before = fake_now_ns;
	assert_int_equal(worker_call(wait_for_own, &timeout_ns), -XEN_ETIMEDOUT);
	assert_true(fake_now_ns - before >= timeout_ns);
	upcall(own);
	before = fake_now_ns;
	assert_int_equal(worker_call(wait_for_own, &timeout_ns), 0);
	assert_int_equal(fake_now_ns, before);
	host_event_close(own);
	assert_int_equal(worker_call(wait_for_own, &timeout_ns), -XEN_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(many_upcalls_one_call, setup),
	    cmocka_unit_test_setup(nothing_after_close, setup),
	    cmocka_unit_test_setup(a_storm_is_not_listened_to, setup),
	    cmocka_unit_test_setup(a_handler_closes_its_port, setup),
	    cmocka_unit_test_setup(refusals_leave_nothing, setup),
	    cmocka_unit_test_setup(a_new_world_forgets, setup),
	    cmocka_unit_test_setup(the_worker_waits, setup),
	};

	thread_init();
	worker_init();
	thread_yield();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
