/* kernel_lock.c: the lock that the kernel runs under, where it is not free, and the flushes that go with it.
 *
 * Called from kernel_lock.h's inline parts, and by vmap.c when kernel mappings have changed. Calls smp.c for
 * what other CPUs want done while this one waits.
 */
#include "kernel_lock.h"

#include "smp.h"

struct spinlock kernel_lock_word;
uint32_t kernel_tlb_changes;

/* Serving meanwhile: the holder may be waiting for us in smp_call(). */
void kernel_lock_wait(void)
{
	spin_lock_serving(&kernel_lock_word, smp_serve);
}

void kernel_tlb_flush(void)
{
	this_cpu()->tlb_seen = kernel_tlb_changes;
	pv_flush_tlb_kernel();
}

/* The number wraps: a CPU would have to sleep through 4 billion changes and meet the same one. CPUs that
 * somebody else flushes (a hypervisor, for those it does not run) have seen the change; they cannot look at
 * their word meanwhile, since we hold the lock. */
void kernel_tlb_changed(void)
{
	uint64_t others = smp_others(), done;

	this_cpu()->tlb_seen = ++kernel_tlb_changes;
	if (!others)
		return;
	for (done = pv_flush_tlb_multi(others); done; done &= done - 1)
		smp_percpu((unsigned)__builtin_ctzll(done))->tlb_seen = kernel_tlb_changes;
}
