/* toolstack.c: what Xen's own toolstack (libxl) wants to know before it makes a domain.
 *
 * It asks about CPU pools, memory nodes and CPUID policies, of which there is one, one and none
 * here, and gives up when it gets no answer. So the answers are true and short: they cost little
 * and let stock xl run on this hypervisor. What a guest sees of CPUID is the emulator's choice
 * alone.
 *
 * Called by sysctl.c and domctl.c, whose calls have their frame here.
 */
#include "domctl_parts.h"
#include "guest.h"
#include "percpu.h"
#include "smp.h"

#define POLICY_LEAVES 64u /* room for a policy that says nothing; libxl's limit is above it */
#define POLICY_MSRS   8u
#define NODE_DISTANCE 10u /* ACPI's word for "here" */

long toolstack_call(uint64_t op_va, void *op, size_t bytes, uint32_t version, int (*run)(void *op))
{
	int error;

	if (!current_domain()->privileged)
		return -XEN_EPERM;
	if (guest_copy_from(op, op_va, bytes))
		return -XEN_EFAULT;
	/* domctl, sysctl and platform_op begin with the command and the version. */
	if (((const uint32_t *)op)[1] != version)
		return -XEN_EACCES;
	error = run(op);
	if (error == -XEN_ERESTART)
		return hypercall_restart(op_va, 0, 0, 0);
	return error ? error : guest_copy_to(op_va, op, bytes);
}

/* As much of them as there are CPUs to speak of. */
int toolstack_write_map(const struct xenctl_bitmap *map, uint32_t cpus)
{
	uint32_t bytes = MIN(DIV_ROUND_UP(map->nr_bits, 8u), sizeof(cpus));

	return guest_copy_to(handle_at(map->bitmap, 0), &cpus, bytes);
}

int toolstack_read_map(const struct xenctl_bitmap *map, uint32_t *out_cpus)
{
	uint32_t bytes = MIN(DIV_ROUND_UP(map->nr_bits, 8u), sizeof(*out_cpus));

	*out_cpus = 0;
	return guest_copy_from(out_cpus, handle_at(map->bitmap, 0), bytes);
}

static void count_domain(struct domain *d, void *ctx)
{
	++*(uint32_t *)ctx;
}

/* The pool of all CPUs and all domains. The next after it is asked for, too: there is none. */
int sysctl_cpupool_op(struct xen_sysctl *op)
{
	struct xen_sysctl_cpupool_op *p = &op->u.cpupool_op;

	if (p->op != XEN_SYSCTL_CPUPOOL_OP_INFO)
		return -XEN_EOPNOTSUPP;
	if (p->cpupool_id != 0)
		return -XEN_ENOENT;
	p->sched_id = XEN_SCHEDULER_CREDIT;
	p->n_dom = 0;
	domain_for_each(count_domain, &p->n_dom);
	return toolstack_write_map(&p->cpumap, cpus_online);
}

int sysctl_numainfo(struct xen_sysctl *op)
{
	struct xen_sysctl_numainfo *n = &op->u.numainfo;
	uint32_t distance = NODE_DISTANCE, room = n->num_nodes;
	xen_sysctl_meminfo_t mem;
	struct mm_stats stats;

	mm_stats(&stats);
	mem.memsize = stats.total_pages * PAGE_SIZE;
	mem.memfree = stats.free_pages * PAGE_SIZE;
	n->num_nodes = 1;
	if (room && !handle_null(n->meminfo) && handle_write(n->meminfo, 0, &mem))
		return -XEN_EFAULT;
	if (room && !handle_null(n->distance) && handle_write(n->distance, 0, &distance))
		return -XEN_EFAULT;
	return 0;
}

/* ---- CPUID policies -------------------------------------------------------------------- */

/* NULL handles ask for the room to have ready. A policy is then leaf 0, all zeros, again and again.
 */
int sysctl_get_cpu_policy(struct xen_sysctl *op)
{
	struct xen_sysctl_cpu_policy *p = &op->u.cpu_policy;
	xen_cpuid_leaf_t nothing = {.subleaf = XEN_CPUID_NO_SUBLEAF};
	uint32_t i, room = p->nr_leaves;

	p->nr_msrs = handle_null(p->msrs) ? POLICY_MSRS : 0;
	p->nr_leaves = POLICY_LEAVES;
	if (handle_null(p->leaves))
		return 0;
	if (room < POLICY_LEAVES)
		return -XEN_ENOBUFS;
	for (i = 0; i < POLICY_LEAVES; i++)
		if (handle_write(p->leaves, i, &nothing))
			return -XEN_EFAULT;
	return 0;
}
