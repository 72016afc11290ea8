/* domctl.c: what the first domain asks about other domains: their making, life and end.
 *
 * One argument structure for all commands, copied in whole, given to the command's function, and
 * copied back for those that answer. The table says which domains a command is for. Only the
 * privileged domain may call, and only with the interface version these headers have, since the
 * structure changes between versions.
 *
 * Called by dispatch.c. Calls domain.h, sched, mm, io, by way of the commands here, in
 * domctl_vcpu.c and domctl_hw.c.
 */
#include <amphi/string.h>

#include "domctl_parts.h"
#include "guest.h"
#include "percpu.h"

/* ---- life ------------------------------------------------------------------------------ */

#define CDF_ALLOWED (XEN_DOMCTL_CDF_oos_off | XEN_DOMCTL_CDF_xs_domain)

static int create_check(const struct xen_domctl_createdomain *c)
{
	if (c->flags & ~CDF_ALLOWED || c->iommu_opts || c->vmtrace_size || c->cpupool_id)
		return -XEN_EINVAL;
	if (c->arch.emulation_flags || c->arch.misc_flags)
		return -XEN_EINVAL;
	if (c->max_vcpus == 0 || c->max_vcpus > MAX_VCPUS)
		return -XEN_EINVAL;
	if (c->max_grant_frames == 0 || XEN_DOMCTL_GRANT_version(c->grant_opts) > 2)
		return -XEN_EINVAL;
	return 0;
}

static int createdomain(struct xen_domctl *op)
{
	struct xen_domctl_createdomain *c = &op->u.createdomain;
	domid_t id =
	    op->domain > 0 && op->domain < DOMID_FIRST_RESERVED ? op->domain : DOMID_INVALID;
	struct domain *d;
	int error = create_check(c);

	if (!error)
		error = domain_create(id, c->max_vcpus, &d);
	if (error)
		return error;
	memcpy(d->handle, c->handle, sizeof(d->handle));
	if (c->max_grant_frames > 0)
		d->grants.max_frames = MIN((uint32_t)c->max_grant_frames, GRANT_MAX_FRAMES);
	op->domain = d->id;
	domain_put(d);
	return 0;
}

static int destroydomain(struct domain *d, struct xen_domctl *op)
{
	return domain_kill(d);
}

static int pausedomain(struct domain *d, struct xen_domctl *op)
{
	domain_ctl_pause(d);
	return 0;
}

static int unpausedomain(struct domain *d, struct xen_domctl *op)
{
	return domain_ctl_unpause(d);
}

static int getdomaininfo(struct domain *d, struct xen_domctl *op)
{
	domain_info(d, &op->u.getdomaininfo);
	op->domain = d->id;
	return 0;
}

/* ---- limits and labels ----------------------------------------------------------------- */

/* A limit below what the domain has takes nothing away; it gets no more. */
static int max_mem(struct domain *d, struct xen_domctl *op)
{
	uint64_t pages = op->u.max_mem.max_memkb / (PAGE_SIZE / 1024);

	d->mm.max_pages = (uint32_t)MIN(pages, UINT32_MAX);
	return 0;
}

static int setdomainhandle(struct domain *d, struct xen_domctl *op)
{
	memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
	return 0;
}

static int set_address_size(struct domain *d, struct xen_domctl *op)
{
	return op->u.address_size.size == 64 ? 0 : -XEN_EINVAL;
}

static int get_address_size(struct domain *d, struct xen_domctl *op)
{
	op->u.address_size.size = 64;
	return 0;
}

/* All domains are of equal weight; whoever asks is told so, whoever sets is not contradicted. */
static int scheduler_op(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_scheduler_op *s = &op->u.scheduler_op;

	if (s->sched_id != XEN_SCHEDULER_CREDIT || s->cmd > XEN_DOMCTL_SCHEDOP_getinfo)
		return -XEN_EINVAL;
	s->u.credit.weight = 256;
	s->u.credit.cap = 0;
	return 0;
}

/* ---- the table ------------------------------------------------------------------------- */

enum {
	ANSWERS = 1,  /* the argument goes back */
	DYING_OK = 2, /* also for a domain that is being taken apart */
	SELF_OK = 4,  /* also for the caller's own */
	OR_NEXT = 8,  /* the first domain from that id on, so that a caller can go through all */
};

static const struct command {
	domctl_fn *fn;
	unsigned flags;
} commands[] = {
    [XEN_DOMCTL_destroydomain] = {destroydomain, DYING_OK},
    [XEN_DOMCTL_pausedomain] = {pausedomain, 0},
    [XEN_DOMCTL_unpausedomain] = {unpausedomain, 0},
    [XEN_DOMCTL_getdomaininfo] = {getdomaininfo, ANSWERS | DYING_OK | SELF_OK | OR_NEXT},
    [XEN_DOMCTL_setvcpuaffinity] = {domctl_setvcpuaffinity, SELF_OK},
    [XEN_DOMCTL_getvcpuaffinity] = {domctl_getvcpuaffinity, SELF_OK},
    [XEN_DOMCTL_max_mem] = {max_mem, SELF_OK},
    [XEN_DOMCTL_setvcpucontext] = {domctl_setvcpucontext, 0},
    [XEN_DOMCTL_getvcpucontext] = {domctl_getvcpucontext, 0},
    [XEN_DOMCTL_getvcpuinfo] = {domctl_getvcpuinfo, ANSWERS | SELF_OK},
    [XEN_DOMCTL_max_vcpus] = {domctl_max_vcpus, 0},
    [XEN_DOMCTL_scheduler_op] = {scheduler_op, ANSWERS | SELF_OK},
    [XEN_DOMCTL_setdomainhandle] = {setdomainhandle, SELF_OK},
    [XEN_DOMCTL_irq_permission] = {domctl_irq_permission, SELF_OK},
    [XEN_DOMCTL_iomem_permission] = {domctl_iomem_permission, SELF_OK},
    [XEN_DOMCTL_ioport_permission] = {domctl_ioport_permission, SELF_OK},
    [XEN_DOMCTL_hypercall_init] = {domctl_hypercall_init, 0},
    [XEN_DOMCTL_set_address_size] = {set_address_size, 0},
    [XEN_DOMCTL_setnodeaffinity] = {domctl_accept, SELF_OK},
    [XEN_DOMCTL_set_cpu_policy] = {domctl_accept, 0},
    [XEN_DOMCTL_settscinfo] = {domctl_settscinfo, 0},
    [XEN_DOMCTL_get_address_size] = {get_address_size, ANSWERS | SELF_OK},
    [XEN_DOMCTL_getpageframeinfo3] = {domctl_getpageframeinfo3, SELF_OK},
};

static int command_check(const struct command *c, const struct domain *d)
{
	if (d == current_domain() && !(c->flags & SELF_OK))
		return -XEN_EINVAL;
	if (d->dying && !(c->flags & DYING_OK))
		return -XEN_ESRCH;
	return 0;
}

static int run(struct xen_domctl *op)
{
	const struct command *c;
	struct domain *d;
	int error;

	if (op->cmd == XEN_DOMCTL_createdomain)
		return createdomain(op);
	if (op->cmd >= ARRAY_SIZE(commands) || !commands[op->cmd].fn)
		return -XEN_ENOSYS;
	c = &commands[op->cmd];
	if ((c->flags & OR_NEXT) && op->domain >= DOMID_FIRST_RESERVED)
		return -XEN_EINVAL;
	d = c->flags & OR_NEXT ? domain_next(op->domain) : domain_find(op->domain);
	if (!d)
		return -XEN_ESRCH;
	error = command_check(c, d);
	if (!error)
		error = c->fn(d, op);
	domain_put(d);
	return error;
}

static bool answers(uint32_t cmd)
{
	return cmd == XEN_DOMCTL_createdomain || (commands[cmd].flags & ANSWERS);
}

long hc_domctl(uint64_t op_va)
{
	struct xen_domctl op;
	int error;

	if (!current_domain()->privileged)
		return -XEN_EPERM;
	if (guest_read(&op, op_va))
		return -XEN_EFAULT;
	if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
		return -XEN_EACCES;
	error = run(&op);
	if (error == -XEN_ERESTART)
		return hypercall_restart(op_va, 0, 0, 0);
	if (!error && answers(op.cmd) && guest_write(op_va, &op))
		return -XEN_EFAULT;
	return error;
}
