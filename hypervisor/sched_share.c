/* sched_share.c: how much of the CPUs each is to have: weights, caps, affinity.
 *
 * Time had is counted as the weight has it: at twice the weight it goes by half as fast, so that
 * "least first" gives twice as much. A cap is a budget for each period, counted for all vCPUs of a
 * domain together; what is overdrawn is taken from the next. Callers: the scheduler's other files,
 * domctl.
 */
#include "sched_private.h"

#define PERIOD_NS 30000000ull

uint64_t sched_most_ns;

static uint64_t budget_ns(const struct domain *d)
{
	return PERIOD_NS / 100 * d->sched.cap;
}

/* Whoever runs without others waiting does not pay for it later: time nobody wanted is no debt. */
static void forgive(struct vcpu *v)
{
	uint64_t least = sched_least(v);

	if (least != SCHED_NEVER && v->sched.vtime_ns > least + SCHED_SLICE_NS)
		v->sched.vtime_ns = least + SCHED_SLICE_NS;
}

void sched_charge(struct percpu *cpu, uint64_t now)
{
	struct sched_cpu *q = &sched_cpus[cpu->id];
	struct vcpu *v = cpu->current;
	struct domain_sched *share = &v->domain->sched;
	uint64_t ran = now > q->charged_ns ? now - q->charged_ns : 0;

	if (now == q->charged_ns) /* who wakes somebody asks several times for one moment */
		return;
	q->charged_ns = now;
	if (vcpu_is_idle(v))
		return;
	v->sched.vtime_ns += share->weight ? ran * SCHED_WEIGHT / share->weight : ran;
	if (!q->contended)
		forgive(v);
	sched_most_ns = MAX(sched_most_ns, v->sched.vtime_ns);
	if (share->cap == 0)
		return;
	share->used_ns += ran;
	if (share->used_ns >= budget_ns(v->domain))
		share->parked = true;
}

uint64_t sched_least(const struct vcpu *v)
{
	uint64_t least = SCHED_NEVER;

	for (const struct vcpu *o = sched_list; o != NULL; o = o->sched.next)
		if (o != v)
			least = MIN(least, o->sched.vtime_ns);
	return least;
}

uint64_t sched_cap_end(struct vcpu *v, uint64_t now)
{
	struct domain *d = v->domain;
	uint64_t budget = budget_ns(d);

	if (d->sched.cap == 0)
		return SCHED_NEVER;
	if (!d->sched.refill.armed)
		timer_set(&d->sched.refill, now + PERIOD_NS);
	return now + (budget > d->sched.used_ns ? budget - d->sched.used_ns : 0);
}

static void place_all(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (d->vcpu[i] != NULL && d->vcpu[i]->sched.queued && !vcpu_on_cpu(d->vcpu[i]))
			sched_place(d->vcpu[i], true, time_now_ns());
}

/* Begins a period; there is no next one for a domain that did not run in this. */
static void refill(void *ctx)
{
	struct domain *d = ctx;
	uint64_t budget = budget_ns(d), now = time_now_ns();

	for (uint32_t m = cpus_online; m != 0; m &= m - 1)
		sched_charge(&hv_percpu[__builtin_ctz(m)], now);
	if (d->sched.cap != 0 && d->sched.used_ns != 0)
		timer_set(&d->sched.refill, now + PERIOD_NS);
	d->sched.used_ns -= MIN(d->sched.used_ns, budget);
	d->sched.parked = d->sched.cap != 0 && d->sched.used_ns >= budget;
	if (!d->sched.parked)
		place_all(d);
}

int sched_set_share(struct domain *d, uint32_t weight, uint32_t cap)
{
	if (weight == 0 || weight > SCHED_WEIGHT_MAX || cap > 100 * d->max_vcpus)
		return -XEN_EINVAL;
	d->sched.weight = weight;
	d->sched.cap = cap;
	d->sched.used_ns = 0;
	d->sched.parked = false;
	d->sched.refill.fn = refill;
	d->sched.refill.ctx = d;
	place_all(d);
	return 0;
}

void sched_domain_teardown(struct domain *d)
{
	timer_stop(&d->sched.refill);
}

/* Who waits looks for its place anew; who runs where it should not, or would rather not, is chosen about
 * again. */
static void move(struct vcpu *v)
{
	if (v->sched.queued && !vcpu_on_cpu(v))
		sched_place(v, true, time_now_ns());
	else if (vcpu_on_cpu(v) && !(v->sched.affinity & v->sched.soft & 1u << v->sched.cpu))
		sched_again(&hv_percpu[v->sched.cpu]);
}

int sched_set_affinity(struct vcpu *v, uint32_t cpus)
{
	if ((cpus & cpus_online) == 0)
		return -XEN_EINVAL;
	v->sched.affinity = cpus;
	move(v);
	return 0;
}

void sched_set_soft(struct vcpu *v, uint32_t cpus)
{
	v->sched.soft = cpus & cpus_online ? cpus : ~0u;
	move(v);
}
