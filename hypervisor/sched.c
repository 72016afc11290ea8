/* sched.c: chooses which vCPU runs, and switches to it.
 *
 * Each CPU has a list of its runnable vCPUs, the running one included, and takes the one with the
 * least time had. The list is as short as the number of vCPUs that want to run, so a walk is the
 * simplest thing that works. A CPU alone with one vCPU has no slice timer: it is left alone until
 * somebody wakes. Called from hypercalls, events, timers and entry.S (sched_leave); calls mm and pv
 * for the switch itself. The hypercall sched_op is in sched_op.c.
 */
#include <amphi/string.h>

#include "cpu.h"
#include "domain.h"
#include "guest.h"
#include "percpu.h"

#define MIN_RUN_NS 100000ull /* nobody is preempted sooner: events then come in batches */
#define NEVER      (~0ull)

struct run_queue {
	spinlock_t lock;
	struct vcpu *head;
	uint64_t floor_ns;   /* vtime of the latest chosen: where sleepers come back */
	uint64_t since_ns;   /* when the current one was chosen */
	uint64_t charged_ns; /* up to when its time is counted */
	struct hv_timer slice;
};

static struct run_queue queues[MAX_CPUS];
static struct domain idle_domain = {.id = DOMID_IDLE};
static struct vcpu idle_vcpus[MAX_CPUS];

static bool is_idle(const struct vcpu *v)
{
	return v->domain == &idle_domain;
}

static bool is_current(const struct vcpu *v)
{
	return hv_percpu[v->sched.cpu].current == v;
}

/* ---- time had -------------------------------------------------------------------------- */

/* The moments between two calls belong to the state that is left, so the four times of a vCPU add
 * up to its age, whatever becomes of it. */
static void runstate_enter(struct vcpu *v, int state, uint64_t now)
{
	struct vcpu_runstate_info *r = &v->sched.runstate;

	if (r->state == state)
		return;
	r->time[r->state] += now - r->state_entry_time;
	r->state_entry_time = now;
	r->state = state;
}

/* The state of a vCPU that is not running. */
static int waiting_state(const struct vcpu *v)
{
	if (v->sched.holds == 0)
		return RUNSTATE_runnable;
	return v->sched.holds == HOLD_BLOCKED ? RUNSTATE_blocked : RUNSTATE_offline;
}

/* Before times are compared; the idle vCPU's grows too, and nobody asks. */
static void charge_current(struct run_queue *q, uint64_t now)
{
	hv_percpu[q - queues].current->sched.vtime_ns += now - q->charged_ns;
	q->charged_ns = now;
}

/* The state it is in has been counted up to its beginning only; the rest is added to the copy. */
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out_info)
{
	struct run_queue *q = &queues[v->sched.cpu];
	uint64_t now = time_now_ns();

	spin_lock(&q->lock);
	*out_info = v->sched.runstate;
	spin_unlock(&q->lock);
	out_info->time[out_info->state] += now - out_info->state_entry_time;
	out_info->state_entry_time = now;
}

uint64_t vcpu_cpu_time_ns(struct vcpu *v)
{
	struct vcpu_runstate_info info;

	vcpu_runstate_get(v, &info);
	return info.time[RUNSTATE_running];
}

/* The address means something in the vCPU's own space alone: written now if it is running, and from
 * then on each time it is chosen. */
long vcpu_register_runstate(struct vcpu *v, uint64_t va)
{
	struct vcpu_runstate_info info;

	if (va != 0 && !guest_range_ok(va, sizeof(info)))
		return -XEN_EFAULT;
	v->sched.runstate_va = va;
	vcpu_runstate_get(v, &info);
	if (v == current_vcpu() && va != 0 && guest_write(va, &info) != 0)
		return -XEN_EFAULT;
	return 0;
}

/* ---- the list -------------------------------------------------------------------------- */

/* A newly runnable vCPU gets this CPU at once when it idles, else as soon as the present one has
 * had its minimum, provided the newcomer is behind it. */
static void consider_preemption(struct run_queue *q, struct vcpu *v, uint64_t now)
{
	struct percpu *cpu = &hv_percpu[v->sched.cpu];
	uint64_t due = q->since_ns + SCHED_SLICE_NS;

	if (is_idle(cpu->current)) {
		cpu->resched = true;
		return;
	}
	if (v->sched.vtime_ns < cpu->current->sched.vtime_ns)
		due = q->since_ns + MIN_RUN_NS;
	if (due <= now)
		cpu->resched = true;
	else if (!q->slice.armed || q->slice.due_ns > due)
		timer_set(&q->slice, due);
}

/* Why a vCPU does not run is a set of reasons, so that an event does not wake who is paused, nor an
 * unpause who sleeps. One that runs on a CPU stays in it up to the way out. */
static void hold(struct vcpu *v, uint32_t why)
{
	struct run_queue *q = &queues[v->sched.cpu];
	uint64_t now = time_now_ns();

	spin_lock(&q->lock);
	v->sched.holds |= why;
	for (struct vcpu **at = &q->head; *at != NULL && v->sched.queued; at = &(*at)->sched.next)
		if (*at == v) {
			*at = v->sched.next;
			break;
		}
	v->sched.queued = false;
	if (is_current(v))
		hv_percpu[v->sched.cpu].resched = true;
	else
		runstate_enter(v, waiting_state(v), now);
	spin_unlock(&q->lock);
}

/* Where the one who has had least stands now: a sleeper comes back a slice behind that at most, so
 * that it is soon served, but makes up for nothing. */
static uint64_t comeback(struct run_queue *q, uint64_t now)
{
	uint64_t least = NEVER;

	charge_current(q, now);
	for (struct vcpu *v = q->head; v != NULL; v = v->sched.next)
		least = MIN(least, v->sched.vtime_ns);
	if (least == NEVER)
		least = q->floor_ns;
	return least > SCHED_SLICE_NS ? least - SCHED_SLICE_NS : 0;
}

/* May find it queued or without the reason: a wake that comes twice does nothing. */
static void release(struct vcpu *v, uint32_t why)
{
	struct run_queue *q = &queues[v->sched.cpu];
	uint64_t now = time_now_ns();

	spin_lock(&q->lock);
	v->sched.holds &= ~why;
	if (!is_current(v))
		runstate_enter(v, waiting_state(v), now);
	if (v->sched.holds == 0 && !v->sched.queued) {
		v->sched.vtime_ns = MAX(v->sched.vtime_ns, comeback(q, now));
		v->sched.next = q->head;
		q->head = v;
		v->sched.queued = true;
		if (!is_current(v))
			consider_preemption(q, v, now);
	}
	spin_unlock(&q->lock);
}

/* ---- life of a vCPU -------------------------------------------------------------------- */

void sched_vcpu_init(struct vcpu *v)
{
	v->sched.cpu = this_cpu()->id;
	v->sched.holds = HOLD_DOWN;
	v->sched.runstate.state = RUNSTATE_offline;
	v->sched.runstate.state_entry_time = time_now_ns();
	time_vcpu_init(v);
}

/* Takes v's state out of this CPU, which then holds nobody's. */
static void unload(struct vcpu *v)
{
	struct percpu *cpu = this_cpu();

	if (cpu->loaded != v)
		return;
	pv_unload(v);
	cpu->loaded = NULL;
	mm_activate(cpu->idle);
}

void sched_vcpu_teardown(struct vcpu *v)
{
	hold(v, HOLD_DEAD);
	time_vcpu_teardown(v);
	unload(v);
}

void vcpu_up(struct vcpu *v)
{
	release(v, HOLD_DOWN);
}

void vcpu_down(struct vcpu *v)
{
	hold(v, HOLD_DOWN);
}

bool vcpu_is_up(const struct vcpu *v)
{
	return (v->sched.holds & HOLD_DOWN) == 0;
}

/* Called for every notification sent, so the look comes before the lock: who blocks looks for
 * events after it has said so (vcpu_block), and one of the two sees the other. */
void vcpu_wake(struct vcpu *v)
{
	if ((__atomic_load_n(&v->sched.holds, __ATOMIC_ACQUIRE) & HOLD_BLOCKED) == 0)
		return;
	if (v->sched.polling) {
		v->sched.polling = false;
		timer_stop(&v->sched.poll);
		event_poll_end(v);
	}
	release(v, HOLD_BLOCKED);
}

/* An event that comes between the guest's look at its pending bits and the block must not be slept
 * over: so the hold is there first, and the look second. */
void vcpu_block(struct vcpu *v)
{
	hold(v, HOLD_BLOCKED);
	if (event_deliverable(&v->events))
		vcpu_wake(v);
}

/* Whoever pauses another may then read or change all of it, so its state has to be in memory, not
 * in the CPU. Pauses are counted, because a debugger and a toolstack know nothing of each other. */
void vcpu_pause(struct vcpu *v)
{
	if (__atomic_fetch_add(&v->sched.pause_count, 1, __ATOMIC_SEQ_CST) == 0)
		hold(v, HOLD_PAUSED);
	if (v != current_vcpu())
		unload(v);
}

void vcpu_unpause(struct vcpu *v)
{
	if (__atomic_sub_fetch(&v->sched.pause_count, 1, __ATOMIC_SEQ_CST) == 0)
		release(v, HOLD_PAUSED);
}

void domain_pause(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (d->vcpu[i] != NULL)
			vcpu_pause(d->vcpu[i]);
}

void domain_unpause(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (d->vcpu[i] != NULL)
			vcpu_unpause(d->vcpu[i]);
}

/* ---- choosing -------------------------------------------------------------------------- */

/* One who yields goes behind whoever else waits, by two slices at most: it keeps its claim on time
 * lost, but not on this moment. */
void sched_yield_now(void)
{
	struct percpu *cpu = this_cpu();
	struct run_queue *q = &queues[cpu->id];
	struct vcpu *v = cpu->current;
	uint64_t most = 0;

	spin_lock(&q->lock);
	for (struct vcpu *o = q->head; o != NULL; o = o->sched.next)
		if (o != v)
			most = MAX(most, o->sched.vtime_ns + 1);
	if (most > v->sched.vtime_ns)
		v->sched.vtime_ns = MIN(most, v->sched.vtime_ns + 2 * SCHED_SLICE_NS);
	cpu->resched = true;
	spin_unlock(&q->lock);
}

/* Interrupts are off while we run, so the LAPIC cannot tell: look at what it would fire for. */
bool sched_preempt_pending(void)
{
	struct percpu *cpu = this_cpu();

	if (cpu->resched)
		return true;
	return cpu->timers != NULL && cpu->timers->due_ns <= time_now_ns();
}

static void slice_over(void *ctx)
{
	((struct percpu *)ctx)->resched = true;
}

/* When nobody wants to run, the last one's state stays loaded: if it is also the next, which is the
 * rule on a machine with one busy guest, sleeping and waking cost no switch. */
static void choose(struct percpu *cpu)
{
	struct run_queue *q = &queues[cpu->id];
	uint64_t now = time_now_ns();
	struct vcpu *prev = cpu->current, *next = cpu->idle;

	spin_lock(&q->lock);
	cpu->resched = false;
	charge_current(q, now);
	q->since_ns = now;
	for (struct vcpu *v = q->head; v != NULL; v = v->sched.next)
		if (next == cpu->idle || v->sched.vtime_ns < next->sched.vtime_ns)
			next = v;
	cpu->current = next;
	runstate_enter(prev, waiting_state(prev), now);
	runstate_enter(next, RUNSTATE_running, now);
	if (!is_idle(next))
		q->floor_ns = MAX(q->floor_ns, next->sched.vtime_ns);
	if (q->head != NULL && q->head->sched.next != NULL)
		timer_set(&q->slice, now + SCHED_SLICE_NS);
	else
		timer_stop(&q->slice);
	spin_unlock(&q->lock);
	if (is_idle(next))
		return;
	if (next != cpu->loaded) {
		count(CNT_SWITCHES);
		if (cpu->loaded != NULL)
			pv_unload(cpu->loaded);
		cpu->loaded = next;
		mm_activate(next);
		pv_load(next);
	}
	if (next != prev) {
		time_update_vcpu(next);
		/* In the guest's own address space, so only when it runs. */
		if (next->sched.runstate_va != 0)
			(void)guest_write(next->sched.runstate_va, &next->sched.runstate);
	}
}

/* The only way back to a guest. Each step may undo what those before have found: waiting ends by an
 * interrupt that makes somebody runnable, a frame that finds no stack ends its domain. So it goes
 * round until there is a vCPU that nothing has been decided about since. */
struct guest_regs *sched_leave(void)
{
	struct percpu *cpu = this_cpu();

	for (;;) {
		struct vcpu *v;

		if (cpu->resched)
			choose(cpu);
		v = cpu->current;
		if (is_idle(v)) {
			cpu_wait();
			continue;
		}
		if (event_deliverable(&v->events))
			pv_deliver_events(v);
		if (!cpu->resched)
			return &v->pv.regs;
	}
}

void sched_init(void)
{
	struct percpu *cpu = this_cpu();
	struct vcpu *idle = &idle_vcpus[cpu->id];

	idle->domain = &idle_domain;
	idle->id = cpu->id;
	idle->sched.cpu = cpu->id;
	cpu->current = idle;
	cpu->idle = idle;
	queues[cpu->id].slice.fn = slice_over;
	queues[cpu->id].slice.ctx = cpu;
}
