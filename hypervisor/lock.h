/* lock.h: the one kind of lock of the hypervisor, a ticket spinlock.
 *
 * The hypervisor runs with interrupts off from each entry to each exit: interrupts are taken in
 * guests and in the idle loop only. So a lock never has to save the interrupt flag, and no holder
 * of a lock is preempted. Never hold a lock across a call that may reschedule (sched_leave).
 * Order: domain.lock, then a part's own lock (events, grants, mm, io), then the scheduler's, then
 * the timers', then the console's.
 *
 * Plain C with __atomic, so host tests use it as it is.
 */
#ifndef HV_LOCK_H
#define HV_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/* All zeros is an unlocked lock. */
typedef struct {
	uint32_t next;  /* the ticket the next taker gets */
	uint32_t owner; /* the ticket that holds the lock */
} spinlock_t;

#define SPINLOCK_INIT ((spinlock_t){0, 0})

/* One turn of waiting. */
static inline void spin_relax(void)
{
	__builtin_ia32_pause();
}

static inline void spin_lock(spinlock_t *l)
{
	uint32_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket)
		spin_relax();
}

static inline void spin_unlock(spinlock_t *l)
{
	__atomic_store_n(&l->owner, l->owner + 1, __ATOMIC_RELEASE);
}

static inline bool spin_trylock(spinlock_t *l)
{
	uint32_t owner = __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE);
	uint32_t expected = owner;

	return __atomic_compare_exchange_n(&l->next, &expected, owner + 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

/* For assertions: whether anybody holds it. */
static inline bool spin_is_locked(const spinlock_t *l)
{
	return __atomic_load_n(&l->owner, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&l->next, __ATOMIC_RELAXED);
}

#endif
