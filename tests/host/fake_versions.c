/* fake_versions.c: what the fake hypervisor of fake_control.h says of itself, of its domains and their vCPUs.
 *
 * Its versions, which a test may make others, and what a domain holds, counted where its guest would see it. Callers:
 * the rooms under test. Calls fake_control.c.
 */
#include <string.h>

#include "fake_control.h"

int (*fake_device_domctl)(struct xen_domctl *op);
int (*fake_machine_map)(struct xen_memory_map *map);

/* As Xen: none of the CPUs that there are is an error, and what holds is told. */
int fake_vcpu_affinity(struct fake_domain *d, struct xen_domctl_vcpuaffinity *a, bool set)
{
	uint64_t *map = (uint64_t *)(void *)a->cpumap_hard.bitmap.p, all = (1u << FAKE_CPUS) - 1;

	if (a->vcpu >= d->max_vcpus || a->flags != XEN_VCPUAFFINITY_HARD ||
	    a->cpumap_hard.nr_bits != 64)
		return -XEN_EINVAL;
	if (set && !(*map & all))
		return -XEN_EINVAL;
	if (set)
		d->affinity[a->vcpu] = *map & all;
	*map = d->affinity[a->vcpu] ? d->affinity[a->vcpu] : all;
	return 0;
}

int fake_vcpu_info(const struct fake_domain *d, struct xen_domctl_getvcpuinfo *i)
{
	if (i->vcpu >= d->max_vcpus)
		return -XEN_ESRCH;
	i->online = d->context_set && i->vcpu == 0;
	i->blocked = i->online;
	i->cpu_time = i->online ? d->cpu_time_ns : 0;
	i->cpu = 1;
	return 0;
}

void fake_get_info(const struct fake_domain *d, struct xen_domctl_getdomaininfo *out)
{
	memset(out, 0, sizeof(*out));
	out->domain = d->id;
	out->tot_pages = d->pages;
	out->max_pages = d->max_pages;
	out->cpu_time = d->cpu_time_ns;
	out->max_vcpu_id = d->max_vcpus - 1;
	out->nr_online_vcpus = d->context_set;
	out->shared_info_frame = d->shared_info.v;
	out->flags = d->paused ? XEN_DOMINF_paused : 0;
	if (d->shut_down)
		out->flags |= XEN_DOMINF_shutdown | d->shutdown_code << XEN_DOMINF_shutdownshift;
}

int fake_set_extended(struct fake_domain *d, const struct xen_domctl_ext_vcpucontext *e)
{
	if (e->vcpu >= d->max_vcpus || e->size < 32)
		return -XEN_EINVAL;
	d->extended_set |= 1u << e->vcpu;
	return 0;
}

/* As Xen: asked without a buffer, the most that there could be; with one, what there is. */
int fake_vcpu_state(const struct fake_domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpuextstate *x = &op->u.vcpuextstate;
	struct xen_domctl_vcpu_msrs *m = &op->u.vcpu_msrs;
	bool xsave = op->cmd == XEN_DOMCTL_getvcpuextstate;

	if (!(xsave ? d->xsave_bytes : d->msrs))
		return -XEN_ENOSYS;
	if (xsave && !x->buffer.p) {
		x->size = d->xsave_bytes + 1000;
		x->xfeature_mask = 7;
	} else if (xsave) {
		if (x->size < d->xsave_bytes || x->xfeature_mask != 7)
			return -XEN_EINVAL;
		x->size = d->xsave_bytes;
		memset(x->buffer.p, 0x33, d->xsave_bytes);
	} else {
		for (unsigned i = 0; m->msrs.p && i < d->msrs && i < m->msr_count; i++)
			m->msrs.p[i] = (xen_domctl_vcpu_msr_t){.index = 0x100 + i, .value = i};
		m->msr_count = m->msrs.p ? d->msrs : d->msrs + 4;
	}
	return 0;
}

int fake_get_context(const struct fake_domain *d, const struct xen_domctl_vcpucontext *v)
{
	if (v->vcpu)
		return -XEN_EINVAL;
	*v->ctxt.p = d->context;
	return 0;
}

static uint32_t domctl_version, sysctl_version;

void fake_versions(uint32_t domctl, uint32_t sysctl)
{
	domctl_version = domctl;
	sysctl_version = sysctl;
}

void host_read_versions(struct host_versions *out)
{
	*out = (struct host_versions){4, 17, XEN_DOMCTL_INTERFACE_VERSION,
				      XEN_SYSCTL_INTERFACE_VERSION};
	if (domctl_version)
		out->domctl = domctl_version;
	if (sysctl_version)
		out->sysctl = sysctl_version;
}

int host_domain_usage(domid_t domid, struct host_usage *out)
{
	const struct fake_domain *d = fake_domain(domid);

	*out = (struct host_usage){0};
	if (!d)
		return -XEN_ESRCH;
	out->ports = d->n_ports;
	for (unsigned i = 0; i < PAGE_SIZE / sizeof(struct grant_entry_v1); i++)
		out->grants += ((struct grant_entry_v1 *)fake_frame(d->grant_frame))[i].flags != 0;
	return 0;
}
