/* hv_event_test.c: event channels keep their promises to both ends.
 *
 * Shows: binding, sending, masking, closing and moving of every kind of channel; who is woken and
 * who is not; polls; what an end that is gone leaves behind; what is refused. Why: a lost event
 * hangs a driver, an event too many on a reused port confuses one, and a port named wrongly must
 * harm nobody. Expected: all hold, and every page is back at the end.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c lib/printf.c lib/text.c
 * links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c
 * links: hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c
 * links: hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c
 * links: hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c
 * links: hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c
 * links: hypervisor/frame.c lib/heap.c hypervisor/page_type.c hypervisor/pte.c
 * links: hypervisor/mm_domain.c hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c
 * links: hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c
 * links: hypervisor/memory_op.c hypervisor/memory_exchange.c
 * links: hypervisor/event_2l.c hypervisor/event_fifo.c
 * links: hypervisor/grant_entry.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv_fake.h"

static struct domain *dom0, *guest;
static uint64_t free_before;

static int setup(void **state)
{
	free_before = fake_free_pages();
	dom0 = fake_domain(1, 64);
	guest = fake_domain(2, 64);
	fake.wakes = 0;
	fake.pirqs_bound = 0;
	return 0;
}

static int teardown(void **state)
{
	fake_domain_end(guest);
	fake_domain_end(dom0);
	return fake_free_pages() == free_before && !fake.pirqs_bound ? 0 : -1;
}

/* ---- words for what follows ------------------------------------------------------------ */

static long op(unsigned cmd, void *arg, size_t size)
{
	uint64_t va = fake_put(0, arg, size);
	long result = hc_event_channel_op(cmd, va);

	memcpy(arg, fake_guest_ptr(va), size);
	return result;
}
#define OP(cmd, arg) op(EVTCHNOP_##cmd, &(arg), sizeof(arg))

static long offer(struct domain *self, domid_t dom, domid_t peer, uint32_t *port)
{
	struct evtchn_alloc_unbound a = {.dom = dom, .remote_dom = peer};
	long result;

	fake_run(self->vcpu[0]);
	result = OP(alloc_unbound, a);
	*port = a.port;
	return result;
}

static long bind(struct domain *self, domid_t peer, uint32_t remote, uint32_t *port)
{
	struct evtchn_bind_interdomain a = {.remote_dom = peer, .remote_port = remote};
	long result;

	fake_run(self->vcpu[0]);
	result = OP(bind_interdomain, a);
	*port = a.local_port;
	return result;
}

static long bind_virq(struct domain *self, uint32_t virq, uint32_t vcpu, uint32_t *port)
{
	struct evtchn_bind_virq a = {.virq = virq, .vcpu = vcpu};
	long result;

	fake_run(self->vcpu[0]);
	result = OP(bind_virq, a);
	*port = a.port;
	return result;
}

static long bind_ipi(struct domain *self, uint32_t vcpu, uint32_t *port)
{
	struct evtchn_bind_ipi a = {.vcpu = vcpu};
	long result;

	fake_run(self->vcpu[0]);
	result = OP(bind_ipi, a);
	*port = a.port;
	return result;
}

static long send(struct domain *self, uint32_t port)
{
	struct evtchn_send a = {.port = port};

	fake_run(self->vcpu[0]);
	return OP(send, a);
}

static long close_port(struct domain *self, uint32_t port)
{
	struct evtchn_close a = {.port = port};

	fake_run(self->vcpu[0]);
	return OP(close, a);
}

static struct evtchn_status status(struct domain *self, uint32_t port)
{
	struct evtchn_status a = {.dom = DOMID_SELF, .port = port};

	fake_run(self->vcpu[0]);
	assert_int_equal(OP(status, a), 0);
	return a;
}

static bool pending(struct domain *d, uint32_t port)
{
	return d->events.shared->evtchn_pending[port / 64] >> (port % 64) & 1;
}

/* What the guest's upcall does first: takes all bits. */
static void take_all(struct domain *d)
{
	unsigned i;

	memset(d->events.shared->evtchn_pending, 0, sizeof(d->events.shared->evtchn_pending));
	for (i = 0; i < d->max_vcpus; i++) {
		d->vcpu[i]->events.info->evtchn_pending_sel = 0;
		d->vcpu[i]->events.info->evtchn_upcall_pending = 0;
	}
	fake.wakes = 0;
}

static void connect_both(uint32_t *ours, uint32_t *theirs)
{
	assert_int_equal(offer(dom0, DOMID_SELF, guest->id, ours), 0);
	assert_int_equal(bind(guest, 0, *ours, theirs), 0);
	take_all(dom0);
	take_all(guest);
}

/* ---- what is shown --------------------------------------------------------------------- */

static void a_channel_carries_events_both_ways(void **state)
{
	uint32_t ours, theirs;

	connect_both(&ours, &theirs);
	assert_int_equal(send(dom0, ours), 0);
	assert_true(pending(guest, theirs));
	assert_false(pending(dom0, ours));
	assert_true(guest->vcpu[0]->events.info->evtchn_pending_sel >> (theirs / 64) & 1);
	assert_int_equal(guest->vcpu[0]->events.info->evtchn_upcall_pending, 1);
	assert_int_equal(fake.wakes, 1);
	assert_int_equal(send(guest, theirs), 0);
	assert_true(pending(dom0, ours));
}

static void a_second_event_wakes_nobody_again(void **state)
{
	uint32_t ours, theirs;

	connect_both(&ours, &theirs);
	send(dom0, ours);
	send(dom0, ours);
	assert_int_equal(fake.wakes, 1);
}

static void binding_says_that_events_may_have_been_missed(void **state)
{
	uint32_t ours, theirs;

	assert_int_equal(offer(dom0, DOMID_SELF, guest->id, &ours), 0);
	assert_int_equal(send(dom0, ours), 0); /* nobody listens: dropped, no error */
	assert_int_equal(bind(guest, 0, ours, &theirs), 0);
	assert_true(pending(guest, theirs));
	assert_false(pending(dom0, ours));
}

static void a_masked_port_waits_for_unmask(void **state)
{
	struct evtchn_unmask u;
	uint32_t ours, theirs;

	connect_both(&ours, &theirs);
	guest->events.shared->evtchn_mask[theirs / 64] |= 1ul << (theirs % 64);
	send(dom0, ours);
	assert_true(pending(guest, theirs));
	assert_int_equal(guest->vcpu[0]->events.info->evtchn_upcall_pending, 0);
	assert_int_equal(fake.wakes, 0);
	fake_run(guest->vcpu[0]);
	u.port = theirs;
	assert_int_equal(OP(unmask, u), 0);
	assert_int_equal(guest->vcpu[0]->events.info->evtchn_upcall_pending, 1);
	assert_int_equal(fake.wakes, 1);
}

static void only_the_one_it_was_offered_to_may_bind(void **state)
{
	uint32_t ours, theirs, third;
	struct domain *other = fake_domain(1, 4);

	assert_int_equal(offer(dom0, DOMID_SELF, guest->id, &ours), 0);
	assert_int_equal(bind(other, 0, ours, &third), -XEN_EINVAL);
	assert_int_equal(bind(guest, 0, ours + 1, &third), -XEN_EINVAL);
	assert_int_equal(bind(guest, 0, 0, &third), -XEN_EINVAL);
	assert_int_equal(bind(guest, 0, EVENT_PORTS, &third), -XEN_EINVAL);
	assert_int_equal(bind(guest, 0, 0xffffffff, &third), -XEN_EINVAL);
	assert_int_equal(bind(guest, 77, ours, &third), -XEN_ESRCH);
	assert_int_equal(bind(guest, 0, ours, &theirs), 0);
	assert_int_equal(bind(guest, 0, ours, &third), -XEN_EINVAL);
	fake_domain_end(other);
}

static void only_the_privileged_offers_for_others(void **state)
{
	uint32_t port;

	assert_int_equal(offer(dom0, guest->id, 0, &port), 0);
	assert_int_equal(status(guest, port).status, EVTCHNSTAT_unbound);
	assert_int_equal(status(guest, port).u.unbound.dom, 0);
	assert_int_equal(offer(guest, 0, guest->id, &port), -XEN_EPERM);
	assert_int_equal(offer(dom0, 99, 0, &port), -XEN_ESRCH);
}

static void closing_leaves_the_peer_waiting(void **state)
{
	uint32_t ours, theirs, again;

	connect_both(&ours, &theirs);
	assert_int_equal(close_port(guest, theirs), 0);
	assert_int_equal(status(guest, theirs).status, EVTCHNSTAT_closed);
	assert_int_equal(status(dom0, ours).status, EVTCHNSTAT_unbound);
	assert_int_equal(status(dom0, ours).u.unbound.dom, guest->id);
	assert_int_equal(send(dom0, ours), 0);
	assert_int_equal(send(guest, theirs), -XEN_EINVAL);
	assert_int_equal(close_port(guest, theirs), -XEN_EINVAL);
	assert_int_equal(bind(guest, 0, ours, &again), 0);
	assert_int_equal(again, theirs);
}

static void a_reused_port_has_no_old_event(void **state)
{
	uint32_t ours, theirs, port;

	connect_both(&ours, &theirs);
	send(dom0, ours);
	assert_true(pending(guest, theirs));
	close_port(guest, theirs);
	assert_int_equal(offer(guest, DOMID_SELF, 0, &port), 0);
	assert_int_equal(port, theirs);
	assert_false(pending(guest, port));
}

static void a_channel_within_one_domain(void **state)
{
	uint32_t one, two;

	assert_int_equal(offer(guest, DOMID_SELF, DOMID_SELF, &one), 0);
	assert_int_equal(bind(guest, DOMID_SELF, one, &two), 0);
	take_all(guest);
	assert_int_equal(send(guest, one), 0);
	assert_true(pending(guest, two));
	assert_int_equal(close_port(guest, one), 0);
	assert_int_equal(status(guest, two).status, EVTCHNSTAT_unbound);
}

static void virqs_are_bound_once(void **state)
{
	uint32_t timer0, timer1, port;

	assert_int_equal(bind_virq(guest, VIRQ_TIMER, 0, &timer0), 0);
	assert_int_equal(bind_virq(guest, VIRQ_TIMER, 0, &port), -XEN_EEXIST);
	assert_int_equal(bind_virq(guest, VIRQ_TIMER, 1, &timer1), 0);
	assert_int_equal(bind_virq(guest, VIRQ_TIMER, 2, &port), -XEN_ENOENT);
	assert_int_equal(bind_virq(guest, NR_VIRQS, 0, &port), -XEN_EINVAL);
	assert_int_equal(bind_virq(guest, VIRQ_CONSOLE, 1, &port), -XEN_EINVAL);
	event_send_virq(guest->vcpu[1], VIRQ_TIMER);
	assert_true(pending(guest, timer1));
	assert_false(pending(guest, timer0));
	assert_int_equal(guest->vcpu[1]->events.info->evtchn_upcall_pending, 1);
	assert_int_equal(guest->vcpu[0]->events.info->evtchn_upcall_pending, 0);
	close_port(guest, timer1);
	event_send_virq(guest->vcpu[1], VIRQ_TIMER); /* nobody listens any more */
	assert_int_equal(bind_virq(guest, VIRQ_TIMER, 1, &port), 0);
	event_send_virq(guest->vcpu[1], NR_VIRQS); /* out of range: nothing */
}

static void a_global_virq_goes_to_the_first_domain(void **state)
{
	uint32_t port, theirs;

	assert_int_equal(bind_virq(dom0, VIRQ_DOM_EXC, 0, &port), 0);
	assert_int_equal(bind_virq(guest, VIRQ_DOM_EXC, 0, &theirs), 0);
	event_send_global_virq(VIRQ_DOM_EXC);
	assert_true(pending(dom0, port));
	assert_false(pending(guest, theirs));
}

static void an_ipi_reaches_its_vcpu(void **state)
{
	struct evtchn_bind_vcpu move;
	uint32_t port;

	assert_int_equal(bind_ipi(guest, 1, &port), 0);
	assert_int_equal(bind_ipi(guest, 2, &port), -XEN_ENOENT);
	assert_int_equal(bind_ipi(guest, 1, &port), 0);
	assert_int_equal(send(guest, port), 0);
	assert_int_equal(guest->vcpu[1]->events.info->evtchn_upcall_pending, 1);
	assert_int_equal(guest->vcpu[0]->events.info->evtchn_upcall_pending, 0);
	move.port = port;
	move.vcpu = 0;
	assert_int_equal(OP(bind_vcpu, move), -XEN_EINVAL);
}

static void a_channel_moves_to_another_vcpu(void **state)
{
	struct evtchn_bind_vcpu move = {.vcpu = 1};
	uint32_t ours, theirs;

	connect_both(&ours, &theirs);
	move.port = theirs;
	fake_run(guest->vcpu[0]);
	assert_int_equal(OP(bind_vcpu, move), 0);
	send(dom0, ours);
	assert_int_equal(guest->vcpu[1]->events.info->evtchn_upcall_pending, 1);
	assert_int_equal(guest->vcpu[0]->events.info->evtchn_upcall_pending, 0);
	fake_run(guest->vcpu[0]);
	move.vcpu = 2;
	assert_int_equal(OP(bind_vcpu, move), -XEN_ENOENT);
	move.vcpu = 0;
	move.port = 4000;
	assert_int_equal(OP(bind_vcpu, move), -XEN_EINVAL);
}

/* A global virq may be moved, and is then found there; one of a vCPU's own may not. */
static void only_global_virqs_move(void **state)
{
	struct evtchn_bind_vcpu move = {.vcpu = 1};
	uint32_t own, global;

	assert_int_equal(bind_virq(guest, VIRQ_TIMER, 0, &own), 0);
	assert_int_equal(bind_virq(guest, VIRQ_DOM_EXC, 0, &global), 0);
	move.port = own;
	assert_int_equal(OP(bind_vcpu, move), -XEN_EINVAL);
	move.port = global;
	assert_int_equal(OP(bind_vcpu, move), 0);
	take_all(guest);
	event_send_virq(guest->vcpu[0], VIRQ_DOM_EXC);
	assert_int_equal(guest->vcpu[1]->events.info->evtchn_upcall_pending, 1);
}

static void pirqs_are_bound_with_their_source(void **state)
{
	struct evtchn_bind_pirq a = {.pirq = 5};

	fake_run(dom0->vcpu[0]);
	assert_int_equal(OP(bind_pirq, a), 0);
	assert_int_equal(fake.pirqs_bound, 1u << 5);
	event_send_pirq(dom0, 5);
	assert_true(pending(dom0, a.port));
	event_send_pirq(dom0, 6);
	event_send_pirq(dom0, 4096);
	assert_int_equal(OP(bind_pirq, a), -XEN_EEXIST);
	assert_int_equal(close_port(dom0, a.port), 0);
	assert_int_equal(fake.pirqs_bound, 0);
	assert_int_equal(OP(bind_pirq, a), 0);
	a.pirq = 40; /* the source is refused: no port stays open */
	assert_int_equal(OP(bind_pirq, a), -XEN_EINVAL);
	assert_int_equal(dom0->events.n_open, 1);
	a.pirq = 128;
	assert_int_equal(OP(bind_pirq, a), -XEN_EINVAL);
}

static void a_poll_ends_with_its_port_only(void **state)
{
	uint32_t ours, theirs, other, other_end;

	connect_both(&ours, &theirs);
	connect_both(&other, &other_end);
	/* As guests poll: with the ports masked, so that no upcall comes of it. */
	memset(guest->events.shared->evtchn_mask, 0xff, sizeof(guest->events.shared->evtchn_mask));
	assert_int_equal(event_poll_begin(guest->vcpu[1], &theirs, 1), 0);
	send(dom0, other);
	assert_int_equal(fake.wakes, 0);
	send(dom0, ours);
	assert_int_equal(fake.wakes, 1);
	assert_int_equal(event_poll_begin(guest->vcpu[1], &theirs, 1), 1); /* pending already */
	assert_int_equal(guest->events.n_polling, 0);
	theirs = EVENT_PORTS;
	assert_int_equal(event_poll_begin(guest->vcpu[1], &theirs, 1), -XEN_EINVAL);
	event_poll_end(guest->vcpu[1]);
	assert_int_equal(guest->events.n_polling, 0);
}

static void vcpu_info_moves_once(void **state)
{
	uint32_t ours, theirs;
	mfn_t frame = fake_frame(guest), foreign = fake_frame(dom0);
	struct vcpu *v = guest->vcpu[0];

	connect_both(&ours, &theirs);
	send(dom0, ours);
	assert_int_equal(event_register_vcpu_info(v, frame.v, 128), -XEN_EINVAL); /* it runs */
	fake_run(v);
	assert_int_equal(event_register_vcpu_info(v, foreign.v, 0), -XEN_EINVAL);
	assert_int_equal(event_register_vcpu_info(v, 1ull << 40, 0), -XEN_EINVAL);
	assert_int_equal(event_register_vcpu_info(v, frame.v, PAGE_SIZE - 8), -XEN_ENXIO);
	assert_int_equal(event_register_vcpu_info(v, frame.v, 12), -XEN_ENXIO);
	assert_int_equal(event_register_vcpu_info(v, frame.v, 0xffffffc0), -XEN_ENXIO);
	assert_int_equal(event_register_vcpu_info(v, frame.v, 128), 0);
	assert_ptr_equal(v->events.info, (char *)mfn_to_virt(frame) + 128);
	assert_int_equal(v->events.info->evtchn_upcall_pending, 1);
	assert_int_equal(event_register_vcpu_info(v, frame.v, 128), -XEN_EINVAL);
	take_all(guest);
	send(dom0, ours);
	assert_true(v->events.info->evtchn_upcall_pending);
}

static void a_table_frame_cannot_be_vcpu_info(void **state)
{
	mfn_t frame = fake_frame(guest);
	struct page_info *page = mfn_to_page(frame);

	fake_run(guest->vcpu[0]);
	assert_true(page_get(page, guest));
	assert_int_equal(page_get_type(page, PT_L1), 0);
	assert_int_equal(event_register_vcpu_info(guest->vcpu[0], frame.v, 0), -XEN_EINVAL);
	page_put_type(page);
	page_put(page);
}

static void ports_run_out_with_an_error(void **state)
{
	uint32_t port, n = 0;
	long result;

	while ((result = offer(guest, DOMID_SELF, 0, &port)) == 0)
		n++;
	assert_int_equal(result, -XEN_ENOSPC);
	assert_int_equal(n, EVENT_PORTS - 1);
	assert_int_equal(guest->events.n_open, n);
}

static void reset_closes_everything(void **state)
{
	struct evtchn_reset r = {.dom = DOMID_SELF};
	uint32_t ours, theirs, port;

	connect_both(&ours, &theirs);
	bind_virq(guest, VIRQ_TIMER, 1, &port);
	bind_ipi(guest, 1, &port);
	fake_run(guest->vcpu[0]);
	assert_int_equal(OP(reset, r), 0);
	assert_int_equal(guest->events.n_open, 0);
	assert_int_equal(status(dom0, ours).status, EVTCHNSTAT_unbound);
	r.dom = 0;
	fake_run(guest->vcpu[0]);
	assert_int_equal(OP(reset, r), -XEN_EPERM);
}

static void a_dying_domain_takes_no_new_channel(void **state)
{
	struct domain *other = fake_domain(1, 4);
	uint32_t ours, theirs;

	assert_int_equal(offer(dom0, DOMID_SELF, other->id, &ours), 0);
	assert_int_equal(bind(other, 0, ours, &theirs), 0);
	assert_int_equal(domain_kill(other), 0);
	assert_int_equal(status(dom0, ours).status, EVTCHNSTAT_unbound);
	fake_run(other->vcpu[0]);
	assert_int_equal(bind(other, 0, ours, &theirs), -XEN_ESRCH);
	fake_run(dom0->vcpu[0]);
	assert_int_equal(offer(dom0, other->id, 0, &theirs), -XEN_ESRCH);
	domain_put(other);
}

static void bad_calls_are_refused(void **state)
{
	struct evtchn_status s = {.dom = DOMID_SELF, .port = 0};

	fake_run(guest->vcpu[0]);
	assert_int_equal(hc_event_channel_op(1000, FAKE_GUEST_BASE), -XEN_ENOSYS);
	assert_int_equal(hc_event_channel_op(EVTCHNOP_send, 0), -XEN_EFAULT);
	assert_int_equal(OP(status, s), -XEN_EINVAL);
	s.port = 4000; /* in range, never used */
	assert_int_equal(OP(status, s), 0);
	assert_int_equal(s.status, EVTCHNSTAT_closed);
	s.dom = 0;
	assert_int_equal(OP(status, s), -XEN_EPERM);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_channel_carries_events_both_ways),
	    TEST(a_second_event_wakes_nobody_again),
	    TEST(binding_says_that_events_may_have_been_missed),
	    TEST(a_masked_port_waits_for_unmask),
	    TEST(only_the_one_it_was_offered_to_may_bind),
	    TEST(only_the_privileged_offers_for_others),
	    TEST(closing_leaves_the_peer_waiting),
	    TEST(a_reused_port_has_no_old_event),
	    TEST(a_channel_within_one_domain),
	    TEST(virqs_are_bound_once),
	    TEST(a_global_virq_goes_to_the_first_domain),
	    TEST(an_ipi_reaches_its_vcpu),
	    TEST(a_channel_moves_to_another_vcpu),
	    TEST(only_global_virqs_move),
	    TEST(pirqs_are_bound_with_their_source),
	    TEST(a_poll_ends_with_its_port_only),
	    TEST(vcpu_info_moves_once),
	    TEST(a_table_frame_cannot_be_vcpu_info),
	    TEST(ports_run_out_with_an_error),
	    TEST(reset_closes_everything),
	    TEST(a_dying_domain_takes_no_new_channel),
	    TEST(bad_calls_are_refused),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
