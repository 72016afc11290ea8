/* hv_fifo_test.c: event channels as queues in the guest's own pages, against good guests and bad.
 *
 * Shows: the switch from two levels and back, order, priorities, masks, moves between vCPUs and ports
 * that are used again, seen by a guest that consumes as the ABI says; and that nothing a guest writes
 * there is believed, and no page is held that it should not. Why: Linux takes FIFO wherever it is
 * offered, and every word of it can be written by the guest while we do. Expected: all hold, and
 * every page is back at the end.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c lib/printf.c lib/text.c
 * links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c hypervisor/event_2l.c
 * links: hypervisor/event_fifo.c
 * links: hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c
 * links: hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c
 * links: hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c
 * links: hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c
 * links: hypervisor/frame.c lib/heap.c hypervisor/page_type.c hypervisor/pte.c
 * links: hypervisor/mm_domain.c hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c
 * links: hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c
 * links: hypervisor/memory_op.c hypervisor/memory_exchange.c
 * links: hypervisor/grant_entry.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv_fake.h"

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED  (1u << EVTCHN_FIFO_MASKED)
#define LINKED  (1u << EVTCHN_FIFO_LINKED)
#define BUSY    (1u << EVTCHN_FIFO_BUSY)
#define LINK    (uint32_t) EVTCHN_FIFO_LINK_MASK
#define DEFAULT EVTCHN_FIFO_PRIORITY_DEFAULT

static struct domain *dom0, *guest;
static uint64_t free_before;
static mfn_t control_frame[2], array_frame[4];

static int setup(void **state)
{
	free_before = fake_free_pages();
	dom0 = fake_domain(1, 64);
	guest = fake_domain(2, 64);
	for (unsigned i = 0; i < 2; i++)
		control_frame[i] = fake_frame(guest);
	for (unsigned i = 0; i < 4; i++)
		array_frame[i] = fake_frame(guest);
	fake.wakes = 0;
	fake_run(guest->vcpu[0]);
	return 0;
}

static int teardown(void **state)
{
	fake_domain_end(guest);
	fake_domain_end(dom0);
	return fake_free_pages() == free_before ? 0 : -1;
}

/* ---- a guest --------------------------------------------------------------------------- */

static long op(unsigned cmd, void *arg, size_t size)
{
	uint64_t va = fake_put(0, arg, size);
	long result = hc_event_channel_op(cmd, va);

	memcpy(arg, fake_guest_ptr(va), size);
	return result;
}
#define OP(cmd, arg) op(EVTCHNOP_##cmd, &(arg), sizeof(arg))

#define CONTROL_AT 64u

static long control_at(uint64_t mfn, uint32_t offset, uint32_t vcpu)
{
	struct evtchn_init_control a = {.control_gfn = mfn, .offset = offset, .vcpu = vcpu};
	long result = OP(init_control, a);

	if (result == 0)
		assert_int_equal(a.link_bits, 17);
	return result;
}

static long expand(uint64_t mfn)
{
	struct evtchn_expand_array a = {.array_gfn = mfn};

	return OP(expand_array, a);
}

static long priority(uint32_t port, uint32_t value)
{
	struct evtchn_set_priority a = {.port = port, .priority = value};

	return OP(set_priority, a);
}

static void fifo_on(void)
{
	assert_int_equal(control_at(control_frame[0].v, CONTROL_AT, 0), 0);
	assert_int_equal(control_at(control_frame[1].v, CONTROL_AT, 1), 0);
	assert_int_equal(expand(array_frame[0].v), 0);
}

static struct evtchn_fifo_control_block *control(unsigned vcpu)
{
	return (void *)((char *)mfn_to_virt(control_frame[vcpu]) + CONTROL_AT);
}

static uint32_t *word(uint32_t port)
{
	return (uint32_t *)mfn_to_virt(array_frame[port / 1024]) + port % 1024;
}

/* An IPI is the channel that needs one domain only. */
static uint32_t new_port(uint32_t vcpu)
{
	struct evtchn_bind_ipi a = {.vcpu = vcpu};

	assert_int_equal(OP(bind_ipi, a), 0);
	return a.port;
}

/* One that may be moved to another vCPU, bound to itself; *out_from is the end to send at. */
static uint32_t new_pair(uint32_t *out_from)
{
	struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
	struct evtchn_bind_interdomain b = {.remote_dom = DOMID_SELF};

	assert_int_equal(OP(alloc_unbound, a), 0);
	b.remote_port = a.port;
	assert_int_equal(OP(bind_interdomain, b), 0);
	*out_from = b.local_port;
	return a.port;
}

static long send(uint32_t port)
{
	struct evtchn_send a = {.port = port};

	return OP(send, a);
}

static long move(uint32_t port, uint32_t vcpu)
{
	struct evtchn_bind_vcpu a = {.port = port, .vcpu = vcpu};

	return OP(bind_vcpu, a);
}

/* Takes one event off the queue, as the ABI says; 0 when there is none. */
static uint32_t take_one(unsigned vcpu, unsigned queue)
{
	struct evtchn_fifo_control_block *c = control(vcpu);
	uint32_t port = c->head[queue], *w;

	if (!(c->ready & 1u << queue))
		return 0;
	w = word(port);
	c->head[queue] = *w & LINK;
	if (!c->head[queue])
		c->ready &= ~(1u << queue);
	*w &= ~(LINKED | LINK);
	if (*w & MASKED || !(*w & PENDING))
		return 0;
	*w &= ~PENDING;
	return port;
}

static bool upcall(unsigned vcpu)
{
	return guest->vcpu[vcpu]->events.info->evtchn_upcall_pending;
}

static void upcall_taken(unsigned vcpu)
{
	guest->vcpu[vcpu]->events.info->evtchn_upcall_pending = 0;
}

/* ---- what is shown --------------------------------------------------------------------- */

static void events_come_in_the_order_they_were_sent(void **state)
{
	uint32_t port[4];

	fifo_on();
	for (unsigned i = 0; i < 4; i++)
		port[i] = new_port(0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(send(port[3 - i]), 0);
	assert_true(upcall(0));
	assert_false(upcall(1));
	assert_int_equal(fake.wakes, 1);
	assert_int_equal(control(0)->ready, 1u << DEFAULT);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(take_one(0, DEFAULT), port[3 - i]);
	assert_int_equal(take_one(0, DEFAULT), 0);
	assert_int_equal(*word(port[0]), 0);
	/* The pending bits of two levels are not touched any more. */
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(guest->events.shared->evtchn_pending[i], 0);
}

static void a_second_event_is_not_queued_twice(void **state)
{
	uint32_t a, b;

	fifo_on();
	a = new_port(0);
	b = new_port(0);
	send(a);
	send(a);
	send(b);
	send(a);
	assert_int_equal(fake.wakes, 1);
	assert_int_equal(take_one(0, DEFAULT), a);
	/* Off the queue while b is on it: it goes behind b. */
	send(a);
	assert_int_equal(take_one(0, DEFAULT), b);
	assert_int_equal(take_one(0, DEFAULT), a);
	assert_int_equal(take_one(0, DEFAULT), 0);
}

static void priorities_are_queues_of_their_own(void **state)
{
	uint32_t a, b;

	fifo_on();
	a = new_port(0);
	b = new_port(0);
	assert_int_equal(priority(a, 0), 0);
	assert_int_equal(priority(b, 15), 0);
	assert_int_equal(priority(b, 16), -XEN_EINVAL);
	send(a);
	send(b);
	assert_int_equal(control(0)->ready, 1u << 0 | 1u << 15);
	/* On a queue already: the next time counts. */
	assert_int_equal(priority(b, 3), 0);
	assert_int_equal(take_one(0, 15), b);
	send(b);
	assert_int_equal(take_one(0, 3), b);
	assert_int_equal(take_one(0, 0), a);
}

static void a_masked_port_waits_for_unmask(void **state)
{
	struct evtchn_unmask u;
	uint32_t a;

	fifo_on();
	a = new_port(0);
	*word(a) = MASKED;
	send(a);
	assert_int_equal(*word(a), MASKED | PENDING);
	assert_false(upcall(0));
	u.port = a;
	assert_int_equal(OP(unmask, u), 0);
	assert_int_equal(*word(a), LINKED | PENDING);
	assert_true(upcall(0));
	assert_int_equal(take_one(0, DEFAULT), a);
	*word(a) = MASKED;
	assert_int_equal(OP(unmask, u), 0);
	assert_int_equal(*word(a), 0);
}

/* Masked while on the queue: the guest takes it off and drops it; unmask puts it on again. */
static void masked_on_the_queue(void **state)
{
	struct evtchn_unmask u;
	uint32_t a;

	fifo_on();
	a = new_port(0);
	send(a);
	*word(a) |= MASKED;
	assert_int_equal(take_one(0, DEFAULT), 0);
	u.port = a;
	assert_int_equal(OP(unmask, u), 0);
	assert_int_equal(take_one(0, DEFAULT), a);
}

/* The port was the last on the queue of vCPU 0. What comes there next must not follow it. */
static void a_port_moves_to_another_vcpu(void **state)
{
	uint32_t from, a, b, c;

	fifo_on();
	b = new_port(0);
	c = new_port(1);
	a = new_pair(&from);
	while (take_one(0, DEFAULT))
		;
	send(from);
	assert_int_equal(take_one(0, DEFAULT), a);
	assert_int_equal(move(a, 1), 0);
	upcall_taken(0);
	upcall_taken(1);
	send(from);
	assert_true(upcall(1));
	assert_false(upcall(0));
	send(b);
	assert_true(upcall(0));
	assert_int_equal(control(0)->head[DEFAULT], b);
	assert_int_equal(take_one(1, DEFAULT), a);
	assert_int_equal(take_one(1, DEFAULT), 0);
	assert_int_equal(take_one(0, DEFAULT), b);
	/* And back, while another is for the vCPU it leaves. */
	assert_int_equal(move(a, 0), 0);
	send(from);
	send(c);
	assert_int_equal(control(1)->head[DEFAULT], c);
	assert_int_equal(take_one(0, DEFAULT), a);
	assert_int_equal(take_one(1, DEFAULT), c);
}

/* Moved while it is on the old queue: it stays there until the guest takes it off. */
static void a_port_moves_while_queued(void **state)
{
	uint32_t from, a;

	fifo_on();
	a = new_pair(&from);
	while (take_one(0, DEFAULT))
		;
	send(from);
	assert_int_equal(move(a, 1), 0);
	send(from);
	assert_int_equal(control(1)->ready, 0);
	assert_int_equal(take_one(0, DEFAULT), a);
	send(from);
	assert_int_equal(take_one(1, DEFAULT), a);
}

static void a_closed_port_is_not_used_again_while_queued(void **state)
{
	struct evtchn_close c;
	uint32_t a, b;

	fifo_on();
	a = new_port(0);
	send(a);
	c.port = a;
	assert_int_equal(OP(close, c), 0);
	assert_int_equal(*word(a), LINKED);
	b = new_port(0);
	assert_int_not_equal(b, a);
	assert_int_equal(take_one(0, DEFAULT), 0); /* off the queue, and no event */
	assert_int_equal(new_port(0), a);
	send(a);
	assert_int_equal(take_one(0, DEFAULT), a);
}

static void what_was_pending_is_not_lost_by_the_switch(void **state)
{
	uint32_t a = new_port(0), b = new_port(1);

	send(a);
	assert_true(guest->events.shared->evtchn_pending[0] & 1ul << a);
	assert_int_equal(control_at(control_frame[0].v, CONTROL_AT, 0), 0);
	assert_int_equal(control_at(control_frame[1].v, CONTROL_AT, 1), 0);
	send(b); /* there is no word for it yet */
	fake.wakes = 0;
	assert_int_equal(expand(array_frame[0].v), 0);
	assert_int_equal(take_one(0, DEFAULT), a);
	assert_int_equal(take_one(1, DEFAULT), b);
	assert_int_equal(take_one(1, DEFAULT), 0);
}

static void a_vcpu_without_a_control_block_gets_nothing(void **state)
{
	uint32_t a;

	assert_int_equal(control_at(control_frame[0].v, CONTROL_AT, 0), 0);
	assert_int_equal(expand(array_frame[0].v), 0);
	a = new_port(1);
	send(a);
	assert_int_equal(*word(a), PENDING);
	assert_false(upcall(1));
	assert_int_equal(fake.wakes, 0);
}

static void polls_see_the_word(void **state)
{
	uint32_t a;

	fifo_on();
	a = new_port(0);
	*word(a) = MASKED;
	assert_int_equal(event_poll_begin(guest->vcpu[1], &a, 1), 0);
	send(a);
	assert_int_equal(fake.wakes, 1);
	assert_int_equal(event_poll_begin(guest->vcpu[1], &a, 1), 1);
	*word(a) = MASKED;
	assert_int_equal(event_poll_begin(guest->vcpu[1], &a, 1), 0);
	event_poll_end(guest->vcpu[1]);
	a = 2000; /* its page is not there */
	assert_int_equal(event_poll_begin(guest->vcpu[1], &a, 1), 0);
	event_poll_end(guest->vcpu[1]);
}

/* Links and heads that lead nowhere: we never follow one. */
static void what_a_guest_scribbles_is_not_believed(void **state)
{
	uint32_t a, b, *words;

	fifo_on();
	a = new_port(0);
	b = new_port(0);
	send(a);
	*word(a) |= LINK | BUSY;
	control(0)->head[DEFAULT] = 0xffffffff;
	control(0)->ready = 0;
	send(b);
	/* Behind a, which is LINKED as far as anybody can tell. */
	assert_int_equal(*word(a), PENDING | LINKED | b);
	memset(mfn_to_virt(control_frame[0]), 0xff, PAGE_SIZE);
	words = mfn_to_virt(array_frame[0]);
	for (uint32_t i = 0; i < 1024; i++)
		words[i] = 0xbfffffff; /* all but MASKED */
	send(a);
	send(b);
	for (uint32_t i = 0; i < 1024; i++)
		assert_int_equal(words[i], 0xbfffffff);
	/* Every port looks queued: none is left to be had, and that is all. */
	for (uint32_t i = 0; i < 1024; i++)
		words[i] = LINKED;
	assert_true(new_port(0) >= 1024);
	memset(words, 0, PAGE_SIZE);
	memset(mfn_to_virt(control_frame[0]), 0, PAGE_SIZE);
	send(a);
	assert_int_equal(take_one(0, DEFAULT), a);
}

static void places_that_are_refused(void **state)
{
	mfn_t foreign = fake_frame(dom0), table = fake_frame(guest);
	struct page_info *page = mfn_to_page(table);

	assert_true(page_get(page, guest));
	assert_int_equal(page_get_type(page, PT_L1), 0);
	assert_int_equal(expand(array_frame[0].v), -XEN_EOPNOTSUPP);
	assert_int_equal(control_at(control_frame[0].v, 0, 2), -XEN_ENOENT);
	assert_int_equal(control_at(control_frame[0].v, 0, 0xffffffff), -XEN_ENOENT);
	assert_int_equal(control_at(control_frame[0].v, PAGE_SIZE - 64, 0), -XEN_EINVAL);
	assert_int_equal(control_at(control_frame[0].v, 0xfffffff8, 0), -XEN_EINVAL);
	assert_int_equal(control_at(control_frame[0].v, 4, 0), -XEN_EINVAL);
	assert_int_equal(control_at(foreign.v, 0, 0), -XEN_EINVAL);
	assert_int_equal(control_at(table.v, 0, 0), -XEN_EINVAL);
	assert_int_equal(control_at(1ull << 52, 0, 0), -XEN_EINVAL);
	assert_null(guest->events.fifo);
	assert_int_equal(control_at(control_frame[0].v, PAGE_SIZE - 72, 0), 0);
	assert_int_equal(control_at(control_frame[1].v, 0, 0), -XEN_EINVAL);
	assert_int_equal(expand(foreign.v), -XEN_EINVAL);
	assert_int_equal(expand(table.v), -XEN_EINVAL);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(expand(array_frame[i].v), 0);
	assert_int_equal(expand(array_frame[0].v), -XEN_ENOSPC);
	page_put_type(page);
	page_put(page);
}

static void priorities_that_are_refused(void **state)
{
	struct evtchn_close c;
	uint32_t a = new_port(0);

	assert_int_equal(priority(a, 1), -XEN_ENOSYS);
	fifo_on();
	c.port = a;
	assert_int_equal(OP(close, c), 0);
	assert_int_equal(priority(a, 1), -XEN_EACCES);
	assert_int_equal(priority(4000, 1), -XEN_EINVAL);
	assert_int_equal(priority(0xffffffff, 1), -XEN_EINVAL);
}

/* While we write to it, it cannot become what must not be written. */
static void pages_are_held_until_reset(void **state)
{
	struct evtchn_reset r = {.dom = DOMID_SELF};
	struct page_info *page = mfn_to_page(array_frame[0]);
	uint32_t a;

	fifo_on();
	a = new_port(0);
	assert_true(page_get(page, guest));
	assert_int_equal(page_get_type(page, PT_L1), -XEN_EBUSY);
	assert_int_equal(page_get_type(page, PT_WRITABLE), 0);
	page_put_type(page);
	assert_int_equal(page_release_domain(guest, array_frame[0]), 0);
	send(a);
	assert_int_equal(*word(a), PENDING | LINKED);
	assert_int_equal(OP(reset, r), 0);
	assert_null(guest->events.fifo);
	assert_int_equal(page->type_count, 0);
	assert_int_equal(page->count, 1);
	page_put(page);
	assert_null(page->owner);
	/* Two levels again; and once more FIFO. */
	a = new_port(0);
	send(a);
	assert_true(guest->events.shared->evtchn_pending[0] & 1ul << a);
	array_frame[0] = array_frame[1];
	fifo_on();
}

static void reset_is_for_oneself_or_of_one_held(void **state)
{
	struct evtchn_reset r = {.dom = guest->id};

	fifo_on();
	new_port(0);
	fake_run(dom0->vcpu[0]);
	assert_int_equal(OP(reset, r), -XEN_EINVAL);
	domain_ctl_pause(guest);
	assert_int_equal(OP(reset, r), 0);
	assert_null(guest->events.fifo);
	assert_int_equal(guest->events.n_open, 0);
	assert_int_equal(domain_ctl_unpause(guest), 0);
}

static void the_builder_limits_the_ports(void **state)
{
	struct evtchn_bind_ipi a = {.vcpu = 0};

	guest->events.max_port = 3;
	for (unsigned i = 0; i < 3; i++)
		new_port(0);
	assert_int_equal(OP(bind_ipi, a), -XEN_ENOSPC);
}

/* Ends with ports open, events queued and pages held: teardown's count of pages is the check. */
static void a_domain_ends_in_the_middle_of_it(void **state)
{
	uint32_t from;

	fifo_on();
	new_pair(&from);
	send(new_port(1));
	event_dump(guest, NULL);
	assert_non_null(strstr(fake.log, "pending 1 masked 0"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(events_come_in_the_order_they_were_sent),
	    TEST(a_second_event_is_not_queued_twice),
	    TEST(priorities_are_queues_of_their_own),
	    TEST(a_masked_port_waits_for_unmask),
	    TEST(masked_on_the_queue),
	    TEST(a_port_moves_to_another_vcpu),
	    TEST(a_port_moves_while_queued),
	    TEST(a_closed_port_is_not_used_again_while_queued),
	    TEST(what_was_pending_is_not_lost_by_the_switch),
	    TEST(a_vcpu_without_a_control_block_gets_nothing),
	    TEST(polls_see_the_word),
	    TEST(what_a_guest_scribbles_is_not_believed),
	    TEST(places_that_are_refused),
	    TEST(priorities_that_are_refused),
	    TEST(pages_are_held_until_reset),
	    TEST(reset_is_for_oneself_or_of_one_held),
	    TEST(the_builder_limits_the_ports),
	    TEST(a_domain_ends_in_the_middle_of_it),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
