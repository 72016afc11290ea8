/* event_hold_test.c: a notification that is held goes out once, and at the latest with the call that waits.
 *
 * Shows: nothing is sent while it is held; several for one port are one; more than there is room for are sent at once, as on
 * every CPU but the first; what waits takes them all with it, and the wait comes last; a port's own goes out before it is
 * closed; after a suspend none does. Why: one that is lost leaves a peer asleep over a full ring, and one that is sent after the
 * wait is as good as lost.
 *
 * links: hypercall/event_hold.c hypercall/event.c hypercall/count.c tests/host/fake_hypercall.c tests/host/fake_percpu.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/event.h>
#include <amphi/hypercall.h>
#include "fake_hypercall.h"
#include "fake_percpu.h"

static struct shared_info shared;
static char trail[128];
static unsigned entered;

static void say(const char *what, uint64_t n)
{
	size_t len = strlen(trail);

	(void)snprintf(trail + len, sizeof(trail) - len, "%s%u ", what, (unsigned)n);
}

static void do_call(uint64_t nr, uint64_t a1, uint64_t a2)
{
	const void *arg = (const void *)(uintptr_t)a2;

	if (nr == __HYPERVISOR_event_channel_op && a1 == EVTCHNOP_send)
		say("send", ((const struct evtchn_send *)arg)->port);
	else if (nr == __HYPERVISOR_event_channel_op && a1 == EVTCHNOP_close)
		say("close", ((const struct evtchn_close *)arg)->port);
	else if (nr == __HYPERVISOR_sched_op)
		say("sched", a1);
	else
		fail();
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	struct multicall_entry *list = (struct multicall_entry *)(uintptr_t)a1;

	entered++;
	if (nr != __HYPERVISOR_multicall) {
		do_call(nr, a1, a2);
		return 0;
	}
	assert_false(event_held()); /* an upcall may come before it returns */
	for (uint64_t i = 0; i < a2; i++) {
		do_call(list[i].op, list[i].args[0], list[i].args[1]);
		list[i].args[0] = ~0ul; /* an entry is the hypervisor's to change */
	}
	return 0;
}

static int fresh(void **state)
{
	fake_cpu_run_on(0);
	event_flush();
	event_init(&shared);
	trail[0] = '\0';
	entered = 0;
	return 0;
}

static void hold(uint32_t port)
{
	event_notify_soon((port_t){port});
}

static void held_until_flushed(void **state)
{
	uint64_t sent = event_sent();

	hold(3);
	hold(900);
	hold(3);
	assert_string_equal(trail, "");
	assert_true(event_held());
	event_flush();
	assert_string_equal(trail, "send3 send900 ");
	assert_false(event_held());
	assert_int_equal(event_sent(), sent + 2);
	event_flush();
	assert_int_equal(entered, 2);
}

static void the_wait_takes_them_with_it(void **state)
{
	uint64_t sent = event_sent();

	for (unsigned round = 1; round <= 2; round++) {
		trail[0] = '\0';
		hold(5);
		hold(4);
		event_flush_and_block();
		assert_string_equal(trail, "send4 send5 sched1 ");
		assert_int_equal(entered, round);
		assert_int_equal(event_sent(), sent + 2 * round);
		assert_false(event_held());
	}
	event_flush();
	assert_int_equal(entered, 2);
}

static void no_room_no_delay(void **state)
{
	for (uint32_t port = 1; port <= 7; port++)
		hold(port);
	assert_string_equal(trail, "send7 ");
	event_flush();
	assert_string_equal(trail, "send7 send1 send2 send3 send4 send5 send6 ");
}

/* Held by the first CPU; others neither hold nor send it. */
static void other_cpus_send_at_once(void **state)
{
	hold(8);
	fake_cpu_run_on(1);
	hold(9);
	assert_string_equal(trail, "send9 ");
	assert_false(event_held());
	event_flush();
	assert_string_equal(trail, "send9 ");
	fake_cpu_run_on(0);
	assert_true(event_held());
}

static void sent_before_the_port_closes(void **state)
{
	hold(8);
	event_close((port_t){8});
	assert_string_equal(trail, "send8 close8 ");
}

static void a_new_world_sends_none(void **state)
{
	hold(8);
	event_forget();
	event_flush();
	assert_string_equal(trail, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(held_until_flushed, fresh),
	    cmocka_unit_test_setup(the_wait_takes_them_with_it, fresh),
	    cmocka_unit_test_setup(no_room_no_delay, fresh),
	    cmocka_unit_test_setup(other_cpus_send_at_once, fresh),
	    cmocka_unit_test_setup(sent_before_the_port_closes, fresh),
	    cmocka_unit_test_setup(a_new_world_sends_none, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
