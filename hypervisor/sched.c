/* sched.c: the states of vCPUs: what holds them, what wakes them, the time they have had.
 *
 * A vCPU that nothing holds is in the list of those that want to run; which CPU takes it is
 * sched_choose.c's. Called from hypercalls, events, timers and domain.c, with the hypervisor's lock
 * held. The hypercall sched_op is in sched_op.c.
 */
#include "guest.h"
#include "sched_private.h"

/* ---- time had -------------------------------------------------------------------------- */

/* The moments between two calls belong to the state that is left, so the four times of a vCPU add
 * up to its age, whatever becomes of it. */
void runstate_enter(struct vcpu *v, int state, uint64_t now)
{
	struct vcpu_runstate_info *r = &v->sched.runstate;

	if (r->state == state)
		return;
	r->time[r->state] += now - r->state_entry_time;
	r->state_entry_time = now;
	r->state = state;
}

int runstate_waiting(const struct vcpu *v)
{
	if (v->sched.holds == 0)
		return RUNSTATE_runnable;
	return v->sched.holds == HOLD_BLOCKED ? RUNSTATE_blocked : RUNSTATE_offline;
}

/* The state it is in has been counted up to its beginning only; the rest is added to the copy. */
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out_info)
{
	uint64_t now = time_now_ns();

	*out_info = v->sched.runstate;
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

/* ---- holds ----------------------------------------------------------------------------- */

/* Why a vCPU does not run is a set of reasons, so that an event does not wake who is paused, nor an
 * unpause who sleeps. One that runs on a CPU stays in it up to the way out. */
static void hold(struct vcpu *v, uint32_t why)
{
	v->sched.holds |= why;
	for (struct vcpu **at = &sched_list; *at != NULL && v->sched.queued;
	     at = &(*at)->sched.next)
		if (*at == v) {
			*at = v->sched.next;
			break;
		}
	v->sched.queued = false;
	if (vcpu_on_cpu(v))
		sched_again(&hv_percpu[v->sched.cpu]);
	else
		runstate_enter(v, runstate_waiting(v), time_now_ns());
}

/* Where the one who has had least stands now: a sleeper comes back a slice behind that at most, so
 * that it is soon served, but makes up for nothing. */
static uint64_t comeback(uint64_t now)
{
	uint64_t least;

	for (uint32_t m = cpus_online; m != 0; m &= m - 1)
		sched_charge(&hv_percpu[__builtin_ctz(m)], now);
	least = sched_list != NULL ? sched_least(NULL) : sched_most_ns;
	return least > SCHED_SLICE_NS ? least - SCHED_SLICE_NS : 0;
}

/* May find it queued or without the reason: a wake that comes twice does nothing. */
static void release(struct vcpu *v, uint32_t why)
{
	uint64_t now = time_now_ns();

	v->sched.holds &= ~why;
	if (!vcpu_on_cpu(v))
		runstate_enter(v, runstate_waiting(v), now);
	if (v->sched.holds != 0 || v->sched.queued)
		return;
	v->sched.vtime_ns = MAX(v->sched.vtime_ns, comeback(now));
	v->sched.next = sched_list;
	sched_list = v;
	v->sched.queued = true;
	if (!vcpu_on_cpu(v))
		sched_place(v, true, now);
}

/* ---- life of a vCPU -------------------------------------------------------------------- */

void sched_vcpu_init(struct vcpu *v)
{
	v->sched.cpu = this_cpu()->id;
	v->sched.affinity = v->sched.soft = ~0u;
	v->sched.holds = HOLD_DOWN;
	v->sched.runstate.state = RUNSTATE_offline;
	v->sched.runstate.state_entry_time = time_now_ns();
	time_vcpu_init(v);
}

void sched_vcpu_teardown(struct vcpu *v)
{
	hold(v, HOLD_DEAD);
	time_vcpu_teardown(v);
	if (this_cpu()->loaded == v)
		sched_unload();
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

/* Called for every notification sent, so most of the time the vCPU runs or wants to. One that runs
 * elsewhere comes in and sees: whether its guest is about to unmask events at this very moment
 * cannot be told from here, so its mask is not looked at. */
void vcpu_wake(struct vcpu *v)
{
	if (!(v->sched.holds & HOLD_BLOCKED)) {
		if (vcpu_on_cpu(v))
			cpu_kick(&hv_percpu[v->sched.cpu]);
		return;
	}
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
	if (event_deliverable(&v->events) || pv_nmi_due(&v->pv))
		vcpu_wake(v);
}

/* ---- pauses ---------------------------------------------------------------------------- */

/* Counted, because a debugger and a toolstack know nothing of each other. */
static void pause_one(struct vcpu *v)
{
	if (v->sched.pause_count++ == 0)
		hold(v, HOLD_PAUSED);
}

/* Whoever pauses another may then read or change all of it, so its state has to be in memory, not
 * in a CPU. A CPU that has just come in with it finishes what it was asked first, for which it
 * needs the lock; one that only has its state left gives that up when asked. */
static void settle(const struct vcpu *v)
{
	const struct percpu *cpu = &hv_percpu[v->sched.cpu];

	if (v == current_vcpu())
		return;
	while (vcpu_on_cpu(v))
		hv_breathe();
	if (cpu->loaded != v)
		return;
	if (cpu == this_cpu())
		sched_unload();
	else
		cpus_ask(1u << cpu->id, ASK_UNLOAD);
}

void vcpu_pause(struct vcpu *v)
{
	pause_one(v);
	settle(v);
}

void vcpu_unpause(struct vcpu *v)
{
	if (--v->sched.pause_count == 0)
		release(v, HOLD_PAUSED);
}

void domain_hold_all(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (d->vcpu[i] != NULL)
			pause_one(d->vcpu[i]);
}

void domain_pause(struct domain *d)
{
	domain_hold_all(d);
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (d->vcpu[i] != NULL)
			settle(d->vcpu[i]);
}

void domain_unpause(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (d->vcpu[i] != NULL)
			vcpu_unpause(d->vcpu[i]);
}

/* ---- giving way ------------------------------------------------------------------------ */

/* One who yields goes behind whoever else waits, by two slices at most: it keeps its claim on time
 * lost, but not on this moment. */
void sched_yield_now(void)
{
	struct percpu *cpu = this_cpu();
	struct vcpu *v = cpu->current;
	uint64_t most = 0;

	for (const struct vcpu *o = sched_list; o != NULL; o = o->sched.next)
		if (o != v && !vcpu_on_cpu(o))
			most = MAX(most, o->sched.vtime_ns + 1);
	if (most > v->sched.vtime_ns)
		v->sched.vtime_ns = MIN(most, v->sched.vtime_ns + 2 * SCHED_SLICE_NS);
	cpu->resched = true;
}

/* Interrupts are off while we run, so the LAPIC cannot tell: look at what it would fire for. A guest
 * with a list of a million entries and a CPU of its own must not keep the others out either. */
bool sched_preempt_pending(void)
{
	struct percpu *cpu = this_cpu();

	if (cpu->resched || hv_wanted())
		return true;
	return cpu->timers != NULL && cpu->timers->due_ns <= time_now_ns();
}
