/* lock.h: the locks of the hypervisor's parts, ticket spinlocks, inside the one around it all.
 *
 * The lock around all is smp.h's; the parts' own are taken within it, say what goes together, and
 * are what will be left when it is narrowed. The hypervisor runs with interrupts off from each entry
 * to each exit, so a lock never has to save the interrupt flag, and no holder is preempted. Never
 * hold one across a call that may reschedule (sched_leave) or let go of the lock around it
 * (hv_breathe). Order: domain.lock, then a part's own lock (events, grants, mm, io), then the
 * timers', then the console's.
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

/* One turn of waiting. In a host program the one waited for may have no CPU. */
#ifdef AMPHI_HOST_TEST
int sched_yield(void);
static inline void spin_relax(void)
{
	sched_yield();
}
#else
static inline void spin_relax(void)
{
	__builtin_ia32_pause();
}
#endif

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
