/* kvm_guest.c: shared words of each CPU, and the operations that use them.
 *
 * Callers: see kvm_guest.h. Calls kvm_para.c for what bits mean and lapic.c for what KVM does not do. The
 * order matters twice. KVM looks at a word only after its register was written, so an operation may use the
 * word before: it reads as "nothing here". And a CPU that stops takes its words back first, because KVM
 * would go on writing there.
 */
#include "kvm_guest.h"

#include <amphi/fixup.h>
#include <amphi/percpu.h>
#include <amphi/pvops.h>

#include "boot.h"
#include "console.h"
#include "lapic.h"
#include "mm.h"
#include "smp.h"

struct kvm_para kvm_para;

/* KVM writes here; none crosses a page, and none shares a cache line with another CPU's. */
static struct kvm_cpu {
	struct kvm_steal steal;
	uint32_t eoi;
} __attribute__((aligned(64))) shared[CPUS_MAX];

static bool by_vmmcall;

#define CALL_POLL 1u /* KVM_HC_VAPIC_POLL_IRQ: does nothing, and answers 0 */

#define KVM_CALL(insn)                                                                             \
	__asm__ volatile("1: " insn "\n movb $1, %1\n 2:\n" TRAP_FIXUP("1b", "2b")                 \
			 : "=a"(result), "+&r"(ok)                                                 \
			 : "a"((uint64_t)nr), "b"(a), "c"(b), "d"(c), "S"(d)                       \
			 : "memory")

/* KVM understands both instructions, but replaces the one that is not the processor's in our text, which is
 * read-only: that is a fault, and so is the right one where KVM emulates instructions. False: not called. */
static bool kvm_call(unsigned nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	uint64_t result;
	bool ok = false;

	if (by_vmmcall) {
		KVM_CALL("vmmcall");
	} else {
		KVM_CALL("vmcall");
	}
	(void)result;
	return ok;
}

/* "AuthenticAMD" and "HygonGenuine" have vmmcall; everybody else vmcall. */
static bool has_vmmcall(void)
{
	uint32_t regs[4] = {0};

	pv_cpuid(regs);
	return (regs[1] == 0x68747541 && regs[3] == 0x69746e65) ||
	       (regs[1] == 0x6f677948 && regs[3] == 0x6e65476e);
}

/* ---- operations --------------------------------------------------------------------------- */

static void kvm_eoi(void)
{
	if (!kvm_eoi_taken(&shared[this_cpu()->cpu].eoi))
		lapic_write(LAPIC_EOI, 0);
}

/* A statistic; reads memory only. */
static uint64_t kvm_steal_clock(void)
{
	return kvm_steal_ns(&shared[this_cpu()->cpu].steal);
}

/* A kick that comes before the halt is kept by KVM and ends it at once (hypercalls.rst, KVM_HC_KICK_CPU), so
 * the byte need not be looked at again. With interrupts on, one of them ends the wait too, and its handler may
 * wait for a lock of its own: it takes that kick, or leaves it to us; a kick lost so is why they are turned off
 * before the look. */
static void kvm_wait(const uint8_t *byte, uint8_t value)
{
	bool on = irqs_enabled();
	uint64_t flags = irq_save();

	if (__atomic_load_n(byte, __ATOMIC_ACQUIRE) == value) {
		if (on)
			pv_safe_halt();
		else
			pv_halt();
	}
	irq_restore(flags);
}

static void kvm_kick(unsigned cpu)
{
	(void)kvm_call(KVM_CALL_KICK, 0, smp_percpu(cpu)->id, 0, 0);
}

static bool kvm_vcpu_is_preempted(unsigned cpu)
{
	return kvm_is_preempted(&shared[cpu].steal);
}

/* Those that do not run at the moment are left to KVM, which flushes before they do. */
static uint64_t kvm_flush_tlb_multi(uint64_t cpus)
{
	uint64_t done = 0;

	for (uint64_t left = cpus; left; left &= left - 1) {
		unsigned cpu = (unsigned)__builtin_ctzll(left);

		if (kvm_flush_later(&shared[cpu].steal))
			done |= 1ull << cpu;
	}
	return done;
}

void kvm_send_ipi(uint32_t apic_id, unsigned vector)
{
	struct kvm_ipi_set set = {0};

	if (kvm_para.has[KVM_IPI] && kvm_ipi_add(&set, apic_id))
		(void)kvm_call(KVM_CALL_IPI, set.bits[0], set.bits[1], set.first, vector);
	else
		lapic_send(apic_id, LAPIC_ICR_FIXED | vector);
}

/* ---- bringing up ----------------------------------------------------------------------------- */

/* The area begins as zeros, because KVM adds to what it finds there. */
void kvm_cpu_online(void)
{
	struct kvm_cpu *own = &shared[this_cpu()->cpu];

	*own = (struct kvm_cpu){0};
	if (kvm_para.has[KVM_STEAL])
		pv_write_msr(KVM_MSR_STEAL, virt_to_maddr(&own->steal).v | KVM_MSR_ON);
	if (kvm_para.has[KVM_EOI])
		pv_write_msr(KVM_MSR_EOI, virt_to_maddr(&own->eoi).v | KVM_MSR_ON);
}

void kvm_cpu_offline(void)
{
	if (kvm_para.has[KVM_EOI])
		pv_write_msr(KVM_MSR_EOI, 0);
	if (kvm_para.has[KVM_STEAL])
		pv_write_msr(KVM_MSR_STEAL, 0);
}

static void provide(enum kvm_part part, enum pv_op op, void *fn)
{
	if (kvm_para.has[part])
		(void)pvops_provide(op, PV_CALL, fn);
}

void kvm_guest_init(void)
{
	if (boot.platform != BOOT_KVM)
		return;
	kvm_decode(boot.kvm_features, boot.kvm_hints, &kvm_para);
	for (enum kvm_part part = 0; part < KVM_PARTS; part++)
		if (kvm_para.has[part])
			klog(LOG_DEBUG, "kvm offers %s", kvm_part_name(part));
	by_vmmcall = has_vmmcall();
	if (!kvm_call(CALL_POLL, 0, 0, 0, 0)) {
		klog(LOG_DEBUG,
		     "kvm cannot be called from read-only text: unhalt and ipi are not used");
		kvm_para.has[KVM_UNHALT] = kvm_para.has[KVM_IPI] = false;
	}
	kvm_cpu_online();
	provide(KVM_STEAL, PV_time_steal_clock, (void *)kvm_steal_clock);
	provide(KVM_STEAL, PV_lock_vcpu_is_preempted, (void *)kvm_vcpu_is_preempted);
	provide(KVM_EOI, PV_irq_eoi, (void *)kvm_eoi);
	if (kvm_para.has[KVM_UNHALT])
		(void)pvops_provide_lock_wait(PV_CALL, kvm_wait, kvm_kick);
	provide(KVM_TLB_FLUSH, PV_mmu_flush_tlb_multi, (void *)kvm_flush_tlb_multi);
}
