/* spinlock.h: a lock for data that several CPUs change.
 *
 * Callers: the kernel and pvops, never the portable rooms (they run in one worker). The waiting and the
 * waking go through pv_ops.lock, so that a vCPU that waits under a hypervisor can give its CPU away.
 *
 * Errors: none; a CPU that takes a lock it holds waits for ever. Context: any, with interrupts off when
 * the lock is also taken by interrupt handlers. Memory: a locked region is ordered as C11 acquire and release.
 */
#ifndef AMPHI_SPINLOCK_H
#define AMPHI_SPINLOCK_H

#include <amphi/types.h>

/* All zero is a free lock. */
struct spinlock {
	uint32_t value;
};

static inline bool spin_trylock(struct spinlock *lock)
{
	uint32_t free = 0;

	return __atomic_compare_exchange_n(&lock->value, &free, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static inline void spin_lock(struct spinlock *lock)
{
	while (!spin_trylock(lock))
		__asm__ volatile("pause");
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->value, 0, __ATOMIC_RELEASE);
}

#endif
