/* kvm_para.h: what KVM offers a guest beyond a machine, as bits, registers and bytes shared with it.
 *
 * Callers: time_kvm.c now; the code for several processors (IPI, TLB, unhalt) when it comes; host tests.
 * Pure: no register is touched here. The ABI is that of Linux's Documentation/virt/kvm/x86 (cpuid.rst,
 * msr.rst, hypercalls.rst) and asm/kvm_para.h. Everything in shared memory is KVM's to change at any time:
 * the readers take part of one version only.
 */
#ifndef KERNEL_KVM_PARA_H
#define KERNEL_KVM_PARA_H

#include <amphi/types.h>

/* Model-specific registers: each takes the physical address of what is shared, and bit 0: on. */
#define KVM_MSR_WALL_OLD  0x11u /* what is shared here is written once, by the write; no bit 0 */
#define KVM_MSR_WALL      0x4b564d00u
#define KVM_MSR_CLOCK_OLD 0x12u
#define KVM_MSR_CLOCK     0x4b564d01u
#define KVM_MSR_STEAL     0x4b564d03u
#define KVM_MSR_EOI       0x4b564d04u
#define KVM_MSR_ON        1ull

/* Hypercalls, by the instruction vmcall or vmmcall. */
#define KVM_CALL_KICK  5u  /* wakes a halted processor: flags 0, its APIC id */
#define KVM_CALL_IPI   10u /* bitmap of 128 in two words, the APIC id of bit 0, the ICR's low word */
#define KVM_CALL_YIELD 11u

/* A row of kvm_parts_name(). What depends on another part is not there without it. */
enum kvm_part {
	KVM_CLOCK,
	KVM_STEAL,
	KVM_EOI,
	KVM_UNHALT,
	KVM_TLB_FLUSH,
	KVM_IPI,
	KVM_YIELD,
	KVM_PARTS
};

struct kvm_para {
	bool has[KVM_PARTS];
	uint32_t clock_msr; /* 0: no clock */
	bool clock_stable;  /* the processors' clocks agree */
};

/* features, hints: eax and edx of the leaf after the first. */
void kvm_decode(uint32_t features, uint32_t hints, struct kvm_para *out);
const char *kvm_part_name(enum kvm_part part);

/* ---- time taken by others, and what is asked of a processor that does not run --------- */

#define KVM_PREEMPTED 1u
#define KVM_FLUSH     2u

struct kvm_steal {
	uint64_t steal_ns;
	uint32_t version; /* odd while KVM writes */
	uint32_t flags;
	uint8_t preempted; /* KVM_PREEMPTED, KVM_FLUSH */
	uint8_t pad[47];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct kvm_steal) == 64 && offsetof(struct kvm_steal, preempted) == 16,
	       "msr.rst");

/* Bounded: when KVM never stops writing, what was read last; it is a statistic. */
uint64_t kvm_steal_ns(const volatile struct kvm_steal *shared);

static inline bool kvm_is_preempted(const volatile struct kvm_steal *shared)
{
	return shared->preempted & KVM_PREEMPTED;
}

/* Leaves a flush to KVM, which does it before that processor runs again. False: the processor runs, and
 * must be told by an interrupt. */
bool kvm_flush_later(struct kvm_steal *of_other);

/* ---- end of interrupt ------------------------------------------------------------------- */

/* KVM sets bit 0 when nothing but the bit is wanted. True: it was set, is clear now, and the APIC's
 * register need not be written. */
bool kvm_eoi_taken(uint32_t *shared);

/* ---- interrupts to many ------------------------------------------------------------------ */

#define KVM_IPI_SPAN 128u

/* One KVM_CALL_IPI's worth of APIC ids; begins as zeros. */
struct kvm_ipi_set {
	uint64_t bits[2];
	uint32_t first; /* the id of bit 0 */
	unsigned n;
};

/* False: the id does not fit with those that are there; send, and begin anew. */
bool kvm_ipi_add(struct kvm_ipi_set *set, uint32_t apic_id);

#endif
