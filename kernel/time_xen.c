/* time_xen.c: clock and timer of a Xen domain, PV or PVH.
 *
 * Caller: time.c. The clock is the one shared with the hypervisor (clock_shared.h). The timer is
 * VCPUOP_set_singleshot_timer, whose moments are on the same scale, and VIRQ_TIMER.
 */
#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/pvops.h>
#include "boot.h"
#include "clock.h"
#include "clock_shared.h"
#include "panic.h"
#include "time.h"

static uint64_t latest_ns;

/* Two versions' lines need not meet exactly; the clock must not step back where they do not. */
static uint64_t xen_sched_clock(void)
{
	uint64_t ns = clock_shared_ns(&boot.shared_info->vcpu_info[0].time, time_tsc);

	if (ns > latest_ns)
		latest_ns = ns;
	return latest_ns;
}

/* Asked for and not shared: it is a statistic. A hypervisor that keeps none answers with an error. */
static uint64_t xen_steal_clock(void)
{
	struct vcpu_runstate_info info = {0};

	if (hypercall_vcpu_op(VCPUOP_get_runstate_info, 0, &info))
		return 0;
	return info.time[RUNSTATE_runnable] + info.time[RUNSTATE_offline];
}

/* No flag "only in the future": a moment that is past must fire at once, or its timer would be
 * lost. */
static void xen_set_next_event(uint64_t deadline_ns)
{
	struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = deadline_ns};

	if (hypercall_vcpu_op(VCPUOP_set_singleshot_timer, 0, &timer))
		panic("the hypervisor refused a timer");
}

/* Upcall, interrupts off. */
static void timer_event(void *ctx)
{
	time_interrupt();
}

uint64_t clock_init_xen(void)
{
	port_t port;

	/* A domain is born with a tick of 10 ms; not every hypervisor has one to stop. */
	(void)hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
	pvops_provide(PV_time_sched_clock, PV_CALL, (void *)xen_sched_clock);
	pvops_provide(PV_time_steal_clock, PV_HYPERCALL, (void *)xen_steal_clock);
	pvops_provide(PV_time_set_next_event, PV_HYPERCALL, (void *)xen_set_next_event);
	if (event_bind_virq(VIRQ_TIMER, timer_event, NULL, &port))
		panic("no timer event");
	return clock_shared_hz(&boot.shared_info->vcpu_info[0].time);
}
