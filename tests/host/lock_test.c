/* lock_test.c: a lock that is not free, with threads as CPUs.
 *
 * Shows: taking and giving back in place leaves the word as it should be; who waits is served in the order of
 * arrival; under load no two are inside at once and all come through, spinning and sleeping, with
 * waits that return for no reason and interrupts that take other locks meanwhile, deeper than there are
 * places for; a kick is never lost (the waits here have no timeout: a lost one ends the test by alarm); a
 * waiter is asked something and answers, asleep or not; giving back changes rax alone.
 * Why: everything the kernel does with several CPUs stands on this, and a lost wake-up hangs a guest once a week.
 *
 * links: pvops/lock.c
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include <amphi/percpu.h>
#include <amphi/xen.h>
#include "pvops/lock.h"
#include "pvops/lock_relax.h"

#define CPUS       6u
#define TIMEOUT_S  120u
#define ONE_INSIDE (1u << 31)

/* The file itself. */
__asm__(".include \"pvops/lock_thunks.S\"\n .text\n");

static struct percpu cpus[CPUS];

static unsigned me(void)
{
	return this_cpu()->cpu;
}

static void become_cpu(unsigned cpu)
{
	cpus[cpu].self = &cpus[cpu];
	cpus[cpu].cpu = cpu;
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, &cpus[cpu]))
		abort();
}

/* ---- the platform: kicks that are kept, and sleep without an end ------------------------ */

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t kicked;
	bool pending;
	unsigned dice;
} sleepers[CPUS];
static bool wake_for_nothing, neighbours_sleep;
static void (*on_relax)(void); /* what an interrupt would do */

static unsigned roll(void)
{
	return sleepers[me()].dice = sleepers[me()].dice * 1103515245u + 12345u;
}

static void platform_wait(const uint8_t *byte, uint8_t value)
{
	unsigned cpu = me();

	if (roll() >> 16 & 1)
		sched_yield(); /* what was looked at before this call is old news */
	pthread_mutex_lock(&sleepers[cpu].mutex);
	if (__atomic_load_n(byte, __ATOMIC_ACQUIRE) == value &&
	    !(wake_for_nothing && roll() >> 16 & 1))
		while (!sleepers[cpu].pending)
			pthread_cond_wait(&sleepers[cpu].kicked, &sleepers[cpu].mutex);
	sleepers[cpu].pending = false;
	pthread_mutex_unlock(&sleepers[cpu].mutex);
}

static void platform_kick(unsigned cpu)
{
	assert_true(cpu < CPUS);
	pthread_mutex_lock(&sleepers[cpu].mutex);
	sleepers[cpu].pending = true;
	pthread_cond_signal(&sleepers[cpu].kicked);
	pthread_mutex_unlock(&sleepers[cpu].mutex);
}

static bool platform_is_preempted(unsigned cpu)
{
	assert_true(cpu < CPUS);
	return neighbours_sleep && roll() >> 16 & 1;
}

static void unlock_plain(struct spinlock *lock)
{
	__atomic_store_n(&lock->locked, 0, __ATOMIC_RELEASE);
}

/* More waiters than processors: each turn is given away. */
void lock_relax(void)
{
	if (on_relax)
		on_relax();
	sched_yield();
}

struct pv_ops pv_ops = {
    .lock = {.wait = platform_wait,
	     .kick = platform_kick,
	     .vcpu_is_preempted = platform_is_preempted},
};

static int sleeping(void **state)
{
	alarm(TIMEOUT_S);
	wake_for_nothing = neighbours_sleep = false;
	on_relax = NULL;
	for (unsigned i = 0; i < CPUS; i++)
		sleepers[i].pending = false;
	pv_ops.lock.queued_spin_lock_slowpath = lock_slow_sleeping;
	pv_ops.lock.queued_spin_unlock = lock_unlock_waking;
	return 0;
}

static int spinning(void **state)
{
	(void)sleeping(state);
	pv_ops.lock.queued_spin_lock_slowpath = lock_slow_spinning;
	pv_ops.lock.queued_spin_unlock = unlock_plain;
	return 0;
}

static void start(pthread_t *threads, unsigned first, void *(*fn)(void *))
{
	for (uintptr_t i = first; i < CPUS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fn, (void *)i), 0);
}

static void join(pthread_t *threads, unsigned first)
{
	for (unsigned i = first; i < CPUS; i++)
		pthread_join(threads[i], NULL);
}

/* ---- one CPU -------------------------------------------------------------------------- */

static void in_place(void **state)
{
	struct spinlock lock = {0};
	struct pv_lock_counts before, after;

	pvops_lock_counts(&before);
	spin_lock(&lock);
	assert_int_equal(lock.value, 1);
	assert_false(spin_trylock(&lock));
	spin_unlock(&lock);
	assert_int_equal(lock.value, 0);
	assert_true(spin_trylock(&lock));
	spin_unlock(&lock);
	pvops_lock_counts(&after);
	assert_memory_equal(&before, &after, sizeof(before));
	lock.tail = 5; /* somebody is about to get it: nobody else does */
	assert_false(spin_trylock(&lock));
}

/* Every register that a C function may change holds a number before and after. */
static void unlocking_changes_rax_alone(void **state)
{
	struct spinlock lock = {.locked = 1, .sleeper = 2};
	uint64_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
	void *at = &lock;

	platform_kick(1);
	sleepers[1].pending = false;
	__asm__ volatile(
	    "mov 8(%1), %%rcx; mov 16(%1), %%rdx; mov 24(%1), %%rsi; mov 32(%1), %%r8\n"
	    "mov 40(%1), %%r9; mov 48(%1), %%r10; mov 56(%1), %%r11\n"
	    "call lock_unlock_waking\n"
	    "mov %%rdi, 0(%2); mov %%rcx, 8(%2); mov %%rdx, 16(%2); mov %%rsi, 24(%2)\n"
	    "mov %%r8, 32(%2); mov %%r9, 40(%2); mov %%r10, 48(%2); mov %%r11, 56(%2)"
	    : "+D"(at)
	    : "b"(in), "r"(out)
	    : "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
	in[0] = (uintptr_t)&lock;
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(lock.value, 0);
	assert_true(sleepers[1].pending);
	assert_ptr_equal(at, &lock);
}

/* ---- order ---------------------------------------------------------------------------- */

static struct spinlock queue;
static unsigned order[CPUS], n_done;

static void *queue_up(void *arg)
{
	become_cpu((unsigned)(uintptr_t)arg);
	spin_lock(&queue);
	order[n_done++] = me();
	spin_unlock(&queue);
	return NULL;
}

static void first_come_first_served(void **state)
{
	pthread_t threads[CPUS];

	n_done = 0;
	spin_lock(&queue);
	for (uintptr_t i = 1; i < CPUS; i++) {
		uint16_t tail = __atomic_load_n(&queue.tail, __ATOMIC_ACQUIRE);

		assert_int_equal(pthread_create(&threads[i], NULL, queue_up, (void *)i), 0);
		while (__atomic_load_n(&queue.tail, __ATOMIC_ACQUIRE) == tail)
			sched_yield();
	}
	spin_unlock(&queue);
	join(threads, 1);
	assert_int_equal(n_done, CPUS - 1);
	for (unsigned i = 0; i < n_done; i++)
		assert_int_equal(order[i], i + 1);
	assert_int_equal(queue.value, 0);
}

/* ---- load ----------------------------------------------------------------------------- */

static struct spinlock contended, irq_locks[8];
static unsigned rounds, inside, entered;

static void *hammer(void *arg)
{
	become_cpu((unsigned)(uintptr_t)arg);
	sleepers[me()].dice = me() + 1;
	for (unsigned i = 0; i < rounds; i++) {
		spin_lock(&contended);
		if (__atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED))
			inside |= ONE_INSIDE;
		entered++; /* not atomic: the lock is what makes it right */
		if (roll() >> 16 & 1)
			usleep(300); /* others have time to fall asleep */
		__atomic_fetch_sub(&inside, 1, __ATOMIC_RELAXED);
		spin_unlock(&contended);
	}
	return NULL;
}

static void run_hammers(unsigned n)
{
	pthread_t threads[CPUS];

	rounds = n;
	inside = entered = 0;
	start(threads, 0, hammer);
	join(threads, 0);
	assert_int_equal(inside, 0);
	assert_int_equal(entered, CPUS * n);
	assert_int_equal(contended.value, 0);
}

static void one_at_a_time(void **state)
{
	run_hammers(300);
}

static void none_sleeps_for_ever(void **state)
{
	struct pv_lock_counts before, after;

	pvops_lock_counts(&before);
	neighbours_sleep = true;
	run_hammers(1000);
	pvops_lock_counts(&after);
	assert_true(after.waits > before.waits && after.kicks > before.kicks);
	assert_true(after.slow > before.slow);
}

static void waits_end_for_no_reason(void **state)
{
	wake_for_nothing = neighbours_sleep = true;
	run_hammers(1000);
}

static __thread unsigned depth;

/* An interrupt in the middle of waiting takes a lock of its own, and is interrupted itself there. */
static void interrupt(void)
{
	struct spinlock *lock = &irq_locks[depth];

	if (depth == ARRAY_SIZE(irq_locks) || roll() >> 16 & 1)
		return;
	depth++;
	spin_lock(lock);
	spin_unlock(lock);
	depth--;
}

static void interrupts_take_locks_too(void **state)
{
	neighbours_sleep = wake_for_nothing = true;
	on_relax = interrupt;
	run_hammers(50);
	for (size_t i = 0; i < ARRAY_SIZE(irq_locks); i++)
		assert_int_equal(irq_locks[i].value, 0);
}

static unsigned deepest;

static void nest(void)
{
	struct spinlock *lock = &irq_locks[depth];

	if (me() == 0 || depth == ARRAY_SIZE(irq_locks))
		return;
	depth++;
	if (depth == ARRAY_SIZE(irq_locks))
		__atomic_add_fetch(&deepest, 1, __ATOMIC_SEQ_CST);
	spin_lock(lock);
	spin_unlock(lock);
	depth--;
}

/* All locks are held until each CPU waits for one within the wait for another, eight deep. */
static void deeper_than_there_are_places(void **state)
{
	pthread_t threads[CPUS];

	become_cpu(0);
	rounds = 1;
	inside = entered = deepest = 0;
	on_relax = nest;
	for (size_t i = 0; i < ARRAY_SIZE(irq_locks); i++)
		spin_lock(&irq_locks[i]);
	spin_lock(&contended);
	start(threads, 1, hammer);
	while (__atomic_load_n(&deepest, __ATOMIC_SEQ_CST) < CPUS - 1)
		sched_yield();
	on_relax = NULL;
	for (size_t i = ARRAY_SIZE(irq_locks); i-- > 0;)
		spin_unlock(&irq_locks[i]);
	spin_unlock(&contended);
	join(threads, 1);
	assert_int_equal(entered, CPUS - 1);
}

/* ---- a question to a CPU that waits ----------------------------------------------------- */

static unsigned asked[CPUS], answered[CPUS];

static void answer(void)
{
	__atomic_store_n(&answered[me()], __atomic_load_n(&asked[me()], __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
}

static void *wait_and_serve(void *arg)
{
	become_cpu((unsigned)(uintptr_t)arg);
	sleepers[me()].dice = me() + 1;
	spin_lock_serving(&contended, answer);
	spin_unlock(&contended);
	return NULL;
}

/* The holder asks and waits for the answer: a question that is lost is a deadlock. */
static void who_waits_answers(void **state)
{
	pthread_t threads[CPUS];

	neighbours_sleep = true;
	become_cpu(0);
	spin_lock(&contended);
	start(threads, 1, wait_and_serve);
	for (unsigned i = 1; i < 300; i++)
		for (unsigned cpu = 1; cpu < CPUS; cpu++) {
			__atomic_store_n(&asked[cpu], i, __ATOMIC_RELEASE);
			pv_kick(cpu);
			if (i % 3) /* sometimes several are asked at once */
				while (__atomic_load_n(&answered[cpu], __ATOMIC_ACQUIRE) != i)
					sched_yield();
		}
	spin_unlock(&contended);
	join(threads, 1);
	assert_int_equal(contended.value, 0);
}

static int first_cpu(void **state)
{
	for (unsigned i = 0; i < CPUS; i++) {
		pthread_mutex_init(&sleepers[i].mutex, NULL);
		pthread_cond_init(&sleepers[i].kicked, NULL);
	}
	become_cpu(0);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(in_place, spinning),
	    cmocka_unit_test_setup(in_place, sleeping),
	    cmocka_unit_test_setup(unlocking_changes_rax_alone, sleeping),
	    cmocka_unit_test_setup(first_come_first_served, spinning),
	    cmocka_unit_test_setup(first_come_first_served, sleeping),
	    cmocka_unit_test_setup(one_at_a_time, spinning),
	    cmocka_unit_test_setup(none_sleeps_for_ever, sleeping),
	    cmocka_unit_test_setup(waits_end_for_no_reason, sleeping),
	    cmocka_unit_test_setup(interrupts_take_locks_too, sleeping),
	    cmocka_unit_test_setup(deeper_than_there_are_places, spinning),
	    cmocka_unit_test_setup(deeper_than_there_are_places, sleeping),
	    cmocka_unit_test_setup(who_waits_answers, spinning),
	    cmocka_unit_test_setup(who_waits_answers, sleeping),
	};

	return cmocka_run_group_tests(tests, first_cpu, NULL);
}
