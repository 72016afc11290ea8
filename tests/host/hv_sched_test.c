/* hv_sched_test: who runs, for how long, and what wakes whom.
 *
 * Why: a scheduler that is a little unfair, or that loses one wake-up, looks well until it hangs.
 * Expected: time is shared equally, a sleeper neither starves others nor is starved, holds add up,
 * no event is slept over, timers fire in order and once, a poll ends by event, timeout, or not at
 * all.
 *
 * links: tests/host/hv_vcpu_world.c hypervisor/sched.c hypervisor/sched_choose.c hypervisor/sched_share.c hypervisor/sched_op.c hypervisor/timer.c
 * links: hypervisor/pv_context.c hypervisor/pv_bounce.c hypervisor/console.c hypervisor/io.c
 * links: hypervisor/pirq.c hypervisor/msi.c hypervisor/pci_config.c lib/pci_cap.c hypervisor/irq.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hv_vcpu_world.h"
#include "hypervisor/smp.h"

#define MS 1000000ull

static struct vcpu *a, *b;

static int set_up(void **state)
{
	(void)state;
	world_start(true);
	hv_test_percpu.loaded = NULL;
	sched_init(0);
	a = world_domain->vcpu[0];
	b = world_domain->vcpu[1];
	vcpu_up(a);
	vcpu_up(b);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_end();
	return 0;
}

/* Time goes by until the next interrupt of the timer, or by `most`. */
static void pass(uint64_t most)
{
	uint64_t to = world.now_ns + most;

	if (world.timer_due_ns < to)
		to = world.timer_due_ns;
	world.now_ns = to;
	timers_run();
}

static struct vcpu *who(void)
{
	struct guest_regs *r;
	struct vcpu *v;

	hv_enter(); /* the guest has come in for something that others see */
	r = sched_leave();
	v = this_cpu()->current;
	assert_ptr_equal(r, &v->pv.regs);
	return v;
}

static uint64_t ran(struct vcpu *v)
{
	return vcpu_cpu_time_ns(v);
}

static void two_share_equally(void **state)
{
	uint64_t end = world.now_ns + 1000 * MS;

	(void)state;
	while (world.now_ns < end) {
		(void)who();
		pass(100 * MS);
	}
	assert_in_range(ran(a), 490 * MS, 510 * MS);
	assert_in_range(ran(b), 490 * MS, 510 * MS);
}

/* The last slice's fires once more, and changes nothing. */
static void alone_without_a_timer(void **state)
{
	(void)state;
	vcpu_down(b);
	assert_ptr_equal(who(), a);
	pass(10 * MS);
	assert_false(this_cpu()->resched);
	assert_int_equal(world.timer_due_ns, ~0ull);
	pass(1000 * MS);
	assert_ptr_equal(who(), a);
}

/* One sleeps 10 s and then wants to run: it may not take 10 s in one go, and gets its half. */
static void sleeper_gets_no_arrears(void **state)
{
	uint64_t before;

	(void)state;
	assert_ptr_not_equal(who(), NULL);
	vcpu_down(b);
	assert_ptr_equal(who(), a);
	world.now_ns += 10000 * MS;
	vcpu_up(b);
	before = ran(a);
	for (uint64_t end = world.now_ns + 200 * MS; world.now_ns < end;) {
		(void)who();
		pass(100 * MS);
	}
	assert_in_range(ran(a) - before, 85 * MS, 105 * MS);
}

/* Who wakes preempts soon, but not at once. */
static void waking_preempts(void **state)
{
	(void)state;
	vcpu_down(b);
	assert_ptr_equal(who(), a);
	pass(50 * MS);
	assert_ptr_equal(who(), a);
	vcpu_up(b);
	assert_true(this_cpu()->resched || world.timer_due_ns <= world.now_ns + MS);
	pass(MS);
	assert_ptr_equal(who(), b);
	vcpu_down(b);
	assert_ptr_equal(who(), a);
	vcpu_up(b); /* a has only just begun */
	assert_false(this_cpu()->resched);
	assert_in_range(world.timer_due_ns, world.now_ns, world.now_ns + MS / 5);
}

/* The timer that an earlier slice has left ends nobody's: it is set for the end of the one that is. */
static void old_timer_ends_no_slice(void **state)
{
	uint64_t since;

	(void)state;
	vcpu_down(a);
	assert_ptr_equal(who(), b);
	pass(20 * MS);
	vcpu_up(a); /* b has had more */
	pass(MS);
	assert_ptr_equal(who(), a);
	pass(MS);
	vcpu_down(b);
	vcpu_down(a);
	vcpu_up(a);
	assert_ptr_equal(who(), a);
	since = world.now_ns;
	vcpu_up(b);
	assert_true(world.timer_due_ns < since + 5 * MS);
	pass(10 * MS);
	assert_false(this_cpu()->resched);
	assert_true(world.now_ns < since + 5 * MS);
	assert_int_equal(world.timer_due_ns, since + 5 * MS);
	pass(10 * MS);
	assert_ptr_equal(who(), b);
}

static void holds_add_up(void **state)
{
	(void)state;
	vcpu_down(b);
	vcpu_pause(b);
	vcpu_pause(b);
	vcpu_up(b);
	vcpu_unpause(b);
	assert_int_equal(b->sched.runstate.state, RUNSTATE_offline);
	pass(20 * MS);
	assert_ptr_equal(who(), a);
	vcpu_unpause(b);
	assert_int_equal(b->sched.runstate.state, RUNSTATE_runnable);
	pass(10 * MS);
	assert_ptr_equal(who(), b);
}

static void pause_takes_the_state_out(void **state)
{
	(void)state;
	vcpu_down(b);
	assert_ptr_equal(who(), a);
	assert_ptr_equal(this_cpu()->loaded, a);
	this_cpu()->current = this_cpu()->idle; /* as in an interrupt of the idle loop */
	vcpu_pause(a);
	assert_null(this_cpu()->loaded);
	assert_ptr_equal(world.activated, this_cpu()->idle);
	vcpu_unpause(a);
	assert_ptr_equal(who(), a);
	assert_ptr_equal(world.activated, a);
}

static void no_event_is_slept_over(void **state)
{
	(void)state;
	vcpu_down(b);
	assert_ptr_equal(who(), a);
	a->events.info->evtchn_upcall_mask = 1;
	a->events.info->evtchn_upcall_pending = 1;
	assert_int_equal(hc_sched_op(SCHEDOP_block, 0), 0);
	assert_ptr_equal(who(), a);
	a->events.info->evtchn_upcall_pending = 0;
	assert_int_equal(hc_sched_op(SCHEDOP_block, 0), 0);
	vcpu_up(b);
	assert_ptr_equal(who(), b);
	assert_int_equal(a->sched.runstate.state, RUNSTATE_blocked);
	event_send_virq(a, VIRQ_TIMER);
	assert_int_equal(a->sched.runstate.state, RUNSTATE_runnable);
}

static void yield_lets_the_other_run(void **state)
{
	struct vcpu *first = who(), *other = first == a ? b : a;

	(void)state;
	assert_int_equal(hc_sched_op(SCHEDOP_yield, 0), 0);
	assert_ptr_equal(who(), other);
	assert_int_equal(hc_sched_op(SCHEDOP_yield, 0), 0);
	assert_ptr_equal(who(), first);
}

static long poll_ports(uint32_t port, uint64_t timeout_ns)
{
	struct sched_poll p = {.nr_ports = 1, .timeout = timeout_ns};
	uint64_t handle = WORLD_BASE + 64;

	memcpy(&p.ports, &handle, sizeof(handle));
	WORLD_PUT(WORLD_BASE + 64, port);
	WORLD_PUT(WORLD_BASE, p);
	return hc_sched_op(SCHEDOP_poll, WORLD_BASE);
}

static void poll_ends(void **state)
{
	(void)state;
	vcpu_down(b);
	assert_ptr_equal(who(), a);
	assert_int_equal(poll_ports(5, 0), 0); /* pending already */
	assert_ptr_equal(who(), a);
	assert_int_equal(poll_ports(4096, 0), -XEN_EINVAL);
	assert_int_equal(hc_sched_op(SCHEDOP_poll, 0x10), -XEN_EFAULT);
	assert_int_equal(poll_ports(6, world.now_ns + 5 * MS), 0);
	assert_true(a->sched.holds & HOLD_BLOCKED);
	vcpu_up(b);
	assert_ptr_equal(who(), b);
	vcpu_down(b);
	world.now_ns += 5 * MS;
	timers_run();
	assert_ptr_equal(who(), a);
	assert_int_equal(a->events.polled, EVENT_POLL_NOTHING);
	assert_int_equal(poll_ports(6, 0), 0);
	vcpu_wake(a); /* the event */
	assert_ptr_equal(who(), a);
	assert_false(a->sched.polling);
}

static void ends_by_hypercall(void **state)
{
	struct sched_shutdown s = {.reason = SHUTDOWN_reboot};
	struct sched_remote_shutdown remote = {.domain_id = 99, .reason = 0};

	(void)state;
	assert_ptr_not_equal(who(), NULL);
	WORLD_PUT(WORLD_BASE, remote);
	assert_int_equal(hc_sched_op(SCHEDOP_remote_shutdown, WORLD_BASE), -XEN_ESRCH);
	world_domain->privileged = false;
	assert_int_equal(hc_sched_op(SCHEDOP_remote_shutdown, WORLD_BASE), -XEN_EPERM);
	s.reason = 77;
	WORLD_PUT(WORLD_BASE, s);
	assert_int_equal(hc_sched_op(SCHEDOP_shutdown, WORLD_BASE), -XEN_EINVAL);
	s.reason = SHUTDOWN_reboot;
	WORLD_PUT(WORLD_BASE, s);
	assert_int_equal(hc_sched_op(SCHEDOP_shutdown, WORLD_BASE), 0);
	assert_int_equal(world.shutdown_code, SHUTDOWN_reboot);
	assert_int_equal(a->sched.runstate.state + b->sched.runstate.state,
			 RUNSTATE_offline + RUNSTATE_running);
	assert_int_equal(hc_sched_op(99, 0), -XEN_ENOSYS);
}

static void watchdog_bites_once(void **state)
{
	struct sched_watchdog w = {.id = 0, .timeout = 2};

	(void)state;
	assert_ptr_not_equal(who(), NULL);
	WORLD_PUT(WORLD_BASE, w);
	assert_int_equal(hc_sched_op(SCHEDOP_watchdog, WORLD_BASE), 1);
	assert_int_equal(hc_sched_op(SCHEDOP_watchdog, WORLD_BASE), 2);
	assert_int_equal(hc_sched_op(SCHEDOP_watchdog, WORLD_BASE), -XEN_ENOSPC);
	w.id = 2;
	w.timeout = 0;
	WORLD_PUT(WORLD_BASE, w);
	assert_int_equal(hc_sched_op(SCHEDOP_watchdog, WORLD_BASE), 0);
	assert_int_equal(hc_sched_op(SCHEDOP_watchdog, WORLD_BASE), -XEN_EINVAL);
	world.now_ns += 1999 * MS;
	timers_run();
	assert_int_equal(world.shutdowns, 0);
	world.now_ns += 2 * MS;
	timers_run();
	assert_int_equal(world.shutdown_code, SHUTDOWN_watchdog);
}

/* ---- timers ---------------------------------------------------------------------------- */

static unsigned order[8], fired;
static struct hv_timer t[3];

static void note(void *ctx)
{
	order[fired++ & 7] = (unsigned)((struct hv_timer *)ctx - t);
}

static void again(void *ctx)
{
	note(ctx);
	if (fired < 4)
		timer_set(ctx, world.now_ns + MS);
}

static void timers_in_order_and_once(void **state)
{
	(void)state;
	fired = 0;
	for (unsigned i = 0; i < 3; i++)
		t[i] = (struct hv_timer){.fn = note, .ctx = &t[i]};
	timer_set(&t[0], world.now_ns + 30 * MS);
	timer_set(&t[1], world.now_ns + 10 * MS);
	timer_set(&t[2], world.now_ns + 20 * MS);
	assert_int_equal(world.timer_due_ns, world.now_ns + 10 * MS);
	timer_set(&t[1], world.now_ns + 40 * MS); /* anew */
	timer_stop(&t[2]);
	timer_stop(&t[2]);
	world.now_ns += 50 * MS;
	timers_run();
	timers_run();
	assert_int_equal(fired, 2);
	assert_int_equal(order[0], 0);
	assert_int_equal(order[1], 1);
	assert_false(t[0].armed);
}

static void timer_sets_itself(void **state)
{
	(void)state;
	fired = 0;
	t[0] = (struct hv_timer){.fn = again, .ctx = &t[0]};
	timer_set(&t[0], world.now_ns);
	for (unsigned i = 0; i < 10; i++) {
		timers_run();
		world.now_ns += MS;
	}
	assert_int_equal(fired, 4);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(two_share_equally),         T(alone_without_a_timer),
	    T(sleeper_gets_no_arrears),   T(waking_preempts),
	    T(old_timer_ends_no_slice),   T(holds_add_up),
	    T(pause_takes_the_state_out), T(no_event_is_slept_over),
	    T(yield_lets_the_other_run),  T(poll_ends),
	    T(ends_by_hypercall),         T(watchdog_bites_once),
	    T(timers_in_order_and_once),  T(timer_sets_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
