/* spinlock.h: a lock for data that several CPUs change.
 *
 * Callers: the kernel and pvops, never the portable rooms (they run in one worker). A free lock is taken
 * and a lock is given back in place; who finds it taken queues in pvops/lock.c, first come first
 * served. Waiting and waking go through pv_ops.lock, so a vCPU that waits gives its CPU away.
 *
 * Errors: none; a CPU that takes a lock it holds waits for ever. Context: any, with interrupts off when the
 * lock is also taken by interrupt handlers; at most four locks of one CPU are waited for at once.
 * Memory: a locked region is ordered as C11 acquire and release.
 */
#ifndef AMPHI_SPINLOCK_H
#define AMPHI_SPINLOCK_H

#include <amphi/pvops.h>

/* All zero is a free lock. Read by assembly: pvops/lock_thunks.S. */
struct spinlock {
	union {
		uint32_t value;
		struct {
			uint8_t locked;  /* 1: held */
			uint8_t sleeper; /* first in the queue sleeps: its CPU's number + 1 */
			uint16_t tail;   /* last in the queue, 0: none waits */
		};
	};
};
_Static_assert(sizeof(struct spinlock) == 4, "taken and looked at as one word");

/* True: taken. Not while others wait, whoever holds it. */
static inline bool spin_trylock(struct spinlock *lock)
{
	uint32_t free = 0;

	return __atomic_compare_exchange_n(&lock->value, &free, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static inline void spin_lock(struct spinlock *lock)
{
	if (!spin_trylock(lock))
		pv_queued_spin_lock_slowpath(lock, NULL);
}

/* For a CPU that others may ask something while it waits: serve() does what is asked. Interrupts off. Who
 * asks writes the question down and then kicks that CPU (pv_kick), which may be asleep. serve may not
 * take this lock. */
static inline void spin_lock_serving(struct spinlock *lock, spin_serve_fn *serve)
{
	if (!spin_trylock(lock))
		pv_queued_spin_lock_slowpath(lock, serve);
}

/* Natively one store, to the lock as the compiler would name it. */
#if defined(PV_OPERAND_SITE) && !defined(AMPHI_HOST_TEST)
#define spin_unlock_here(lock)                                                                     \
	PV_OPERAND_SITE(PV_lock_queued_spin_unlock, "movb $0, %[operand]", (lock)->locked)
#else
#define spin_unlock_here(lock) pv_queued_spin_unlock(lock)
#endif
static inline void spin_unlock(struct spinlock *lock)
{
	spin_unlock_here(lock);
}

#endif
