/* domctl_vcpu.c: domctl's commands about a domain's virtual CPUs.
 *
 * The builder gives a vCPU its first state, reads it back for dumps, and asks what it does. vCPUs
 * are made with the domain, so max_vcpus only confirms the number.
 *
 * Called through the table in domctl.c.
 */
#include "domctl_parts.h"
#include "guest.h"
#include "percpu.h"

static struct vcpu *find(struct domain *d, uint32_t id)
{
	return id < d->max_vcpus ? d->vcpu[id] : NULL;
}

int domctl_max_vcpus(struct domain *d, struct xen_domctl *op)
{
	return op->u.max_vcpus.max == d->max_vcpus ? 0 : -XEN_EINVAL;
}

/* No context at all takes the vCPU's state away again, as a builder does that starts over. */
int domctl_setvcpucontext(struct domain *d, struct xen_domctl *op)
{
	struct vcpu *v = find(d, op->u.vcpucontext.vcpu);
	int error;

	if (!v)
		return -XEN_EINVAL;
	vcpu_pause(v);
	if (handle_null(op->u.vcpucontext.ctxt)) {
		vcpu_down(v);
		mm_vcpu_teardown(v);
		v->initialised = false;
		error = 0;
	} else {
		error = vcpu_set_context(v, handle_at(op->u.vcpucontext.ctxt, 0));
	}
	vcpu_unpause(v);
	return error;
}

int domctl_getvcpucontext(struct domain *d, struct xen_domctl *op)
{
	struct vcpu *v = find(d, op->u.vcpucontext.vcpu);
	struct vcpu_guest_context *ctx;
	int error;

	if (!v)
		return -XEN_EINVAL;
	if (!v->initialised)
		return -XEN_ENODATA;
	ctx = hv_alloc(sizeof(*ctx));
	if (!ctx)
		return -XEN_ENOMEM;
	vcpu_pause(v);
	pv_get_context(v, ctx);
	mm_get_context(v, ctx);
	vcpu_unpause(v);
	if (vcpu_is_up(v))
		ctx->flags |= VGCF_online;
	error = handle_write(op->u.vcpucontext.ctxt, 0, ctx);
	hv_free(ctx, sizeof(*ctx));
	return error;
}

int domctl_getvcpuinfo(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_getvcpuinfo *i = &op->u.getvcpuinfo;
	struct vcpu *v = find(d, i->vcpu);

	if (!v)
		return -XEN_ESRCH;
	i->online = vcpu_is_up(v);
	i->blocked = (v->sched.holds & HOLD_BLOCKED) != 0;
	i->running = v->sched.runstate.state == RUNSTATE_running;
	i->cpu_time = vcpu_cpu_time_ns(v);
	i->cpu = v->sched.cpu;
	return 0;
}

/* A vCPU stays on the CPU it was made for; a builder that says so changes nothing. */
int domctl_setvcpuaffinity(struct domain *d, struct xen_domctl *op)
{
	return find(d, op->u.vcpuaffinity.vcpu) ? 0 : -XEN_EINVAL;
}

int domctl_getvcpuaffinity(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
	struct vcpu *v = find(d, a->vcpu);
	int error = 0;

	if (!v)
		return -XEN_EINVAL;
	if (a->flags & XEN_VCPUAFFINITY_HARD)
		error = toolstack_write_map(&a->cpumap_hard, v->sched.cpu);
	if (!error && (a->flags & XEN_VCPUAFFINITY_SOFT))
		error = toolstack_write_map(&a->cpumap_soft, v->sched.cpu);
	return error;
}
