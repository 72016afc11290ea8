/* lock.c: what happens when a lock is not free: a queue of CPUs, each spinning on a line of its own.
 *
 * Called through lock.queued_spin_lock_slowpath, spinning natively and with sleep where the platform has
 * lock.wait and lock.kick. The lock's word names the last in the queue; each in it names the next; only
 * the first looks at the lock itself. Order is that of arrival: nobody starves, and a lock given
 * back is taken by the one that was told first. What unlocking is: native.c and lock_thunks.S.
 *
 *   spin_lock: 0 -> held, in place, else
 *   enter queue --(told by the one before)--> first --(held == 0)--> holder --> tells the next
 *        |  spins LOCK_SPINS rounds, then            |  spins, then writes itself down as sleeper
 *        +--asleep = 1, wait(&asleep, 1)             +--wait(&held, 1); unlock reads the sleeper, kicks
 */
#include <amphi/percpu.h>
#include <amphi/xen.h>

#include "lock.h"
#include "lock_relax.h"

#define NODES      4u /* of a CPU: thread, interrupt, and two that may come within */
#define LOCK_SPINS 512u
#define LOOK_EVERY 64u /* rounds between two looks whether the one before us runs at all */
#define HELD       1u

/* A waiting CPU. Written by its own CPU, but for told and asleep, which the one before it
 * changes. Never goes away, so a late look at it by the one before is harmless. */
struct waiter {
	struct waiter *next;
	uint8_t told;   /* it is first now */
	uint8_t asleep; /* it waits for a kick */
};

static struct cpu_waiters {
	struct waiter node[NODES];
	unsigned depth;
	struct pv_lock_counts counts;
} waiters[CPUS_MAX] __attribute__((aligned(64)));

/* 0 is nobody. */
static uint16_t name_of(unsigned cpu, unsigned depth)
{
	return (uint16_t)(cpu * NODES + depth + 1);
}

static struct waiter *waiter_named(uint16_t name)
{
	return &waiters[(name - 1u) / NODES].node[(name - 1u) % NODES];
}

static unsigned cpu_of(const struct waiter *w)
{
	return (unsigned)(((uintptr_t)w - (uintptr_t)waiters) / sizeof(waiters[0]));
}

static inline void round_of(spin_serve_fn *serve)
{
	if (serve)
		serve();
	lock_relax();
}

/* Sleep only makes sense when the wait is long already, or will be: the CPU before us does not run, so
 * the lock cannot reach us. */
static bool enough(unsigned *rounds, const struct waiter *before)
{
	unsigned n = ++*rounds;

	if (n < LOCK_SPINS && (n % LOOK_EVERY || !before || !pv_vcpu_is_preempted(cpu_of(before))))
		return false;
	*rounds = 0;
	return true;
}

static void sleep_on(struct cpu_waiters *own, const uint8_t *byte)
{
	own->counts.waits++;
	pv_wait(byte, 1);
}

/* asleep is written before told is read, and the one before us writes told before it reads asleep:
 * whichever comes first, one of the two sees the other's. Both are exchanges, which order memory. */
static inline void wait_for_turn(struct cpu_waiters *own, struct waiter *me,
				 const struct waiter *before, spin_serve_fn *serve, bool may_sleep)
{
	unsigned rounds = 0;

	while (!__atomic_load_n(&me->told, __ATOMIC_ACQUIRE)) {
		round_of(serve);
		if (!may_sleep || !enough(&rounds, before))
			continue;
		(void)__atomic_exchange_n(&me->asleep, 1, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&me->told, __ATOMIC_ACQUIRE))
			sleep_on(own, &me->asleep);
	}
}

/* The two low bytes of the word, as one: held, and who sleeps for it. Little endian. */
static uint16_t *low_half(struct spinlock *lock)
{
	return (uint16_t *)(void *)&lock->value;
}

/* The sleeper is written only while the lock is held, so the holder's unlock finds it. Left in
 * place by a sleeper that woke for nothing; then it need not be written again. */
static void sleep_as_first(struct spinlock *lock, struct cpu_waiters *own, unsigned cpu)
{
	uint16_t held = HELD, with_us = (uint16_t)(HELD | (cpu + 1) << 8);

	if (!__atomic_compare_exchange_n(low_half(lock), &held, with_us, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED) &&
	    held != with_us)
		return;
	sleep_on(own, &lock->locked);
}

static inline void wait_for_lock(struct spinlock *lock, unsigned cpu, spin_serve_fn *serve,
				 bool may_sleep)
{
	unsigned rounds = 0;

	while (__atomic_load_n(&lock->locked, __ATOMIC_ACQUIRE)) {
		round_of(serve);
		if (may_sleep && enough(&rounds, NULL))
			sleep_as_first(lock, &waiters[cpu], cpu);
	}
}

static inline void tell(struct cpu_waiters *own, struct waiter *next, bool may_sleep)
{
	__atomic_store_n(&next->told, 1, __ATOMIC_RELEASE);
	if (!may_sleep || !__atomic_exchange_n(&next->asleep, 0, __ATOMIC_SEQ_CST))
		return;
	own->counts.kicks++;
	pv_kick(cpu_of(next));
}

/* The lock is free and ours alone to take. With nobody behind us the word becomes that of a lock
 * taken in place; otherwise the one behind has named itself as the last, and will tell us its
 * address in a moment. */
static inline void take(struct spinlock *lock, struct cpu_waiters *own, struct waiter *me,
			uint16_t name, bool may_sleep)
{
	uint32_t alone = (uint32_t)name << 16;
	struct waiter *next;

	if (__atomic_compare_exchange_n(&lock->value, &alone, HELD, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return;
	__atomic_store_n(&lock->locked, HELD, __ATOMIC_RELAXED);
	while (!(next = __atomic_load_n(&me->next, __ATOMIC_ACQUIRE)))
		lock_relax();
	tell(own, next, may_sleep);
}

/* Deeper than we have waiters for: without a place in the queue. Whoever is in it goes first. */
static void wait_outside(struct spinlock *lock, spin_serve_fn *serve)
{
	while (!spin_trylock(lock))
		round_of(serve);
}

static inline void wait_in_queue(struct spinlock *lock, unsigned depth, spin_serve_fn *serve,
				 bool may_sleep)
{
	unsigned cpu = this_cpu()->cpu;
	struct cpu_waiters *own = &waiters[cpu];
	struct waiter *me = &own->node[depth], *before;
	uint16_t name = name_of(cpu, depth), last;

	*me = (struct waiter){0};
	last = __atomic_exchange_n(&lock->tail, name, __ATOMIC_ACQ_REL);
	if (last) {
		before = waiter_named(last);
		__atomic_store_n(&before->next, me, __ATOMIC_RELEASE);
		wait_for_turn(own, me, before, serve, may_sleep);
	}
	wait_for_lock(lock, cpu, serve, may_sleep);
	take(lock, own, me, name, may_sleep);
}

/* An interrupt in between takes the next node and has given it back when we go on. */
static inline void slow(struct spinlock *lock, spin_serve_fn *serve, bool may_sleep)
{
	struct cpu_waiters *own = &waiters[this_cpu()->cpu];
	unsigned depth = own->depth++;

	__asm__ volatile("" ::: "memory");
	own->counts.slow++;
	if (depth < NODES)
		wait_in_queue(lock, depth, serve, may_sleep);
	else
		wait_outside(lock, serve);
	__asm__ volatile("" ::: "memory");
	own->depth--;
}

void lock_slow_spinning(struct spinlock *lock, spin_serve_fn *serve)
{
	slow(lock, serve, false);
}

void lock_slow_sleeping(struct spinlock *lock, spin_serve_fn *serve)
{
	slow(lock, serve, true);
}

/* From lock_thunks.S, with the caller's registers saved: the lock is free, and its first waiter sleeps. */
void lock_wake(unsigned sleeper)
{
	waiters[this_cpu()->cpu].counts.kicks++;
	pv_kick(sleeper - 1);
}

void pvops_lock_counts(struct pv_lock_counts *out)
{
	*out = (struct pv_lock_counts){0};
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
		out->slow += waiters[cpu].counts.slow;
		out->waits += waiters[cpu].counts.waits;
		out->kicks += waiters[cpu].counts.kicks;
	}
}
