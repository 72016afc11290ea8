/* cpuid.c: the CPU as a PV guest may know it.
 *
 * Caller: emulate.c, for the forced form ("xen" prefix) and where CPUID faults. Features are an
 * allow list: what a ring-3 kernel with our page tables and FXSAVE state can use; anything not
 * known here reads as absent. Plain CPUID in ring 3 still tells the hardware's truth, which is why
 * CR4 is kept without OSXSAVE: what must not be used does not work.
 */
#include <amphi/xen.h>
#include <xen/arch-x86/cpuid.h>

#include "cpu.h"
#include "domain.h"
#include "emulate.h"
#include "mm_private.h"

#define FIRST_EXTENDED 0x80000000u
#define XEN_VERSION    (4u << 16 | 17u)

/* Leaves first to last, any subleaf: each register is AND-ed with what the CPU has. */
struct view {
	uint32_t first, last;
	uint32_t eax, ebx, ecx, edx;
};

#define ALL ~0u

/* Leaf 1, edx: FPU DE TSC MSR PAE MCE CX8 APIC SEP MCA CMOV PAT CLFLUSH MMX FXSR SSE SSE2 HT; no VME
 * PSE PGE MTRR. MCE and MCA because Linux complains without them; see msr.c. ecx: SSE3 PCLMUL SSSE3 CX16 SSE4 MOVBE POPCNT AES RDRAND HYPERVISOR. Leaf 7, ebx:
 * BMI1 is VEX-coded, so not; FSGSBASE ERMS RDSEED ADX CLFLUSHOPT CLWB SHA. Leaf 80000001, edx: SYSCALL NX LM
 * and the copies of leaf 1 that AMD has; ecx: LAHF ABM SSE4A PREFETCHW. */
static const struct view views[] = {
    {0, 0, ALL, ALL, ALL, ALL},
    {1, 1, ALL, ALL, 0x42d82203u, 0x1789cbf5u},
    {2, 2, ALL, ALL, ALL, ALL},
    {4, 4, ALL, ALL, ALL, ALL},
    {7, 7, 0, 0x218c0201u, 0, 0},
    {0x15, 0x16, ALL, ALL, ALL, ALL},
    {0x80000000, 0x80000000, ALL, ALL, ALL, ALL},
    {0x80000001, 0x80000001, ALL, ALL, 0x00000161u, 0x21d1cbf5u},
    {0x80000002, 0x80000006, ALL, ALL, ALL, ALL},
    {0x80000007, 0x80000007, 0, 0, 0, 0x100u},
    {0x80000008, 0x80000008, 0xffffu, 0, 0, 0},
};

/* How wide machine addresses are, of RAM: Linux takes grant tables of version 2 where frame numbers
 * would not fit into those of version 1. */
static uint32_t address_bits(void)
{
	return 64 - (uint32_t)__builtin_clzl(frames_highest()) + PAGE_SHIFT;
}

/* The TSC is the host's, reliable (2) and never emulated (2). */
static struct cpuid_regs xen_leaf(const struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
	const volatile struct vcpu_time_info *t = &v->events.info->time;
	const struct cpuid_regs leaves[] = {
	    {XEN_CPUID_FIRST_LEAF + XEN_CPUID_MAX_NUM_LEAVES, XEN_CPUID_SIGNATURE_EBX,
	     XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX},
	    {XEN_VERSION, 0, 0, 0},
	    {1, 0x40000000, XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD, 0},
	    {0, 0, 0, 0}, /* time: below */
	    {0, 0, 0, 0},
	    {0, address_bits(), 0, 0},
	};
	const struct cpuid_regs times[] = {
	    {2, 2, time_tsc_khz(), 0},
	    {0, 0, t->tsc_to_system_mul, (uint32_t)t->tsc_shift},
	    {time_tsc_khz(), 0, 0, 0},
	};

	leaf -= XEN_CPUID_FIRST_LEAF;
	if (leaf == 3 && subleaf < ARRAY_SIZE(times))
		return times[subleaf];
	return leaf < ARRAY_SIZE(leaves) ? leaves[leaf] : (struct cpuid_regs){0};
}

void cpuid_for_guest(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	struct cpuid_regs hw;

	*out = (struct cpuid_regs){0};
	if (leaf >> 8 == XEN_CPUID_FIRST_LEAF >> 8) {
		*out = xen_leaf(v, leaf, subleaf);
		return;
	}
	cpuid(leaf & FIRST_EXTENDED, 0, &hw);
	if (leaf > hw.eax)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(views); i++) {
		const struct view *w = &views[i];

		if (leaf < w->first || leaf > w->last || (leaf == 7 && subleaf != 0))
			continue;
		cpuid(leaf, subleaf, &hw);
		*out = (struct cpuid_regs){hw.eax & w->eax, hw.ebx & w->ebx, hw.ecx & w->ecx,
					   hw.edx & w->edx};
	}
	if (leaf == 1)
		out->ecx |= 1u << 31;
}
