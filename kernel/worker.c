/* worker.c: the thread in which all portable code runs, and its list of work.
 *
 * Callers: host.h's users through host_work_*, interrupt handlers through worker_post, threads
 * through worker_call. Work that is due goes to one list, first in first out; delayed work waits in
 * a second one, sorted, with one timer for its head. Both are changed with interrupts off.
 */
#include <amphi/host.h>
#include "panic.h"
#include "thread.h"
#include "thread_cpu.h"
#include "time.h"
#include "worker.h"

/* A work's place: queued false: in no list; due_ns 0: in the soon list; else in the delayed one. */
static struct host_work *soon_head, *soon_tail, *delayed;
static struct wait_queue idle;
static struct thread *worker;
static struct timer delay_timer;

/* Interrupts off. */
static void push_soon(struct host_work *work)
{
	work->next = NULL;
	work->due_ns = 0;
	if (soon_tail)
		soon_tail->next = work;
	else
		soon_head = work;
	soon_tail = work;
	wait_wake(&idle);
}

/* queued is false again before fn runs, so that fn may queue its own work anew, or free it.
 * Interrupts off. */
static struct host_work *pop_soon(void)
{
	struct host_work *work = soon_head;

	soon_head = work->next;
	if (!soon_head)
		soon_tail = NULL;
	work->queued = false;
	return work;
}

/* Asked again before it ran it stays one piece of work: what it stands for is looked up when it
 * runs. */
void worker_post(struct host_work *work)
{
	unsigned long flags = wait_enter();

	if (!work->queued) {
		work->queued = true;
		push_soon(work);
	}
	wait_leave(flags);
}

/* The look without interrupts off spares a busy handler two operations. A handler that queues it
 * just after has done what was wanted. */
void host_work_soon(struct host_work *work)
{
	if (!work->queued)
		worker_post(work);
}

/* Timer, interrupt context: what is due becomes soon. */
static void delay_over(void *ctx)
{
	uint64_t now_ns = time_ns();
	struct host_work *work;

	while ((work = delayed) && work->due_ns <= now_ns) {
		delayed = work->next;
		push_soon(work);
	}
	if (delayed)
		timer_set(&delay_timer, delayed->due_ns);
}

/* Sorted by when it is due, equal ones in order of asking. Only a new head moves the timer. */
void host_work_after(struct host_work *work, uint64_t delay_ns)
{
	struct host_work **link = &delayed;
	unsigned long flags = wait_enter();

	if (work->queued)
		goto out;
	work->queued = true;
	work->due_ns = time_ns() + delay_ns + 1; /* never 0, which marks work that is due */
	while (*link && (*link)->due_ns <= work->due_ns)
		link = &(*link)->next;
	work->next = *link;
	*link = work;
	if (delayed == work)
		timer_set(&delay_timer, work->due_ns);
out:
	wait_leave(flags);
}

/* Takes work out of one list; its tail pointer, where it has one, is put right. */
static void unlink_work(struct host_work **head, struct host_work **tail, struct host_work *work)
{
	struct host_work *before = NULL, *at = *head;

	while (at && at != work) {
		before = at;
		at = at->next;
	}
	if (!at)
		return;
	if (before)
		before->next = work->next;
	else
		*head = work->next;
	if (tail && *tail == work)
		*tail = before;
}

/* Afterwards fn will not be called for this asking, and the memory is the caller's. The timer is
 * left as it is: delay_over() takes what is due, which may be nothing. */
void host_work_cancel(struct host_work *work)
{
	unsigned long flags = wait_enter();

	if (work->queued && work->due_ns)
		unlink_work(&delayed, NULL, work);
	else if (work->queued)
		unlink_work(&soon_head, &soon_tail, work);
	work->queued = false;
	wait_leave(flags);
}

/* Other threads are let in when the list is empty, or after this many pieces of work: a busy disk
 * must not keep the shell from answering. */
#define WORK_IN_A_ROW 64u

/* Work runs with interrupts on and out of every list, so fn may queue, cancel and wait. */
static void worker_main(void *ctx)
{
	struct host_work *work;
	unsigned done = 0;
	unsigned long flags;

	for (;;) {
		WAIT_UNTIL(&idle, soon_head);
		flags = wait_enter();
		work = pop_soon();
		wait_leave(flags);
		work->fn(work->ctx);
		if (soon_head) /* the peers need not wait for the next as well */
			thread_cpu_send_held();
		if (++done % WORK_IN_A_ROW == 0)
			thread_yield();
	}
}

void worker_init(void)
{
	delay_timer.fn = delay_over;
	worker = thread_create("worker", worker_main, NULL);
	if (!worker)
		panic("no memory for the worker");
}

bool worker_is_current(void)
{
	return thread_current() == worker;
}

/* On the caller's stack, which stands still until done is set. */
struct call {
	struct host_work work;
	int (*fn)(void *ctx);
	void *ctx;
	int result;
	bool done;
	struct wait_queue wait;
};

/* The caller's frame, and call with it, lives until it runs again, which is not before the
 * worker waits: so wait_wake() may still touch it after done is set. */
static void run_call(void *ctx)
{
	struct call *call = ctx;

	call->result = call->fn(call->ctx);
	call->done = true;
	wait_wake(&call->wait);
}

/* In the worker itself waiting for the worker would be for ever, so fn is called at once. */
int worker_call(int (*fn)(void *ctx), void *ctx)
{
	struct call call = {.fn = fn, .ctx = ctx};

	if (worker_is_current())
		return fn(ctx);
	call.work.fn = run_call;
	call.work.ctx = &call;
	worker_post(&call.work);
	WAIT_UNTIL(&call.wait, call.done);
	return call.result;
}
