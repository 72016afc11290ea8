/* sysctl.c: what the first domain asks about the machine and the hypervisor as a whole.
 *
 * Same manner as domctl.c: one argument, copied in, run, copied back (toolstack.c). Nothing
 * here changes anything but the reader's knowledge, debug keys included. platform_op, the other
 * call of this kind, is small enough to live here too: wall clock and CPU information.
 *
 * Called by dispatch.c. Calls mm, time, console, domain.
 */
#include <amphi/iommu.h>
#include <amphi/string.h>

#include "domctl_parts.h"
#include "guest.h"
#include "irq.h"
#include "percpu.h"
#include "smp.h"
#include "time.h"

#define READ_MAX 4096u /* of the console's ring in one call */
#define KEYS_MAX 64u

/* From the oldest byte that is kept, or from where the last call ended: xl reads until nothing more comes. What does not fit is
 * for the next call. */
static int readconsole(struct xen_sysctl_readconsole *r)
{
	char *text = hv_alloc(READ_MAX);
	int error;

	if (!text)
		return -XEN_ENOMEM;
	r->index = r->incremental ? r->index : 0;
	r->count = console_read_log(text, MIN(r->count, READ_MAX), &r->index, r->clear);
	error = handle_write_n(r->buffer, 0, text, r->count);
	hv_free(text, READ_MAX);
	return error;
}

static int getdomaininfolist(struct xen_sysctl_getdomaininfolist *l)
{
	struct xen_domctl_getdomaininfo info;
	struct domain *d;
	uint32_t from = l->first_domain, n;

	for (n = 0; n < l->max_domains && from < DOMID_FIRST_RESERVED; n++) {
		d = domain_next((domid_t)from);
		if (!d)
			break;
		domain_info(d, &info);
		from = d->id + 1u;
		domain_put(d);
		if (handle_write(l->buffer, n, &info))
			return -XEN_EFAULT;
	}
	l->num_domains = n;
	return 0;
}

static int debug_keys(const struct xen_sysctl_debug_keys *k)
{
	char keys[KEYS_MAX];
	uint32_t i;

	if (k->nr_keys > KEYS_MAX)
		return -XEN_E2BIG;
	if (handle_read_n(keys, k->keys, 0, k->nr_keys))
		return -XEN_EFAULT;
	for (i = 0; i < k->nr_keys; i++)
		debug_key(keys[i]);
	return 0;
}

/* Each CPU a socket of its own: what is known of them is their number. */
static int cputopoinfo(struct xen_sysctl_cputopoinfo *t)
{
	uint32_t room = handle_null(t->cputopo) ? 0 : t->num_cpus;
	int error = 0;

	t->num_cpus = cpus_count();
	for (uint32_t i = 0; i < MIN(room, t->num_cpus) && !error; i++) {
		const xen_sysctl_cputopo_t cpu = {0, i, 0};

		error = handle_write(t->cputopo, i, &cpu);
	}
	return error;
}

/* ---- what is in use ---------------------------------------------------------------------- */

static void add_pirqs(struct domain *d, void *ctx)
{
	*(uint32_t *)ctx += io_pirqs_mapped(d);
}

static uint32_t pirqs_mapped(void)
{
	uint32_t n = 0;

	domain_for_each(add_pirqs, &n);
	return n;
}

/* What is taken for a domain's devices and has to come back, as Xen's "performance counters": none of
 * these only grows, so whoever compares two looks needs no names. No reset, therefore. */
static const struct {
	const char *name;
	uint32_t (*read)(void);
} in_use[] = {
    {"in use: interrupt vectors", irq_vectors_used},
    {"in use: pirqs", pirqs_mapped},
    {"in use: remapped interrupts", iommu_interrupts_used},
    {"in use: pages of IOMMUs", iommu_pages_used},
};

static int perfc_op(struct xen_sysctl_perfc_op *p)
{
	int error = p->cmd == XEN_SYSCTL_PERFCOP_query ? 0 : -XEN_EOPNOTSUPP;

	p->nr_counters = p->nr_vals = ARRAY_SIZE(in_use);
	for (uint32_t i = 0; i < ARRAY_SIZE(in_use) && !error; i++) {
		struct xen_sysctl_perfc_desc desc = {.nr_vals = 1};
		xen_sysctl_perfc_val_t n = in_use[i].read();

		(void)str_copy(desc.name, sizeof(desc.name), in_use[i].name);
		if (!handle_null(p->desc))
			error = handle_write(p->desc, i, &desc);
		if (!error && !handle_null(p->val))
			error = handle_write(p->val, i, &n);
	}
	return error;
}

/* ------------------------------------------------------------------------------------------ */

static int sysctl_run(void *arg)
{
	struct xen_sysctl *op = arg;
	struct mm_stats stats;

	mm_stats(&stats);
	switch (op->cmd) {
	case XEN_SYSCTL_readconsole:
		return readconsole(&op->u.readconsole);
	case XEN_SYSCTL_physinfo:
		op->u.physinfo = (struct xen_sysctl_physinfo){
		    .threads_per_core = 1,
		    .cores_per_socket = 1,
		    .nr_cpus = cpus_count(),
		    .max_cpu_id = cpus_count() - 1,
		    .nr_nodes = 1,
		    .cpu_khz = time_tsc_khz(),
		    .capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1 |
				    (iommu_is_on() ? XEN_SYSCTL_PHYSCAP_directio : 0),
		    .total_pages = stats.total_pages,
		    .free_pages = stats.free_pages,
		    .max_mfn = stats.total_pages,
		};
		return 0;
	case XEN_SYSCTL_sched_id:
		op->u.sched_id.sched_id = XEN_SCHEDULER_CREDIT;
		return 0;
	case XEN_SYSCTL_getdomaininfolist:
		return getdomaininfolist(&op->u.getdomaininfolist);
	case XEN_SYSCTL_debug_keys:
		return debug_keys(&op->u.debug_keys);
	case XEN_SYSCTL_availheap:
		op->u.availheap.avail_bytes = stats.free_pages * PAGE_SIZE;
		return 0;
	case XEN_SYSCTL_cputopoinfo:
		return cputopoinfo(&op->u.cputopoinfo);
	case XEN_SYSCTL_numainfo:
		return sysctl_numainfo(op);
	case XEN_SYSCTL_cpupool_op:
		return sysctl_cpupool_op(op);
	case XEN_SYSCTL_perfc_op:
		return perfc_op(&op->u.perfc_op);
	case XEN_SYSCTL_get_cpu_policy:
		return sysctl_get_cpu_policy(op);
	case XEN_SYSCTL_get_cpu_featureset:
		op->u.cpu_featureset.nr_features = 0;
		return 0;
	default:
		return -XEN_ENOSYS;
	}
}

long hc_sysctl(uint64_t op_va)
{
	struct xen_sysctl op;

	return toolstack_call(op_va, &op, sizeof(op), XEN_SYSCTL_INTERFACE_VERSION, sysctl_run);
}

/* ---- platform_op ----------------------------------------------------------------------- */

#define NS_PER_S 1000000000u

static int platform_run(void *arg)
{
	struct xen_platform_op *op = arg;
	struct xenpf_settime64 t = op->u.settime64;
	struct xenpf_pcpuinfo *p = &op->u.pcpu_info;

	switch (op->cmd) {
	case XENPF_settime32:
		t = (struct xenpf_settime64){.secs = op->u.settime32.secs,
					     .nsecs = op->u.settime32.nsecs,
					     .system_time = op->u.settime32.system_time};
		/* fall through */
	case XENPF_settime64:
		if (t.mbz || t.nsecs >= NS_PER_S)
			return -XEN_EINVAL;
		time_set_wallclock(t.secs, t.nsecs, t.system_time);
		return 0;
	case XENPF_get_cpuinfo:
		p->max_present = cpus_count() - 1;
		p->flags = XEN_PCPU_FLAGS_INVALID;
		if (p->xen_cpuid >= cpus_count())
			return 0;
		p->flags = XEN_PCPU_FLAGS_ONLINE;
		p->apic_id = hv_percpu[p->xen_cpuid].apic_id;
		p->acpi_id = p->xen_cpuid;
		return 0;
	default:
		return -XEN_ENOSYS;
	}
}

long hc_platform_op(uint64_t op_va)
{
	struct xen_platform_op op;

	return toolstack_call(op_va, &op, sizeof(op), XENPF_INTERFACE_VERSION, platform_run);
}
