/* timers.c: the list of timers behind each CPU's one-shot timer.
 *
 * Callers: threads, worker, shell (timer_set); the timer interrupt (time_interrupt). Calls
 * clock.h's clock_program. A timer is in the list of the CPU where it was set. Lists are sorted by due time
 * and short: one timer per sleeping thread and one for the worker. The kernel lock is held and interrupts
 * are off while they are changed, and while handlers run.
 */
#include <amphi/percpu.h>
#include <amphi/types.h>
#include "clock.h"
#include "thread.h"
#include "time.h"

static struct timer *first[CPUS_MAX];

/* Interrupts off. The list is short enough to be walked for one that may not be in it. */
static void unlink_timer(struct timer *timer)
{
	struct timer **link = &first[timer->cpu];

	while (*link && *link != timer)
		link = &(*link)->next;
	if (*link)
		*link = timer->next;
	timer->queued = false;
}

/* Interrupts off. Equal moments keep the order of asking. Only a new head is told to the platform, which for
 * a PV domain is a hypercall. */
static void insert(struct timer *timer)
{
	struct timer **head = &first[this_cpu()->cpu], **link = head;

	timer->queued = true;
	timer->cpu = this_cpu()->cpu;
	while (*link && (*link)->due_ns <= timer->due_ns)
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
	if (*head == timer)
		clock_program(timer->due_ns);
}

/* A timer that is set already moves, to this CPU too. */
void timer_set(struct timer *timer, uint64_t due_ns)
{
	unsigned long flags = wait_enter();

	if (timer->queued)
		unlink_timer(timer);
	timer->due_ns = due_ns;
	insert(timer);
	wait_leave(flags);
}

/* The hardware stays programmed, another CPU's too: an interrupt that finds nothing due is cheaper than a
 * hypercall. */
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
	struct timer **head = &first[this_cpu()->cpu], *timer;
	uint64_t now_ns = time_ns();

	while ((timer = *head) && timer->due_ns <= now_ns) {
		unlink_timer(timer);
		timer->fn(timer->ctx);
	}
	if (*head)
		clock_program((*head)->due_ns);
}

/* What has become due meanwhile fires at once: a moment that is past is programmed like others. */
void timers_take(unsigned cpu)
{
	unsigned long flags = wait_enter();
	struct timer *timer;

	while ((timer = first[cpu])) {
		first[cpu] = timer->next;
		insert(timer);
	}
	wait_leave(flags);
}
