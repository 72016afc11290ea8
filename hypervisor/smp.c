/* smp.c: the hypervisor's lock, and requests from its holder to the other CPUs.
 *
 * A ticket lock, so that nobody is passed over. `outside` changes under the lock or before its
 * ticket is drawn, which makes requests simple: a CPU that the holder sees outside gets an
 * interrupt, and takes it sooner or later into hv_enter; any other is in hv_enter already, or on
 * its way there, and looks. Callers: entry paths (trap.c, sched_choose.c), mm_hw.c, the scheduler.
 */
#include <amphi/types.h>

#include "apic.h"
#include "irq.h"
#include "lock.h"
#include "mm_private.h"
#include "percpu.h"
#include "sched.h"
#include "smp.h"

uint32_t cpus_online = 1;
static spinlock_t giant;

#define LOOKS_MIN 16u /* steps of a long call that are done for one taking of the lock, at least */

unsigned cpus_count(void)
{
	unsigned n = 0;

	for (uint32_t m = cpus_online; m != 0; m &= m - 1)
		n++;
	return n;
}

/* Cleared last: the holder goes on the moment it sees 0. */
static void serve(struct percpu *cpu)
{
	if (cpu->requests & ASK_UNLOAD)
		sched_unload();
	if (cpu->requests & ASK_FLUSH)
		hw_flush();
	__atomic_store_n(&cpu->requests, 0, __ATOMIC_RELEASE);
}

void hv_enter(void)
{
	struct percpu *cpu = this_cpu();
	uint32_t ticket;

	if (cpu->locked)
		return;
	__atomic_store_n(&cpu->outside, false, __ATOMIC_RELAXED);
	ticket = __atomic_fetch_add(&giant.next, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&giant.owner, __ATOMIC_ACQUIRE) != ticket) {
		if (__atomic_load_n(&cpu->requests, __ATOMIC_ACQUIRE) != 0)
			serve(cpu);
		spin_relax();
	}
	cpu->locked = true;
	cpu->looks = 0;
}

/* Others wait, and this call has got on by as much as makes it worth its while. */
bool hv_wanted(void)
{
	return ++this_cpu()->looks >= LOOKS_MIN &&
	       __atomic_load_n(&giant.next, __ATOMIC_RELAXED) != giant.owner + 1;
}

void hv_exit(void)
{
	struct percpu *cpu = this_cpu();

	cpu->locked = false;
	__atomic_store_n(&cpu->outside, true, __ATOMIC_RELAXED);
	spin_unlock(&giant);
}

void hv_breathe(void)
{
	hv_exit();
	spin_relax();
	hv_enter();
}

void cpu_kick(struct percpu *cpu)
{
	if (cpu != this_cpu() && __atomic_load_n(&cpu->outside, __ATOMIC_RELAXED))
		apic_send(cpu->apic_id, VECTOR_KICK);
}

/* All are told before any is waited for. */
void cpus_ask(uint32_t mask, uint32_t what)
{
	mask &= cpus_online & ~(1u << this_cpu()->id);
	for (uint32_t m = mask; m != 0; m &= m - 1) {
		struct percpu *cpu = &hv_percpu[__builtin_ctz(m)];

		__atomic_store_n(&cpu->requests, what, __ATOMIC_SEQ_CST);
		cpu_kick(cpu);
	}
	for (uint32_t m = mask; m != 0; m &= m - 1)
		while (__atomic_load_n(&hv_percpu[__builtin_ctz(m)].requests, __ATOMIC_ACQUIRE))
			spin_relax();
}
