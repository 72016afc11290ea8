/* mm_hw.c: the CPUs' side of memory management, one instruction a function, and shootdown.
 *
 * Keeps the clock by which a frame knows whether anybody may still reach it by a translation that
 * is gone from the tables: a use that ends is stamped with the clock, which goes on; a CPU notes
 * the clock before each full flush. So a CPU has flushed since if and only if its note is later
 * than the stamp, and nothing shared is written by a flush. Host tests link a fake in this file's
 * place. Callers: the other files of mm. Calls cpu.c for the GDT register, smp.c.
 */
#include "cpu.h"
#include "domain.h"
#include "mm_private.h"
#include "percpu.h"
#include "smp.h"

/* Starts above the stamp of a fresh frame, 0. */
static uint32_t tlb_clock = 1;

/* Without PCIDs a load of CR3 drops every translation that is not global (Intel SDM 3A, 4.10.4.1),
 * so it counts as a flush whatever it was made for. The clock is read first: a use that ends while
 * the load is under way may be missed by it. */
void hw_set_root(mfn_t l4)
{
	uint32_t now = __atomic_load_n(&tlb_clock, __ATOMIC_ACQUIRE);

	__asm__ volatile("movq %0, %%cr3" ::"r"(l4.v << PAGE_SHIFT) : "memory");
	this_cpu()->flushed = now;
}

/* No guest's entry is global, so a reload of CR3 is a full flush of what is a guest's. */
void hw_flush(void)
{
	uint64_t cr3;

	__asm__ volatile("movq %%cr3, %0" : "=r"(cr3));
	hw_set_root((mfn_t){cr3 >> PAGE_SHIFT});
}

static void flush_cpus(uint32_t mask)
{
	if (mask >> this_cpu()->id & 1)
		hw_flush();
	if (mask & ~(1u << this_cpu()->id))
		cpus_ask(mask, ASK_FLUSH);
}

/* When the clock comes round, old stamps are above every note, which costs a flush too many; a note
 * from before must not be above a new stamp. */
uint32_t tlb_stamp(void)
{
	uint32_t stamp = tlb_clock;

	__atomic_store_n(&tlb_clock, stamp + 1, __ATOMIC_RELEASE);
	if (tlb_clock == 0) {
		__atomic_store_n(&tlb_clock, 1, __ATOMIC_RELEASE);
		flush_cpus(cpus_online);
	}
	return stamp;
}

/* A CPU that has no vCPU loaded is in our own tables, and has been since it flushed for that. */
void tlb_flush_stale(uint32_t stamp)
{
	uint32_t mask = 0;

	for (uint32_t m = cpus_online; m != 0; m &= m - 1) {
		const struct percpu *cpu = &hv_percpu[__builtin_ctz(m)];

		if (cpu->loaded != NULL && cpu->flushed <= stamp)
			mask |= m & -m;
	}
	flush_cpus(mask);
}

/* A vCPU that is loaded nowhere begins with a flush. */
static uint32_t cpus_of(const struct domain *d, uint64_t vcpus)
{
	uint32_t mask = 0;

	for (uint32_t m = cpus_online; m != 0; m &= m - 1) {
		const struct vcpu *v = hv_percpu[__builtin_ctz(m)].loaded;

		if (v != NULL && v->domain == d && (vcpus >> v->id & 1))
			mask |= m & -m;
	}
	return mask;
}

void tlb_flush_vcpus(const struct domain *d, uint64_t vcpus)
{
	flush_cpus(cpus_of(d, vcpus));
}

/* Does not count as a flush: one address gone says nothing of a frame mapped elsewhere. What is one
 * address here is everything elsewhere, where it is rare. */
void tlb_invlpg_vcpus(const struct domain *d, uint64_t vcpus, uint64_t va)
{
	uint32_t mask = cpus_of(d, vcpus), self = 1u << this_cpu()->id;

	if (mask & self)
		__asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
	flush_cpus(mask & ~self);
}

void hw_flush_cache(void)
{
	__asm__ volatile("wbinvd" ::: "memory");
}

void hw_load_gdt(uint64_t base)
{
	cpu_load_gdt(base);
}

/* The descriptor lies in the CPU's own page; a 64-bit LDT descriptor takes two entries (Intel SDM
 * 3A, 7.2.3 and 3.5.2). Type 2, present, DPL 0. */
void hw_load_ldt(uint64_t base, uint32_t entries)
{
	uint64_t *desc = (uint64_t *)this_cpu()->gdt + ((HV_LDT >> 3) - HV_GDT_FIRST);
	uint64_t limit = (uint64_t)entries * 8 - 1;
	uint16_t selector = entries ? HV_LDT : 0;

	if (entries) {
		desc[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | 0x82ull << 40 |
			  (base >> 24 & 0xff) << 56;
		desc[1] = base >> 32;
	}
	__asm__ volatile("lldt %w0" ::"r"(selector) : "memory");
}

void *hw_gdt_page(void)
{
	return cpu_gdt_page();
}

/* 36 is what a CPU without the leaf has (Intel SDM 3A, 4.1.4). */
unsigned hw_phys_bits(void)
{
	static unsigned bits;
	struct cpuid_regs r;

	if (bits)
		return bits;
	cpuid(0x80000000u, 0, &r);
	if (r.eax < 0x80000008u)
		return bits = 36;
	cpuid(0x80000008u, 0, &r);
	return bits = r.eax & 0xff;
}
