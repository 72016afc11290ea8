/* smp.h: the CPUs of this kernel: how many there are, which run, and how one calls on another.
 *
 * Callers: main.c (smp_init), thread.c (smp_kick), the shell's `cpu`, tests. smp.c keeps the table and
 * its states; a platform brings a CPU up and down: smp_native.c (INIT and SIPI: natively, KVM, Xen PVH) and
 * smp_xen.c (VCPUOP_*). How CPUs share the kernel is kernel_lock.h. States of a CPU:
 *
 *   ABSENT   OFFLINE --smp_up--> STARTING --smp_started--> ONLINE --smp_down--> LEAVING --park--> OFFLINE
 */
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include <amphi/percpu.h>

enum smp_state { SMP_ABSENT, SMP_OFFLINE, SMP_STARTING, SMP_ONLINE, SMP_LEAVING };

/* What a platform can do. find, start and parked are called in thread context of an online CPU, kernel lock
 * held. */
struct smp_platform {
	/* The ids (struct percpu's) of all CPUs there are, the running one first; at most max. Returns how
	 * many. */
	unsigned (*find)(uint32_t *ids, unsigned max);
	/* Lets the CPU of percpu begin at smp_started() on the stack whose end is stack_top, with its gs base,
	 * traps and tables in place and interrupts off. May wait, but returns before it has got there. 0 or
	 * negative XEN_Exxx. percpu's cpu and id are set; what it had from an earlier life may be there. */
	int (*start)(struct percpu *percpu, void *stack_top);
	/* Makes the CPU come into the kernel soon, if it is idle or in ring 3; any context, interrupts off. */
	void (*kick)(struct percpu *percpu);
	/* The running CPU stops for good, until start; interrupts off, no lock held. */
	void (*park)(void) __attribute__((noreturn));
	/* After park, on another CPU: true once the CPU has stopped and its stack may be used again. */
	bool (*parked)(struct percpu *percpu);
	/* In a panic: stops that CPU wherever it is, without a word. NULL: the machine's end stops it. */
	void (*stop)(struct percpu *percpu);
};
extern const struct smp_platform smp_native_platform;

/* The one of this platform; NULL: it has one CPU. */
const struct smp_platform *smp_platform(void);

/* [waits] Finds the CPUs, and starts all of them but those above maxcpus=. Worker and timers are up. */
void smp_init(void);

/* Where a new CPU comes from its platform's code; becomes its idle thread. */
void smp_started(void) __attribute__((noreturn));

/* The end of a CPU that was told to leave, in its idle thread; interrupts off, lock held. */
void smp_leave(void) __attribute__((noreturn));

unsigned smp_count(void); /* CPUs there are: numbers below it are valid */
unsigned smp_online(void);
uint64_t smp_others(
    void); /* the online ones without this one, a bit each. Interrupts off, or a bound thread. */
enum smp_state smp_state(unsigned cpu);
struct percpu *smp_percpu(unsigned cpu); /* NULL: no such number */

/* [waits] 0, -XEN_EINVAL (no such CPU, or down of CPU 0), -XEN_EBUSY (already so), or the platform's. */
int smp_up(unsigned cpu);
int smp_down(unsigned cpu);

/* The CPU looks at its queue of threads and its calls soon. Any context, interrupts off. */
void smp_kick(unsigned cpu);

/* Runs fn(ctx) on that CPU, in interrupt context with the kernel lock held by the caller in its stead, and
 * returns when it is done. Thread context. -XEN_ENODEV: not online. fn may not wait or take locks. */
int smp_call(unsigned cpu, void (*fn)(void *ctx), void *ctx);

/* The same on all CPUs that are online, this one among them, at the same time. */
void smp_call_all(void (*fn)(void *ctx), void *ctx);

/* Does what smp_call() asks of this CPU, if anything. For who waits for a lock with interrupts off and does not
 * hold the kernel's. */
void smp_serve(void);

/* In a panic: no other CPU does anything any more. Any context. */
void smp_stop_others(void);

#endif
