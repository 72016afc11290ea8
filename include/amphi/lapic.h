/* lapic.h: the registers of a local APIC, for whoever drives one.
 *
 * Numbers only: the kernel's lapic.c and the hypervisor's apic.c include this. Registers are named
 * by their offset in the register page of the xAPIC (Intel SDM volume 3, chapter "APIC").
 */
#ifndef AMPHI_LAPIC_H
#define AMPHI_LAPIC_H

#define LAPIC_ID         0x020u
#define LAPIC_TPR        0x080u
#define LAPIC_EOI        0x0b0u
#define LAPIC_SVR        0x0f0u
#define LAPIC_LVT_TIMER  0x320u
#define LAPIC_LVT_LINT0  0x350u
#define LAPIC_LVT_LINT1  0x360u
#define LAPIC_LVT_ERROR  0x370u
#define LAPIC_TIMER_INIT 0x380u
#define LAPIC_TIMER_NOW  0x390u
#define LAPIC_TIMER_DIV  0x3e0u

#define LAPIC_SVR_ENABLE   0x100u
#define LAPIC_LVT_NMI      0x400u
#define LAPIC_LVT_EXTINT   0x700u
#define LAPIC_LVT_MASKED   0x10000u
#define LAPIC_LVT_DEADLINE 0x40000u
#define LAPIC_DIVIDE_BY_1  0xbu

/* MSR 0x1b */
#define LAPIC_BASE_MSR     0x1bu
#define LAPIC_BASE_X2APIC  0x400ull /* left by way of off */
#define LAPIC_BASE_ENABLE  0x800ull
#define LAPIC_BASE_ADDRESS 0x000ffffffffff000ull

#endif
