/* vcpu_xen.h: a vCPU of a Xen domain, PV or PVH, and the memory it shares with the hypervisor.
 *
 * Callers: boot_xen*.c for the vCPU that boots, smp_xen.c for the others, and whoever comes back from a
 * suspension. Not a state of vCPUs: that is smp.h.
 */
#ifndef KERNEL_VCPU_XEN_H
#define KERNEL_VCPU_XEN_H

#include <amphi/percpu.h>

/* The hypervisor keeps this vCPU's pending bits, interrupt mask, fault address and clock in
 * percpu->vcpu_info from now on; everything is marked pending once. frame: percpu's, of the machine (PVH:
 * of our physical memory). vcpu: its number. Either the running vCPU, or one that is down. Once per life of
 * the domain: a second time is -XEN_EINVAL. 0 or negative XEN_Exxx. */
int vcpu_xen_register(struct percpu *percpu, unsigned vcpu, mfn_t frame);

#endif
