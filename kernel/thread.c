/* thread.c: the scheduler: a ready list, wait queues, and switching between them.
 *
 * Callers: see thread.h. Calls mm.h for stacks, time.h for deadlines, thread_cpu.h for the
 * processor. There is no idle thread: a thread that finds nobody ready waits for an interrupt on
 * its own stack until someone is. States and who changes them:
 *
 *   ready --schedule--> running --wait_sleep--> waiting --wait_wake, timer--> ready
 *                       running --thread_yield--> ready
 *                       running --thread_exit--> dead (freed by the next to run)
 */
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
	struct thread *next;         /* in the ready list or a wait queue */
	struct wait_queue *waits_on; /* NULL when woken */
	bool timed_out;
	struct timer timer;
	uint64_t *stack; /* lowest word; NULL: the boot stack */
	uint64_t switches;
	void *user; /* the program whose kernel side it is, or NULL */
	struct thread *next_of_all;
};

static struct thread main_thread;
/* dead: the last that ended, whose stack may still be stood upon; there is never more than one. */
static struct thread *current, *all_threads, *dead;
/* First come, first served, and no priorities: the threads are few and give way. */
static struct wait_queue ready;

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

/* waits_on is cleared so that a deadline that comes now finds nothing to do (wait_timed_out). */
static void make_ready(struct thread *t)
{
	t->waits_on = NULL;
	t->state = THREAD_READY;
	queue_push(&ready, t);
}

/* A dead thread's stack cannot be freed while somebody stands on it: it may still be idling there.
 */
static void bury_the_dead(void)
{
	struct thread *t = dead, **link;

	if (!t)
		return;
	dead = NULL;
	for (link = &all_threads; *link != t;)
		link = &(*link)->next_of_all;
	*link = t->next_of_all;
	pages_free(t->stack, STACK_PAGES);
	kfree(t, sizeof(*t));
}

/* Gives the processor to the next that is ready. The caller has put itself where it belongs.
 * Interrupts off, at call and return. */
static void schedule(void)
{
	struct thread *from = current, *to;

	if (from->stack && from->stack[0] != STACK_MAGIC)
		panic("thread %s ran over its stack", from->name);
	while (!(to = queue_pop(&ready)))
		thread_cpu_idle();
	to->state = THREAD_RUNNING;
	to->switches++;
	if (to != from) {
		current = to;
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
	current = all_threads = &main_thread;
}

/* Where a new thread comes out of its first thread_switch. */
static void thread_start(void)
{
	struct thread *t = current;

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

/* Linked and ready in one go with interrupts off, but it runs at the caller's next wait at the
 * earliest: the caller may go on filling what ctx points to. */
struct thread *thread_create(const char *name, void (*fn)(void *ctx), void *ctx)
{
	struct thread *t = kmalloc(sizeof(*t));
	unsigned long flags;

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
	flags = wait_enter();
	t->next_of_all = all_threads;
	all_threads = t;
	make_ready(t);
	wait_leave(flags);
	return t;
}

struct thread *thread_current(void)
{
	return current;
}

const char *thread_name(const struct thread *t)
{
	return t ? t->name : "none";
}

/* From now on the current thread's switches load that program's registers; NULL: no more. */
void thread_set_user(void *program)
{
	current->user = program;
}

void *thread_user(void)
{
	return current->user;
}

uint64_t thread_stack_top(void)
{
	return current->stack ? (uint64_t)(uintptr_t)current->stack + STACK_BYTES : 0;
}

/* One word: may be asked with interrupts on, as a hint. */
bool thread_others_ready(void)
{
	return ready.head;
}

/* Behind all that are ready; alone, it comes back from schedule() without a switch. */
void thread_yield(void)
{
	unsigned long flags = wait_enter();

	make_ready(current);
	schedule();
	wait_leave(flags);
}

/* Freed by the next to run. One that ended before and is not buried yet goes first, because
 * there is room for one only. */
void thread_exit(void)
{
	(void)wait_enter();
	KASSERT(current != &main_thread);
	bury_the_dead();
	current->state = THREAD_DEAD;
	dead = current;
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
	struct thread *t = current;

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
		info.switches = t->switches;
		info.stack_used_bytes = stack_used_bytes(t);
		info.stack_bytes = t->stack ? (unsigned)STACK_BYTES : 0;
		fn(ctx, &info);
	}
}
