/* native.c: the operations on bare metal, or under a hypervisor that hides: instructions.
 *
 * Most are a few bytes that end up inline at their call sites; the rest are short C functions called
 * directly. Called by the kernel's boot (pvops_init_native) and through the sites. Nothing here knows of
 * hypercalls. Instruction references: Intel SDM vol. 2, by mnemonic; vol. 3 for the descriptors.
 */
#include <amphi/string.h>
#include <amphi/xen.h>

#include "impl.h"
#include "lock.h"
#include "native_parts.h"

/* The short functions. Each runs in two places: here, as a function, before patching and where its
 * code does not fit; and copied into the sites. So it may use only registers that a site of its
 * class gives up (amphi/pvops.h), and no address relative to rip unless its row names it. */
PV_STACKED(native_save_fl, "pushfq", "push (%rsp); pushfq; pop 8(%rsp); ret");
PV_STACKED(native_restore_fl, "popfq", "push 8(%rsp); popfq; ret $8");
PV_SHORT(native_read_fl, "pushfq; pop %rax");
PV_SHORT(native_irq_disable, "cli");
PV_SHORT(native_irq_enable, "sti");
PV_SHORT(native_safe_halt, "sti; hlt"); /* sti holds interrupts off for one more instruction */
PV_SHORT(native_halt, "hlt");
/* A site of full class gives up rcx and rdx, which these two need. */
PV_SHORT(native_read_msr, "mov %edi, %ecx; rdmsr; shl $32, %rdx; or %rdx, %rax");
PV_SHORT(native_write_msr, "mov %edi, %ecx; mov %esi, %eax; mov %rsi, %rdx; shr $32, %rdx; wrmsr");
/* The MSR of fs's base, likewise: once a switch of programs. The argument's register is given up too. */
PV_SHORT(native_load_fs_base,
	 "mov $0xc0000100, %ecx; mov %edi, %eax; shr $32, %rdi; mov %edi, %edx; wrmsr");
PV_SHORT(native_read_cr0, "mov %cr0, %rax");
PV_SHORT(native_write_cr0, "mov %rdi, %cr0");
PV_SHORT(native_read_cr4, "mov %cr4, %rax");
PV_SHORT(native_write_cr4, "mov %rdi, %cr4");
PV_SHORT(native_write_xcr0,
	 "xor %ecx, %ecx; mov %rdi, %rdx; mov %edi, %eax; shr $32, %rdx; xsetbv");
PV_SHORT(native_clts, "clts");
PV_SHORT(native_load_tr, "ltr %di");
PV_SHORT(native_store_tr, "str %eax");
/* Port 0x80 is the firmware's progress code: nobody listens, and the write takes about as long as
 * one on the ISA bus did. */
PV_SHORT(native_io_delay, "out %al, $0x80");
PV_SHORT(native_read_cr2, "mov %cr2, %rax");
PV_SHORT(native_read_cr3, "mov %cr3, %rax");
PV_SHORT(native_write_cr3, "mov %rdi, %cr3");
/* Entries with the global bit stay; the kernel makes none. */
PV_SHORT(native_flush_tlb, "mov %cr3, %rax; mov %rax, %cr3");
PV_STACKED(native_invlpg, "invlpg (%rdi)",
	   "push %rax; mov 16(%rsp), %rax; invlpg (%rax); pop %rax; ret $8");
/* Entries of page tables, and of other tables of the processor. At the sites these are that instruction with other operands; called, they take theirs from
 * the stack (amphi/pvops_sites.h) and keep all registers. The PV side's translations between pfn and mfn are nothing
 * here: what is left is what the caller wants the entry for. */
PV_STACKED(
    native_set_entry, "mov %rsi, (%rdi)",
    "push %rax; mov 24(%rsp), %rax; mov %rax, (%rdi); mov 16(%rsp), %rdi; pop %rax; ret $16");
PV_STACKED(native_get_entry, "mov (%rdi), %rax", PV_LOAD_CALLED);
PV_STACKED(native_and, "and %rsi, %rdi",
	   "push %rax; mov 16(%rsp), %rax; and %rax, 24(%rsp); pop %rax; ret $8");
PV_STACKED(native_or, "or %rsi, %rdi",
	   "push %rax; mov 16(%rsp), %rax; or %rax, 24(%rsp); pop %rax; ret $8");
/* Nobody can refuse. The caller flushes: which addresses were mapped before only it knows. From the last to the
 * first, as zero ends it. */
PV_SHORT(native_set_ptes, "1: mov -8(%rsi, %rdx, 8), %rax; mov %rax, -8(%rdi, %rdx, 8); dec %edx;"
			  "jnz 1b; xor %eax, %eax");
/* Nobody has to be told of tables. */
PV_SHORT(native_nothing, "");
/* What is mapped late has a window (kernel/vmap.c); the image stays as it is. */
PV_SHORT(native_no_fixmap, "mov $-38, %eax");
_Static_assert(XEN_ENOSYS == 38, "native_no_fixmap");
/* A lock's low byte; the rest says who waits. */
PV_SHORT(native_unlock, "movb $0, (%rdi)");
PV_SHORT(native_false, "xor %eax, %eax");
/* Nobody sleeps here: a waiter looks again. */
PV_SHORT(native_pause, "pause");
PV_SHORT(native_swapgs, "swapgs");
PV_SHORT(native_iret, "iretq");
/* rip, rflags and rsp of the frame by way of rcx, r11 and the stack pointer. rip must be canonical: sysret would
 * fault in ring 0 on the program's stack (SDM vol. 2, SYSRET). Programs end below 512 GiB. Interrupts are off
 * until the flags are loaded. */
PV_SHORT(native_sysret,
	 "mov (%rsp), %rcx; mov 16(%rsp), %r11; mov 24(%rsp), %rsp; swapgs; sysretq");

/* Too many registers for a site; it is called a few times at boot. */
static void native_cpuid(uint32_t *regs)
{
	__asm__ volatile("cpuid"
			 : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
			 : "a"(regs[0]), "c"(regs[2]));
}

/* Like the rows of entries, load_sp0 and write_gdt_entry are stores: what they store to is the processor's own table. */
const struct pv_impl pv_table_native[PV_OP_COUNT] = {
    [PV_irq_save_fl] = PV_INLINED_STACKED(native_save_fl),
    [PV_irq_restore_fl] = PV_INLINED_STACKED(native_restore_fl),
    [PV_irq_read_fl] = PV_INLINED(native_read_fl),
    [PV_irq_irq_disable] = PV_INLINED(native_irq_disable),
    [PV_irq_irq_enable] = PV_INLINED(native_irq_enable),
    [PV_irq_safe_halt] = PV_INLINED(native_safe_halt),
    [PV_irq_halt] = PV_INLINED(native_halt),
    [PV_cpu_cpuid] = PV_CALLED(PV_CALL, native_cpuid),
    [PV_cpu_read_msr] = PV_INLINED(native_read_msr),
    [PV_cpu_write_msr] = PV_INLINED(native_write_msr),
    [PV_cpu_read_msr_safe] = PV_CALLED(PV_CALL, native_read_msr_safe),
    [PV_cpu_write_msr_safe] = PV_CALLED(PV_CALL, native_write_msr_safe),
    [PV_cpu_read_cr0] = PV_INLINED(native_read_cr0),
    [PV_cpu_write_cr0] = PV_INLINED(native_write_cr0),
    [PV_cpu_read_cr4] = PV_INLINED(native_read_cr4),
    [PV_cpu_write_cr4] = PV_INLINED(native_write_cr4),
    [PV_cpu_write_xcr0] = PV_INLINED(native_write_xcr0),
    [PV_cpu_clts] = PV_INLINED(native_clts),
    [PV_cpu_load_gdt] = PV_CALLED(PV_CALL, native_load_gdt),
    [PV_cpu_load_idt] = PV_CALLED(PV_CALL, native_load_idt),
    [PV_cpu_alloc_ldt] = PV_INLINED(native_nothing),
    [PV_cpu_free_ldt] = PV_INLINED(native_nothing),
    [PV_cpu_set_ldt] = PV_CALLED(PV_CALL, native_set_ldt),
    [PV_cpu_write_ldt_entry] = PV_INLINED_STACKED(native_set_entry),
    [PV_cpu_load_tls] = PV_CALLED(PV_CALL, native_load_tls),
    [PV_cpu_load_tr] = PV_INLINED(native_load_tr),
    [PV_cpu_store_tr] = PV_INLINED(native_store_tr),
    [PV_cpu_load_sp0] = PV_INLINED_STACKED(native_set_entry),
    [PV_cpu_write_gdt_entry] = PV_INLINED_STACKED(native_set_entry),
    [PV_cpu_load_gs_base] = PV_CALLED(PV_CALL, native_load_gs_base),
    [PV_cpu_load_fs_base] = PV_INLINED(native_load_fs_base),
    [PV_cpu_load_gs_index] = PV_CALLED(PV_CALL, native_load_gs_index),
    [PV_cpu_get_debugreg] = PV_CALLED(PV_CALL, native_get_debugreg),
    [PV_cpu_set_debugreg] = PV_CALLED(PV_CALL, native_set_debugreg),
    [PV_cpu_update_io_bitmap] = PV_CALLED(PV_CALL, native_update_io_bitmap),
    [PV_cpu_invalidate_io_bitmap] = PV_CALLED(PV_CALL, native_invalidate_io_bitmap),
    [PV_cpu_start_context_switch] = PV_INLINED(native_nothing),
    [PV_cpu_end_context_switch] = PV_INLINED(native_nothing),
    [PV_cpu_swapgs] = PV_INLINED(native_swapgs),
    [PV_cpu_sysret] = PV_INLINED(native_sysret),
    [PV_cpu_io_delay] = PV_INLINED(native_io_delay),
    [PV_cpu_iret] = PV_INLINED(native_iret),
    [PV_mmu_read_cr2] = PV_INLINED(native_read_cr2),
    [PV_mmu_read_cr3] = PV_INLINED(native_read_cr3),
    [PV_mmu_write_cr3] = PV_INLINED(native_write_cr3),
    [PV_mmu_activate_mm] = PV_INLINED(native_write_cr3),
    [PV_mmu_flush_tlb_user] = PV_INLINED(native_flush_tlb),
    [PV_mmu_flush_tlb_multi] = PV_INLINED(native_false),
    [PV_mmu_flush_tlb_kernel] = PV_INLINED(native_flush_tlb),
    [PV_mmu_flush_tlb_one] = PV_INLINED_STACKED(native_invlpg),
    [PV_mmu_set_pte] = PV_INLINED_STACKED(native_set_entry),
    [PV_mmu_set_pmd] = PV_INLINED_STACKED(native_set_entry),
    [PV_mmu_set_pud] = PV_INLINED_STACKED(native_set_entry),
    [PV_mmu_set_pgd] = PV_INLINED_STACKED(native_set_entry),
    [PV_mmu_pte_val] = PV_INLINED_STACKED(native_and),
    [PV_mmu_make_pte] = PV_INLINED_STACKED(native_or),
    [PV_mmu_alloc_pt] = PV_INLINED(native_nothing),
    [PV_mmu_release_pt] = PV_INLINED(native_nothing),
    [PV_mmu_enter_mmap] = PV_INLINED(native_nothing),
    [PV_mmu_exit_mmap] = PV_INLINED(native_nothing),
    [PV_mmu_set_fixmap] = PV_INLINED(native_no_fixmap),
    [PV_mmu_set_ptes] = PV_INLINED(native_set_ptes),
    [PV_mmu_ptep_modify_prot_start] = PV_INLINED_STACKED(native_get_entry),
    [PV_mmu_ptep_modify_prot_commit] = PV_INLINED_STACKED(native_set_entry),
    [PV_mmu_lazy_mode_enter] = PV_INLINED(native_nothing),
    [PV_mmu_lazy_mode_leave] = PV_INLINED(native_nothing),
    [PV_mmu_lazy_mode_flush] = PV_INLINED(native_nothing),
    [PV_lock_queued_spin_lock_slowpath] = PV_CALLED(PV_CALL, lock_slow_spinning),
    [PV_lock_queued_spin_unlock] = PV_INLINED(native_unlock),
    [PV_lock_wait] = PV_INLINED(native_pause),
    [PV_lock_kick] = PV_INLINED(native_nothing),
    [PV_lock_vcpu_is_preempted] = PV_INLINED(native_false),
};

void pvops_init_native(const struct pvops_env *env)
{
	pv_fill(pv_table_native, env);
}
