/* lapic.h: the local APIC of the CPU, natively (kernel/lapic.c).
 *
 * Callers: irq.c (end of interrupt), the kernel's one-shot timer, machine.c (MSI addresses). Not on
 * PV, where there is none to be seen: lapic_present() is false and nothing else may be called.
 * Registers are those of <amphi/lapic.h>.
 */
#ifndef KERNEL_LAPIC_H
#define KERNEL_LAPIC_H

#include <amphi/lapic.h>
#include <amphi/types.h>

bool lapic_present(void);
uint32_t lapic_read(unsigned reg);
void lapic_write(unsigned reg, uint32_t value);

/* Boot, after mm_init_native(): maps, enables, and lets the old controller in through LINT0. */
void lapic_init(void);

/* The same for a further CPU, on it; the old controller stays the boot CPU's. */
void lapic_init_cpu(void);

/* Sends a LAPIC_ICR_ command to the APIC with that id. Any context. */
void lapic_send(uint32_t id, uint32_t command);

#endif
