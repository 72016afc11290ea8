/* vcpu_xen.c: tells the hypervisor where a vCPU's part of the shared memory is.
 *
 * See vcpu_xen.h for who calls. Why not in the page that the domain shares: there is room for 32 vCPUs
 * in it, and code that runs on any CPU would have to find its own part by a number; in struct percpu it is
 * at a fixed distance from gs. Calls VCPUOP_register_vcpu_info.
 */
#include <amphi/hypercall.h>

#include "boot.h"
#include "vcpu_xen.h"

/* The mask is ours to set: PV begins with events masked, as every new vCPU does; in a PVH domain the
 * processor's own flag takes its place and the byte must not look set. The hypervisor copies what it had
 * before, and a vCPU that it has not started has nothing but a mask. */
int vcpu_xen_register(struct percpu *percpu, unsigned vcpu, mfn_t frame)
{
	struct vcpu_register_vcpu_info info = {
	    .mfn = frame.v, .offset = (uintptr_t)&percpu->vcpu_info & (PAGE_SIZE - 1)};
	int err;

	percpu->vcpu = vcpu;
	err = (int)hypercall_vcpu_op(VCPUOP_register_vcpu_info, vcpu, &info);
	percpu->vcpu_info.evtchn_upcall_mask = boot.platform == BOOT_XEN_PV;
	return err;
}
