/* time.c: system time from the TSC, what guests are told of it, and their timers.
 *
 * The rate is measured against a reference clock when the machine starts, in a millisecond, and
 * once more after REFINE_NS with that much longer a base; guests see the second as a new version of
 * their vcpu_time_info that continues where the first was. Everybody computes with the same
 * numbers, so a guest's clock and the hypervisor's agree to the nanosecond. Timers proper are in
 * timer.c; the clocks of the board in clock.c.
 */
#include <amphi/clock_scale.h>
#include <amphi/types.h>

#include "clock.h"
#include "cpu.h"
#include "domain.h"
#include "guest.h"
#include "percpu.h"

#define NS_PER_S  1000000000ull
#define REFINE_NS 200000000ull

/* ns = base_ns + what the scale makes of tsc - base_tsc */
static struct {
	uint64_t base_tsc, base_ns;
	struct clock_scale scale;
	uint32_t khz, generation;
} rate;
static uint64_t wall_ns_at_zero; /* Unix time of system time 0 */
static struct hv_timer refine_timer;
static struct clock_sample first_sample;

uint64_t time_now_ns(void)
{
	return rate.base_ns + clock_scale_ns(rate.scale, rdtsc() - rate.base_tsc);
}

uint32_t time_tsc_khz(void)
{
	return rate.khz;
}

static void set_rate(uint64_t hz)
{
	rate.scale = clock_scale_for(hz);
	rate.khz = (uint32_t)(hz / 1000);
	rate.generation++;
}

/* ---- what guests see ------------------------------------------------------------------- */

/* Readers take the numbers only between two equal even versions. */
static void write_time_info(volatile struct vcpu_time_info *t)
{
	t->version |= 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	t->tsc_timestamp = rate.base_tsc;
	t->system_time = rate.base_ns;
	t->tsc_to_system_mul = rate.scale.mul;
	t->tsc_shift = rate.scale.shift;
	t->flags = XEN_PVCLOCK_TSC_STABLE_BIT;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	t->version++;
}

void time_update_vcpu(struct vcpu *v)
{
	struct vcpu_time_info copy = {.version = 2 * rate.generation - 2};

	write_time_info(&v->events.info->time);
	if (v->sched.time_area_va != 0 && v != current_vcpu())
		return;
	v->sched.time_generation = rate.generation;
	if (v->sched.time_area_va == 0)
		return;
	write_time_info(&copy);
	(void)guest_write(v->sched.time_area_va, &copy);
}

void time_refresh_vcpu(struct vcpu *v)
{
	if (v->sched.time_generation != rate.generation)
		time_update_vcpu(v);
}

long time_register_area(struct vcpu *v, uint64_t va)
{
	if (!guest_range_ok(va, sizeof(struct vcpu_time_info)))
		return -XEN_EFAULT;
	v->sched.time_area_va = va;
	time_update_vcpu(v);
	return 0;
}

static void update_wallclock(struct domain *d, void *ctx)
{
	volatile struct shared_info *s = d->events.shared;

	s->wc_version |= 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	s->wc_sec = (uint32_t)(wall_ns_at_zero / NS_PER_S);
	s->wc_sec_hi = (uint32_t)(wall_ns_at_zero / NS_PER_S >> 32);
	s->wc_nsec = (uint32_t)(wall_ns_at_zero % NS_PER_S);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	s->wc_version++;
}

void time_set_wallclock(uint64_t seconds, uint32_t nanoseconds, uint64_t system_time_ns)
{
	wall_ns_at_zero = seconds * NS_PER_S + nanoseconds - system_time_ns;
	domain_for_each(update_wallclock, NULL);
}

static void update_domain_time(struct domain *d, void *ctx)
{
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (d->vcpu[i] != NULL)
			time_update_vcpu(d->vcpu[i]);
}

/* ---- a guest's timers ------------------------------------------------------------------ */

static void singleshot_due(void *ctx)
{
	event_send_virq(ctx, VIRQ_TIMER);
}

/* Ticks that were missed are not made up for. */
static void periodic_due(void *ctx)
{
	struct vcpu *v = ctx;
	uint64_t now = time_now_ns(), next = v->sched.periodic.due_ns + v->sched.period_ns;

	event_send_virq(v, VIRQ_TIMER);
	timer_set(&v->sched.periodic, next > now ? next : now + v->sched.period_ns);
}

void time_vcpu_init(struct vcpu *v)
{
	if (v->id == 0)
		update_wallclock(v->domain, NULL);
	v->sched.singleshot = (struct hv_timer){.fn = singleshot_due, .ctx = v};
	v->sched.periodic = (struct hv_timer){.fn = periodic_due, .ctx = v};
}

void time_vcpu_teardown(struct vcpu *v)
{
	timer_stop(&v->sched.singleshot);
	timer_stop(&v->sched.periodic);
	timer_stop(&v->sched.poll);
	timer_stop(&v->sched.watchdog[0]);
	timer_stop(&v->sched.watchdog[1]);
}

void time_set_periodic(struct vcpu *v, uint64_t period_ns)
{
	if (period_ns == 0) {
		timer_stop(&v->sched.periodic);
		return;
	}
	v->sched.period_ns = period_ns;
	timer_set(&v->sched.periodic, time_now_ns() + period_ns);
}

long time_set_singleshot(struct vcpu *v, uint64_t due_ns, bool only_future)
{
	if (only_future && due_ns < time_now_ns())
		return -XEN_ETIME;
	timer_set(&v->sched.singleshot, due_ns);
	return 0;
}

long hc_set_timer_op(uint64_t due_ns)
{
	struct hv_timer *t = &current_vcpu()->sched.singleshot;

	if (due_ns == 0)
		timer_stop(t);
	else
		timer_set(t, due_ns);
	return 0;
}

/* ---- start ----------------------------------------------------------------------------- */

static void refine(void *ctx)
{
	struct clock_sample s;
	uint64_t now_tsc = rdtsc(), now_ns = time_now_ns(), hz;

	clock_sample(&s);
	hz = clock_tsc_hz(&first_sample, &s);
	/* The first domain may have set the reference back: then the first measure stands. */
	if (hz / 1000 < rate.khz - rate.khz / 64 || hz / 1000 > rate.khz + rate.khz / 64)
		return;
	rate.base_tsc = now_tsc;
	rate.base_ns = now_ns;
	set_rate(hz);
	domain_for_each(update_domain_time, NULL);
}

void time_init(void)
{
	bool can_refine = clock_start(&first_sample);

	rate.base_tsc = boot_tsc;
	set_rate(clock_measure_tsc_hz(&first_sample));
	wall_ns_at_zero = clock_read_rtc() * NS_PER_S - time_now_ns();
	if (!can_refine)
		return;
	refine_timer.fn = refine;
	timer_set(&refine_timer, time_now_ns() + REFINE_NS);
}
