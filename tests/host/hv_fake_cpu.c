/* hv_fake_cpu.c: the fake machine's scheduler, clock, registers, I/O rights and console.
 *
 * Stands in for sched.c, time.c, pv*.c, io.c, irq.c and console.c: run state is a field that
 * changes when told, time is a number the test sets, hypercalls of those parts answer 0 after
 * reading their arguments as far as the fuzzers care. Called by the hypervisor's files under test.
 */
#include "hv_fake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/smp.h"
#include "hypervisor/time.h"

struct percpu hv_test_cpus[MAX_CPUS];
__thread unsigned hv_test_cpu;
uint32_t cpus_online = 1;
struct fake fake = {.preempt_after = -1};

static struct domain idle_domain = {.id = DOMID_IDLE};
static struct vcpu idle_vcpu = {.domain = &idle_domain};

/* ---- the test's side ------------------------------------------------------------------- */

void fake_start(void)
{
	hv_test_percpu.self = &hv_test_percpu;
	hv_test_percpu.idle = &idle_vcpu;
	fake_memory_start();
	fake_run(NULL);
}

void fake_run(struct vcpu *v)
{
	hv_test_percpu.current = v ? v : &idle_vcpu;
}

struct domain *fake_domain(unsigned max_vcpus, unsigned max_pages)
{
	struct domain *first = domain_find(0), *d = NULL;
	unsigned i;

	if (domain_create(first ? DOMID_INVALID : 0, max_vcpus, &d))
		abort();
	if (!first)
		fake_run(d->vcpu[0]);
	else
		domain_put(first);
	d->mm.max_pages = max_pages;
	for (i = 0; i < max_vcpus; i++) {
		d->vcpu[i]->initialised = true;
		vcpu_up(d->vcpu[i]);
	}
	domain_ctl_unpause(d);
	return d;
}

void fake_domain_end(struct domain *d)
{
	int error, before = fake.preempt_after;

	fake_run(NULL);
	fake.preempt_after = -1;
	do {
		error = domain_kill(d);
	} while (error == -XEN_ERESTART);
	if (error)
		abort();
	domain_put(d);
	fake.preempt_after = before;
}

mfn_t fake_frame(struct domain *d)
{
	struct page_info *page = page_alloc_domain(d, 0);

	if (!page)
		abort();
	return page_to_mfn(page);
}

/* ---- sched ----------------------------------------------------------------------------- */

void sched_vcpu_init(struct vcpu *v)
{
	v->sched.affinity = v->sched.soft = ~0u;
	v->sched.holds = HOLD_DOWN;
	v->sched.runstate.state = RUNSTATE_offline;
}

void sched_vcpu_teardown(struct vcpu *v)
{
	v->sched.holds |= HOLD_DEAD;
}

void vcpu_up(struct vcpu *v)
{
	v->sched.holds &= ~(uint32_t)HOLD_DOWN;
}

void vcpu_down(struct vcpu *v)
{
	v->sched.holds |= HOLD_DOWN;
}

bool vcpu_is_up(const struct vcpu *v)
{
	return !(v->sched.holds & HOLD_DOWN);
}

void vcpu_wake(struct vcpu *v)
{
	fake.wakes++;
	v->sched.holds &= ~(uint32_t)HOLD_BLOCKED;
	event_poll_end(v);
}

void vcpu_block(struct vcpu *v)
{
	v->sched.holds |= HOLD_BLOCKED;
}

void vcpu_pause(struct vcpu *v)
{
	v->sched.pause_count++;
	v->sched.holds |= HOLD_PAUSED;
}

void vcpu_unpause(struct vcpu *v)
{
	if (--v->sched.pause_count == 0)
		v->sched.holds &= ~(uint32_t)HOLD_PAUSED;
}

void domain_pause(struct domain *d)
{
	unsigned i;

	for (i = 0; i < d->max_vcpus; i++)
		if (d->vcpu[i])
			vcpu_pause(d->vcpu[i]);
}

void domain_hold_all(struct domain *d)
{
	domain_pause(d);
}

int sched_set_share(struct domain *d, uint32_t weight, uint32_t cap)
{
	if (weight == 0 || weight > SCHED_WEIGHT_MAX)
		return -XEN_EINVAL;
	d->sched.weight = weight;
	d->sched.cap = cap;
	return 0;
}

void sched_domain_teardown(struct domain *d) {}

int sched_set_affinity(struct vcpu *v, uint32_t cpus)
{
	if (!(cpus & cpus_online))
		return -XEN_EINVAL;
	v->sched.affinity = cpus;
	return 0;
}

void sched_set_soft(struct vcpu *v, uint32_t cpus)
{
	v->sched.soft = cpus;
}

/* ---- other CPUs: there are none --------------------------------------------------------- */

void hv_enter(void) {}

unsigned cpus_count(void)
{
	return 1;
}

void domain_unpause(struct domain *d)
{
	unsigned i;

	for (i = 0; i < d->max_vcpus; i++)
		if (d->vcpu[i])
			vcpu_unpause(d->vcpu[i]);
}

void sched_yield_now(void) {}

bool sched_preempt_pending(void)
{
	if (fake.preempt_after < 0)
		return false;
	return fake.preempt_after-- == 0;
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out_info)
{
	*out_info = v->sched.runstate;
}

long vcpu_register_runstate(struct vcpu *v, uint64_t va)
{
	v->sched.runstate_va = va;
	return 0;
}

uint64_t vcpu_cpu_time_ns(struct vcpu *v)
{
	return v->sched.runstate.time[RUNSTATE_running];
}

/* ---- time ------------------------------------------------------------------------------ */

uint64_t time_now_ns(void)
{
	return fake.now_ns;
}

uint32_t time_tsc_khz(void)
{
	return 1000000;
}

void timer_set(struct hv_timer *t, uint64_t due_ns)
{
	t->due_ns = due_ns;
	t->armed = true;
}

void timer_stop(struct hv_timer *t)
{
	t->armed = false;
}

void time_update_vcpu(struct vcpu *v) {}
void time_refresh_vcpu(struct vcpu *v) {}

void time_set_wallclock(uint64_t seconds, uint32_t nanoseconds, uint64_t system_time_ns)
{
	fake.now_ns = system_time_ns;
}

void time_set_periodic(struct vcpu *v, uint64_t period_ns)
{
	v->sched.period_ns = period_ns;
}

long time_set_singleshot(struct vcpu *v, uint64_t due_ns, bool only_future)
{
	return only_future && due_ns < fake.now_ns ? -XEN_ETIME : 0;
}

long time_register_area(struct vcpu *v, uint64_t va)
{
	v->sched.time_area_va = va;
	return 0;
}

long hc_set_timer_op(uint64_t due_ns)
{
	return 0;
}

/* ---- pv -------------------------------------------------------------------------------- */

int pv_vcpu_init(struct vcpu *v)
{
	return 0;
}

void pv_vcpu_teardown(struct vcpu *v) {}

/* Address 13 is the one a test uses to be refused. */
int pv_set_context(struct vcpu *v, const struct vcpu_guest_context *ctx)
{
	if (ctx->user_regs.rip == 13)
		return -XEN_EINVAL;
	v->pv.regs.rip = ctx->user_regs.rip;
	return 0;
}

void pv_get_context(struct vcpu *v, struct vcpu_guest_context *out_ctx)
{
	out_ctx->user_regs.rip = v->pv.regs.rip;
}

void pv_inject_page_fault(struct vcpu *v, uint64_t address, uint32_t error_code) {}
void pv_send_nmi(struct vcpu *v) {}

#define ANSWERS_ZERO(name, ...)                                                                    \
	long hc_##name(__VA_ARGS__)                                                                \
	{                                                                                          \
		return 0;                                                                          \
	}
ANSWERS_ZERO(set_trap_table, uint64_t a)
ANSWERS_ZERO(set_callbacks, uint64_t a, uint64_t b, uint64_t c)
ANSWERS_ZERO(callback_op, uint64_t a, uint64_t b)
ANSWERS_ZERO(nmi_op, uint64_t a, uint64_t b)
ANSWERS_ZERO(stack_switch, uint64_t a, uint64_t b)
ANSWERS_ZERO(iret, void)
ANSWERS_ZERO(fpu_taskswitch, uint64_t a)
ANSWERS_ZERO(set_segment_base, uint64_t a, uint64_t b)
ANSWERS_ZERO(set_debugreg, uint64_t a, uint64_t b)
ANSWERS_ZERO(get_debugreg, uint64_t a)
ANSWERS_ZERO(physdev_op, uint64_t a, uint64_t b)
ANSWERS_ZERO(console_io, uint64_t a, uint64_t b, uint64_t c)

/* Tests of IO spaces link the real one. */
__attribute__((weak)) long hc_iospace_op(uint64_t list_va, uint64_t count)
{
	return -XEN_ENODEV;
}

/* ---- I/O and console ------------------------------------------------------------------- */

void io_domain_teardown(struct domain *d) {}

int io_port_permit(struct domain *d, uint32_t first, uint32_t last, bool allow)
{
	return first <= last && last <= 0xffff ? 0 : -XEN_EINVAL;
}

int io_mem_permit(struct domain *d, mfn_t first, mfn_t last, bool allow)
{
	return 0;
}

int io_irq_permit(struct domain *d, uint32_t pirq, bool allow)
{
	return pirq < IO_PIRQS ? 0 : -XEN_EINVAL;
}

bool io_mem_allowed(struct domain *d, mfn_t mfn)
{
	return d->privileged && mfn.v >= 0xfe000;
}

/* Pirqs 0 to 31 exist. */
int io_pirq_bind(struct domain *d, uint32_t pirq)
{
	if (pirq >= 32)
		return -XEN_EINVAL;
	if (fake.pirqs_bound >> pirq & 1)
		return -XEN_EBUSY;
	fake.pirqs_bound |= 1u << pirq;
	return 0;
}

void io_pirq_unbind(struct domain *d, uint32_t pirq)
{
	if (pirq < 32)
		fake.pirqs_bound &= ~(1u << pirq);
}

void hv_printk(const char *fmt, ...)
{
	size_t at = strlen(fake.log);
	va_list args;

	if (at > sizeof(fake.log) - 256) {
		at -= 1024;
		memmove(fake.log, fake.log + 1024, at + 1);
	}
	va_start(args, fmt);
	vsnprintf(fake.log + at, sizeof(fake.log) - at - 1, fmt, args);
	va_end(args);
	strcat(fake.log, "\n");
}

void hv_panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

uint32_t console_read_log(char *out, uint32_t cap, uint32_t *from, bool clear)
{
	uint32_t end = (uint32_t)strlen(fake.log), n = MIN(end - MIN(*from, end), cap);

	memcpy(out, fake.log + MIN(*from, end), n);
	*from += n;
	return n;
}

static void machine_end(void)
{
	fake.machine_ended = true;
	if (!fake.on_machine_end)
		abort();
	longjmp(*fake.on_machine_end, 1);
}

void machine_reboot(void)
{
	machine_end();
	abort();
}

void machine_off(void)
{
	machine_end();
	abort();
}
