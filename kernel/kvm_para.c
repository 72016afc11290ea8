/* kvm_para.c: decodes what KVM offers, and reads and writes the few words shared with it.
 *
 * Pure, see kvm_para.h for callers and the ABI. Not here: registers and hypercalls (time_kvm.c), and how KVM
 * is found (platform.c).
 */
#include <amphi/peer.h>

#include "kvm_para.h"

#define REALTIME                                                                                   \
	(1u << 0) /* hint: processors are not taken away, so spinning is better than sleeping */
#define CLOCK_OLD    0u
#define CLOCK_NEW    3u
#define CLOCK_STABLE 24u
/* KVM writes in a moment; a version that is odd for longer is a broken peer, and not worth
 * hanging for. */
#define READS_MAX 64u

static const struct {
	const char *name;
	uint8_t bit;
	bool not_realtime; /* pointless, or harmful, where processors are never taken away */
} parts[KVM_PARTS] = {
    [KVM_CLOCK] = {"clock", CLOCK_NEW, false},
    [KVM_STEAL] = {"steal-time", 5, false},
    [KVM_EOI] = {"eoi", 6, false},
    [KVM_UNHALT] = {"unhalt", 7, true},
    [KVM_TLB_FLUSH] = {"tlb-flush", 9, true},
    [KVM_IPI] = {"ipi", 11, false},
    [KVM_YIELD] = {"yield", 13, true},
};

/* Bits of cpuid.rst. */
static bool is_set(uint32_t word, unsigned bit)
{
	return word >> bit & 1;
}

/* What is offered is not what is good: some parts only pay where a processor may be taken away,
 * and a part that needs another's shared memory is not there without it. The old clock register
 * serves where the new one is missing; has[] says only that there is one. */
void kvm_decode(uint32_t features, uint32_t hints, struct kvm_para *out)
{
	*out = (struct kvm_para){0};
	for (unsigned i = 0; i < KVM_PARTS; i++)
		out->has[i] =
		    is_set(features, parts[i].bit) && !(parts[i].not_realtime && hints & REALTIME);
	/* The flag of a flush is in the steal area. */
	if (!out->has[KVM_STEAL])
		out->has[KVM_TLB_FLUSH] = false;
	if (out->has[KVM_CLOCK])
		out->clock_msr = KVM_MSR_CLOCK;
	else if (is_set(features, CLOCK_OLD))
		out->clock_msr = KVM_MSR_CLOCK_OLD;
	out->has[KVM_CLOCK] = out->clock_msr;
	out->clock_stable = out->clock_msr && is_set(features, CLOCK_STABLE);
}

const char *kvm_part_name(enum kvm_part part)
{
	return parts[part].name;
}

/* A sequence lock whose writer is KVM: the same even version before and after, or the value is
 * of two times. The barriers keep the processor and the compiler from reading around the
 * versions. */
uint64_t kvm_steal_ns(const volatile struct kvm_steal *shared)
{
	uint32_t version;
	uint64_t ns;
	unsigned reads = 0;

	do {
		version = peer_fetch32(&shared->version);
		peer_rmb();
		peer_copy_in(&ns, &shared->steal_ns, sizeof(ns));
		peer_rmb();
	} while ((version & 1 || version != peer_fetch32(&shared->version)) && ++reads < READS_MAX);
	return ns;
}

/* KVM takes the byte with an exchange before the processor runs: one of the two is first, and when KVM is,
 * the flag is not set on a processor that no longer looks. */
bool kvm_flush_later(struct kvm_steal *of_other)
{
	uint8_t was = __atomic_load_n(&of_other->preempted, __ATOMIC_RELAXED);

	return was & KVM_PREEMPTED &&
	       __atomic_compare_exchange_n(&of_other->preempted, &was, (uint8_t)(was | KVM_FLUSH),
					   false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* One instruction, as KVM wants: it looks at the bit on this processor's exits only, and there is none in
 * the middle of btr. */
bool kvm_eoi_taken(uint32_t *shared)
{
	bool was;

	__asm__ volatile("btrl $0, %0; setc %1" : "+m"(*shared), "=q"(was)::"cc", "memory");
	return was;
}

/* The window may still move down while nothing in it is pushed out above. */
static bool move_down(struct kvm_ipi_set *set, uint32_t first)
{
	uint32_t by = set->first - first;
	unsigned __int128 all = (unsigned __int128)set->bits[1] << 64 | set->bits[0];

	if (by >= KVM_IPI_SPAN || (all << by) >> by != all)
		return false;
	all <<= by;
	set->bits[0] = (uint64_t)all;
	set->bits[1] = (uint64_t)(all >> 64);
	set->first = first;
	return true;
}

/* The hypercall takes 128 bits from a lowest id on. false: this one does not fit, and the caller
 * sends what it has and begins a new set. */
bool kvm_ipi_add(struct kvm_ipi_set *set, uint32_t apic_id)
{
	uint32_t bit;

	if (!set->n)
		set->first = apic_id;
	if (apic_id < set->first && !move_down(set, apic_id))
		return false;
	bit = apic_id - set->first;
	if (bit >= KVM_IPI_SPAN)
		return false;
	set->bits[bit / 64] |= 1ull << bit % 64;
	set->n++;
	return true;
}
