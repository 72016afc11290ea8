/* domctl_vcpu.c: domctl's commands about a domain's virtual CPUs.
 *
 * The builder gives a vCPU its first state, reads it back for dumps, and asks what it does. The
 * vCPUs themselves are made with the domain.
 *
 * Called through the table in domctl.c.
 */
#include "domctl_parts.h"
#include "guest.h"
#include "percpu.h"
#include "smp.h"

/* All commands here begin with the vCPU's number. */
_Static_assert(offsetof(struct xen_domctl_vcpucontext, vcpu) == 0 &&
		   offsetof(struct xen_domctl_ext_vcpucontext, vcpu) == 0 &&
		   offsetof(struct xen_domctl_getvcpuinfo, vcpu) == 0 &&
		   offsetof(struct xen_domctl_vcpuaffinity, vcpu) == 0,
	       "one place");

/* No context at all takes the vCPU's state away again, as a builder does that starts over. */
static int set_context(struct vcpu *v, const struct xen_domctl_vcpucontext *c)
{
	int error = 0;

	vcpu_pause(v);
	if (handle_null(c->ctxt)) {
		vcpu_down(v);
		mm_vcpu_teardown(v);
		v->initialised = false;
	} else {
		error = vcpu_set_context(v, handle_at(c->ctxt, 0));
	}
	vcpu_unpause(v);
	return error;
}

static int get_context(struct vcpu *v, const struct xen_domctl_vcpucontext *c)
{
	struct vcpu_guest_context *ctx;
	int error;

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
	error = handle_write(c->ctxt, 0, ctx);
	hv_free(ctx, sizeof(*ctx));
	return error;
}

/* What struct vcpu_guest_context has no place for: of all that, a 64-bit guest has its entry for SYSCALL of
 * 32-bit programs. What other hypervisors keep here besides is passed over. */
static int extended_context(struct vcpu *v, struct xen_domctl_ext_vcpucontext *e, bool set)
{
	uint64_t *entry = &v->pv.callback[PV_CB_SYSCALL32];
	bool *masks = &v->pv.callback_masks[PV_CB_SYSCALL32];

	if (!set) {
		*e = (struct xen_domctl_ext_vcpucontext){.vcpu = v->id,
							 .size = sizeof(*e),
							 .syscall32_callback_eip = *entry,
							 .syscall32_disables_events = *masks};
		return 0;
	}
	if (e->size < offsetof(struct xen_domctl_ext_vcpucontext, mcg_cap) ||
	    !guest_range_ok(e->syscall32_callback_eip, 1))
		return -XEN_EINVAL;
	vcpu_pause(v);
	*entry = e->syscall32_callback_eip;
	*masks = e->syscall32_disables_events;
	vcpu_unpause(v);
	return 0;
}

/* Hard affinity is kept, soft affinity a wish (sched_choose.c). The caller is told what holds. */
static int set_affinity(struct vcpu *v, const struct xen_domctl_vcpuaffinity *a)
{
	uint32_t cpus;
	int error = 0;

	if (a->flags & XEN_VCPUAFFINITY_HARD) {
		error = toolstack_read_map(&a->cpumap_hard, &cpus);
		if (!error)
			error = sched_set_affinity(v, cpus);
		if (!error)
			error = toolstack_write_map(&a->cpumap_hard, cpus & cpus_online);
	}
	if (error || !(a->flags & XEN_VCPUAFFINITY_SOFT))
		return error;
	error = toolstack_read_map(&a->cpumap_soft, &cpus);
	if (error)
		return error;
	sched_set_soft(v, cpus);
	return toolstack_write_map(&a->cpumap_soft, cpus & v->sched.affinity & cpus_online);
}

int domctl_vcpu(struct domain *d, struct xen_domctl *op)
{
	uint32_t id = op->u.vcpucontext.vcpu;
	struct vcpu *v = id < d->max_vcpus ? d->vcpu[id] : NULL;
	struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
	struct xen_domctl_getvcpuinfo *i = &op->u.getvcpuinfo;
	int error = 0;

	if (!v)
		return op->cmd == XEN_DOMCTL_getvcpuinfo ? -XEN_ESRCH : -XEN_EINVAL;
	switch (op->cmd) {
	case XEN_DOMCTL_setvcpucontext:
		return set_context(v, &op->u.vcpucontext);
	case XEN_DOMCTL_getvcpucontext:
		return get_context(v, &op->u.vcpucontext);
	case XEN_DOMCTL_get_ext_vcpucontext:
	case XEN_DOMCTL_set_ext_vcpucontext:
		return extended_context(v, &op->u.ext_vcpucontext,
					op->cmd == XEN_DOMCTL_set_ext_vcpucontext);
	case XEN_DOMCTL_getvcpuinfo:
		i->online = vcpu_is_up(v);
		i->blocked = (v->sched.holds & HOLD_BLOCKED) != 0;
		i->running = v->sched.runstate.state == RUNSTATE_running;
		i->cpu_time = vcpu_cpu_time_ns(v);
		i->cpu = v->sched.cpu;
		return 0;
	case XEN_DOMCTL_getvcpuaffinity:
		if (a->flags & XEN_VCPUAFFINITY_HARD)
			error =
			    toolstack_write_map(&a->cpumap_hard, v->sched.affinity & cpus_online);
		if (!error && (a->flags & XEN_VCPUAFFINITY_SOFT))
			error = toolstack_write_map(&a->cpumap_soft, v->sched.soft & cpus_online);
		return error;
	default:
		return set_affinity(v, a);
	}
}

/* Weight and cap of the domain; the rest of a scheduler's parameters there is not. */
int domctl_share(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_scheduler_op *s = &op->u.scheduler_op;

	if (s->sched_id != XEN_SCHEDULER_CREDIT || s->cmd > XEN_DOMCTL_SCHEDOP_getinfo)
		return -XEN_EINVAL;
	if (s->cmd == XEN_DOMCTL_SCHEDOP_putinfo)
		return sched_set_share(d, s->u.credit.weight, s->u.credit.cap);
	s->u.credit.weight = (uint16_t)(d->sched.weight ? d->sched.weight : SCHED_WEIGHT);
	s->u.credit.cap = (uint16_t)d->sched.cap;
	return 0;
}
