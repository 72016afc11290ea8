/* sched.h: who runs on which CPU, and who waits for what.
 *
 * A vCPU runs when nothing holds it: it is up, not blocked, not paused. Fair by weight: each CPU
 * picks, among the runnable vCPUs that may run there and do not run elsewhere, the one that has had
 * least, for a slice of SCHED_SLICE_NS; a waking vCPU is placed no further back than the present
 * minimum less a slice, and preempts one that has had clearly more. Everything here is called with
 * the hypervisor's lock held (smp.h). sched.c keeps the states, sched_choose.c chooses and switches,
 * sched_share.c has weights, caps and affinity.
 */
#ifndef HV_SCHED_H
#define HV_SCHED_H

#include <amphi/types.h>
#include <amphi/xen.h>

#include "time.h"

struct vcpu;
struct domain;

#define SCHED_SLICE_NS 5000000ull

/* Reasons not to run, each its own bit; a vCPU with none is runnable. */
enum sched_hold { HOLD_DOWN = 1, HOLD_BLOCKED = 2, HOLD_PAUSED = 4, HOLD_DEAD = 8 };

struct vcpu_sched {
	uint32_t cpu; /* where it runs, or was last, and has left its state if it is anywhere */
	uint32_t affinity; /* bit n: it may run on CPU n */
	uint32_t soft;     /* and would rather: where another is free or no worse, it does */
	uint32_t holds;    /* enum sched_hold */
	uint32_t pause_count;
	bool queued;
	bool polling;      /* in SCHEDOP_poll: any event of the polled ports wakes */
	struct vcpu *next; /* of those that want to run */
	uint64_t vtime_ns; /* time had, for fairness: at weight SCHED_WEIGHT as it goes by */
	struct vcpu_runstate_info runstate;
	uint64_t runstate_va;     /* registered area in the guest, 0: none */
	uint64_t time_area_va;    /* registered vcpu_time_info, 0: none */
	uint32_t time_generation; /* of the contents that it has there and in its vcpu_info */
	uint64_t period_ns;
	struct hv_timer periodic, singleshot, poll;
	struct hv_timer watchdog[2]; /* the domain's; in its vCPU 0 */
};

#define SCHED_WEIGHT     256u /* what a domain has unless it is told another */
#define SCHED_WEIGHT_MAX 65535u

/* In struct domain. A cap is in hundredths of one CPU, 0: none; a domain that has had its cap of a
 * period waits for the next. */
struct domain_sched {
	uint32_t weight, cap; /* weight 0: SCHED_WEIGHT */
	uint64_t used_ns;     /* of a capped domain, in this period */
	bool parked;
	struct hv_timer refill;
};

/* A new vCPU is down (HOLD_DOWN). */
void sched_vcpu_init(struct vcpu *v);
/* The vCPU, paused and off all CPUs (vcpu_pause), never runs again; its timers stop. */
void sched_vcpu_teardown(struct vcpu *v);

void vcpu_up(struct vcpu *v); /* clears HOLD_DOWN */
void vcpu_down(struct vcpu *v);
bool vcpu_is_up(const struct vcpu *v);
/* There is something for it: clears HOLD_BLOCKED, ends a poll; one that runs on another CPU is
 * brought in to see. */
void vcpu_wake(struct vcpu *v);
void vcpu_block(struct vcpu *v); /* the current vCPU; unless an event is pending and unmasked */

/* Counted. After pause the vCPU's registers (pv.regs, segments, FPU image) are in memory, except
 * when it is the current one, which stops at its way out. Pausing may let go of the hypervisor's
 * lock meanwhile (hv_breathe): for callers that hold no other, with v's domain referenced.
 * domain_hold_all is the pause of a domain by itself or by a timer, which waits for nobody. */
void vcpu_pause(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);
void domain_pause(struct domain *d);
void domain_hold_all(struct domain *d);
void domain_unpause(struct domain *d);

/* For the CPU's part in another's choice: the state of the vCPU last here leaves it. Idle only. */
void sched_unload(void);

/* Weight and cap from now on: 1 to SCHED_WEIGHT_MAX; up to 100 for each vCPU. -XEN_EINVAL. */
int sched_set_share(struct domain *d, uint32_t weight, uint32_t cap);
void sched_domain_teardown(struct domain *d);
/* Where v may run: at least one CPU that is there. -XEN_EINVAL. */
int sched_set_affinity(struct vcpu *v, uint32_t cpus);
/* Where it would rather; no CPU that is there: no wish. */
void sched_set_soft(struct vcpu *v, uint32_t cpus);

/* Lets others run first, on the way out of the hypervisor. */
void sched_yield_now(void);

/* Whether a long hypercall should give way (slice over, or a timer due): then hypercall_restart. */
bool sched_preempt_pending(void);

/* [leaves] The one way out of the hypervisor: runs due timers, chooses, switches, delivers events.
 * Called by entry.S with the hypervisor stack empty but for its own frame. Returns the registers
 * of the vCPU to run. */
struct guest_regs;
struct guest_regs *sched_leave(void);

/* Time accounting up to now; out_info->state is RUNSTATE_*. */
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out_info);
/* VCPUOP_register_runstate_memory_area: guest virtual address; written whenever the vCPU starts to
 * run. */
long vcpu_register_runstate(struct vcpu *v, uint64_t va);
/* Nanoseconds the vCPU has run in all. */
uint64_t vcpu_cpu_time_ns(struct vcpu *v);

/* hypercalls */
long hc_sched_op(uint64_t cmd, uint64_t arg_va);

/* Start of a CPU: the idle vCPU of CPU id. */
void sched_init(uint32_t id);

#endif
