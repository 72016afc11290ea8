/* sched.h: who runs on a CPU, and who waits for what.
 *
 * A vCPU runs when nothing holds it: it is up, not blocked, not paused. Fair round robin: each CPU
 * picks the runnable vCPU that has had the least time, for a slice of SCHED_SLICE_NS; a waking vCPU
 * is placed no further back than the present minimum less a slice, and preempts one that has had
 * clearly more. A vCPU stays on its CPU. sched.c takes its own lock; calls are allowed under any
 * other lock except where marked [leaves].
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
	uint32_t cpu;
	uint32_t holds; /* enum sched_hold */
	uint32_t pause_count;
	bool queued;
	bool polling;      /* in SCHEDOP_poll: any event of the polled ports wakes */
	struct vcpu *next; /* run queue */
	uint64_t vtime_ns; /* time had, for fairness */
	struct vcpu_runstate_info runstate;
	uint64_t runstate_va;  /* registered area in the guest, 0: none */
	uint64_t time_area_va; /* registered vcpu_time_info, 0: none */
	uint64_t period_ns;
	struct hv_timer periodic, singleshot, poll;
	struct hv_timer watchdog[2]; /* the domain's; in its vCPU 0 */
};

/* A new vCPU is down (HOLD_DOWN). */
void sched_vcpu_init(struct vcpu *v);
/* The vCPU never runs again; its state leaves the CPU; its timers stop. Not for the current vCPU of
 * another CPU's making: on return nothing of it is in use by this CPU. */
void sched_vcpu_teardown(struct vcpu *v);

void vcpu_up(struct vcpu *v); /* clears HOLD_DOWN */
void vcpu_down(struct vcpu *v);
bool vcpu_is_up(const struct vcpu *v);
void vcpu_wake(
    struct vcpu *v); /* clears HOLD_BLOCKED; ends a poll; harmless when it was not blocked */
void vcpu_block(struct vcpu *v); /* the current vCPU; unless an event is pending and unmasked */

/* Counted. After pause the vCPU's registers (pv.regs, segments, FPU image) are in memory, except
 * when it is the current one, which stops at its way out. */
void vcpu_pause(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);
void domain_pause(struct domain *d);
void domain_unpause(struct domain *d);

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

/* Start of the machine: the idle vCPU of this CPU. */
void sched_init(void);

#endif
