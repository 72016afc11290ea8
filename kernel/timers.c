/* timers.c: the list of timers behind the platform's one-shot timer.
 *
 * Callers: threads, worker, shell (timer_set); the timer interrupt (time_interrupt). Calls
 * clock.h's clock_program. The list is sorted by due time and short: one timer per sleeping thread
 * and one for the worker. Interrupts are off while it is changed, and while handlers run.
 */
#include <amphi/types.h>
#include "clock.h"
#include "thread.h"
#include "time.h"

static struct timer *first;

/* Interrupts off. The list is short enough to be walked for one that may not be in it. */
static void unlink_timer(struct timer *timer)
{
	struct timer **link = &first;

	while (*link && *link != timer)
		link = &(*link)->next;
	if (*link)
		*link = timer->next;
	timer->queued = false;
}

/* A timer that is set already moves. Equal moments keep the order of asking. Only a new head is
 * told to the platform, which for a PV domain is a hypercall. */
void timer_set(struct timer *timer, uint64_t due_ns)
{
	unsigned long flags = wait_enter();
	struct timer **link = &first;

	if (timer->queued)
		unlink_timer(timer);
	timer->due_ns = due_ns;
	timer->queued = true;
	while (*link && (*link)->due_ns <= due_ns)
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
	if (first == timer)
		clock_program(due_ns);
	wait_leave(flags);
}

/* The hardware stays programmed: an interrupt that finds nothing due is cheaper than a hypercall.
 */
void timer_cancel(struct timer *timer)
{
	unsigned long flags;

	if (!timer->queued)
		return;
	flags = wait_enter();
	unlink_timer(timer);
	wait_leave(flags);
}

/* An interrupt may come early (another clock's rate, a longest interval): then it is set anew. */
void time_interrupt(void)
{
	struct timer *timer;
	uint64_t now_ns = time_ns();

	while ((timer = first) && timer->due_ns <= now_ns) {
		unlink_timer(timer);
		timer->fn(timer->ctx);
	}
	if (first)
		clock_program(first->due_ns);
}
