/* domctl_parts.h: the commands of domctl and sysctl, by file, for the tables in both.
 *
 * Each command gets the domain it is about (referenced, never the caller's own unless said) and the
 * whole argument, copied in; what it writes there goes back when it succeeds. Results are the
 * hypercall's; -XEN_ERESTART makes the call restart with the argument as it is in the guest.
 */
#ifndef HV_DOMCTL_PARTS_H
#define HV_DOMCTL_PARTS_H

#include "domain.h"

typedef int domctl_fn(struct domain *d, struct xen_domctl *op);

/* domctl_vcpu.c: commands that name a vCPU. domctl_hw.c: irq, iomem and ioport in one; the rest. */
domctl_fn domctl_vcpu, domctl_share, domctl_permission, domctl_hypercall_init,
    domctl_getpageframeinfo3;

/* iommu_assign.c: assign_device and its like; they find the domain themselves, which need not be one. */
int domctl_device(struct xen_domctl *op);
domctl_fn domctl_device_group;

/* toolstack.c */
typedef int sysctl_fn(struct xen_sysctl *op);
sysctl_fn sysctl_cpupool_op, sysctl_numainfo, sysctl_get_cpu_policy;

/* The frame of a call of the toolstack's: only the first domain may, and only with the interface
 * version these headers have, since arguments change between versions. op (bytes long, the caller's
 * own) is copied in, run, and copied back unless run fails. */
long toolstack_call(uint64_t op_va, void *op, size_t bytes, uint32_t version, int (*run)(void *op));

/* Bitmaps of CPUs of the caller's, bit n CPU n, as long as it says. -XEN_EFAULT. */
int toolstack_write_map(const struct xenctl_bitmap *map, uint32_t cpus);
int toolstack_read_map(const struct xenctl_bitmap *map, uint32_t *out_cpus);

#endif
