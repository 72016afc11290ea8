/* mm_hw.c: the CPU's side of memory management, one instruction a function.
 *
 * Keeps the clock of TLB flushes by which a frame knows whether anybody may still reach it by a
 * translation that is gone from the tables. Host tests link a fake in this file's place. Callers:
 * the other files of mm. Calls cpu.c for the GDT register.
 */
#include "cpu.h"
#include "mm_private.h"
#include "percpu.h"

/* Starts above what a fresh frame's stamp says. With several CPUs running it may advance only when
 * all of them have flushed. */
uint32_t tlb_clock = 1;

/* Without PCIDs a load of CR3 drops every translation that is not global (Intel SDM 3A, 4.10.4.1),
 * so it counts as a flush whatever it was made for. */
void hw_set_root(mfn_t l4)
{
	__asm__ volatile("movq %0, %%cr3" ::"r"(l4.v << PAGE_SHIFT) : "memory");
	tlb_clock++;
}

/* No guest's entry is global, so a reload of CR3 is a full flush of what is a guest's. */
void hw_flush(void)
{
	uint64_t cr3;

	__asm__ volatile("movq %%cr3, %0" : "=r"(cr3));
	hw_set_root((mfn_t){cr3 >> PAGE_SHIFT});
}

/* One CPU runs guests. With more this has to interrupt those that may have a domain's entries, and
 * wait for them. */
void tlb_flush_all(void)
{
	hw_flush();
}

/* Does not advance the clock: one address gone says nothing of a frame mapped elsewhere. */
void hw_invlpg(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

void hw_invlpg_all(uint64_t va)
{
	hw_invlpg(va);
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
