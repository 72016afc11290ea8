/* time_xen_test.c: a Xen domain's clock goes on where it stopped, whatever the machine it wakes up on says.
 *
 * Shows: after a suspend the clock stands where it stood and runs from there, on a machine that has been up for a
 * shorter or a longer time, and again after a second one; the hypervisor's timer is asked for on its own scale, and a
 * moment that is past for at once; each CPU's timer gets a port anew; what the date needs to catch up is told; a suspend
 * that was cancelled changes nothing. Why: a clock that steps back ends every wait early, one that jumps ends all of
 * them, and one that stands still none.
 *
 * links: kernel/time_xen.c lib/clock_scale.c hypercall/count.c tests/host/fake_hypercall.c tests/host/fake_percpu.c
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
#include "kernel/panic.h"
#include "kernel/time.h"

struct boot_info boot;
static uint64_t (*sched_clock)(void);
static void (*set_next_event)(uint64_t deadline_ns);
static uint64_t asked_ns;
static unsigned interrupts, binds, stops;

int pvops_provide(enum pv_op op, enum pv_kind kind, void *fn)
{
	if (op == PV_time_sched_clock)
		sched_clock = (uint64_t(*)(void))fn;
	if (op == PV_time_set_next_event)
		set_next_event = (void (*)(uint64_t))fn;
	return 0;
}

int event_bind_virq_of(unsigned vcpu, unsigned virq, event_fn *fn, void *ctx, port_t *out_port)
{
	assert_int_equal(virq, VIRQ_TIMER);
	*out_port = (port_t){++binds};
	return 0;
}

void time_interrupt(void)
{
	interrupts++;
}

void panic(const char *fmt, ...)
{
	fail_msg("panic: %s", fmt);
	__builtin_unreachable();
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	if (nr != __HYPERVISOR_vcpu_op)
		return 0;
	stops += a1 == VCPUOP_stop_periodic_timer;
	if (a1 == VCPUOP_set_singleshot_timer)
		asked_ns = ((struct vcpu_set_singleshot_timer *)(uintptr_t)a3)->timeout_abs_ns;
	return 0;
}

/* The TSC counts for nothing here: time is what the hypervisor writes. */
static void machine_says(uint64_t ns)
{
	fake_cpus[0].vcpu_info.time = (struct vcpu_time_info){.system_time = ns};
}

static int fresh(void **state)
{
	if (!sched_clock)
		(void)clock_init_xen();
	machine_says(1000000);
	clock_resume_xen(); /* as if the clock had always been here */
	interrupts = binds = stops = 0;
	return 0;
}

static void wake_up_at(uint64_t ns)
{
	clock_stop_xen();
	machine_says(ns);
	clock_resume_xen();
}

static void goes_on(uint64_t from, uint64_t machine_ns)
{
	assert_int_equal(sched_clock(), from);
	machine_says(machine_ns + 250);
	assert_int_equal(sched_clock(), from + 250);
	set_next_event(from + 1000);
	assert_int_equal(asked_ns, machine_ns + 1000);
	assert_int_equal(clock_offset_xen(), from - machine_ns);
}

static void a_younger_machine(void **state)
{
	uint64_t from = sched_clock();

	wake_up_at(7);
	assert_int_equal(binds, 1);
	assert_int_equal(stops, 1);
	assert_int_equal(interrupts, 1);
	goes_on(from, 7);
}

static void an_older_machine(void **state)
{
	uint64_t from = sched_clock();

	wake_up_at(1ull << 60);
	goes_on(from, 1ull << 60);
	from = sched_clock();
	wake_up_at(33); /* and on, to another */
	goes_on(from, 33);
}

/* Not zero, which is no moment, nor a number of two's complement, which is one in a hundred years. */
static void a_moment_long_past(void **state)
{
	wake_up_at(7);
	set_next_event(0);
	assert_int_equal(asked_ns, 1);
}

static void cancelled(void **state)
{
	uint64_t from = sched_clock();

	clock_stop_xen();
	machine_says(1000000 + 500);
	assert_int_equal(sched_clock(), from + 500);
	assert_int_equal(binds, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_younger_machine, fresh),
	    cmocka_unit_test_setup(an_older_machine, fresh),
	    cmocka_unit_test_setup(a_moment_long_past, fresh),
	    cmocka_unit_test_setup(cancelled, fresh),
	};

	fake_cpu_run_on(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
