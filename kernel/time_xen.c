/* time_xen.c: clock and timer of a Xen PV domain.
 *
 * Caller: time.c. The clock is system time of vcpu_time_info (xen/xen.h): the hypervisor keeps a
 * moment of the TSC and the rate since then in shared memory and changes them at any time, with an
 * odd version while it does. The timer is VCPUOP_set_singleshot_timer, whose moments are on the
 * same scale, and VIRQ_TIMER.
 */
#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/peer.h>
#include <amphi/pvops.h>
#include "boot.h"
#include "clock.h"
#include "panic.h"
#include "time.h"

static uint64_t latest_ns;

/* The hypervisor updates on the CPU it runs us on, so we are never between an odd version and the
 * even one for long; but each part must be of one version. */
static uint64_t read_clock(void)
{
	volatile struct vcpu_time_info *info = &boot.shared_info->vcpu_info[0].time;
	struct clock_scale scale;
	uint64_t ns, stamp;
	uint32_t version;

	do {
		version = info->version;
		peer_rmb();
		scale.mul = info->tsc_to_system_mul;
		scale.shift = info->tsc_shift;
		stamp = info->tsc_timestamp;
		ns = info->system_time;
		ns += clock_scale_ns(scale, time_tsc() - stamp);
		peer_rmb();
	} while ((version & 1) || version != info->version);
	return ns;
}

/* Two versions' lines need not meet exactly; the clock must not step back where they do not. */
static uint64_t xen_sched_clock(void)
{
	uint64_t ns = read_clock();

	if (ns > latest_ns)
		latest_ns = ns;
	return latest_ns;
}

static void xen_set_next_event(uint64_t deadline_ns)
{
	struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = deadline_ns};

	if (hypercall_vcpu_op(VCPUOP_set_singleshot_timer, 0, &timer))
		panic("the hypervisor refused a timer");
}

static void timer_event(void *ctx)
{
	time_interrupt();
}

/* The inverse of the scale: ticks for 10^9 ns. */
static uint64_t rate_of(const struct vcpu_time_info *info)
{
	uint64_t hz = (NS_PER_S << 32) / info->tsc_to_system_mul;

	return info->tsc_shift < 0 ? hz << -info->tsc_shift : hz >> info->tsc_shift;
}

uint64_t clock_init_xen(void)
{
	port_t port;

	/* A domain is born with a tick of 10 ms; not every hypervisor has one to stop. */
	(void)hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
	pvops_provide(PV_time_sched_clock, PV_CALL, (void *)xen_sched_clock);
	pvops_provide(PV_time_set_next_event, PV_HYPERCALL, (void *)xen_set_next_event);
	if (event_bind_virq(VIRQ_TIMER, timer_event, NULL, &port))
		panic("no timer event");
	return rate_of(&boot.shared_info->vcpu_info[0].time);
}
