/* vcpu_op.c: VCPUOP_*: what a domain does with its own virtual CPUs.
 *
 * Decodes and hands on: run state to the scheduler, clocks to time, registers to pv and page tables
 * to mm. vcpu_set_context is the one way a vCPU gets its first (or another) state, whether from its
 * own domain here or from a builder through domctl.
 *
 * Called by dispatch.c and domctl_vcpu.c.
 */
#include "domain.h"
#include "guest.h"
#include "percpu.h"
#include "time.h"

#define PERIOD_MIN_NS 1000000ull /* as Xen: a shorter one would only keep the CPU busy */

int vcpu_set_context(struct vcpu *v, uint64_t ctx_va)
{
	struct vcpu_guest_context *ctx = hv_alloc(sizeof(*ctx));
	int error;

	if (!ctx)
		return -XEN_ENOMEM;
	error = guest_read(ctx, ctx_va);
	/* pv checks and changes registers only, which do not matter before the vCPU is initialised;
	 * so a restart of mm's, or its refusal, leaves nothing that could run. */
	if (!error)
		error = pv_set_context(v, ctx);
	if (!error)
		error = mm_set_context(v, ctx);
	if (!error)
		v->initialised = true;
	if (!error && (ctx->flags & VGCF_online))
		vcpu_up(v);
	hv_free(ctx, sizeof(*ctx));
	return error;
}

/* A domain whose last vCPU goes down has nothing left to run: that is a power-off. */
static void down(struct vcpu *v)
{
	struct domain *d = v->domain;
	bool others = false;

	for (unsigned i = 0; i < d->max_vcpus; i++)
		others |= d->vcpu[i] && d->vcpu[i] != v && vcpu_is_up(d->vcpu[i]);
	if (others)
		vcpu_down(v);
	else
		domain_shutdown(d, SHUTDOWN_poweroff);
}

/* Arguments that go in, and their sizes; those of the other commands are read or written by them.
 */
union vcpu_arg {
	struct vcpu_register_runstate_memory_area runstate;
	struct vcpu_register_time_memory_area time;
	struct vcpu_register_vcpu_info info;
	struct vcpu_set_periodic_timer periodic;
	struct vcpu_set_singleshot_timer singleshot;
};

static const uint8_t in_bytes[] = {
    [VCPUOP_register_runstate_memory_area] = sizeof(struct vcpu_register_runstate_memory_area),
    [VCPUOP_set_periodic_timer] = sizeof(struct vcpu_set_periodic_timer),
    [VCPUOP_set_singleshot_timer] = sizeof(struct vcpu_set_singleshot_timer),
    [VCPUOP_register_vcpu_info] = sizeof(struct vcpu_register_vcpu_info),
    [VCPUOP_register_vcpu_time_memory_area] = sizeof(struct vcpu_register_time_memory_area),
};

static long run(struct vcpu *v, uint64_t cmd, const union vcpu_arg *a, uint64_t arg_va)
{
	struct vcpu_get_physid physid = {.phys_id = this_cpu()->apic_id};
	struct vcpu_runstate_info info;
	long error;

	switch (cmd) {
	case VCPUOP_initialise:
		error = v->initialised ? -XEN_EEXIST : vcpu_set_context(v, arg_va);
		return error == -XEN_ERESTART ? hypercall_restart(cmd, v->id, arg_va, 0) : error;
	case VCPUOP_up:
		if (!v->initialised)
			return -XEN_EINVAL;
		vcpu_up(v);
		return 0;
	case VCPUOP_down:
		down(v);
		return 0;
	case VCPUOP_is_up:
		return vcpu_is_up(v);
	case VCPUOP_get_runstate_info:
		vcpu_runstate_get(v, &info);
		return guest_write(arg_va, &info);
	case VCPUOP_register_runstate_memory_area:
		return vcpu_register_runstate(v, a->runstate.addr.p);
	case VCPUOP_set_periodic_timer:
		if (a->periodic.period_ns < PERIOD_MIN_NS || a->periodic.period_ns > 1ull << 62)
			return -XEN_EINVAL;
		time_set_periodic(v, a->periodic.period_ns);
		return 0;
	case VCPUOP_stop_periodic_timer:
		time_set_periodic(v, 0);
		return 0;
	case VCPUOP_set_singleshot_timer:
		if (v != current_vcpu())
			return -XEN_EINVAL;
		return time_set_singleshot(v, a->singleshot.timeout_abs_ns,
					   a->singleshot.flags & VCPU_SSHOTTMR_future);
	case VCPUOP_stop_singleshot_timer:
		if (v != current_vcpu())
			return -XEN_EINVAL;
		timer_stop(&v->sched.singleshot);
		return 0;
	case VCPUOP_send_nmi:
		if (arg_va)
			return -XEN_EINVAL;
		pv_send_nmi(v);
		return 0;
	case VCPUOP_register_vcpu_info:
		return event_register_vcpu_info(v, a->info.mfn, a->info.offset);
	case VCPUOP_get_physid:
		return v->domain->privileged ? guest_write(arg_va, &physid) : -XEN_EINVAL;
	case VCPUOP_register_vcpu_time_memory_area:
		return time_register_area(v, a->time.addr.p);
	default:
		return -XEN_ENOSYS;
	}
}

long hc_vcpu_op(uint64_t cmd, uint64_t vcpu_id, uint64_t arg_va)
{
	struct domain *d = current_domain();
	union vcpu_arg arg;

	if (vcpu_id >= d->max_vcpus || !d->vcpu[vcpu_id])
		return -XEN_ENOENT;
	if (cmd < ARRAY_SIZE(in_bytes) && guest_copy_from(&arg, arg_va, in_bytes[cmd]))
		return -XEN_EFAULT;
	return run(d->vcpu[vcpu_id], cmd, &arg, arg_va);
}
