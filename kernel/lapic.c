/* lapic.c: the local APIC's registers, mapped and switched on.
 *
 * Called by boot_native.c once and by whoever is in lapic.h. The xAPIC's memory interface only: it is
 * there on every machine this kernel runs natively on, unless firmware left x2APIC on, which is then
 * switched back. Intel SDM vol. 3, "Advanced programmable interrupt controller".
 */
#include "lapic.h"

#include <amphi/pvops.h>

#include "mm.h"

#define SPURIOUS 0xffu

static volatile uint32_t *regs;

bool lapic_present(void)
{
	return regs;
}

/* Registers are 32 bits wide and 16 bytes apart; other widths are undefined (SDM, "APIC Register
 * Address Space"), so all access is through words. */
uint32_t lapic_read(unsigned reg)
{
	return regs[reg / 4];
}

void lapic_write(unsigned reg, uint32_t value)
{
	regs[reg / 4] = value;
}

/* irq.eoi on a processor whose APIC is ours. */
static void lapic_eoi(void)
{
	lapic_write(LAPIC_EOI, 0);
}

/* Leaf 1, edx: also 0 when firmware has switched the APIC off for good. */
static bool has_apic(void)
{
	uint32_t cpu[4] = {1};

	pv_cpuid(cpu);
	return cpu[3] & 1u << 9;
}

/* From x2APIC the way back leads through off. Returns where the registers are. */
static uint64_t switch_on(void)
{
	uint64_t base = pv_read_msr(LAPIC_BASE_MSR);

	if (base & LAPIC_BASE_X2APIC)
		pv_write_msr(LAPIC_BASE_MSR, base & ~(LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC));
	pv_write_msr(LAPIC_BASE_MSR, (base & ~LAPIC_BASE_X2APIC) | LAPIC_BASE_ENABLE);
	return base & LAPIC_BASE_ADDRESS;
}

/* Enabled first: while it is disabled by software the APIC keeps every LVT entry masked and ignores what
 * is written to the mask bits. */
static void set_up(uint32_t lint0)
{
	lapic_write(LAPIC_SVR, LAPIC_SVR_ENABLE | SPURIOUS);
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT0, lint0);
	lapic_write(LAPIC_LVT_LINT1, LAPIC_LVT_NMI);
}

/* LINT0 stays the way in for the two 8259s (virtual wire mode), because irq_legacy_bind() still counts on
 * them. */
void lapic_init(void)
{
	if (!has_apic())
		return;
	regs = map_io((maddr_t){switch_on()}, PAGE_SIZE, MM_WRITE | MM_UNCACHED);
	if (!regs)
		return;
	(void)pvops_provide(PV_irq_eoi, PV_CALL, (void *)lapic_eoi);
	set_up(LAPIC_LVT_EXTINT);
}

/* Each CPU sees its own at the same address. */
void lapic_init_cpu(void)
{
	(void)switch_on();
	set_up(LAPIC_LVT_MASKED);
}

/* Two registers, so no handler may send between the writes; the second write sends. */
void lapic_send(uint32_t id, uint32_t command)
{
	uint64_t flags = irq_save();

	while (lapic_read(LAPIC_ICR_LOW) & LAPIC_ICR_BUSY)
		__asm__ volatile("pause");
	lapic_write(LAPIC_ICR_HIGH, id << 24);
	lapic_write(LAPIC_ICR_LOW, command);
	irq_restore(flags);
}
