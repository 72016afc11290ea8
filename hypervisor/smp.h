/* smp.h: the one lock around the hypervisor, and what one CPU asks of another.
 *
 * Whoever comes in from a guest or from waiting takes the lock before he looks at anything that is
 * not this vCPU's alone, and gives it back on the way out, so the other parts see one CPU at a time.
 * Interrupts are off inside; who waits for the lock does meanwhile what its holder asks of him. That
 * is why a holder may wait for all others to have done it, and why nobody else may: [locked].
 * smp.c is this; smp_start.c and smp_trampoline.S are the start of the other CPUs.
 */
#ifndef HV_SMP_H
#define HV_SMP_H

#include <amphi/types.h>

struct percpu;

extern uint32_t cpus_online; /* bit n: CPU n takes part; does not change after the start */
unsigned cpus_count(void);

/* Takes the lock; nothing when this CPU has it. */
void hv_enter(void);
/* Gives it back: the CPU goes to a guest, or waits for an interrupt. */
void hv_exit(void);

/* [locked] For long calls, between two of their steps: whether to give way to CPUs that wait. */
bool hv_wanted(void);

/* [locked] Lets others have their turn, those first that wait. What the caller knew of any shared
 * state may have changed on return. */
void hv_breathe(void);

enum {
	ASK_FLUSH = 1,  /* drop all translations of guests */
	ASK_UNLOAD = 2, /* an idle CPU: put the state of the vCPU last here into memory */
};

/* [locked] The CPUs of the mask, without this one, have done it on return. */
void cpus_ask(uint32_t mask, uint32_t what);

/* [locked] A CPU that is outside comes in soon. */
void cpu_kick(struct percpu *cpu);

/* Start of the machine: finds and starts the other CPUs, at most as many as `maxcpus=` says. They
 * wait for the lock, which the caller holds from then on. */
void smp_start(void);

#endif
