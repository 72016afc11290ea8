/* domctl_parts.h: the commands of domctl and sysctl, by file, for the tables in both.
 *
 * Each command gets the domain it is about (referenced, never the caller's own unless said) and the
 * whole argument, copied in; what it writes there goes back when the table says so. Results are the
 * hypercall's; -XEN_ERESTART makes the call restart with the argument as it is in the guest.
 */
#ifndef HV_DOMCTL_PARTS_H
#define HV_DOMCTL_PARTS_H

#include "domain.h"

typedef int domctl_fn(struct domain *d, struct xen_domctl *op);

/* domctl_vcpu.c */
domctl_fn domctl_setvcpucontext, domctl_getvcpucontext, domctl_getvcpuinfo, domctl_max_vcpus;
domctl_fn domctl_setvcpuaffinity, domctl_getvcpuaffinity;

/* domctl_hw.c */
domctl_fn domctl_irq_permission, domctl_iomem_permission, domctl_ioport_permission;
domctl_fn domctl_hypercall_init, domctl_getpageframeinfo3;

/* toolstack.c */
domctl_fn domctl_accept, domctl_settscinfo;

typedef int sysctl_fn(struct xen_sysctl *op);
sysctl_fn sysctl_cpupool_op, sysctl_numainfo, sysctl_get_cpu_policy, sysctl_get_cpu_featureset;

/* Writes a bitmap of the caller's in which only cpu is set. -XEN_EFAULT. */
int toolstack_write_map(const struct xenctl_bitmap *map, uint32_t cpu);

#endif
