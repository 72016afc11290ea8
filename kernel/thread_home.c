/* thread_home.c: on which CPU a thread runs, when one moves, and what becomes of them when a CPU leaves.
 *
 * Callers: user.c (programs are made here, and balanced), smp.c (CPUs come and go), the shell's lists. Calls
 * thread.c, which does the switching. A thread is moved while it waits or is ready, by the CPU that it is on: only
 * that one can save its program's registers, and it must not be standing on its stack.
 */
#include <amphi/percpu.h>
#include <amphi/types.h>

#include "thread_cpu.h"
#include "thread_parts.h"

static struct cpu_threads *this(void)
{
	return &thread_cpus[this_cpu()->cpu];
}

/* ---- making ------------------------------------------------------------------------------------ */

struct thread *thread_create_on(unsigned cpu, const char *name, void (*fn)(void *ctx), void *ctx)
{
	if (cpu >= CPUS_MAX || !thread_cpus[cpu].open)
		return NULL;
	return thread_begin(thread_new(name, fn, ctx), cpu, false);
}

static unsigned programs_on(unsigned cpu)
{
	unsigned n = 0;

	for (const struct thread *t = thread_all; t; t = t->next_of_all)
		n += t->may_move && t->cpu == cpu && t->state != THREAD_DEAD;
	return n;
}

/* The first of those with the fewest. Asked once in a program's life, so nobody keeps count. */
static unsigned least_loaded(void)
{
	unsigned best = 0;

	for (unsigned cpu = 1; cpu < CPUS_MAX; cpu++)
		if (thread_cpus[cpu].open && programs_on(cpu) < programs_on(best))
			best = cpu;
	return best;
}

struct thread *thread_create_movable(const char *name, void (*fn)(void *ctx), void *ctx)
{
	return thread_begin(thread_new(name, fn, ctx), least_loaded(), true);
}

/* ---- balance ------------------------------------------------------------------------------------ */

/* To an idle CPU; this one has saved its program's registers, for no other can. */
static void give(struct thread *t, unsigned cpu)
{
	thread_queue_remove(&this()->ready, t);
	if (t->user)
		thread_cpu_user_leave(t->user);
	t->cpu = cpu;
	thread_make_ready(t);
}

/* Not the one that runs: we stand on its stack. */
static struct thread *one_to_give(const struct cpu_threads *here)
{
	struct thread *t = here->ready.head;

	while (t && (!t->may_move || t == this_cpu()->thread))
		t = t->next;
	return t;
}

/* Interrupts off. */
void thread_balance(void)
{
	struct thread *t;

	while (thread_idle_cpus && (t = one_to_give(this())))
		give(t, (unsigned)__builtin_ctzll(thread_idle_cpus));
}

/* ---- CPUs come and go ------------------------------------------------------------------------- */

/* The stack of an earlier life is used again from its top. */
void *thread_cpu_prepare(unsigned cpu)
{
	struct thread *t = thread_cpus[cpu].idle;
	unsigned long flags;

	if (!t) {
		t = thread_new("idle", NULL, NULL);
		if (!t)
			return NULL;
		flags = wait_enter();
		thread_cpus[cpu].idle = t;
		t->cpu = cpu;
		thread_link(t);
		wait_leave(flags);
	}
	t->state = THREAD_RUNNING;
	return t->stack + STACK_BYTES / sizeof(*t->stack);
}

/* thread_schedule() comes back here only when nobody else is ready. */
void thread_cpu_run(void)
{
	struct cpu_threads *here = this();

	this_cpu()->thread = here->idle;
	here->open = true;
	for (;;)
		thread_schedule();
}

void thread_cpu_close(unsigned cpu)
{
	thread_cpus[cpu].open = false;
	thread_idle_cpus &= ~(1ull << cpu);
}

/* The CPU stands on its idle thread and will not come back, and no program's registers are in it. Programs
 * are spread; the others come to where the caller is. */
void thread_cpu_take(unsigned cpu)
{
	unsigned long flags = wait_enter();
	struct wait_queue were_ready = thread_cpus[cpu].ready;
	struct thread *t;

	thread_cpus[cpu].ready = (struct wait_queue){0};
	for (t = thread_all; t; t = t->next_of_all)
		if (t->cpu == cpu && t != thread_cpus[cpu].idle)
			t->cpu = t->may_move ? least_loaded() : this_cpu()->cpu;
	while ((t = thread_queue_pop(&were_ready)))
		thread_make_ready(t);
	wait_leave(flags);
}

/* ---- for the shell --------------------------------------------------------------------------- */

/* A stack's pages begin as zeros, so the deepest word that is not zero tells how far it went. */
static unsigned stack_used_bytes(const struct thread *t)
{
	unsigned i = 1;

	if (!t->stack)
		return 0;
	while (i < STACK_BYTES / 8 && !t->stack[i])
		i++;
	return (unsigned)STACK_BYTES - i * 8;
}

void thread_for_each(void (*fn)(void *ctx, const struct thread_info *info), void *ctx)
{
	static const char *const states[] = {"running", "ready", "waiting", "dead"};
	struct thread_info info;
	struct thread *t;

	for (t = thread_all; t; t = t->next_of_all) {
		info.name = t->name;
		info.state = states[t->state];
		info.cpu = t->cpu;
		info.idle = t == thread_cpus[t->cpu].idle;
		info.switches = t->switches;
		info.stack_used_bytes = stack_used_bytes(t);
		info.stack_bytes = t->stack ? (unsigned)STACK_BYTES : 0;
		fn(ctx, &info);
	}
}

uint64_t thread_cpu_switches(unsigned cpu)
{
	return thread_cpus[cpu].switches;
}
