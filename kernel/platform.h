/* platform.h: which platform this is, from what the processor says and how we were started.
 *
 * Callers: boot_native.c and boot_xen.c, once, before anything depends on the answer; host tests. Pure:
 * the processor is asked through platform_cpuid_fn only. A hypervisor shows itself by leaves from
 * 0x40000000 on, in steps of 0x100 when it plays several at once (Xen with Viridian leaves), each run
 * beginning with its highest leaf and a signature of twelve letters. Nothing here trusts a run that is
 * too short for what is asked of it.
 */
#ifndef KERNEL_PLATFORM_H
#define KERNEL_PLATFORM_H

#include "boot.h"
#include "cmdline.h"

/* regs: IN eax and ecx; OUT eax ebx ecx edx, in this order, as pv_cpuid(). */
typedef void platform_cpuid_fn(uint32_t *regs);

struct platform_found {
	/* The caller's: how we were entered. */
	bool pv_entry;  /* by a PV domain's builder: there are no privileged instructions */
	bool pvh_entry; /* by a PVH loader: under Xen there is a console ring, and no machine */
	/* platform_look()'s */
	uint32_t xen_base;     /* first leaf of Xen's run; 0: no Xen */
	uint32_t xen_page_msr; /* written with an address, puts the hypercall page there */
	uint32_t kvm_base;     /* 0: no KVM */
	uint32_t kvm_features, kvm_hints; /* for kvm_decode() */
};

void platform_look(platform_cpuid_fn *cpuid, struct platform_found *found);

/* The platform to be. *out_refusal: why the wish cannot be, with the platform found instead; or NULL. */
enum boot_platform platform_choose(const struct platform_found *found, enum pvops_choice wish,
				   const char **out_refusal);

#endif
