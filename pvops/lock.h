/* lock.h: the queue behind a lock, as the tables of the platforms name it. Private to pvops/.
 *
 * lock.c and lock_thunks.S have them; each has the C type of its row in amphi/pvops.def.
 */
#ifndef PVOPS_LOCK_H
#define PVOPS_LOCK_H

#include <amphi/spinlock.h>

/* queued_spin_lock_slowpath: waiters spin, or spin a while and sleep. */
void lock_slow_spinning(struct spinlock *lock, spin_serve_fn *serve);
void lock_slow_sleeping(struct spinlock *lock, spin_serve_fn *serve);

/* queued_spin_unlock where waiters sleep; changes the flags only. Calls lock_wake() with what the
 * lock's sleeper member was. */
void lock_unlock_waking(struct spinlock *lock);
void lock_wake(unsigned sleeper);

#endif
