/* time_xen.c: clock and timer of a Xen domain, PV or PVH.
 *
 * Callers: time.c, and smp_xen.c for each vCPU (clock_xen_cpu). The clock is the one shared with the
 * hypervisor (clock_shared.h), of the vCPU that reads it. The timer is VCPUOP_set_singleshot_timer, whose
 * moments are on the same scale, and VIRQ_TIMER, one of each per vCPU. Stolen time is read in memory that
 * the hypervisor writes when it gives a vCPU its processor.
 */
#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/percpu.h>
#include <amphi/pvops.h>
#include "boot.h"
#include "clock.h"
#include "clock_shared.h"
#include "panic.h"
#include "time.h"

/* One a CPU, each in its own cache line. The hypervisor writes runstate by its address in our tables. */
static struct {
	struct vcpu_runstate_info runstate;
	uint64_t latest_ns;
	port_t timer; /* PORT_NONE: it has none yet */
} __attribute__((aligned(64))) cpus[CPUS_MAX];
static uint64_t latest_ns; /* of all CPUs, where their clocks are not one */
/* Ours minus the hypervisor's: after a suspend another machine has been up for another time. Modulo 2^64. */
static uint64_t offset_ns, stopped_ns;

static uint64_t xen_sched_clock(void)
{
	struct percpu *self = this_cpu();
	const volatile struct vcpu_time_info *shared = &self->vcpu_info.time;
	uint64_t ns = clock_shared_ns(shared, time_tsc) + offset_ns;

	return clock_shared_forward(shared->flags & XEN_PVCLOCK_TSC_STABLE_BIT, &latest_ns,
				    &cpus[self->cpu].latest_ns, ns);
}

/* The moment of the last change is its version: while the numbers are being written it has the flag that
 * was asked for in clock_init_xen(). They are written while this vCPU does not run, so the loop ends. */
static uint64_t xen_steal_clock(void)
{
	const volatile struct vcpu_runstate_info *r = &cpus[this_cpu()->cpu].runstate;
	uint64_t since, stolen;

	do {
		since = r->state_entry_time;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		stolen = r->time[RUNSTATE_runnable] + r->time[RUNSTATE_offline];
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	} while (since & XEN_RUNSTATE_UPDATE || since != r->state_entry_time);
	return stolen;
}

/* One byte's worth of a look at another's numbers, which may be old when it is used: a hint is asked for. */
static bool xen_is_preempted(unsigned cpu)
{
	return *(const volatile int *)&cpus[cpu].runstate.state == RUNSTATE_runnable;
}

/* No flag "only in the future": a moment that is past must fire at once, or its timer would be
 * lost. A vCPU sets its own timer only. */
static void xen_set_next_event(uint64_t deadline_ns)
{
	int64_t at = (int64_t)(deadline_ns - offset_ns);
	struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = (uint64_t)MAX(at, 1)};

	if (hypercall_vcpu_op(VCPUOP_set_singleshot_timer, this_cpu()->vcpu, &timer))
		panic("the hypervisor refused a timer");
}

/* Upcall, interrupts off. */
static void timer_event(void *ctx)
{
	time_interrupt();
}

/* A hypervisor that keeps no runstate leaves the zeros: nothing is stolen. A vCPU is born with a tick of
 * 10 ms; not every hypervisor has one to stop. */
int clock_xen_cpu(const struct percpu *percpu)
{
	struct vcpu_register_runstate_memory_area area = {.addr.v = &cpus[percpu->cpu].runstate};
	port_t *timer = &cpus[percpu->cpu].timer;

	if (timer->v)
		return 0;
	(void)hypercall_vcpu_op(VCPUOP_stop_periodic_timer, percpu->vcpu, NULL);
	(void)hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, percpu->vcpu, &area);
	return event_bind_virq_of(percpu->vcpu, VIRQ_TIMER, timer_event, NULL, timer);
}

void clock_stop_xen(void)
{
	stopped_ns = xen_sched_clock();
}

/* The time between does not count: who waits for an answer should not find that it took a week. The ports of
 * all timers have gone, those of CPUs that are down too. */
void clock_resume_xen(void)
{
	const struct percpu *self = this_cpu();

	offset_ns = stopped_ns - clock_shared_ns(&self->vcpu_info.time, time_tsc);
	for (unsigned i = 0; i < CPUS_MAX; i++)
		cpus[i].timer = PORT_NONE;
	if (clock_xen_cpu(self))
		panic("no timer event");
	time_interrupt();
}

uint64_t clock_offset_xen(void)
{
	return offset_ns;
}

/* Older hypervisors have no update flag; a vCPU that reads its own numbers can do without. */
uint64_t clock_init_xen(void)
{
	struct percpu *self = this_cpu();

	(void)hypercall_vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag);
	pvops_provide(PV_time_sched_clock, PV_CALL, (void *)xen_sched_clock);
	pvops_provide(PV_time_steal_clock, PV_CALL, (void *)xen_steal_clock);
	pvops_provide(PV_time_set_next_event, PV_HYPERCALL, (void *)xen_set_next_event);
	pvops_provide(PV_lock_vcpu_is_preempted, PV_CALL, (void *)xen_is_preempted);
	if (clock_xen_cpu(self))
		panic("no timer event");
	return clock_shared_hz(&self->vcpu_info.time);
}
