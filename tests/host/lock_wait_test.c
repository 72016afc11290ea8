/* lock_wait_test.c: how a vCPU sleeps for a lock under Xen, and how another wakes it.
 *
 * Shows: nothing is patched off Xen; each CPU has a masked channel of its own and polls that alone, for a bounded
 * time on the hypervisor's clock; its bit is cleared afterwards; nobody sleeps when the byte has changed, when an
 * interrupt that would be let in is due, or without a channel; a kick goes to the channel of the CPU kicked; what was
 * forgotten is asleep no more. Why: a sleep that nobody ends is a machine that stands still.
 *
 * links: kernel/lock_wait.c hypercall/count.c tests/host/fake_hypercall.c tests/host/fake_percpu.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/pvops.h>

#include "fake_hypercall.h"
#include "fake_percpu.h"
#include "kernel/boot.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/lock_wait.h"
#include "kernel/time.h"

#define NOW_NS    (7 * NS_PER_S)
#define OFFSET_NS (2 * NS_PER_S)

/* Interrupts go by the stack, as pvops_sites.h says. */
__asm__("stacked_save: push (%rsp)\n push flags_now(%rip)\n pop 8(%rsp)\n ret\n"
	"stacked_restore: ret $8\n nothing: ret\n");
void stacked_save(void), stacked_restore(void), nothing(void);
uint64_t flags_now __attribute__((used));

struct pv_ops pv_ops;
struct boot_info boot;
static struct shared_info shared;
static bool is_pending;
static void (*wait_fn)(const uint8_t *byte, uint8_t value);
static void (*kick_fn)(unsigned cpu);
static unsigned n_binds, n_masked, n_polls, n_sends;
static evtchn_port_t polled, sent;
static uint64_t timeout_ns;
static int bind_error;

uint64_t time_ns(void)
{
	return NOW_NS;
}

uint64_t clock_offset_xen(void)
{
	return OFFSET_NS;
}

bool event_pending(void)
{
	return is_pending;
}

int event_bind_ipi(unsigned vcpu, event_fn *fn, void *ctx, port_t *out_port)
{
	assert_int_equal(vcpu, this_cpu()->vcpu);
	if (bind_error)
		return bind_error;
	n_binds++;
	*out_port = (port_t){100 + vcpu};
	return 0;
}

void event_mask(port_t port)
{
	n_masked++;
}

int pvops_provide_lock_wait(enum pv_kind kind, void (*wait)(const uint8_t *, uint8_t),
			    void (*kick)(unsigned))
{
	wait_fn = wait;
	kick_fn = kick;
	return 0;
}

void klog(enum log_level level, const char *fmt, ...) {}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	if (nr == __HYPERVISOR_sched_op && a1 == SCHEDOP_poll) {
		const struct sched_poll *poll = (const void *)(uintptr_t)a2;

		assert_int_equal(poll->nr_ports, 1);
		n_polls++;
		polled = *poll->ports.p;
		timeout_ns = poll->timeout;
	} else if (nr == __HYPERVISOR_event_channel_op && a1 == EVTCHNOP_send) {
		n_sends++;
		sent = ((const struct evtchn_send *)(uintptr_t)a2)->port;
	}
	return 0;
}

static int fresh(void **state)
{
	pv_ops.irq.save_fl = stacked_save;
	pv_ops.irq.restore_fl = stacked_restore;
	pv_ops.irq.irq_disable = nothing;
	boot.shared_info = &shared;
	memset(&shared, 0, sizeof(shared));
	boot.platform = BOOT_XEN_PV;
	is_pending = false;
	bind_error = 0;
	lock_wait_forget();
	fake_cpu_run_on(0);
	lock_wait_init();
	flags_now = 0;
	n_binds = n_masked = n_polls = n_sends = 0;
	return 0;
}

static void nothing_is_patched_off_xen(void **state)
{
	wait_fn = NULL;
	boot.platform = BOOT_NATIVE;
	lock_wait_init();
	assert_null(wait_fn);
}

static void each_cpu_has_a_masked_channel_once(void **state)
{
	fake_cpu_run_on(1);
	lock_wait_cpu_online();
	lock_wait_cpu_online();
	assert_int_equal(n_binds, 1);
	assert_int_equal(n_masked, 1);
}

static void a_sleeper_polls_its_own_channel_for_a_bounded_time(void **state)
{
	uint8_t byte = 1;

	shared.evtchn_pending[1] = 1ul << (100 - 64) | 1;
	wait_fn(&byte, 1);
	assert_int_equal(n_polls, 1);
	assert_int_equal(polled, 100);
	assert_true(timeout_ns > NOW_NS - OFFSET_NS && timeout_ns <= NOW_NS - OFFSET_NS + NS_PER_S);
	assert_int_equal(shared.evtchn_pending[1], 1); /* its bit, and no other */
}

static void nobody_sleeps_for_what_has_happened(void **state)
{
	uint8_t byte = 0;

	wait_fn(&byte, 1);
	assert_int_equal(n_polls, 0);
}

/* With interrupts off it would not be let in, so it is no reason. */
static void an_interrupt_that_is_due_comes_first(void **state)
{
	uint8_t byte = 1;

	is_pending = true;
	flags_now = PV_FLAGS_IF;
	wait_fn(&byte, 1);
	assert_int_equal(n_polls, 0);
	flags_now = 0;
	wait_fn(&byte, 1);
	assert_int_equal(n_polls, 1);
}

static void a_kick_goes_to_the_channel_of_the_cpu(void **state)
{
	fake_cpu_run_on(2);
	lock_wait_cpu_online();
	fake_cpu_run_on(0);
	kick_fn(2);
	assert_int_equal(sent, 102);
	kick_fn(1);
	assert_int_equal(n_sends, 1); /* CPU 1 has none */
}

static void without_a_channel_a_cpu_spins(void **state)
{
	uint8_t byte = 1;

	bind_error = -XEN_ENOSPC;
	fake_cpu_run_on(1);
	lock_wait_cpu_online();
	wait_fn(&byte, 1);
	lock_wait_forget();
	fake_cpu_run_on(0);
	wait_fn(&byte, 1);
	kick_fn(0);
	assert_int_equal(n_polls, 0);
	assert_int_equal(n_sends, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(nothing_is_patched_off_xen, fresh),
	    cmocka_unit_test_setup(each_cpu_has_a_masked_channel_once, fresh),
	    cmocka_unit_test_setup(a_sleeper_polls_its_own_channel_for_a_bounded_time, fresh),
	    cmocka_unit_test_setup(nobody_sleeps_for_what_has_happened, fresh),
	    cmocka_unit_test_setup(an_interrupt_that_is_due_comes_first, fresh),
	    cmocka_unit_test_setup(a_kick_goes_to_the_channel_of_the_cpu, fresh),
	    cmocka_unit_test_setup(without_a_channel_a_cpu_spins, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
