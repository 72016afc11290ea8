/* kernel_lock.c: the lock that the kernel runs under.
 *
 * Called on the ways in and out: trap.c, user.c, the idle loop; and by vmap.c when kernel mappings have changed.
 * Calls smp.c for what other CPUs want done while this one waits.
 */
#include "kernel_lock.h"

#include <amphi/percpu.h>
#include <amphi/pvops.h>
#include <amphi/spinlock.h>

#include "smp.h"

static struct spinlock lock;

/* Counts changes of kernel mappings. Changed and read by who holds the lock. */
static uint32_t tlb_changes;

/* Not taken by waiting in spin_lock(): the holder may be waiting for us in smp_call(). */
static void wait_for_lock(void)
{
	while (!spin_trylock(&lock)) {
		smp_serve();
		__asm__ volatile("pause");
	}
}

void kernel_lock(void)
{
	struct percpu *here = this_cpu();

	if (!spin_trylock(&lock))
		wait_for_lock();
	here->kernel_locked = true;
	if (here->tlb_seen == tlb_changes)
		return;
	here->tlb_seen = tlb_changes;
	pv_flush_tlb_kernel();
}

void kernel_unlock(void)
{
	this_cpu()->kernel_locked = false;
	spin_unlock(&lock);
}

bool kernel_locked(void)
{
	return this_cpu()->kernel_locked;
}

/* The number wraps: a CPU would have to sleep through 4 billion changes and meet the same one. */
void kernel_tlb_changed(void)
{
	this_cpu()->tlb_seen = ++tlb_changes;
}
