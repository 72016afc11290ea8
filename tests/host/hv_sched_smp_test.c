/* hv_sched_smp_test: several CPUs choose among several vCPUs: shares, caps, places, and states that move.
 *
 * Why: fairness on one CPU says nothing of two, and a vCPU whose registers are left on a CPU that it is not on
 * any more runs with old ones. Expected: shares by weight within 5 %, caps kept, no CPU idle while one
 * waits that may run there, no vCPU on two CPUs or with its state on another than its own.
 *
 * links: tests/host/hv_vcpu_world.c hypervisor/sched.c hypervisor/sched_choose.c hypervisor/sched_share.c
 * links: hypervisor/sched_op.c hypervisor/timer.c hypervisor/pv_context.c hypervisor/pv_bounce.c
 * links: hypervisor/console.c hypervisor/io.c hypervisor/pirq.c hypervisor/msi.c hypervisor/pci_config.c lib/pci_cap.c
 * links: hypervisor/irq.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv_vcpu_world.h"
#include "hypervisor/smp.h"

#define MS   1000000ull
#define TICK 100000ull
#define MANY 6u

static struct domain *domains[MANY];
static struct vcpu *v[MANY]; /* one a domain */
static struct shared_info *shared;
static jmp_buf waits;
static unsigned n_cpus;

/* ---- a machine of several CPUs, each stepped in turn ---------------------------------------- */

void cpu_wait(void)
{
	longjmp(waits, 1);
}

/* What the CPU runs after its next look; NULL: it waits. */
static struct vcpu *step(unsigned cpu)
{
	hv_test_cpu = cpu;
	hv_enter();
	timers_run();
	if (setjmp(waits) == 0)
		(void)sched_leave();
	return this_cpu()->current == this_cpu()->idle ? NULL : this_cpu()->current;
}

static void check_places(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		unsigned current = 0;

		for (unsigned c = 0; c < n_cpus; c++) {
			current += hv_test_cpus[c].current == v[i];
			if (hv_test_cpus[c].loaded == v[i])
				assert_int_equal(v[i]->sched.cpu, c);
		}
		assert_true(current <= 1);
	}
	for (unsigned c = 0; c < n_cpus; c++)
		if (hv_test_cpus[c].current != hv_test_cpus[c].idle)
			assert_ptr_equal(hv_test_cpus[c].current, hv_test_cpus[c].loaded);
}

static void run_for(uint64_t ns)
{
	for (uint64_t end = world.now_ns + ns; world.now_ns < end; world.now_ns += TICK)
		for (unsigned c = 0; c < n_cpus; c++) {
			(void)step(c);
			check_places();
		}
	hv_test_cpu = 0;
}

/* The others go on while one waits for them. */
void hv_breathe(void)
{
	unsigned self = hv_test_cpu;

	world.now_ns += TICK;
	for (unsigned c = 0; c < n_cpus; c++)
		if (c != self)
			(void)step(c);
	hv_test_cpu = self;
	hv_enter();
}

static void cpus(unsigned n)
{
	n_cpus = n;
	cpus_online = (1u << n) - 1;
	for (unsigned c = 0; c < n; c++) {
		hv_test_cpu = c;
		sched_init(c);
	}
	hv_test_cpu = 0;
	hv_enter();
}

static int set_up(void **state)
{
	world_start(true);
	hv_test_percpu.loaded = NULL;
	shared = calloc(1, sizeof(*shared));
	for (unsigned i = 0; i < MANY; i++) {
		domains[i] = calloc(1, sizeof(struct domain));
		v[i] = aligned_alloc(64, (sizeof(struct vcpu) + 63) / 64 * 64);
		memset(v[i], 0, sizeof(*v[i]));
		domains[i]->id = (domid_t)(10 + i);
		domains[i]->max_vcpus = 1;
		domains[i]->vcpu[0] = v[i];
		v[i]->domain = domains[i];
		v[i]->events.info = &shared->vcpu_info[i];
		sched_vcpu_init(v[i]);
		assert_int_equal(pv_vcpu_init(v[i]), 0);
	}
	return 0;
}

static int tear_down(void **state)
{
	for (unsigned i = 0; i < MANY; i++) {
		vcpu_pause(v[i]);
		sched_vcpu_teardown(v[i]);
		sched_domain_teardown(domains[i]);
		pv_vcpu_teardown(v[i]);
		free(v[i]);
		free(domains[i]);
	}
	free(shared);
	cpus_online = 1;
	world_end();
	return 0;
}

static uint64_t ran_in(const struct vcpu *who, uint64_t *before)
{
	uint64_t now = vcpu_cpu_time_ns((struct vcpu *)who), ran = now - *before;

	*before = now;
	return ran;
}

/* ---- shares --------------------------------------------------------------------------------- */

static void five_share_two_cpus(void **state)
{
	cpus(2);
	for (unsigned i = 0; i < 5; i++)
		vcpu_up(v[i]);
	run_for(1000 * MS);
	for (unsigned i = 0; i < 5; i++)
		assert_in_range(vcpu_cpu_time_ns(v[i]), 380 * MS, 420 * MS);
}

static void weights_on_one_cpu(void **state)
{
	cpus(2);
	assert_int_equal(sched_set_share(domains[0], 256, 0), 0);
	assert_int_equal(sched_set_share(domains[1], 512, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(sched_set_affinity(v[i], 2), 0);
		vcpu_up(v[i]);
	}
	run_for(3000 * MS);
	assert_in_range(vcpu_cpu_time_ns(v[0]), 950 * MS, 1050 * MS);
	assert_in_range(vcpu_cpu_time_ns(v[1]), 1900 * MS, 2100 * MS);
	assert_null(step(0));
}

/* Two of weight 512 and two of 256 on two CPUs: a third of a CPU is 256's. */
static void weights_on_two_cpus(void **state)
{
	cpus(2);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(sched_set_share(domains[i], i < 2 ? 256 : 512, 0), 0);
		vcpu_up(v[i]);
	}
	run_for(3000 * MS);
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(vcpu_cpu_time_ns(v[i]), i < 2 ? 950 * MS : 1900 * MS,
				i < 2 ? 1050 * MS : 2100 * MS);
}

static void share_is_checked(void **state)
{
	cpus(2);
	assert_int_equal(sched_set_share(domains[0], 0, 0), -XEN_EINVAL);
	assert_int_equal(sched_set_share(domains[0], SCHED_WEIGHT_MAX + 1, 0), -XEN_EINVAL);
	assert_int_equal(sched_set_share(domains[0], 256, 101), -XEN_EINVAL);
	assert_int_equal(sched_set_affinity(v[0], 4), -XEN_EINVAL);
	assert_int_equal(sched_set_affinity(v[0], 0), -XEN_EINVAL);
}

static void cap_is_kept_on_an_idle_machine(void **state)
{
	uint64_t before = 0;

	cpus(2);
	assert_int_equal(sched_set_share(domains[0], 256, 25), 0);
	vcpu_up(v[0]);
	run_for(1000 * MS);
	assert_in_range(ran_in(v[0], &before), 240 * MS, 265 * MS);
	assert_int_equal(sched_set_share(domains[0], 256, 0), 0);
	run_for(1000 * MS);
	assert_in_range(ran_in(v[0], &before), 990 * MS, 1000 * MS);
}

/* Of two that had the machine to themselves at different weights, neither waits for it to be made up
 * for when a third comes. */
static void time_nobody_wanted_is_no_debt(void **state)
{
	uint64_t before[3] = {0};

	cpus(2);
	assert_int_equal(sched_set_share(domains[1], 2048, 0), 0);
	vcpu_up(v[0]);
	vcpu_up(v[1]);
	run_for(5000 * MS);
	for (unsigned i = 0; i < 2; i++)
		assert_in_range(ran_in(v[i], &before[i]), 4990 * MS, 5000 * MS);
	vcpu_up(v[2]);
	run_for(200 * MS);
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(ran_in(v[i], &before[i]), 80 * MS, 200 * MS);
}

/* ---- places --------------------------------------------------------------------------------- */

static void nobody_waits_while_a_cpu_idles(void **state)
{
	cpus(4);
	for (unsigned i = 0; i < 3; i++)
		vcpu_up(v[i]);
	run_for(100 * MS);
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(vcpu_cpu_time_ns(v[i]), 99 * MS, 100 * MS);
	assert_true(world.kicks[1] + world.kicks[2] + world.kicks[3] >= 2);
}

static void affinity_moves_it(void **state)
{
	cpus(2);
	vcpu_up(v[0]);
	run_for(10 * MS);
	assert_int_equal(v[0]->sched.cpu, 0);
	assert_int_equal(sched_set_affinity(v[0], 2), 0);
	run_for(TICK);
	assert_ptr_equal(hv_test_cpus[1].current, v[0]);
	assert_null(step(0));
	assert_null(hv_test_cpus[0].loaded);
}

static void soft_affinity_is_a_wish(void **state)
{
	cpus(2);
	sched_set_soft(v[0], 2);
	vcpu_up(v[0]);
	run_for(TICK);
	assert_ptr_equal(hv_test_cpus[1].current, v[0]);
	/* Given up rather than waiting while the other CPU idles. */
	assert_int_equal(sched_set_affinity(v[1], 2), 0);
	vcpu_up(v[1]);
	run_for(100 * MS);
	assert_true(vcpu_cpu_time_ns(v[0]) + vcpu_cpu_time_ns(v[1]) > 190 * MS);
	/* And taken up again when nobody else is there. */
	vcpu_down(v[1]);
	sched_set_soft(v[0], 1);
	run_for(20 * MS);
	assert_ptr_equal(hv_test_cpus[0].current, v[0]);
	sched_set_soft(v[0], 0);
	assert_int_equal(v[0]->sched.soft, ~0u);
}

/* What it had in the CPU it left is in memory before it runs elsewhere. */
static void its_state_comes_along(void **state)
{
	cpus(2);
	vcpu_up(v[0]);
	assert_ptr_equal(step(0), v[0]);
	world.msr_fs_base = 0x1234567000;
	vcpu_down(v[0]);
	assert_null(step(0));
	assert_ptr_equal(hv_test_cpus[0].loaded, v[0]);
	assert_int_equal(sched_set_affinity(v[0], 2), 0);
	vcpu_up(v[0]);
	assert_ptr_equal(step(1), v[0]);
	assert_int_equal(v[0]->pv.fs_base, 0x1234567000);
	assert_null(hv_test_cpus[0].loaded);
}

static void who_pauses_another_has_it_in_memory(void **state)
{
	cpus(2);
	assert_int_equal(sched_set_affinity(v[0], 2), 0);
	vcpu_up(v[0]);
	assert_ptr_equal(step(1), v[0]);
	hv_test_cpu = 0;
	vcpu_pause(v[0]);
	assert_ptr_equal(hv_test_cpus[1].current, hv_test_cpus[1].idle);
	assert_null(hv_test_cpus[1].loaded);
	vcpu_unpause(v[0]);
	assert_ptr_equal(step(1), v[0]);
}

/* An event for one that runs elsewhere brings it in, whatever its mask says. */
static void events_kick_who_runs_elsewhere(void **state)
{
	unsigned before;

	cpus(2);
	assert_int_equal(sched_set_affinity(v[0], 2), 0);
	vcpu_up(v[0]);
	assert_ptr_equal(step(1), v[0]);
	hv_test_cpu = 0;
	before = world.kicks[1];
	shared->vcpu_info[0].evtchn_upcall_mask = 1;
	vcpu_wake(v[0]);
	assert_int_equal(world.kicks[1], before + 1);
	hv_test_cpu = 1;
	vcpu_wake(v[0]);
	assert_int_equal(world.kicks[1], before + 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(five_share_two_cpus),
	    T(weights_on_one_cpu),
	    T(weights_on_two_cpus),
	    T(share_is_checked),
	    T(cap_is_kept_on_an_idle_machine),
	    T(time_nobody_wanted_is_no_debt),
	    T(nobody_waits_while_a_cpu_idles),
	    T(affinity_moves_it),
	    T(soft_affinity_is_a_wish),
	    T(its_state_comes_along),
	    T(who_pauses_another_has_it_in_memory),
	    T(events_kick_who_runs_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
