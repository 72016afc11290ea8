/* lapic.h: the local APIC of the CPU, natively (kernel/lapic.c).
 *
 * Callers: trap.c (end of interrupt), the kernel's one-shot timer, machine.c (MSI addresses). Not on
 * PV, where there is none to be seen: lapic_present() is false and nothing else may be called.
 * Registers are named by their offset in the register page (Intel SDM vol. 3, chapter "APIC").
 */
#ifndef KERNEL_LAPIC_H
#define KERNEL_LAPIC_H

#include <amphi/types.h>

#define LAPIC_ID       0x020u
#define LAPIC_TPR      0x080u
#define LAPIC_EOI      0x0b0u
#define LAPIC_SVR      0x0f0u
#define LAPIC_LVT_TIMER 0x320u
#define LAPIC_LVT_LINT0 0x350u
#define LAPIC_LVT_LINT1 0x360u
#define LAPIC_TIMER_INIT 0x380u
#define LAPIC_TIMER_NOW  0x390u
#define LAPIC_TIMER_DIV  0x3e0u

bool lapic_present(void);
uint32_t lapic_read(unsigned reg);
void lapic_write(unsigned reg, uint32_t value);

/* Boot, after mm_init_native(): maps, enables, and lets the old controller in through LINT0. */
void lapic_init(void);

#endif
