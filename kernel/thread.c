/* thread.c: the scheduler: a ready list per CPU, wait queues, and switching between them.
 *
 * Callers: see thread.h. Calls mm.h for stacks, time.h for deadlines, thread_cpu.h for the
 * processor. All of it runs under the kernel lock, so lists of other CPUs may be changed. The CPU that
 * booted has no idle thread: one that finds nobody ready waits there for an interrupt on its own stack
 * until someone is. Others began without a thread, have an idle one, and go back to it, so that nothing
 * but it stands there when they leave. States and who changes them:
 *
 *   ready --schedule--> running --wait_sleep--> waiting --wait_wake, timer--> ready
 *                       running --thread_yield--> ready
 *                       running --thread_exit--> dead (freed by the next to run)
 */
#include <amphi/percpu.h>
#include <amphi/string.h>
#include <amphi/types.h>
#include "mm.h"
#include "panic.h"
#include "thread.h"
#include "thread_cpu.h"
#include "time.h"

#define STACK_PAGES 8u
#define STACK_BYTES (STACK_PAGES * PAGE_SIZE)
#define STACK_MAGIC 0x616d7068695f7374ull /* lies at the far end; gone when the stack ran over */

enum thread_state { THREAD_RUNNING, THREAD_READY, THREAD_WAITING, THREAD_DEAD };

struct thread {
	void *sp; /* where it stands, while it is not running */
	const char *name;
	void (*fn)(void *ctx);
	void *ctx;
	enum thread_state state;
	unsigned cpu;                /* where it runs, or will */
	bool may_move;               /* a program's: to any CPU, while it does not run */
	struct thread *next;         /* in the ready list or a wait queue */
	struct wait_queue *waits_on; /* NULL when woken */
	bool timed_out;
	struct timer timer;
	uint64_t *stack; /* lowest word; NULL: the boot stack */
	uint64_t switches;
	void *user; /* the program whose kernel side it is, or NULL */
	struct thread *next_of_all;
};

static struct thread main_thread, *all_threads;

/* dead: the last that ended, whose stack may still be stood upon; there is never more than one. ready: first
 * come, first served, and no priorities: the threads are few and give way. open: threads may be sent there. */
static struct cpu {
	struct thread *dead, *idle;
	struct wait_queue ready;
	bool open;
	uint64_t switches;
} __attribute__((aligned(64))) cpus[CPUS_MAX];

/* Those that have nothing to do, a bit each. */
static uint64_t idle_cpus;
_Static_assert(CPUS_MAX <= 64, "a bit each");

static struct cpu *this(void)
{
	return &cpus[this_cpu()->cpu];
}

static struct thread *current(void)
{
	return this_cpu()->thread;
}

/* Queues are single links with a tail: pushing and popping are what happens, and taking out of
 * the middle happens only when a deadline passes. */
static void queue_push(struct wait_queue *q, struct thread *t)
{
	t->next = NULL;
	if (q->tail)
		q->tail->next = t;
	else
		q->head = t;
	q->tail = t;
}

static struct thread *queue_pop(struct wait_queue *q)
{
	struct thread *t = q->head;

	if (!t)
		return NULL;
	q->head = t->next;
	if (!q->head)
		q->tail = NULL;
	return t;
}

/* Changes nothing when t is not there. */
static void queue_remove(struct wait_queue *q, struct thread *t)
{
	struct thread **link = &q->head, *before = NULL;

	while (*link && *link != t) {
		before = *link;
		link = &before->next;
	}
	if (!*link)
		return;
	*link = t->next;
	if (q->tail == t)
		q->tail = before;
}

/* waits_on is cleared so that a deadline that comes now finds nothing to do (wait_timed_out). Another CPU
 * with somebody in its queue was told when that one came, or looks there when its program's slice ends; the
 * kernel's own threads do not wait for that. */
static void make_ready(struct thread *t)
{
	struct wait_queue *q = &cpus[t->cpu].ready;
	bool tell = t->cpu != this_cpu()->cpu && (!q->head || !t->may_move);

	t->waits_on = NULL;
	t->state = THREAD_READY;
	queue_push(q, t);
	idle_cpus &= ~(1ull << t->cpu);
	if (tell)
		thread_cpu_kick(t->cpu);
}

/* A dead thread's stack cannot be freed while somebody stands on it: it may still be idling there.
 */
static void bury_the_dead(void)
{
	struct cpu *here = this();
	struct thread *t = here->dead, **link;

	if (!t)
		return;
	here->dead = NULL;
	for (link = &all_threads; *link != t;)
		link = &(*link)->next_of_all;
	*link = t->next_of_all;
	pages_free(t->stack, STACK_PAGES);
	kfree(t, sizeof(*t));
}

/* Marked while it waits, so that others may send it work; a mark that was taken away meanwhile stays so. */
static void idle(struct cpu *here)
{
	uint64_t bit = 1ull << (here - cpus);

	idle_cpus |= here->open ? bit : 0;
	thread_cpu_idle();
	idle_cpus &= ~bit;
}

/* On a CPU that leaves it is the idle thread, whoever is ready: they will be taken away. */
static struct thread *next_to_run(struct cpu *here)
{
	struct thread *to = NULL;

	while (!here->open || !(to = queue_pop(&here->ready))) {
		if (current() != here->idle && here->idle)
			return here->idle;
		if (!here->open)
			thread_cpu_gone();
		idle(here);
	}
	return to;
}

/* Gives the processor to the next that is ready. The caller has put itself where it belongs.
 * Interrupts off, at call and return. The thread may come back on another CPU. */
static void schedule(void)
{
	struct cpu *here = this();
	struct thread *from = current(), *to;

	if (from->stack && from->stack[0] != STACK_MAGIC)
		panic("thread %s ran over its stack", from->name);
	to = next_to_run(here);
	if (from == here->idle)
		from->state = THREAD_READY;
	to->state = THREAD_RUNNING;
	to->switches++;
	here->switches++;
	if (to != from) {
		this_cpu()->thread = to;
		if (to->user)
			thread_cpu_user(to->user);
		thread_switch(&from->sp, to->sp);
	}
	bury_the_dead();
}

void thread_init(void)
{
	main_thread.name = "main";
	main_thread.state = THREAD_RUNNING;
	this_cpu()->thread = all_threads = &main_thread;
	this()->open = true;
}

/* Where a new thread comes out of its first thread_switch. */
static void thread_start(void)
{
	struct thread *t = current();

	bury_the_dead();
	thread_cpu_irqs_on();
	t->fn(t->ctx);
	thread_exit();
}

/* A stack that thread_switch can load: six registers of zero, thread_start to return to, and a zero
 * in place of thread_start's own return address, where a backtrace ends. */
static void prepare_stack(struct thread *t)
{
	uint64_t *top = t->stack + STACK_BYTES / sizeof(*top);

	t->stack[0] = STACK_MAGIC;
	top[-2] = (uint64_t)thread_start;
	t->sp = &top[-8];
}

/* With a stack, known to nobody yet. */
static struct thread *new_thread(const char *name, void (*fn)(void *ctx), void *ctx)
{
	struct thread *t = kmalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->stack = pages_alloc(STACK_PAGES);
	if (!t->stack) {
		kfree(t, sizeof(*t));
		return NULL;
	}
	t->name = name;
	t->fn = fn;
	t->ctx = ctx;
	prepare_stack(t);
	return t;
}

static void link_thread(struct thread *t)
{
	t->next_of_all = all_threads;
	all_threads = t;
}

/* Linked and ready in one go with interrupts off, but on this CPU it runs at the caller's next wait at
 * the earliest: the caller may go on filling what ctx points to. On others too, for they need the kernel
 * lock. */
static struct thread *start(struct thread *t, unsigned cpu, bool may_move)
{
	unsigned long flags;

	if (!t)
		return NULL;
	t->cpu = cpu;
	t->may_move = may_move;
	flags = wait_enter();
	link_thread(t);
	make_ready(t);
	wait_leave(flags);
	return t;
}

/* The boot CPU: it is always there. */
struct thread *thread_create(const char *name, void (*fn)(void *ctx), void *ctx)
{
	return start(new_thread(name, fn, ctx), 0, false);
}

struct thread *thread_create_on(unsigned cpu, const char *name, void (*fn)(void *ctx), void *ctx)
{
	if (cpu >= CPUS_MAX || !cpus[cpu].open)
		return NULL;
	return start(new_thread(name, fn, ctx), cpu, false);
}

static unsigned programs_on(unsigned cpu)
{
	unsigned n = 0;

	for (const struct thread *t = all_threads; t; t = t->next_of_all)
		n += t->may_move && t->cpu == cpu && t->state != THREAD_DEAD;
	return n;
}

/* The first of those with the fewest. Asked once in a program's life, so nobody keeps count. */
static unsigned least_loaded(void)
{
	unsigned best = 0;

	for (unsigned cpu = 1; cpu < CPUS_MAX; cpu++)
		if (cpus[cpu].open && programs_on(cpu) < programs_on(best))
			best = cpu;
	return best;
}

struct thread *thread_create_movable(const char *name, void (*fn)(void *ctx), void *ctx)
{
	return start(new_thread(name, fn, ctx), least_loaded(), true);
}

struct thread *thread_current(void)
{
	return current();
}

const char *thread_name(const struct thread *t)
{
	return t ? t->name : "none";
}

/* From now on the current thread's switches load that program's registers; NULL: no more. */
void thread_set_user(void *program)
{
	current()->user = program;
}

void *thread_user(void)
{
	return current()->user;
}

uint64_t thread_stack_top(void)
{
	const struct thread *t = current();

	return t->stack ? (uint64_t)(uintptr_t)t->stack + STACK_BYTES : 0;
}

/* One word: may be asked with interrupts on, as a hint. */
bool thread_others_ready(void)
{
	return this()->ready.head;
}

/* Behind all that are ready; alone, it comes back from schedule() without a switch. */
void thread_yield(void)
{
	unsigned long flags = wait_enter();

	make_ready(current());
	schedule();
	wait_leave(flags);
}

/* Freed by the next to run. One that ended before and is not buried yet goes first, because
 * there is room for one only. */
void thread_exit(void)
{
	struct thread *t = current();

	(void)wait_enter();
	KASSERT(t != &main_thread);
	bury_the_dead();
	t->state = THREAD_DEAD;
	this()->dead = t;
	schedule();
	panic("a dead thread ran");
}

/* A queue that nobody else knows: only the deadline wakes it. */
void thread_sleep_ns(uint64_t delay_ns)
{
	struct wait_queue nobody = {0};
	uint64_t end_ns = time_ns() + delay_ns;

	(void)WAIT_UNTIL_DEADLINE(&nobody, false, end_ns);
}

/* All of them: each looks at its own condition again. The first look may be made with interrupts
 * on, because nobody can be seen between looking at a condition and being queued. */
void wait_wake(struct wait_queue *q)
{
	unsigned long flags;
	struct thread *t;

	if (!q->head)
		return;
	flags = wait_enter();
	while ((t = queue_pop(q)))
		make_ready(t);
	wait_leave(flags);
}

/* Timer, interrupt context. The thread may have been woken since the timer was taken off the list.
 */
static void wait_timed_out(void *ctx)
{
	struct thread *t = ctx;

	if (!t->waits_on)
		return;
	queue_remove(t->waits_on, t);
	t->timed_out = true;
	make_ready(t);
}

/* The thread is in the queue and its timer set before it lets go, with interrupts off from the
 * look at the condition until the switch: no wake can fall between. The timer is cancelled
 * whoever woke it; it lies in this thread and must not fire for its next wait. */
bool wait_sleep(struct wait_queue *q, uint64_t deadline_ns)
{
	struct thread *t = current();

	t->timed_out = false;
	t->waits_on = q;
	t->state = THREAD_WAITING;
	queue_push(q, t);
	if (deadline_ns != WAIT_FOREVER) {
		t->timer.fn = wait_timed_out;
		t->timer.ctx = t;
		timer_set(&t->timer, deadline_ns);
	}
	schedule();
	timer_cancel(&t->timer);
	return !t->timed_out;
}

/* ---- threads and CPUs ------------------------------------------------------------------------ */

/* To an idle CPU; this one has saved its program's registers, for no other can. */
static void give(struct thread *t, unsigned cpu)
{
	queue_remove(&this()->ready, t);
	if (t->user)
		thread_cpu_user_leave(t->user);
	t->cpu = cpu;
	make_ready(t);
}

/* Not the one that runs: we stand on its stack. */
static struct thread *one_to_give(const struct cpu *here)
{
	struct thread *t = here->ready.head;

	while (t && (!t->may_move || t == current()))
		t = t->next;
	return t;
}

/* Interrupts off. */
void thread_balance(void)
{
	struct thread *t;

	while (idle_cpus && (t = one_to_give(this())))
		give(t, (unsigned)__builtin_ctzll(idle_cpus));
}

/* The stack of an earlier life is used again from its top. */
void *thread_cpu_prepare(unsigned cpu)
{
	struct thread *t = cpus[cpu].idle;
	unsigned long flags;

	if (!t) {
		t = new_thread("idle", NULL, NULL);
		if (!t)
			return NULL;
		flags = wait_enter();
		cpus[cpu].idle = t;
		t->cpu = cpu;
		link_thread(t);
		wait_leave(flags);
	}
	t->state = THREAD_RUNNING;
	return t->stack + STACK_BYTES / sizeof(*t->stack);
}

/* schedule() comes back here only when nobody else is ready. */
void thread_cpu_run(void)
{
	struct cpu *here = this();

	this_cpu()->thread = here->idle;
	here->open = true;
	for (;;)
		schedule();
}

void thread_cpu_close(unsigned cpu)
{
	cpus[cpu].open = false;
	idle_cpus &= ~(1ull << cpu);
}

/* The CPU stands on its idle thread and will not come back, and no program's registers are in it. Programs
 * are spread; the others come to where the caller is. */
void thread_cpu_take(unsigned cpu)
{
	unsigned long flags = wait_enter();
	struct wait_queue were_ready = cpus[cpu].ready;
	struct thread *t;

	cpus[cpu].ready = (struct wait_queue){0};
	for (t = all_threads; t; t = t->next_of_all)
		if (t->cpu == cpu && t != cpus[cpu].idle)
			t->cpu = t->may_move ? least_loaded() : this_cpu()->cpu;
	while ((t = queue_pop(&were_ready)))
		make_ready(t);
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

	for (t = all_threads; t; t = t->next_of_all) {
		info.name = t->name;
		info.state = states[t->state];
		info.cpu = t->cpu;
		info.idle = t == cpus[t->cpu].idle;
		info.switches = t->switches;
		info.stack_used_bytes = stack_used_bytes(t);
		info.stack_bytes = t->stack ? (unsigned)STACK_BYTES : 0;
		fn(ctx, &info);
	}
}

uint64_t thread_cpu_switches(unsigned cpu)
{
	return cpus[cpu].switches;
}
