/* lapic.c: the local APIC's registers, mapped and switched on.
 *
 * Called by boot_native.c once and by whoever is in lapic.h. The xAPIC's memory interface only: it is
 * there on every machine this kernel runs natively on, unless firmware left x2APIC on, which is then
 * switched back. Intel SDM vol. 3, "Advanced programmable interrupt controller".
 */
#include "lapic.h"

#include <amphi/pvops.h>

#include "mm.h"

#define MSR_APIC_BASE 0x1bu
#define BASE_ENABLE   (1ull << 11)
#define BASE_X2APIC   (1ull << 10)
#define BASE_ADDRESS  0x000ffffffffff000ull
#define SVR_ENABLE    0x100u
#define SPURIOUS      0xffu
#define LVT_EXTINT    0x700u
#define LVT_NMI	      0x400u
#define LVT_MASKED    0x10000u

static volatile uint32_t *regs;

bool lapic_present(void)
{
	return regs;
}

uint32_t lapic_read(unsigned reg)
{
	return regs[reg / 4];
}

void lapic_write(unsigned reg, uint32_t value)
{
	regs[reg / 4] = value;
}

static bool has_apic(void)
{
	uint32_t cpu[4] = {1};

	pv_cpuid(cpu);
	return cpu[3] & 1u << 9;
}

void lapic_init(void)
{
	uint64_t base;

	if (!has_apic())
		return;
	base = pv_read_msr(MSR_APIC_BASE);
	/* From x2APIC the way back leads through off. */
	if (base & BASE_X2APIC)
		pv_write_msr(MSR_APIC_BASE, base & ~(BASE_ENABLE | BASE_X2APIC));
	pv_write_msr(MSR_APIC_BASE, (base & ~BASE_X2APIC) | BASE_ENABLE);
	regs = map_io((maddr_t){base & BASE_ADDRESS}, PAGE_SIZE, MM_WRITE | MM_UNCACHED);
	if (!regs)
		return;
	lapic_write(LAPIC_SVR, SVR_ENABLE | SPURIOUS);
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT0, LVT_EXTINT);
	lapic_write(LAPIC_LVT_LINT1, LVT_NMI);
}
