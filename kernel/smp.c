/* smp.c: the table of CPUs and the life of each.
 *
 * Callers: main.c, thread_cpu.c, kernel_lock.c, panic.c, the shell's `cpu`. Calls the platform
 * (smp_native.c, smp_xen.c) for what a CPU is, thread.c, timers.c and user_cpu.c for what is to be brought up
 * on it and taken from it. The kernel lock is held in all of it but smp_serve(), which is called by those who
 * wait for it. States and who changes them are in smp.h.
 */
#include "smp.h"

#include <amphi/error_name.h>
#include <amphi/pvops.h>

#include "boot.h"
#include "cmdline.h"
#include "console.h"
#include "kernel_lock.h"
#include "kvm_guest.h"
#include "lock_wait.h"
#include "panic.h"
#include "thread.h"
#include "time.h"
#include "trap_parts.h"
#include "user.h"

#define START_NS (10 * NS_PER_S) /* an emulator may be slow; a CPU that is not there is a bug */
#define PARK_NS  (100 * NS_PER_US)

static enum smp_state states[CPUS_MAX] = {SMP_ONLINE};
static uint64_t online = 1; /* a bit for each that is SMP_ONLINE */
static unsigned n_cpus = 1;
static const struct smp_platform *platform;
/* One CPU comes or goes at a time. */
static bool changing;
static struct wait_queue changed;

/* What one CPU asks of others; the holder of the kernel lock asks, so there is one question at a time. The bits
 * of who is asked are written last, and each takes its own away when it has done it. */
static struct {
	void (*fn)(void *ctx);
	void *ctx;
	uint64_t asked;
} call;
_Static_assert(CPUS_MAX <= 64, "a bit each");

unsigned smp_count(void)
{
	return n_cpus;
}

unsigned smp_online(void)
{
	unsigned n = 0;

	for (uint64_t left = online; left; left &= left - 1)
		n++;
	return n;
}

enum smp_state smp_state(unsigned cpu)
{
	return cpu < n_cpus ? states[cpu] : SMP_ABSENT;
}

struct percpu *smp_percpu(unsigned cpu)
{
	return cpu < n_cpus ? &trap_percpus[cpu] : NULL;
}

/* ---- one calls on another ------------------------------------------------------------------ */

void smp_kick(unsigned cpu)
{
	if (states[cpu] == SMP_ONLINE || states[cpu] == SMP_LEAVING)
		platform->kick(&trap_percpus[cpu]);
}

void smp_serve(void)
{
	uint64_t us = 1ull << this_cpu()->cpu;

	if (!(__atomic_load_n(&call.asked, __ATOMIC_ACQUIRE) & us))
		return;
	call.fn(call.ctx);
	(void)__atomic_fetch_and(&call.asked, ~us, __ATOMIC_RELEASE);
}

/* The others are in ring 3, idle, or waiting for the lock that we hold: the kick leads them from the first two
 * to the third, where they serve; who sleeps there is woken. Interrupts are off, for a handler here could
 * switch nothing and would only delay. */
static void ask(uint64_t cpus, void (*fn)(void *ctx), void *ctx)
{
	uint64_t flags = irq_save(), us = 1ull << this_cpu()->cpu, others = cpus & ~us;

	call.fn = fn;
	call.ctx = ctx;
	__atomic_store_n(&call.asked, others, __ATOMIC_RELEASE);
	for (uint64_t left = others; left; left &= left - 1) {
		smp_kick((unsigned)__builtin_ctzll(left));
		pv_kick((unsigned)__builtin_ctzll(left));
	}
	if (cpus & us)
		fn(ctx);
	while (__atomic_load_n(&call.asked, __ATOMIC_ACQUIRE))
		__asm__ volatile("pause");
	irq_restore(flags);
}

int smp_call(unsigned cpu, void (*fn)(void *ctx), void *ctx)
{
	if (smp_state(cpu) != SMP_ONLINE)
		return -XEN_ENODEV;
	ask(1ull << cpu, fn, ctx);
	return 0;
}

/* Asked at each change of the kernel's mappings: kept, not computed. */
uint64_t smp_others(void)
{
	return online & ~(1ull << this_cpu()->cpu);
}

void smp_call_all(void (*fn)(void *ctx), void *ctx)
{
	ask(online, fn, ctx);
}

void smp_stop_others(void)
{
	for (unsigned cpu = 0; cpu < n_cpus; cpu++)
		if (cpu != this_cpu()->cpu && states[cpu] == SMP_ONLINE && platform->stop)
			platform->stop(&trap_percpus[cpu]);
}

/* ---- coming ---------------------------------------------------------------------------------- */

/* One that comes too late was given up: its stack may be another's by now, so nothing is touched. */
void smp_started(void)
{
	struct percpu *here = this_cpu();

	kernel_lock();
	if (states[here->cpu] != SMP_STARTING) {
		kernel_unlock();
		platform->park();
	}
	kvm_cpu_online();
	time_cpu_online();
	lock_wait_cpu_online();
	user_cpu_online();
	states[here->cpu] = SMP_ONLINE;
	online |= 1ull << here->cpu;
	wait_wake(&changed);
	thread_cpu_run();
}

static int bring_up(unsigned cpu)
{
	struct percpu *percpu = &trap_percpus[cpu];
	void *stack_top = thread_cpu_prepare(cpu);
	int error;

	if (!stack_top)
		return -XEN_ENOMEM;
	percpu->cpu = cpu;
	states[cpu] = SMP_STARTING;
	error = platform->start(percpu, stack_top);
	if (!error &&
	    !WAIT_UNTIL_DEADLINE(&changed, states[cpu] == SMP_ONLINE, time_ns() + START_NS))
		error = -XEN_ETIMEDOUT;
	if (error)
		states[cpu] = SMP_OFFLINE;
	else
		time_check_cpus();
	return error;
}

/* ---- going ----------------------------------------------------------------------------------- */

/* On the leaving CPU, in its idle thread: what it alone can do. After the unlock it touches nothing that
 * others do. */
void smp_leave(void)
{
	user_leave_cpu(NULL);
	time_cpu_offline();
	kvm_cpu_offline();
	states[this_cpu()->cpu] = SMP_OFFLINE;
	wait_wake(&changed);
	kernel_unlock();
	platform->park();
}

/* The rest is done here, once it stands still. */
static int take_down(unsigned cpu)
{
	states[cpu] = SMP_LEAVING;
	online &= ~(1ull << cpu);
	thread_cpu_close(cpu);
	smp_kick(cpu);
	WAIT_UNTIL(&changed, states[cpu] == SMP_OFFLINE);
	while (!platform->parked(&trap_percpus[cpu]))
		thread_sleep_ns(PARK_NS);
	thread_cpu_take(cpu);
	timers_take(cpu);
	return 0;
}

/* ---- asked for --------------------------------------------------------------------------------- */

static int change(unsigned cpu, enum smp_state from, int (*step)(unsigned cpu))
{
	int error = -XEN_EBUSY;

	if (cpu >= n_cpus)
		return -XEN_EINVAL;
	WAIT_UNTIL(&changed, !changing);
	changing = true;
	if (states[cpu] == from)
		error = step(cpu);
	changing = false;
	wait_wake(&changed);
	return error;
}

int smp_up(unsigned cpu)
{
	return change(cpu, SMP_OFFLINE, bring_up);
}

/* Not the CPU that booted: the kernel's own threads are there, and interrupts of devices. Nor the one we run
 * on. */
int smp_down(unsigned cpu)
{
	if (cpu == 0 || cpu == this_cpu()->cpu)
		return -XEN_EINVAL;
	return change(cpu, SMP_ONLINE, take_down);
}

/* ---- at the start -------------------------------------------------------------------------------- */

static void find_cpus(void)
{
	uint32_t ids[CPUS_MAX];

	n_cpus = platform->find(ids, CPUS_MAX);
	for (unsigned cpu = 0; cpu < n_cpus; cpu++)
		trap_percpus[cpu].id = ids[cpu];
	for (unsigned cpu = 1; cpu < n_cpus; cpu++)
		states[cpu] = SMP_OFFLINE;
}

/* Those above maxcpus= can be brought up later by hand. */
void smp_init(void)
{
	platform = smp_platform();
	if (!platform)
		return;
	find_cpus();
	if (n_cpus > 1)
		lock_wait_init();
	for (unsigned cpu = 1; cpu < n_cpus; cpu++) {
		int error = !cmdline.maxcpus || cpu < cmdline.maxcpus ? smp_up(cpu) : 0;

		if (error)
			klog(LOG_ERROR, "CPU %u (id %u) does not start: %s", cpu,
			     trap_percpus[cpu].id, error_name(error));
	}
	if (n_cpus > 1)
		klog(LOG_INFO, "%u CPUs, %u online", n_cpus, smp_online());
}
