/* platform.c: looks for a hypervisor, and weighs what was found against what was wished for.
 *
 * Pure, see platform.h for who calls. Not here: how the platform found is brought up (boot_*.c), and what
 * KVM's features mean (kvm_para.c). Leaves: <xen/arch-x86/cpuid.h>; Linux's
 * Documentation/virt/kvm/x86/cpuid.rst.
 */
#include <amphi/string.h>

#include <xen/arch-x86/cpuid.h>

#include "platform.h"

#define LEAF_FIRST 0x40000000u
#define LEAF_END   0x40010000u
#define LEAF_STEP  0x100u
#define HYPERVISOR (1u << 31) /* leaf 1, ecx: never set by a processor itself */
#define XEN_LEAVES 2u         /* above the first: version; hypercall page */

/* In the order in which cpuid returns them. */
struct leaf {
	uint32_t eax, ebx, ecx, edx;
};

/* Subleaf 0: none of the leaves asked here has others of interest. */
static struct leaf ask(platform_cpuid_fn *cpuid, uint32_t leaf)
{
	uint32_t regs[4] = {leaf};

	cpuid(regs);
	return (struct leaf){regs[0], regs[1], regs[2], regs[3]};
}

/* The first leaf of a run holds the signature in ebx, ecx, edx, and in eax the highest leaf of
 * the run. */
static bool is_xen(const struct leaf *l)
{
	return l->ebx == XEN_CPUID_SIGNATURE_EBX && l->ecx == XEN_CPUID_SIGNATURE_ECX &&
	       l->edx == XEN_CPUID_SIGNATURE_EDX;
}

/* "KVMKVMKVM\0\0\0" */
static bool is_kvm(const struct leaf *l)
{
	return l->ebx == 0x4b4d564b && l->ecx == 0x564b4d56 && l->edx == 0x4d;
}

/* A highest leaf that lies outside the run itself is nonsense, whoever it comes from. */
static bool reaches(uint32_t base, uint32_t highest, uint32_t leaves)
{
	return highest >= base + leaves && highest < base + LEAF_STEP;
}

/* Leaf 2: eax the number of hypercall pages, ebx the register that places them. Without either
 * Xen cannot be called, and it is as if it were not there. */
static void take_xen(platform_cpuid_fn *cpuid, uint32_t base, struct platform_found *found)
{
	struct leaf page = ask(cpuid, base + 2);

	if (!page.eax || !page.ebx)
		return;
	found->xen_base = base;
	found->xen_page_msr = page.ebx;
}

static void take_run(platform_cpuid_fn *cpuid, uint32_t base, struct platform_found *found)
{
	struct leaf first = ask(cpuid, base);

	if (is_xen(&first) && !found->xen_base && reaches(base, first.eax, XEN_LEAVES))
		take_xen(cpuid, base, found);
	/* Old KVM says 0 and means the leaf after the first. */
	if (is_kvm(&first) && !found->kvm_base && (!first.eax || reaches(base, first.eax, 1))) {
		found->kvm_base = base;
		found->kvm_features = ask(cpuid, base + 1).eax;
		found->kvm_hints = ask(cpuid, base + 1).edx;
	}
}

/* Several runs may be there, 256 leaves apart: a hypervisor that shows Hyper-V's leaves first
 * moves its own up, so the search does not stop at the first. Without the hypervisor bit the
 * leaves mean nothing: some processors answer them with those of another leaf. */
void platform_look(platform_cpuid_fn *cpuid, struct platform_found *found)
{
	if (!(ask(cpuid, 1).ecx & HYPERVISOR))
		return;
	for (uint32_t base = LEAF_FIRST; base < LEAF_END; base += LEAF_STEP)
		take_run(cpuid, base, found);
}

/* What was entered through its own door is certain; CPUID decides the rest. A PV domain cannot
 * be anything else, and Xen is more than the KVM it may run on. */
static enum boot_platform natural(const struct platform_found *found)
{
	if (found->pv_entry)
		return BOOT_XEN_PV;
	if (found->xen_base && found->pvh_entry)
		return BOOT_XEN_PVH;
	return found->kvm_base ? BOOT_KVM : BOOT_NATIVE;
}

/* Why the platform cannot be that; NULL: it can. */
static const char *why_not(const struct platform_found *found, enum boot_platform wish)
{
	enum boot_platform is = natural(found);

	if (wish == is)
		return NULL;
	if (is == BOOT_XEN_PV)
		return "a PV domain may not execute privileged instructions";
	if (wish == BOOT_XEN_PV)
		return "this kernel was not started by a PV domain's builder";
	if (is == BOOT_XEN_PVH)
		return "a PVH domain has neither the console nor the timer of a bare machine";
	if (wish == BOOT_XEN_PVH)
		return found->xen_base ? "the loader left no PVH start information"
				       : "no Xen shows itself in CPUID";
	if (wish == BOOT_KVM)
		return "no KVM shows itself in CPUID";
	return NULL; /* natively on KVM: slower, no more */
}

/* A wish that cannot be had is refused with its reason, for the log, and the kernel goes on as
 * it would have without: one that does not start could not say why. */
enum boot_platform platform_choose(const struct platform_found *found, enum pvops_choice wish,
				   const char **out_refusal)
{
	static const enum boot_platform meant[] = {
	    [PVOPS_NATIVE] = BOOT_NATIVE,
	    [PVOPS_KVM] = BOOT_KVM,
	    [PVOPS_XEN_PV] = BOOT_XEN_PV,
	    [PVOPS_XEN_PVH] = BOOT_XEN_PVH,
	};

	*out_refusal = wish == PVOPS_AUTO ? NULL : why_not(found, meant[wish]);
	return wish == PVOPS_AUTO || *out_refusal ? natural(found) : meant[wish];
}
