/* thread.c: the scheduler: a ready list per CPU, wait queues, and switching between them.
 *
 * Callers: see thread.h; thread_home.c. Calls mm.h for stacks, time.h for deadlines, thread_cpu.h for the
 * processor. All of it runs under the kernel lock, so lists of other CPUs may be changed. The CPU that
 * booted has no idle thread: one that finds nobody ready waits there for an interrupt on its own stack
 * until someone is. Others began without a thread, have an idle one, and go back to it, so that nothing
 * but it stands there when they leave. States and who changes them:
 *
 *   ready --thread_schedule--> running --wait_sleep--> waiting --wait_wake, timer--> ready
 *                              running --thread_yield--> ready
 *                              running --thread_exit--> dead (freed by the next to run)
 */
#include <amphi/percpu.h>
#include <amphi/string.h>
#include <amphi/types.h>
#include "mm.h"
#include "panic.h"
#include "thread.h"
#include "thread_cpu.h"
#include "thread_parts.h"
#include "time.h"

#define STACK_MAGIC 0x616d7068695f7374ull /* lies at the far end; gone when the stack ran over */

static struct thread main_thread;
struct thread *thread_all;
struct cpu_threads thread_cpus[CPUS_MAX];
uint64_t thread_idle_cpus;

static struct cpu_threads *this(void)
{
	return &thread_cpus[this_cpu()->cpu];
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

struct thread *thread_queue_pop(struct wait_queue *q)
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
void thread_queue_remove(struct wait_queue *q, struct thread *t)
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
void thread_make_ready(struct thread *t)
{
	struct wait_queue *q = &thread_cpus[t->cpu].ready;
	bool tell = t->cpu != this_cpu()->cpu && (!q->head || !t->may_move);

	t->waits_on = NULL;
	t->state = THREAD_READY;
	queue_push(q, t);
	thread_idle_cpus &= ~(1ull << t->cpu);
	if (tell)
		thread_cpu_kick(t->cpu);
}

/* A dead thread's stack cannot be freed while somebody stands on it: it may still be idling there.
 */
static void bury_the_dead(void)
{
	struct cpu_threads *here = this();
	struct thread *t = here->dead, **link;

	if (!t)
		return;
	here->dead = NULL;
	for (link = &thread_all; *link != t;)
		link = &(*link)->next_of_all;
	*link = t->next_of_all;
	pages_free(t->stack, STACK_PAGES);
	kfree(t, sizeof(*t));
}

/* Marked while it waits, so that others may send it work; a mark that was taken away meanwhile stays so. */
static void idle(struct cpu_threads *here)
{
	uint64_t bit = 1ull << (here - thread_cpus);

	thread_idle_cpus |= here->open ? bit : 0;
	thread_cpu_idle();
	thread_idle_cpus &= ~bit;
}

/* On a CPU that leaves it is the idle thread, whoever is ready: they will be taken away. */
static struct thread *next_to_run(struct cpu_threads *here)
{
	struct thread *to = NULL;

	while (!here->open || !(to = thread_queue_pop(&here->ready))) {
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
void thread_schedule(void)
{
	struct cpu_threads *here = this();
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
		thread_cpu_send_held();
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
	this_cpu()->thread = thread_all = &main_thread;
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
struct thread *thread_new(const char *name, void (*fn)(void *ctx), void *ctx)
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

void thread_link(struct thread *t)
{
	t->next_of_all = thread_all;
	thread_all = t;
}

/* Linked and ready in one go with interrupts off, but on this CPU it runs at the caller's next wait at
 * the earliest: the caller may go on filling what ctx points to. On others too, for they need the kernel
 * lock. */
struct thread *thread_begin(struct thread *t, unsigned cpu, bool may_move)
{
	unsigned long flags;

	if (!t)
		return NULL;
	t->cpu = cpu;
	t->may_move = may_move;
	flags = wait_enter();
	thread_link(t);
	thread_make_ready(t);
	wait_leave(flags);
	return t;
}

/* The boot CPU: it is always there. */
struct thread *thread_create(const char *name, void (*fn)(void *ctx), void *ctx)
{
	return thread_begin(thread_new(name, fn, ctx), 0, false);
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

/* Behind all that are ready; alone, it comes back from thread_schedule() without a switch. */
void thread_yield(void)
{
	unsigned long flags = wait_enter();

	thread_make_ready(current());
	thread_schedule();
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
	thread_schedule();
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
	while ((t = thread_queue_pop(q)))
		thread_make_ready(t);
	wait_leave(flags);
}

/* Timer, interrupt context. The thread may have been woken since the timer was taken off the list.
 */
static void wait_timed_out(void *ctx)
{
	struct thread *t = ctx;

	if (!t->waits_on)
		return;
	thread_queue_remove(t->waits_on, t);
	t->timed_out = true;
	thread_make_ready(t);
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
	thread_schedule();
	timer_cancel(&t->timer);
	return !t->timed_out;
}
