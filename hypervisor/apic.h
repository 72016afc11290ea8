/* apic.h: this CPU's local APIC and the board's I/O APICs.
 *
 * Private; whoever has interrupts, timers or other CPUs calls (irq.c, pirq.c, msi.c, timer.c, smp*.c, ...). Vectors are ours to choose (irq.h). xAPIC
 * registers only; a GSI is the number that ACPI gives an I/O APIC's input.
 */
#ifndef HV_APIC_H
#define HV_APIC_H

#include <amphi/types.h>

#define APIC_VIRT_MSI_ADDRESS 0xfee00000u

/* Turns the legacy controllers off and this CPU's APIC on; the latter alone, for the other CPUs. */
void apic_init(void);
void apic_start(void);
/* An interrupt for the CPU whose APIC has that id; or what starts it: INIT, and the page at which it
 * begins in real mode (0: INIT). apic_stop_others ends them all. */
void apic_send(uint32_t id, unsigned vector);
void apic_send_start(uint32_t id, unsigned page);
void apic_stop_others(void);
uint32_t apic_id(void);
void apic_eoi(void);

/* One interrupt (VECTOR_TIMER) at about due_ns; ~0: none. */
void apic_timer_set(uint64_t due_ns);
/* Learns the timer's rate: begin, then end when `ticks` of a clock of `hz` have gone by. */
void apic_timer_measure_begin(void);
void apic_timer_measure_end(uint32_t ticks, uint64_t hz);

/* Finds the I/O APICs and masks every input. */
void ioapic_init(void);
/* Whether there is such an input. */
bool ioapic_has_gsi(uint32_t gsi);
/* Trigger and polarity of an input; those of ISA interrupts are known from ACPI until set. */
void ioapic_set_trigger(uint32_t gsi, bool level, bool active_low);
/* Sends gsi to vector on this CPU; masked until ioapic_mask(gsi, false). Through the unit that it is behind, where that looks at interrupts:
 * 0, or what iommu_ioapic_map says. */
int ioapic_route(uint32_t gsi, unsigned vector);
/* Masked, and no vector's. -XEN_EIO: it may still come. */
int ioapic_unroute(uint32_t gsi);
/* Units look at interrupts from now on: what is routed is routed through them. Their ids, for iommu_interrupts_start; returns how many. */
void ioapic_reroute(void);
unsigned ioapic_ids(uint8_t *out, unsigned max);
void ioapic_mask(uint32_t gsi, bool masked);
bool ioapic_is_level(uint32_t gsi);
/* Whether a machine frame is one of the APICs own registers. */
bool apic_owns_frame(mfn_t mfn);
bool ioapic_owns_frame(mfn_t mfn);

#endif
