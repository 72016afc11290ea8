/* kernel_lock.h: one CPU at a time runs the kernel; programs run on all of them.
 *
 * Callers: the ways into the kernel and out of it (trap.c, user.c, smp.c's idle loop), nobody else: all other
 * code in kernel/ may rely on holding the lock, interrupt handlers included, and so sees what it
 * saw with one CPU: nothing changes between two of its waits but by handlers on its own CPU. Why one
 * lock: docs/decisions/0008. The lock is held across a switch of threads.
 *
 *   ring 3 --trap, syscall--> kernel_lock ... kernel_unlock --iret--> ring 3
 *   idle   --interrupt------> kernel_lock ... --iret--> idle, which goes on with the lock held
 *   kernel --interrupt, exception (lock is held by this CPU)--> nothing to do
 */
#ifndef KERNEL_KERNEL_LOCK_H
#define KERNEL_KERNEL_LOCK_H

#include <amphi/percpu.h>
#include <amphi/spinlock.h>

/* kernel_lock.c's, for the inline parts: each system call goes through these. The count of changes of kernel
 * mappings is read and changed by who holds the lock. */
extern struct spinlock kernel_lock_word;
extern uint32_t kernel_tlb_changes;
void kernel_lock_wait(void);
void kernel_tlb_flush(void);

/* Interrupts off. While it waits, the CPU serves what others ask of it by smp_call(). */
static inline void kernel_lock(void)
{
	struct percpu *here = this_cpu();

	if (!spin_trylock(&kernel_lock_word))
		kernel_lock_wait();
	here->kernel_locked = true;
	if (here->tlb_seen != kernel_tlb_changes)
		kernel_tlb_flush();
}

static inline void kernel_unlock(void)
{
	this_cpu()->kernel_locked = false;
	spin_unlock(&kernel_lock_word);
}

/* Whether this CPU holds it. Interrupts off. */
static inline bool kernel_locked(void)
{
	return this_cpu()->kernel_locked;
}

/* Kernel mappings were taken away, and this CPU has flushed them. The others do when they next take the lock:
 * outside it nobody uses them. */
void kernel_tlb_changed(void);

#endif
