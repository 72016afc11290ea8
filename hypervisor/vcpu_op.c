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

static long initialise(struct vcpu *v, uint64_t arg_va)
{
	int error;

	if (v->initialised)
		return -XEN_EEXIST;
	error = vcpu_set_context(v, arg_va);
	if (error == -XEN_ERESTART)
		return hypercall_restart(VCPUOP_initialise, v->id, arg_va, 0);
	return error;
}

static long up(struct vcpu *v, uint64_t arg_va)
{
	if (!v->initialised)
		return -XEN_EINVAL;
	vcpu_up(v);
	return 0;
}

/* A domain whose last vCPU goes down has nothing left to run: that is a power-off. */
static long down(struct vcpu *v, uint64_t arg_va)
{
	struct domain *d = v->domain;
	unsigned i, others = 0;

	for (i = 0; i < d->max_vcpus; i++)
		if (d->vcpu[i] && d->vcpu[i] != v && vcpu_is_up(d->vcpu[i]))
			others++;
	if (others)
		vcpu_down(v);
	else
		domain_shutdown(d, SHUTDOWN_poweroff);
	return 0;
}

static long is_up(struct vcpu *v, uint64_t arg_va)
{
	return vcpu_is_up(v);
}

static long get_runstate(struct vcpu *v, uint64_t arg_va)
{
	struct vcpu_runstate_info info;

	vcpu_runstate_get(v, &info);
	return guest_write(arg_va, &info);
}

static long register_runstate(struct vcpu *v, uint64_t arg_va)
{
	struct vcpu_register_runstate_memory_area area;

	if (guest_read(&area, arg_va))
		return -XEN_EFAULT;
	return vcpu_register_runstate(v, area.addr.p);
}

static long set_periodic(struct vcpu *v, uint64_t arg_va)
{
	struct vcpu_set_periodic_timer set;

	if (guest_read(&set, arg_va))
		return -XEN_EFAULT;
	if (set.period_ns < PERIOD_MIN_NS || set.period_ns > INT64_MAX)
		return -XEN_EINVAL;
	return time_set_periodic(v, set.period_ns);
}

static long stop_periodic(struct vcpu *v, uint64_t arg_va)
{
	return time_set_periodic(v, 0);
}

static long set_singleshot(struct vcpu *v, uint64_t arg_va)
{
	struct vcpu_set_singleshot_timer set;

	if (v != current_vcpu())
		return -XEN_EINVAL;
	if (guest_read(&set, arg_va))
		return -XEN_EFAULT;
	return time_set_singleshot(v, set.timeout_abs_ns, set.flags & VCPU_SSHOTTMR_future);
}

static long stop_singleshot(struct vcpu *v, uint64_t arg_va)
{
	if (v != current_vcpu())
		return -XEN_EINVAL;
	time_stop_singleshot(v);
	return 0;
}

static long register_info(struct vcpu *v, uint64_t arg_va)
{
	struct vcpu_register_vcpu_info reg;

	if (guest_read(&reg, arg_va))
		return -XEN_EFAULT;
	return event_register_vcpu_info(v, reg.mfn, reg.offset);
}

static long get_physid(struct vcpu *v, uint64_t arg_va)
{
	struct vcpu_get_physid id = {.phys_id = this_cpu()->apic_id};

	if (!v->domain->privileged)
		return -XEN_EINVAL;
	return guest_write(arg_va, &id);
}

static long register_time(struct vcpu *v, uint64_t arg_va)
{
	struct vcpu_register_time_memory_area area;

	if (guest_read(&area, arg_va))
		return -XEN_EFAULT;
	return time_register_area(v, area.addr.p);
}

static long (*const ops[])(struct vcpu *v, uint64_t arg_va) = {
    [VCPUOP_initialise] = initialise,
    [VCPUOP_up] = up,
    [VCPUOP_down] = down,
    [VCPUOP_is_up] = is_up,
    [VCPUOP_get_runstate_info] = get_runstate,
    [VCPUOP_register_runstate_memory_area] = register_runstate,
    [VCPUOP_set_periodic_timer] = set_periodic,
    [VCPUOP_stop_periodic_timer] = stop_periodic,
    [VCPUOP_set_singleshot_timer] = set_singleshot,
    [VCPUOP_stop_singleshot_timer] = stop_singleshot,
    [VCPUOP_register_vcpu_info] = register_info,
    [VCPUOP_get_physid] = get_physid,
    [VCPUOP_register_vcpu_time_memory_area] = register_time,
};

long hc_vcpu_op(uint64_t cmd, uint64_t vcpu_id, uint64_t arg_va)
{
	struct domain *d = current_domain();

	if (vcpu_id >= d->max_vcpus || !d->vcpu[vcpu_id])
		return -XEN_ENOENT;
	if (cmd >= ARRAY_SIZE(ops) || !ops[cmd])
		return -XEN_ENOSYS;
	return ops[cmd](d->vcpu[vcpu_id], arg_va);
}
