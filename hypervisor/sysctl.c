/* sysctl.c: what the first domain asks about the machine and the hypervisor as a whole.
 *
 * Same manner as domctl.c: one argument, copied in, a function by a table, copied back. Nothing
 * here changes anything but the reader's knowledge, debug keys included. platform_op, the other
 * call of this kind, is small enough to live here too: wall clock and CPU information.
 *
 * Called by dispatch.c. Calls mm, time, console, domain.
 */
#include <amphi/string.h>

#include "domctl_parts.h"
#include "guest.h"
#include "percpu.h"
#include "time.h"

#define READ_MAX  4096u /* of the console's ring in one call */
#define KEYS_MAX  64u
#define CPUS_HERE 1u

/* The ring is read from its oldest byte and not emptied; what does not fit is left out. */
static int readconsole(struct xen_sysctl *op)
{
	struct xen_sysctl_readconsole *r = &op->u.readconsole;
	uint32_t cap = MIN(r->count, READ_MAX);
	char *text = hv_alloc(READ_MAX);
	int error;

	if (!text)
		return -XEN_ENOMEM;
	r->count = console_read_log(text, cap);
	error = handle_write_n(r->buffer, 0, text, r->count);
	hv_free(text, READ_MAX);
	return error;
}

static int physinfo(struct xen_sysctl *op)
{
	struct xen_sysctl_physinfo *p = &op->u.physinfo;
	struct mm_stats stats;

	mm_stats(&stats);
	memset(p, 0, sizeof(*p));
	p->threads_per_core = 1;
	p->cores_per_socket = 1;
	p->nr_cpus = CPUS_HERE;
	p->max_cpu_id = CPUS_HERE - 1;
	p->nr_nodes = 1;
	p->cpu_khz = time_tsc_khz();
	p->capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1;
	p->total_pages = stats.total_pages;
	p->free_pages = stats.free_pages;
	p->max_mfn = stats.total_pages;
	return 0;
}

static int sched_id(struct xen_sysctl *op)
{
	op->u.sched_id.sched_id = XEN_SCHEDULER_CREDIT;
	return 0;
}

static int getdomaininfolist(struct xen_sysctl *op)
{
	struct xen_sysctl_getdomaininfolist *l = &op->u.getdomaininfolist;
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

static int debug_keys(struct xen_sysctl *op)
{
	const struct xen_sysctl_debug_keys *k = &op->u.debug_keys;
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

static int availheap(struct xen_sysctl *op)
{
	struct mm_stats stats;

	mm_stats(&stats);
	op->u.availheap.avail_bytes = stats.free_pages * PAGE_SIZE;
	return 0;
}

static int cputopoinfo(struct xen_sysctl *op)
{
	struct xen_sysctl_cputopoinfo *t = &op->u.cputopoinfo;
	xen_sysctl_cputopo_t cpu = {0, 0, 0};
	bool wanted = !handle_null(t->cputopo) && t->num_cpus > 0;

	t->num_cpus = CPUS_HERE;
	return wanted ? handle_write(t->cputopo, 0, &cpu) : 0;
}

static sysctl_fn *const commands[] = {
    [XEN_SYSCTL_readconsole] = readconsole,
    [XEN_SYSCTL_physinfo] = physinfo,
    [XEN_SYSCTL_sched_id] = sched_id,
    [XEN_SYSCTL_getdomaininfolist] = getdomaininfolist,
    [XEN_SYSCTL_debug_keys] = debug_keys,
    [XEN_SYSCTL_availheap] = availheap,
    [XEN_SYSCTL_cputopoinfo] = cputopoinfo,
    [XEN_SYSCTL_numainfo] = sysctl_numainfo,
    [XEN_SYSCTL_cpupool_op] = sysctl_cpupool_op,
    [XEN_SYSCTL_get_cpu_policy] = sysctl_get_cpu_policy,
    [XEN_SYSCTL_get_cpu_featureset] = sysctl_get_cpu_featureset,
};

long hc_sysctl(uint64_t op_va)
{
	struct xen_sysctl op;
	int error;

	if (!current_domain()->privileged)
		return -XEN_EPERM;
	if (guest_read(&op, op_va))
		return -XEN_EFAULT;
	if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
		return -XEN_EACCES;
	if (op.cmd >= ARRAY_SIZE(commands) || !commands[op.cmd])
		return -XEN_ENOSYS;
	error = commands[op.cmd](&op);
	if (!error && guest_write(op_va, &op))
		return -XEN_EFAULT;
	return error;
}

/* ---- platform_op ----------------------------------------------------------------------- */

#define NS_PER_S 1000000000u

static int set_time(uint64_t seconds, uint32_t nanoseconds, uint64_t system_time)
{
	if (nanoseconds >= NS_PER_S)
		return -XEN_EINVAL;
	time_set_wallclock(seconds, nanoseconds, system_time);
	return 0;
}

static int get_cpuinfo(struct xenpf_pcpuinfo *p)
{
	p->max_present = CPUS_HERE - 1;
	p->flags = p->xen_cpuid < CPUS_HERE ? XEN_PCPU_FLAGS_ONLINE : XEN_PCPU_FLAGS_INVALID;
	p->apic_id = this_cpu()->apic_id;
	p->acpi_id = 0;
	return 0;
}

static int platform_run(struct xen_platform_op *op)
{
	switch (op->cmd) {
	case XENPF_settime32:
		return set_time(op->u.settime32.secs, op->u.settime32.nsecs,
				op->u.settime32.system_time);
	case XENPF_settime64:
		if (op->u.settime64.mbz)
			return -XEN_EINVAL;
		return set_time(op->u.settime64.secs, op->u.settime64.nsecs,
				op->u.settime64.system_time);
	case XENPF_get_cpuinfo:
		return get_cpuinfo(&op->u.pcpu_info);
	default:
		return -XEN_ENOSYS;
	}
}

long hc_platform_op(uint64_t op_va)
{
	struct xen_platform_op op;
	int error;

	if (!current_domain()->privileged)
		return -XEN_EPERM;
	if (guest_read(&op, op_va))
		return -XEN_EFAULT;
	if (op.interface_version != XENPF_INTERFACE_VERSION)
		return -XEN_EACCES;
	error = platform_run(&op);
	if (!error && guest_write(op_va, &op))
		return -XEN_EFAULT;
	return error;
}
