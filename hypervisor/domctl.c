/* domctl.c: what the first domain asks about other domains: their making, life and end.
 *
 * One argument structure for all commands, copied in whole, given to the command's function, and
 * copied back (toolstack.c). The table says which domains a command is for.
 *
 * Called by dispatch.c. Calls domain.h, sched, mm, io, by way of the commands here, in
 * domctl_vcpu.c, domctl_hw.c and iommu_assign.c.
 */
#include <amphi/string.h>

#include "domctl_parts.h"
#include "percpu.h"

#define CDF_ALLOWED        (XEN_DOMCTL_CDF_oos_off | XEN_DOMCTL_CDF_xs_domain | XEN_DOMCTL_CDF_iommu)
#define TSC_ALWAYS_EMULATE 1u /* xl.cfg(5): tsc_mode="always_emulate" */

static int createdomain(struct xen_domctl *op)
{
	const struct xen_domctl_createdomain *c = &op->u.createdomain;
	domid_t id =
	    op->domain > 0 && op->domain < DOMID_FIRST_RESERVED ? op->domain : DOMID_INVALID;
	struct domain *d;
	int error;

	if (c->flags & ~CDF_ALLOWED || c->iommu_opts & ~XEN_DOMCTL_IOMMU_no_sharept ||
	    c->vmtrace_size || c->cpupool_id || c->arch.emulation_flags || c->arch.misc_flags ||
	    c->max_grant_frames == 0 || XEN_DOMCTL_GRANT_version(c->grant_opts) > 2)
		return -XEN_EINVAL;
	if (c->flags & XEN_DOMCTL_CDF_iommu && !iommu_is_on() && !iommu_is_off())
		return -XEN_EINVAL;
	error = domain_create(id, c->max_vcpus, &d);
	if (error)
		return error;
	memcpy(d->handle, c->handle, sizeof(d->handle));
	d->iommu.own_memory = c->flags & XEN_DOMCTL_CDF_iommu;
	/* Below 0 is "as many as there may be", and more than that as a number without a sign. */
	d->grants.max_frames = MIN((uint32_t)c->max_grant_frames, GRANT_MAX_FRAMES);
	if (XEN_DOMCTL_GRANT_version(c->grant_opts) == 1)
		d->grants.max_version = 1;
	d->events.max_port = MIN(c->max_evtchn_port, EVENT_PORTS - 1);
	op->domain = d->id;
	domain_put(d);
	return 0;
}

/* What is one step. Whoever sets what has one value here, or none, is not contradicted. */
static int simple(struct domain *d, struct xen_domctl *op)
{
	uint64_t pages = op->u.max_mem.max_memkb / (PAGE_SIZE / 1024);

	switch (op->cmd) {
	case XEN_DOMCTL_destroydomain:
		return domain_kill(d);
	case XEN_DOMCTL_pausedomain:
		domain_ctl_pause(d);
		return 0;
	case XEN_DOMCTL_unpausedomain:
		return domain_ctl_unpause(d);
	case XEN_DOMCTL_resumedomain:
		domain_resume(d);
		return 0;
	case XEN_DOMCTL_getdomaininfo:
		domain_info(d, &op->u.getdomaininfo);
		op->domain = d->id;
		return 0;
	case XEN_DOMCTL_max_mem:
		/* A limit below what the domain has takes nothing away; it gets no more. */
		d->mm.max_pages = (uint32_t)MIN(pages, UINT32_MAX);
		return 0;
	case XEN_DOMCTL_max_vcpus:
		/* They were made with the domain: only confirmed. */
		return op->u.max_vcpus.max == d->max_vcpus ? 0 : -XEN_EINVAL;
	case XEN_DOMCTL_setdomainhandle:
		memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
		return 0;
	case XEN_DOMCTL_set_address_size:
		return op->u.address_size.size == 64 ? 0 : -XEN_EINVAL;
	case XEN_DOMCTL_get_address_size:
		op->u.address_size.size = 64;
		return 0;
	case XEN_DOMCTL_settscinfo:
		/* Guests read the TSC themselves: any mode that may end in that is in order. */
		return op->u.tsc_info.tsc_mode == TSC_ALWAYS_EMULATE ? -XEN_EINVAL : 0;
	default:
		return 0;
	}
}

/* ---- the table ------------------------------------------------------------------------- */

enum {
	DYING_OK = 1, /* also for a domain that is being taken apart */
	SELF_OK = 2,  /* also for the caller's own */
	OR_NEXT = 4,  /* the first domain from that id on, so that a caller can go through all */
};

static const struct command {
	domctl_fn *fn;
	unsigned flags;
} commands[] = {
    [XEN_DOMCTL_destroydomain] = {simple, DYING_OK},
    [XEN_DOMCTL_pausedomain] = {simple, 0},
    [XEN_DOMCTL_unpausedomain] = {simple, 0},
    [XEN_DOMCTL_resumedomain] = {simple, 0},
    [XEN_DOMCTL_getdomaininfo] = {simple, DYING_OK | SELF_OK | OR_NEXT},
    [XEN_DOMCTL_setvcpuaffinity] = {domctl_vcpu, SELF_OK},
    [XEN_DOMCTL_getvcpuaffinity] = {domctl_vcpu, SELF_OK},
    [XEN_DOMCTL_max_mem] = {simple, SELF_OK},
    [XEN_DOMCTL_setvcpucontext] = {domctl_vcpu, 0},
    [XEN_DOMCTL_getvcpucontext] = {domctl_vcpu, 0},
    [XEN_DOMCTL_get_ext_vcpucontext] = {domctl_vcpu, 0},
    [XEN_DOMCTL_set_ext_vcpucontext] = {domctl_vcpu, 0},
    [XEN_DOMCTL_getvcpuinfo] = {domctl_vcpu, SELF_OK},
    [XEN_DOMCTL_max_vcpus] = {simple, 0},
    [XEN_DOMCTL_scheduler_op] = {domctl_share, SELF_OK},
    [XEN_DOMCTL_setdomainhandle] = {simple, SELF_OK},
    [XEN_DOMCTL_irq_permission] = {domctl_permission, SELF_OK},
    [XEN_DOMCTL_iomem_permission] = {domctl_permission, SELF_OK},
    [XEN_DOMCTL_ioport_permission] = {domctl_permission, SELF_OK},
    [XEN_DOMCTL_hypercall_init] = {domctl_hypercall_init, 0},
    [XEN_DOMCTL_set_address_size] = {simple, 0},
    [XEN_DOMCTL_setnodeaffinity] = {simple, SELF_OK},
    [XEN_DOMCTL_set_cpu_policy] = {simple, 0},
    [XEN_DOMCTL_settscinfo] = {simple, 0},
    [XEN_DOMCTL_get_address_size] = {simple, SELF_OK},
    [XEN_DOMCTL_get_device_group] = {domctl_device_group, SELF_OK},
    [XEN_DOMCTL_getpageframeinfo3] = {domctl_getpageframeinfo3, SELF_OK},
};

static int run(void *arg)
{
	struct xen_domctl *op = arg;
	const struct command *c = &commands[MIN(op->cmd, ARRAY_SIZE(commands) - 1)];
	struct domain *d;
	int error;

	if (op->cmd == XEN_DOMCTL_createdomain)
		return createdomain(op);
	if (op->cmd == XEN_DOMCTL_assign_device || op->cmd == XEN_DOMCTL_deassign_device ||
	    op->cmd == XEN_DOMCTL_test_assign_device)
		return domctl_device(op);
	if (op->cmd >= ARRAY_SIZE(commands) || !c->fn)
		return -XEN_ENOSYS;
	if ((c->flags & OR_NEXT) && op->domain >= DOMID_FIRST_RESERVED)
		return -XEN_EINVAL;
	d = c->flags & OR_NEXT ? domain_next(op->domain) : domain_find(op->domain);
	if (!d)
		return -XEN_ESRCH;
	if (d == current_domain() && !(c->flags & SELF_OK))
		error = -XEN_EINVAL;
	else if (d->dying && !(c->flags & DYING_OK))
		error = -XEN_ESRCH;
	else
		error = c->fn(d, op);
	domain_put(d);
	return error;
}

long hc_domctl(uint64_t op_va)
{
	struct xen_domctl op;

	return toolstack_call(op_va, &op, sizeof(op), XEN_DOMCTL_INTERFACE_VERSION, run);
}
