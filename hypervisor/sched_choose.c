/* sched_choose.c: which vCPU a CPU runs next, the switch to it, and the way out to a guest.
 *
 * Called by entry.S (sched_leave) and by the scheduler's other files. A CPU that has nobody waiting
 * is left alone until somebody wakes, but for the timer of its last slice. Calls mm and pv for the switch itself,
 * and another CPU for the state of a vCPU that it had last.
 */
#include "guest.h"
#include "sched_private.h"

#define MIN_RUN_NS 100000ull  /* nobody is preempted sooner: events then come in batches */
#define STAY_NS    1000000ull /* what a vCPU must be behind by to change CPUs for it */
#define AWAY_NS    5000000ull /* and to go where it would rather not (soft affinity) */

struct sched_cpu sched_cpus[MAX_CPUS];
struct vcpu *sched_list;
static struct domain idle_domain = {.id = DOMID_IDLE};
static struct vcpu idle_vcpus[MAX_CPUS];

void sched_again(struct percpu *cpu)
{
	cpu->resched = true;
	cpu_kick(cpu);
}

/* The timer is left armed when nobody waits any more, and fires early when the next one begins to: to wake once for nothing costs less
 * than to stop and start it at every switch. When the CPU is to look again is end_ns alone. */
static void slice_over(void *ctx)
{
	struct percpu *cpu = ctx;
	struct sched_cpu *q = &sched_cpus[cpu->id];

	if (q->end_ns <= time_now_ns())
		sched_again(cpu);
	else if (q->end_ns != SCHED_NEVER)
		timer_set(&q->slice, q->end_ns);
}

static void look_again_at(struct sched_cpu *q, uint64_t end_ns)
{
	q->end_ns = end_ns;
	if (end_ns != SCHED_NEVER && (!q->slice.armed || q->slice.due_ns > end_ns))
		timer_set(&q->slice, end_ns);
}

/* ---- a CPU for a vCPU ------------------------------------------------------------------ */

/* Somebody waits who may run there: the CPU looks again at `due` at the latest. */
static void end_slice(struct percpu *cpu, uint64_t due, uint64_t now)
{
	struct sched_cpu *q = &sched_cpus[cpu->id];

	q->contended = true;
	if (due <= now)
		sched_again(cpu);
	else if (due < q->end_ns)
		look_again_at(q, due);
}

/* An idle CPU that is on its way to choose may be somebody else's already. First asked is the one
 * that may still have v's state. */
static struct percpu *find_idle(const struct vcpu *v, uint32_t mask)
{
	uint32_t from = v->sched.cpu, m = mask >> from | (uint64_t)mask << (32 - from);

	for (; m != 0; m &= m - 1) {
		struct percpu *cpu = &hv_percpu[(from + __builtin_ctz(m)) % 32];

		if (vcpu_is_idle(cpu->current) && !cpu->resched)
			return cpu;
	}
	return NULL;
}

/* A CPU that idles takes v at once. Else all where it may run look when their slices end; if v has
 * woken, the one whose vCPU has had most, and more than v, as soon as that has had its minimum. */
void sched_place(struct vcpu *v, bool woken, uint64_t now)
{
	uint32_t mask = v->sched.affinity & cpus_online;
	struct percpu *best = find_idle(v, mask & v->sched.soft);

	if (best == NULL && (mask & ~v->sched.soft))
		best = find_idle(v, mask);
	if (best != NULL) {
		sched_again(best);
		return;
	}
	for (uint32_t m = mask; m != 0; m &= m - 1) {
		struct percpu *cpu = &hv_percpu[__builtin_ctz(m)];

		sched_charge(cpu, now);
		end_slice(cpu, sched_cpus[cpu->id].since_ns + SCHED_SLICE_NS, now);
		if (best == NULL || cpu->current->sched.vtime_ns > best->current->sched.vtime_ns)
			best = cpu;
	}
	if (woken && best != NULL && v->sched.vtime_ns < best->current->sched.vtime_ns)
		end_slice(best, sched_cpus[best->id].since_ns + MIN_RUN_NS, now);
}

/* ---- choosing -------------------------------------------------------------------------- */

static bool may_run_here(const struct vcpu *v, const struct percpu *cpu)
{
	return (v->sched.affinity >> cpu->id & 1) && !v->domain->sched.parked &&
	       (v == cpu->current || !vcpu_on_cpu(v));
}

/* The least served; *out_others: more than one could have been taken. */
static struct vcpu *pick(struct percpu *cpu, bool *out_others)
{
	struct vcpu *next = cpu->idle;
	uint64_t least = SCHED_NEVER;

	*out_others = false;
	for (struct vcpu *v = sched_list; v != NULL; v = v->sched.next) {
		uint64_t cost = v->sched.vtime_ns + (v->sched.cpu != cpu->id ? STAY_NS : 0);

		if (!may_run_here(v, cpu))
			continue;
		if (!(v->sched.soft >> cpu->id & 1)) {
			if (find_idle(v, v->sched.affinity & v->sched.soft & cpus_online))
				continue; /* which was asked when v was placed */
			cost += AWAY_NS;
		}
		*out_others |= next != cpu->idle;
		if (cost < least) {
			next = v;
			least = cost;
		}
	}
	return next;
}

/* Takes v's state out of this CPU, which then holds nobody's. */
void sched_unload(void)
{
	struct percpu *cpu = this_cpu();

	if (cpu->loaded == NULL)
		return;
	pv_unload(cpu->loaded);
	cpu->loaded = NULL;
	mm_activate(cpu->idle);
}

/* When nobody wants to run, the last one's state stays loaded: if it is also the next, which is the
 * rule on a machine with one busy guest, sleeping and waking cost no switch. */
static void load(struct percpu *cpu, struct vcpu *next)
{
	struct percpu *last = &hv_percpu[next->sched.cpu];

	if (next == cpu->loaded)
		return;
	count(CNT_SWITCHES);
	if (last != cpu && last->loaded == next)
		cpus_ask(1u << last->id, ASK_UNLOAD);
	if (cpu->loaded != NULL)
		pv_unload(cpu->loaded);
	next->sched.cpu = cpu->id;
	cpu->loaded = next;
	mm_activate(next);
	pv_load(next);
}

static void set_slice(struct percpu *cpu, struct vcpu *next, uint64_t now)
{
	struct sched_cpu *q = &sched_cpus[cpu->id];
	uint64_t end = vcpu_is_idle(next) ? SCHED_NEVER : sched_cap_end(next, now);

	if (q->contended)
		end = MIN(end, now + SCHED_SLICE_NS);
	look_again_at(q, end);
}

static void choose(struct percpu *cpu)
{
	struct sched_cpu *q = &sched_cpus[cpu->id];
	uint64_t now = time_now_ns();
	struct vcpu *prev = cpu->current, *next;

	cpu->resched = false;
	sched_charge(cpu, now);
	q->since_ns = now;
	next = pick(cpu, &q->contended);
	runstate_enter(prev, runstate_waiting(prev), now);
	runstate_enter(next, RUNSTATE_running, now);
	set_slice(cpu, next, now);
	cpu->current = next;
	if (next != prev && prev->sched.queued)
		sched_place(prev, false, now);
	/* Whoever stops one to look at it waits for this. */
	if (vcpu_is_idle(next) && cpu->loaded != NULL &&
	    cpu->loaded->sched.holds & (HOLD_PAUSED | HOLD_DEAD))
		sched_unload();
	if (!vcpu_is_idle(next))
		load(cpu, next);
	if (vcpu_is_idle(next) || next == prev)
		return;
	time_refresh_vcpu(next);
	/* In the guest's own address space, so only when it runs. */
	if (next->sched.runstate_va != 0)
		(void)guest_write(next->sched.runstate_va, &next->sched.runstate);
}

/* ---- the way out ----------------------------------------------------------------------- */

/* The only way back to a guest. Each step may undo what those before have found: waiting ends by an
 * interrupt that makes somebody runnable, a frame that finds no stack ends its domain. So it goes
 * round until there is a vCPU that nothing has been decided about since. Who has come in for
 * nothing but itself goes out without the lock: what others want of this CPU comes as an interrupt,
 * for to them it was outside all the time. */
struct guest_regs *sched_leave(void)
{
	struct percpu *cpu = this_cpu();
	struct vcpu *v = cpu->current;

	if (!cpu->locked && !vcpu_is_idle(v) && !event_deliverable(&v->events))
		return &v->pv.regs;
	for (;;) {
		hv_enter();
		if (cpu->resched)
			choose(cpu);
		v = cpu->current;
		if (vcpu_is_idle(v)) {
			hv_exit();
			cpu_wait();
			continue;
		}
		if (event_deliverable(&v->events) || pv_nmi_due(&v->pv))
			pv_deliver_events(v);
		if (!cpu->resched)
			break;
	}
	hv_exit();
	return &v->pv.regs;
}

void sched_init(uint32_t id)
{
	struct percpu *cpu = &hv_percpu[id];
	struct vcpu *idle = &idle_vcpus[id];

	idle->domain = &idle_domain;
	idle->id = id;
	idle->sched.cpu = id;
	idle->sched.affinity = 1u << id;
	cpu->current = idle;
	cpu->idle = idle;
	sched_cpus[id].end_ns = SCHED_NEVER;
	sched_cpus[id].slice.fn = slice_over;
	sched_cpus[id].slice.ctx = cpu;
}
