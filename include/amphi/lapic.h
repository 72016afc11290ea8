/* lapic.h: the registers of a local APIC, for whoever drives one.
 *
 * Numbers, and one computation: the kernel's lapic.c and time_native.c and the hypervisor's apic.c include
 * this. Registers are named by their offset in the register page of the xAPIC (Intel SDM volume 3, chapter
 * "APIC").
 */
#ifndef AMPHI_LAPIC_H
#define AMPHI_LAPIC_H

#include <amphi/types.h>

#define LAPIC_ID         0x020u
#define LAPIC_TPR        0x080u
#define LAPIC_EOI        0x0b0u
#define LAPIC_SVR        0x0f0u
#define LAPIC_ICR_LOW    0x300u
#define LAPIC_ICR_HIGH   0x310u
#define LAPIC_LVT_TIMER  0x320u
#define LAPIC_LVT_LINT0  0x350u
#define LAPIC_LVT_LINT1  0x360u
#define LAPIC_LVT_ERROR  0x370u
#define LAPIC_TIMER_INIT 0x380u
#define LAPIC_TIMER_NOW  0x390u
#define LAPIC_TIMER_DIV  0x3e0u

#define LAPIC_SVR_ENABLE    0x100u
#define LAPIC_LVT_NMI       0x400u
#define LAPIC_LVT_EXTINT    0x700u
#define LAPIC_LVT_MASKED    0x10000u
#define LAPIC_LVT_DEADLINE  0x40000u
#define LAPIC_DIVIDE_BY_1   0xbu
#define LAPIC_DIVIDE_BY_128 0xau

/* What the command register sends to the APIC in its high word; a vector alone is an interrupt. */
#define LAPIC_ICR_NMI     0x4400u
#define LAPIC_ICR_INIT    0x4500u
#define LAPIC_ICR_STARTUP 0x4600u /* | page where it begins in real mode */
#define LAPIC_ICR_FIXED   0x4000u
#define LAPIC_ICR_BUSY    0x1000u

/* MSR 0x1b */
#define LAPIC_BASE_MSR     0x1bu
#define LAPIC_BASE_X2APIC  0x400ull /* left by way of off */
#define LAPIC_BASE_ENABLE  0x800ull
#define LAPIC_BASE_ADDRESS 0x000ffffffffff000ull

/* What a one-shot of the timer takes: the value for LAPIC_TIMER_DIV and the one for LAPIC_TIMER_INIT. */
struct lapic_count {
	uint32_t divide, count;
};
#define LAPIC_NEAR_NS 500000000ull
#define LAPIC_FAR_NS  1000000000000ull

/* The count of ns at hz (of the undivided timer, at most 8 GHz): never 0, and never short but for what is
 * further than 32 bits or LAPIC_FAR_NS reach, which is gone to in steps. Far moments are counted coarsely: an
 * idle machine should not wake because a register is 32 bits wide. */
static inline struct lapic_count lapic_count_for(uint64_t ns, uint64_t hz)
{
	uint64_t khz = hz / 1000;

	if (ns <= LAPIC_NEAR_NS)
		return (struct lapic_count){LAPIC_DIVIDE_BY_1, (uint32_t)(ns * khz / 1000000 + 1)};
	ns = MIN(ns, LAPIC_FAR_NS);
	return (struct lapic_count){LAPIC_DIVIDE_BY_128,
				    (uint32_t)MIN(ns * khz / 128000000 + 1, UINT32_MAX)};
}

#endif
