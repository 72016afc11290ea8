/* kvm_guest.h: what KVM offers, put to use on each CPU.
 *
 * Callers: time_kvm.c at start (kvm_guest_init), smp.c's way up and down of a CPU (kvm_cpu_online,
 * kvm_cpu_offline). What is offered is decoded by kvm_para.c; here registers are written, hypercalls made, and
 * pv operations provided: irq.eoi, lock.wait, lock.kick, lock.vcpu_is_preempted, mmu.flush_tlb_multi,
 * time.steal_clock. What is not offered stays native. Nothing happens where the platform is not KVM.
 */
#ifndef KERNEL_KVM_GUEST_H
#define KERNEL_KVM_GUEST_H

#include "kvm_para.h"

/* Decodes, and provides the operations. Boot CPU, interrupts off, the local APIC on; once. */
void kvm_guest_init(void);

/* What was decoded; all false before. */
extern struct kvm_para kvm_para;

/* Tells KVM where this CPU's shared words are / takes them back. On that CPU, interrupts off. */
void kvm_cpu_online(void);
void kvm_cpu_offline(void);

/* One interrupt to that APIC, by the hypercall where there is one, else by the APIC. */
void kvm_send_ipi(uint32_t apic_id, unsigned vector);

#endif
