/* pvops_sites.h of the plain kernel: each operation is the instruction itself, where it is called.
 *
 * Found in place of include/amphi/pvops_sites.h when build/amphi-plain is compiled: a kernel for bare metal
 * and nothing else, against which `make bench` holds the one we ship. What is written here is what one
 * would write who has never heard of a hypervisor: free choice of registers, C where C says it, and nothing
 * at all where there is nothing to do. An operation that pvops.def gains needs a line here.
 * Longer ones are in plain.c. Instruction references: Intel SDM vol. 2, by mnemonic.
 */
#ifndef AMPHI_PVOPS_SITES_H
#define AMPHI_PVOPS_SITES_H

#include <amphi/pvops.h>

#include "pvops/native_parts.h"

/* What the kernel gives to pvops_provide() or makes a function of. One call each, as it is where they are
 * known beforehand. */
struct plain_given {
	void (*eoi)(void);
	uint64_t (*sched_clock)(void);
	uint64_t (*steal_clock)(void);
	void (*set_next_event)(uint64_t deadline_ns);
};
extern struct plain_given plain_given;

/* ---- interrupts ------------------------------------------------------------------------- */

/* Halves of asm statements, and tails of naked functions, where C has no hold of registers: by the operation's
 * name in the enum. */
#define PLAIN_PV_irq_save_fl    "pushfq"
#define PLAIN_PV_irq_restore_fl "popfq"

static inline uint64_t pv_read_fl(void)
{
	uint64_t flags;

	__asm__ volatile(PLAIN_PV_irq_save_fl "; pop %0" : "=r"(flags)::"memory");
	return flags;
}
static inline void pv_irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}
static inline void pv_irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}
static inline void pv_safe_halt(void)
{
	__asm__ volatile("sti; hlt" ::: "memory");
}
static inline void pv_halt(void)
{
	__asm__ volatile("hlt" ::: "memory");
}
static inline void pv_eoi(void)
{
	plain_given.eoi();
}

static inline uint64_t irq_save(void)
{
	uint64_t flags = pv_read_fl();

	pv_irq_disable();
	return flags;
}
static inline void irq_restore(uint64_t flags)
{
	__asm__ volatile("push %0; " PLAIN_PV_irq_restore_fl ::"r"(flags) : "memory", "cc");
}
static inline bool irqs_enabled(void)
{
	return pv_read_fl() & PV_FLAGS_IF;
}

/* ---- the processor ---------------------------------------------------------------------- */

static inline void pv_cpuid(uint32_t *regs)
{
	__asm__ volatile("cpuid"
			 : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
			 : "a"(regs[0]), "c"(regs[2]));
}
static inline uint64_t pv_read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}
static inline void pv_write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}
#define PLAIN_REGISTER(name)                                                                       \
	static inline uint64_t pv_read_##name(void)                                                \
	{                                                                                          \
		uint64_t value;                                                                    \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(value));                             \
		return value;                                                                      \
	}
#define PLAIN_REGISTER_WRITE(name)                                                                 \
	static inline void pv_write_##name(uint64_t value)                                         \
	{                                                                                          \
		__asm__ volatile("mov %0, %%" #name ::"r"(value) : "memory");                      \
	}
PLAIN_REGISTER(cr0)
PLAIN_REGISTER_WRITE(cr0)
PLAIN_REGISTER(cr2)
PLAIN_REGISTER(cr3)
PLAIN_REGISTER_WRITE(cr3)
PLAIN_REGISTER(cr4)
PLAIN_REGISTER_WRITE(cr4)
static inline void pv_write_xcr0(uint64_t value)
{
	__asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}
static inline void pv_clts(void)
{
	__asm__ volatile("clts" ::: "memory");
}
static inline uint16_t pv_store_tr(void)
{
	uint16_t selector;

	__asm__ volatile("str %0" : "=r"(selector));
	return selector;
}
static inline void pv_load_tr(uint16_t selector)
{
	__asm__ volatile("ltr %0" ::"r"(selector));
}
static inline void pv_load_sp0(uint64_t *tss_sp0, uint64_t sp)
{
	*tss_sp0 = sp;
}
static inline void pv_write_gdt_entry(uint64_t *entry, uint64_t descriptor)
{
	*entry = descriptor;
}
static inline void pv_write_ldt_entry(uint64_t *entry, uint64_t descriptor)
{
	*entry = descriptor;
}
static inline void pv_alloc_ldt(void *table, unsigned entries) {}
static inline void pv_free_ldt(void *table, unsigned entries) {}
/* Functions in the shipped kernel too: the call is what is left. */
#define pv_load_gdt             native_load_gdt
#define pv_load_idt             native_load_idt
#define pv_load_gs_index        native_load_gs_index
#define pv_read_msr_safe        native_read_msr_safe
#define pv_write_msr_safe       native_write_msr_safe
#define pv_set_ldt              native_set_ldt
#define pv_load_tls             native_load_tls
#define pv_get_debugreg         native_get_debugreg
#define pv_set_debugreg         native_set_debugreg
#define pv_update_io_bitmap     native_update_io_bitmap
#define pv_invalidate_io_bitmap native_invalidate_io_bitmap
#define PLAIN_MSR_FS_BASE       0xc0000100u
#define PLAIN_MSR_GS_BASE       0xc0000101u
static inline void pv_load_gs_base(uint64_t base)
{
	pv_write_msr(PLAIN_MSR_GS_BASE, base);
}
static inline void pv_load_fs_base(uint64_t base)
{
	pv_write_msr(PLAIN_MSR_FS_BASE, base);
}
static inline void pv_start_context_switch(void) {}
static inline void pv_end_context_switch(void) {}
static inline void pv_io_delay(void)
{
	__asm__ volatile("out %%al, $0x80" ::: "memory");
}

#define PLAIN_PV_cpu_swapgs "swapgs"
#define PLAIN_PV_cpu_iret   "iretq"
#define PLAIN_PV_cpu_sysret                                                                        \
	"mov (%rsp), %rcx; mov 16(%rsp), %r11; mov 24(%rsp), %rsp; swapgs; sysretq"
#define PV_BARE_SITE(o, room) __asm__ volatile(PLAIN_##o)
#define PV_TAIL_SITE(o, room) __asm__ volatile(PLAIN_##o)

/* ---- page tables ------------------------------------------------------------------------ */

static inline void pv_activate_mm(uint64_t maddr, uint64_t user_maddr)
{
	pv_write_cr3(maddr);
}
static inline void pv_flush_tlb_user(void)
{
	pv_write_cr3(pv_read_cr3());
}
static inline void pv_flush_tlb_kernel(void)
{
	pv_write_cr3(pv_read_cr3());
}
static inline uint64_t pv_flush_tlb_multi(uint64_t cpus)
{
	return 0;
}
static inline void pv_flush_tlb_one(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}
/* Volatile: the processor reads tables on its own. */
#define PLAIN_SET(name)                                                                            \
	static inline void pv_set_##name(uint64_t *entry, uint64_t value)                          \
	{                                                                                          \
		*(volatile uint64_t *)entry = value;                                               \
	}
PLAIN_SET(pte)
PLAIN_SET(pmd)
PLAIN_SET(pud)
PLAIN_SET(pgd)
static inline int pv_set_ptes(uint64_t *entries, const uint64_t *values, unsigned n, unsigned owner)
{
	for (unsigned i = 0; i < n; i++)
		pv_set_pte(&entries[i], values[i]);
	return 0;
}
static inline uint64_t pv_ptep_modify_prot_start(uint64_t *entry)
{
	return *(volatile uint64_t *)entry;
}
static inline void pv_ptep_modify_prot_commit(uint64_t *entry, uint64_t value)
{
	pv_set_pte(entry, value);
}
static inline void pv_lazy_mode_enter(void) {}
static inline void pv_lazy_mode_leave(void) {}
static inline void pv_lazy_mode_flush(void) {}
static inline uint64_t pv_pte_val(uint64_t entry, uint64_t mask)
{
	return entry & mask;
}
static inline uint64_t pv_make_pte(uint64_t address, uint64_t flags)
{
	return address | flags;
}
static inline void pv_alloc_pt(uint64_t pfn, unsigned level) {}
static inline void pv_release_pt(uint64_t pfn, unsigned level) {}
static inline void pv_enter_mmap(uint64_t pfn) {}
static inline void pv_exit_mmap(uint64_t pfn) {}
/* Called by what only a PV domain runs. */
static inline int pv_set_fixmap(void *page, uint64_t entry)
{
	return -1;
}

/* ---- locks ------------------------------------------------------------------------------ */

/* The queue is pvops/lock.c's: a kernel that never met a hypervisor has it as well. */
void lock_slow_spinning(struct spinlock *lock, spin_serve_fn *serve);
#define pv_queued_spin_lock_slowpath lock_slow_spinning
static inline void pv_queued_spin_unlock(struct spinlock *lock)
{
	__atomic_store_n((uint8_t *)lock, 0, __ATOMIC_RELEASE);
}
static inline void pv_wait(const uint8_t *byte, uint8_t value)
{
	__asm__ volatile("pause");
}
static inline void pv_kick(unsigned cpu) {}
static inline bool pv_vcpu_is_preempted(unsigned cpu)
{
	return false;
}

/* ---- time ------------------------------------------------------------------------------- */

static inline uint64_t pv_sched_clock(void)
{
	return plain_given.sched_clock();
}
static inline uint64_t pv_steal_clock(void)
{
	return plain_given.steal_clock();
}
static inline void pv_set_next_event(uint64_t deadline_ns)
{
	plain_given.set_next_event(deadline_ns);
}

#endif
