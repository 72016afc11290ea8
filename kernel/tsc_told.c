/* tsc_told.c: reads the TSC's rate from CPUID.
 *
 * Caller: time_native.c. A processor tells by leaves 15h (crystal and ratio) and 16h (its base frequency,
 * which is the TSC's to a few hundred ppm; Intel SDM vol. 2, CPUID), a hypervisor by leaf 40000010h (the
 * timing leaf that VMware began and KVM's monitors show too). The hypervisor's comes first: it
 * may scale the counter.
 */
#include "tsc_told.h"

#define HYPERVISOR    (1u << 31)
#define TIMING_LEAF   0x40000010u
#define HV_FIRST_LEAF 0x40000000u
#define HZ_MIN        100000000ull /* slower or faster than these no processor with a TSC has been */
#define HZ_MAX        20000000000ull

static void ask(platform_cpuid_fn *cpuid, uint32_t leaf, uint32_t *regs)
{
	regs[0] = leaf;
	regs[1] = regs[2] = regs[3] = 0;
	cpuid(regs);
}

static uint64_t by_hypervisor(platform_cpuid_fn *cpuid)
{
	uint32_t regs[4];

	ask(cpuid, 1, regs);
	if (!(regs[2] & HYPERVISOR))
		return 0;
	ask(cpuid, HV_FIRST_LEAF, regs);
	if (regs[0] < TIMING_LEAF || regs[0] > HV_FIRST_LEAF + 0xffff)
		return 0;
	ask(cpuid, TIMING_LEAF, regs);
	return regs[0] * 1000ull;
}

/* ecx: the crystal's Hz; ebx / eax: the TSC's ratio to it. */
static uint64_t by_crystal(platform_cpuid_fn *cpuid)
{
	uint32_t regs[4];

	ask(cpuid, 0x15, regs);
	return regs[0] ? (uint64_t)regs[2] * regs[1] / regs[0] : 0;
}

static uint64_t by_base_frequency(platform_cpuid_fn *cpuid)
{
	uint32_t regs[4];

	ask(cpuid, 0x16, regs);
	return (regs[0] & 0xffff) * 1000000ull;
}

static uint64_t plausible(uint64_t hz)
{
	return hz >= HZ_MIN && hz <= HZ_MAX ? hz : 0;
}

uint64_t tsc_told_hz(platform_cpuid_fn *cpuid)
{
	uint64_t hz = plausible(by_hypervisor(cpuid));
	uint32_t regs[4];

	ask(cpuid, 0, regs);
	if (!hz && regs[0] >= 0x15)
		hz = plausible(by_crystal(cpuid));
	if (!hz && regs[0] >= 0x16)
		hz = plausible(by_base_frequency(cpuid));
	return hz;
}
