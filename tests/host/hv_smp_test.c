/* hv_smp_test: the lock around the hypervisor, and what its holder asks of those who wait: with real threads.
 *
 * Why: whoever waits for the lock and does not do what the holder waits for stops the machine, and so does a
 * request that falls between two looks. Expected: one at a time inside; every request is done before its
 * asker goes on, whether the other is outside, waits, or is on its way; long calls hear of those who wait.
 *
 * links: hypervisor/smp.c
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hypervisor/apic.h"
#include "hypervisor/irq.h"
#include "hypervisor/lock.h"
#include "hypervisor/mm_private.h"
#include "hypervisor/percpu.h"
#include "hypervisor/sched.h"
#include "hypervisor/smp.h"

#define CPUS   3u
#define ROUNDS 2000u

struct percpu hv_test_cpus[MAX_CPUS];
__thread unsigned hv_test_cpu;

/* An interrupt is a flag that a CPU outside looks at, as it would between two instructions. */
static volatile int interrupts[CPUS];
static volatile int inside, wrong, done;
static volatile unsigned flushed[CPUS], unloaded[CPUS];

void apic_send(uint32_t id, unsigned vector)
{
	wrong |= vector != VECTOR_KICK;
	__atomic_store_n(&interrupts[id], 1, __ATOMIC_SEQ_CST);
}

void hw_flush(void)
{
	flushed[this_cpu()->id]++;
}

void sched_unload(void)
{
	unloaded[this_cpu()->id]++;
}

static void come_in(void)
{
	hv_enter();
	wrong |= __atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST) != 0;
}

static void go_out(void)
{
	__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
	hv_exit();
}

/* Comes in by itself now and then, and asks the others for something. */
static void *cpu(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg, other = (id + 1) % CPUS, before;

	hv_test_cpu = id;
	for (unsigned i = 0; i < ROUNDS; i++) {
		come_in();
		before = flushed[other] + unloaded[other];
		cpus_ask(1u << other | 1u << id, i & 1 ? ASK_FLUSH : ASK_UNLOAD);
		wrong |= flushed[other] + unloaded[other] != before + 1;
		if (i % 16 == 0) {
			__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
			hv_breathe();
			wrong |= __atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST) != 0;
		}
		go_out();
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	/* Outside from now on: only an interrupt brings it in. */
	while (done < (int)CPUS) {
		if (__atomic_exchange_n(&interrupts[id], 0, __ATOMIC_SEQ_CST)) {
			come_in();
			go_out();
		}
		sched_yield();
	}
	return NULL;
}

static int set_up(void **state)
{
	cpus_online = (1u << CPUS) - 1;
	for (unsigned i = 0; i < CPUS; i++) {
		hv_test_cpus[i] = (struct percpu){.self = &hv_test_cpus[i], .id = i, .apic_id = i};
		hv_test_cpus[i].outside = true;
	}
	return 0;
}

static void everything_asked_is_done(void **state)
{
	pthread_t threads[CPUS];

	for (unsigned i = 0; i < CPUS; i++)
		pthread_create(&threads[i], NULL, cpu, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < CPUS; i++)
		pthread_join(threads[i], NULL);
	assert_false(wrong);
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(flushed[i] + unloaded[i], ROUNDS);
	assert_int_equal(cpus_count(), CPUS);
}

static void taken_once(void **state)
{
	hv_test_cpu = 0;
	hv_enter();
	hv_enter();
	assert_true(hv_test_cpus[0].locked);
	assert_false(hv_test_cpus[0].outside);
	hv_exit();
	assert_false(hv_test_cpus[0].locked);
	assert_true(hv_test_cpus[0].outside);
	hv_enter();
	hv_exit();
}

static void *wait_once(void *arg)
{
	hv_test_cpu = 1;
	hv_enter();
	hv_exit();
	return NULL;
}

/* Not from the first step on: else a list would be one restart an entry. */
static void long_calls_give_way(void **state)
{
	pthread_t thread;
	unsigned steps = 0;

	hv_test_cpu = 0;
	hv_enter();
	for (unsigned i = 0; i < 100; i++)
		assert_false(hv_wanted());
	hv_exit();
	hv_enter();
	pthread_create(&thread, NULL, wait_once, NULL);
	while (__atomic_load_n(&hv_test_cpus[1].outside, __ATOMIC_SEQ_CST))
		sched_yield();
	while (!hv_wanted()) {
		steps++;
		sched_yield();
	}
	assert_true(steps >= 8);
	hv_exit();
	pthread_join(thread, NULL);
}

#define T(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(taken_once),
	    T(long_calls_give_way),
	    T(everything_asked_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
