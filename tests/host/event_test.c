/* event_test.c: event channels reach the handler they were bound to, once they are unmasked, and none is
 * lost.
 *
 * Shows: binds of every kind ask the hypervisor rightly and unmask; an upcall calls exactly the handlers
 * of pending, unmasked ports; an event while masked is delivered at unmask; a closed port's handler is
 * never called; a port without a handler is silenced; errors and a port beyond the table come back as
 * errors and leave nothing bound; a port of another vCPU is that one's to take, and the hypervisor's to
 * unmask. Why: a lost event is a disk request that never ends.
 *
 * links: hypercall/event.c hypercall/event_hold.c hypercall/count.c tests/host/fake_hypercall.c tests/host/fake_percpu.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/event.h>
#include <amphi/hypercall.h>
#include "fake_hypercall.h"
#include "fake_percpu.h"

static struct shared_info shared;
static uint32_t next_port, last_cmd, last_sent, last_closed, last_unmasked;
static int64_t answer;
static uint32_t last_peer, last_virq, last_pirq, last_vcpu, vcpu_of[EVENT_PORTS];

static bool is_masked(uint32_t port)
{
	return shared.evtchn_mask[port / 64] >> port % 64 & 1;
}

/* What the hypervisor does when somebody notifies. */
static void raise_event(uint32_t port)
{
	shared.evtchn_pending[port / 64] |= 1ul << port % 64;
	if (shared.evtchn_mask[port / 64] >> port % 64 & 1)
		return;
	fake_cpus[vcpu_of[port]].vcpu_info.evtchn_pending_sel |= 1ul << port / 64;
	fake_cpus[vcpu_of[port]].vcpu_info.evtchn_upcall_pending = 1;
}

static void do_bind(unsigned cmd, void *arg)
{
	switch (cmd) {
	case EVTCHNOP_bind_virq:
		last_virq = ((struct evtchn_bind_virq *)arg)->virq;
		last_vcpu = ((struct evtchn_bind_virq *)arg)->vcpu;
		((struct evtchn_bind_virq *)arg)->port = next_port;
		break;
	case EVTCHNOP_bind_ipi:
		last_vcpu = ((struct evtchn_bind_ipi *)arg)->vcpu;
		((struct evtchn_bind_ipi *)arg)->port = next_port;
		break;
	case EVTCHNOP_bind_vcpu:
		last_vcpu = ((struct evtchn_bind_vcpu *)arg)->vcpu;
		break;
	case EVTCHNOP_bind_pirq:
		last_pirq = ((struct evtchn_bind_pirq *)arg)->pirq;
		((struct evtchn_bind_pirq *)arg)->port = next_port;
		break;
	case EVTCHNOP_bind_interdomain:
		last_peer = ((struct evtchn_bind_interdomain *)arg)->remote_dom;
		((struct evtchn_bind_interdomain *)arg)->local_port = next_port;
		break;
	case EVTCHNOP_alloc_unbound:
		last_peer = ((struct evtchn_alloc_unbound *)arg)->remote_dom;
		((struct evtchn_alloc_unbound *)arg)->port = next_port;
		break;
	}
}

/* As the hypervisor does it: only when the mask was set is what pends told to the vCPU. */
static void do_unmask(uint32_t port)
{
	bool was_masked = is_masked(port);

	last_unmasked = port;
	shared.evtchn_mask[port / 64] &= ~(1ul << port % 64);
	if (was_masked && shared.evtchn_pending[port / 64] >> port % 64 & 1)
		raise_event(port);
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	void *arg = (void *)(uintptr_t)a2;

	assert_int_equal(nr, __HYPERVISOR_event_channel_op);
	last_cmd = (uint32_t)a1;
	if (a1 == EVTCHNOP_send)
		last_sent = ((struct evtchn_send *)arg)->port;
	else if (a1 == EVTCHNOP_close)
		last_closed = ((struct evtchn_close *)arg)->port;
	else if (a1 == EVTCHNOP_unmask)
		do_unmask(((struct evtchn_unmask *)arg)->port);
	else if (answer == 0)
		do_bind((unsigned)a1, arg);
	return answer;
}

static unsigned calls[3];

static void count_call(void *ctx)
{
	++*(unsigned *)ctx;
}

static int fresh(void **state)
{
	memset(&shared, 0, sizeof(shared));
	memset(calls, 0, sizeof(calls));
	memset(vcpu_of, 0, sizeof(vcpu_of));
	for (unsigned i = 0; i < FAKE_CPUS; i++)
		fake_cpus[i].vcpu_info = (struct vcpu_info){.evtchn_upcall_mask = 1};
	fake_cpu_run_on(0);
	next_port = 5;
	answer = 0;
	event_init(&shared);
	return 0;
}

static port_t bind_at(uint32_t port, unsigned i)
{
	port_t p;

	next_port = port;
	assert_int_equal(event_alloc_unbound(7, count_call, &calls[i], &p), 0);
	assert_int_equal(p.v, port);
	return p;
}

/* Runs first: event_init has not been called. */
static void natively_there_are_none(void **state)
{
	port_t p;

	assert_int_equal(event_bind_virq(0, count_call, &calls[0], &p), -XEN_ENOSYS);
	assert_int_equal(event_adopt((port_t){3}, count_call, NULL), -XEN_ENOSYS);
	assert_false(event_pending());
	event_close((port_t){3});
}

static void every_bind(void **state)
{
	port_t p;

	assert_true(is_masked(5));
	assert_int_equal(event_bind_virq(VIRQ_TIMER, count_call, &calls[0], &p), 0);
	assert_int_equal(p.v, 5);
	assert_false(is_masked(5));
	next_port = 6;
	assert_int_equal(event_bind_interdomain(9, 33, count_call, &calls[0], &p), 0);
	assert_int_equal(last_peer, 9);
	next_port = 7;
	assert_int_equal(event_bind_pirq(16, false, count_call, &calls[0], &p), 0);
	assert_int_equal(last_pirq, 16);
	assert_int_equal(event_bound(), 3);
	for (uint32_t port = 5; port < 8; port++)
		event_close((port_t){port});
	assert_int_equal(event_bound(), 0);
	assert_int_equal(last_closed, 7);
	assert_true(is_masked(7));
}

static void an_upcall_calls_who_is_meant(void **state)
{
	port_t a = bind_at(3, 0), b = bind_at(700, 1), c = bind_at(701, 2);

	raise_event(a.v);
	raise_event(c.v);
	assert_true(event_pending());
	event_dispatch();
	assert_int_equal(calls[0], 1);
	assert_int_equal(calls[1], 0);
	assert_int_equal(calls[2], 1);
	assert_false(event_pending());
	event_dispatch();
	assert_int_equal(calls[0], 1);
	assert_int_equal(shared.evtchn_pending[0] | shared.evtchn_pending[10], 0);
	event_close(a), event_close(b), event_close(c);
}

static void an_event_while_masked_is_kept(void **state)
{
	port_t a = bind_at(70, 0), beside = bind_at(71, 1);

	event_mask(a);
	raise_event(a.v);
	raise_event(beside.v); /* has the same word looked at */
	event_dispatch();
	assert_int_equal(calls[0], 0);
	assert_int_equal(calls[1], 1);
	last_unmasked = 0;
	event_unmask(a);
	assert_true(event_pending());
	assert_int_equal(last_unmasked, 0); /* upcalls are off: the bits are enough */
	event_dispatch();
	assert_int_equal(calls[0], 1);
	/* with upcalls on the hypervisor must be asked to look */
	event_mask(a);
	raise_event(a.v);
	fake_cpus[0].vcpu_info.evtchn_upcall_mask = 0;
	event_unmask(a);
	assert_int_equal(last_unmasked, 70);
	event_close(a), event_close(beside);
}

/* What its builder sent it before it looked is there when it looks. */
static void a_new_world_knows_none(void **state)
{
	port_t a = bind_at(20, 0);

	bind_at(21, 1);
	shared.evtchn_pending[0] = 1ul << 22;
	last_closed = 0;
	event_forget();
	assert_int_equal(event_bound(), 0);
	assert_true(is_masked(20) && is_masked(21) && is_masked(22));
	assert_int_equal(last_closed, 0); /* they may be somebody else's by now */
	event_unmask(a);
	raise_event(a.v);
	event_dispatch();
	assert_int_equal(calls[0], 0);
	assert_int_equal(event_adopt((port_t){22}, count_call, &calls[2]), 0);
	event_dispatch();
	assert_int_equal(calls[2], 1);
	event_close((port_t){22});
}

static void each_vcpu_takes_its_own(void **state)
{
	port_t a = bind_at(30, 0), ipi, timer;

	next_port = 31;
	assert_int_equal(event_bind_ipi(1, count_call, &calls[1], &ipi), 0);
	assert_int_equal(last_vcpu, 1);
	next_port = 32;
	assert_int_equal(event_bind_virq_of(2, VIRQ_TIMER, count_call, &calls[2], &timer), 0);
	assert_int_equal(last_vcpu, 2);
	vcpu_of[31] = 1, vcpu_of[32] = 2;
	raise_event(ipi.v);
	event_dispatch();
	assert_false(event_pending());
	assert_int_equal(calls[1], 0); /* it is not here that it pends */
	raise_event(a.v);
	event_dispatch(); /* now its word is looked at here, and still it is the other's */
	assert_int_equal(calls[0], 1);
	assert_int_equal(calls[1], 0);
	fake_cpu_run_on(1);
	assert_true(event_pending());
	event_dispatch();
	assert_int_equal(calls[1], 1);
	fake_cpu_run_on(2);
	raise_event(timer.v);
	event_dispatch();
	assert_int_equal(calls[2], 1);
	fake_cpu_run_on(0);
	event_close(a), event_close(ipi), event_close(timer);
}

/* Its mask bit must be left to the hypervisor: it looks at the pending bit only when it finds the mask
 * set. */
static void a_port_of_another_vcpu_is_unmasked_there(void **state)
{
	port_t ipi;

	next_port = 31;
	last_unmasked = 0;
	vcpu_of[31] = 1;
	shared.evtchn_pending[0] = 1ul << 31; /* it came before there was a handler */
	assert_int_equal(event_bind_ipi(1, count_call, &calls[1], &ipi), 0);
	assert_int_equal(last_unmasked, 31);
	assert_false(event_pending());
	fake_cpu_run_on(1);
	event_dispatch();
	assert_int_equal(calls[1], 1);
	fake_cpu_run_on(0);
	event_close(ipi);
}

static void a_port_moves(void **state)
{
	port_t a = bind_at(40, 0);

	last_unmasked = 0;
	assert_int_equal(event_move(a, 2), 0);
	assert_int_equal(last_vcpu, 2);
	assert_int_equal(last_unmasked, 40);
	vcpu_of[40] = 2;
	raise_event(a.v);
	event_dispatch();
	assert_int_equal(calls[0], 0);
	fake_cpu_run_on(2);
	event_dispatch();
	assert_int_equal(calls[0], 1);
	/* back; refused while it is masked, it stays both */
	event_mask(a);
	answer = -XEN_EINVAL;
	last_unmasked = 0;
	assert_int_equal(event_move(a, 0), -XEN_EINVAL);
	assert_int_equal(last_unmasked, 0);
	assert_true(is_masked(40));
	answer = 0;
	assert_int_equal(event_move(PORT_NONE, 0), -XEN_EINVAL);
	event_close(a);
	/* the number's next owner begins with vCPU 0 */
	fake_cpu_run_on(0);
	a = bind_at(40, 0);
	assert_false(is_masked(40));
	event_close(a);
}

/* The handler of one notifies the other: as when the hypervisor raises it during the upcall. */
static void raise_other(void *ctx)
{
	calls[0]++;
	raise_event(90);
}

static void an_event_during_the_upcall_is_seen(void **state)
{
	port_t a = bind_at(200, 0), b = bind_at(90, 1);

	event_set_handler(a, raise_other, NULL);
	raise_event(a.v);
	event_dispatch();
	assert_int_equal(calls[0], 1);
	assert_int_equal(calls[1], 1);
	event_close(a), event_close(b);
}

static void nobody_home(void **state)
{
	port_t a = bind_at(11, 0);

	event_close(a);
	/* as if the peer's last notification came after all */
	shared.evtchn_mask[0] = 0;
	raise_event(11);
	event_dispatch();
	assert_int_equal(calls[0], 0);
	assert_true(is_masked(11)); /* silenced */
	assert_int_equal(shared.evtchn_pending[0], 0);
}

static void refusals(void **state)
{
	port_t p = {99};

	answer = -XEN_ENOSPC;
	assert_int_equal(event_bind_virq(1, count_call, &calls[0], &p), -XEN_ENOSPC);
	answer = 0;
	next_port = EVENT_PORTS;
	last_closed = 0;
	assert_int_equal(event_alloc_unbound(7, count_call, &calls[0], &p), -XEN_ENOSPC);
	assert_int_equal(last_closed, EVENT_PORTS); /* given back */
	assert_int_equal(p.v, 99);
	assert_int_equal(event_adopt(PORT_NONE, count_call, NULL), -XEN_EINVAL);
	assert_int_equal(event_bound(), 0);
}

static void notify_and_counts(void **state)
{
	uint64_t sent = event_sent(), calls_made = hypercall_count(__HYPERVISOR_event_channel_op);
	uint32_t port;

	event_notify((port_t){44});
	assert_int_equal(last_sent, 44);
	assert_int_equal(event_sent(), sent + 1);
	assert_int_equal(hypercall_count(__HYPERVISOR_event_channel_op), calls_made + 1);
	assert_int_equal(event_alloc_for(3, 4, &port), 0);
	assert_int_equal(last_peer, 4);
	assert_string_equal(hypercall_name(__HYPERVISOR_event_channel_op), "event_channel_op");
	assert_null(hypercall_name(7777));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(natively_there_are_none),
	    cmocka_unit_test_setup(every_bind, fresh),
	    cmocka_unit_test_setup(an_upcall_calls_who_is_meant, fresh),
	    cmocka_unit_test_setup(an_event_while_masked_is_kept, fresh),
	    cmocka_unit_test_setup(a_new_world_knows_none, fresh),
	    cmocka_unit_test_setup(each_vcpu_takes_its_own, fresh),
	    cmocka_unit_test_setup(a_port_of_another_vcpu_is_unmasked_there, fresh),
	    cmocka_unit_test_setup(a_port_moves, fresh),
	    cmocka_unit_test_setup(an_event_during_the_upcall_is_seen, fresh),
	    cmocka_unit_test_setup(nobody_home, fresh),
	    cmocka_unit_test_setup(refusals, fresh),
	    cmocka_unit_test_setup(notify_and_counts, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
