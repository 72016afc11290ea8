/* timer.c: the hypervisor's one-shot timers, a sorted list per CPU before one LAPIC timer.
 *
 * Callers: time.c, sched.c, sched_op.c; trap.c's interrupt path runs what is due. A timer function
 * runs with interrupts off and no lock of ours held, and may set timers, its own included. The
 * LAPIC is only programmed when the head changes; waking early does no harm, it is programmed
 * again.
 */
#include <amphi/types.h>

#include "apic.h"
#include "lock.h"
#include "percpu.h"
#include "time.h"

#define FAR_NS (~0ull)

static spinlock_t lock;

static void unlink_timer(struct hv_timer *t)
{
	struct hv_timer **at = &hv_percpu[t->cpu].timers;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	t->armed = false;
}

static void program(struct percpu *cpu)
{
	apic_timer_set(cpu->timers != NULL ? cpu->timers->due_ns : FAR_NS);
}

void timer_set(struct hv_timer *t, uint64_t due_ns)
{
	struct percpu *cpu = this_cpu();
	struct hv_timer **at = &cpu->timers;

	spin_lock(&lock);
	if (t->armed)
		unlink_timer(t);
	while (*at != NULL && (*at)->due_ns <= due_ns)
		at = &(*at)->next;
	t->due_ns = due_ns;
	t->next = *at;
	t->cpu = cpu->id;
	t->armed = true;
	*at = t;
	if (cpu->timers == t)
		program(cpu);
	spin_unlock(&lock);
}

void timer_stop(struct hv_timer *t)
{
	spin_lock(&lock);
	if (t->armed)
		unlink_timer(t);
	spin_unlock(&lock);
}

/* A function may set its timer anew for now: bounded by what was due when we began. */
void timers_run(void)
{
	struct percpu *cpu = this_cpu();
	uint64_t now = time_now_ns();
	struct hv_timer *t;

	spin_lock(&lock);
	while ((t = cpu->timers) != NULL && t->due_ns <= now) {
		unlink_timer(t);
		count(CNT_TIMERS);
		spin_unlock(&lock);
		t->fn(t->ctx);
		spin_lock(&lock);
	}
	program(cpu);
	spin_unlock(&lock);
}
