/* sched_private.h: what the files of the scheduler share, and nobody else sees.
 *
 * One list of the vCPUs that want to run, running ones included, for all CPUs: as short as their
 * number, so a walk is the simplest thing that works. All under the hypervisor's lock.
 */
#ifndef HV_SCHED_PRIVATE_H
#define HV_SCHED_PRIVATE_H

#include "cpu.h"
#include "domain.h"
#include "percpu.h"
#include "smp.h"

#define SCHED_NEVER (~0ull)

/* Of each CPU. */
struct sched_cpu {
	uint64_t since_ns;   /* when the current one was chosen */
	uint64_t charged_ns; /* up to when its time is counted */
	uint64_t end_ns;     /* when it looks again whom to run; SCHED_NEVER: when it is told to */
	bool contended;      /* others waited that may run here */
	struct hv_timer slice;
};
extern struct sched_cpu sched_cpus[MAX_CPUS];
extern struct vcpu *sched_list;
extern uint64_t sched_most_ns; /* the most that anybody has had: where to come back to nobody */

static inline bool vcpu_is_idle(const struct vcpu *v)
{
	return v->domain->id == DOMID_IDLE;
}

/* Whether a CPU has it as its current one. */
static inline bool vcpu_on_cpu(const struct vcpu *v)
{
	return hv_percpu[v->sched.cpu].current == v;
}

/* Its run state from now on. */
void runstate_enter(struct vcpu *v, int state, uint64_t now);
int runstate_waiting(const struct vcpu *v); /* that of one that is not running */

/* The CPU chooses again soon. */
void sched_again(struct percpu *cpu);
/* v wants to run and does not: the CPUs where it may get to know; earlier, if it has woken. */
void sched_place(struct vcpu *v, bool woken, uint64_t now);

/* sched_share.c: counts what the CPU's current one has had since it was last asked. */
void sched_charge(struct percpu *cpu, uint64_t now);
/* The least that any of those has had who want to run, but for v; SCHED_NEVER: nobody. */
uint64_t sched_least(const struct vcpu *v);
/* Until when v, chosen now, may run without another look, if nobody else waits; SCHED_NEVER. Its
 * domain's period has begun, if it has one. */
uint64_t sched_cap_end(struct vcpu *v, uint64_t now);

#endif
