/* xen_pv.c: the operations in a Xen PV domain: hypercalls, and bytes each vCPU shares with the hypervisor.
 *
 * The kernel runs deprivileged: interrupts are the upcall's mask byte, page tables are read-only and
 * written by the hypervisor after it has looked, trap gates are a table handed over. Called by the
 * kernel's boot (pvops_init_xen_pv) and through the sites; calls hypercalls and, for addresses, the
 * kernel's pvops_env. What is left unfilled (the task register) a PV domain does not have.
 */
#include <amphi/hypercall.h>
#include <amphi/percpu.h>
#include <amphi/string.h>

#include "impl.h"
#include "lock.h"
#include "native_parts.h"
#include "xen_parts.h"

#define CR0_TS 8u

extern void pv_xen_irq_enable(void);
extern void pv_xen_restore_fl(void);
extern void pv_xen_iret(void);
extern void pv_xen_sysret(void);

/* Of this CPU's vcpu_info, which lies PERCPU_VCPU_INFO from gs. Bit 9 of the first's result is IF,
 * and here all bits are: set when the mask byte is zero, which is when 1 must be borrowed for. */
PV_SHORT(xen_read_fl, "cmpb $1, %gs:65; sbb %eax, %eax");
/* The word with the pending and the mask byte. */
PV_STACKED(xen_save_fl, "pushq %gs:64", "push (%rsp); pushq %gs:64; pop 8(%rsp); ret");
PV_SHORT(xen_irq_disable, "movb $1, %gs:65");
PV_SHORT(xen_read_cr2, "mov %gs:80, %rax");
/* Trapped and answered by the hypervisor, which keeps what it must of a register. */
PV_SHORT(xen_read_cr0, "mov %cr0, %rax");
PV_SHORT(xen_read_cr4, "mov %cr4, %rax");
PV_SHORT(xen_write_cr4, "mov %rdi, %cr4");
PV_SHORT(xen_write_xcr0, "xor %ecx, %ecx; mov %rdi, %rdx; mov %edi, %eax; shr $32, %rdx; xsetbv");
PV_SHORT(xen_zero, "xor %eax, %eax");
/* Called before patching alone; at the sites it is the instruction, pvops/native.c. */
PV_STACKED(xen_get_entry, "mov (%rdi), %rax", PV_LOAD_CALLED);
/* Locks as on bare metal, until somebody has a way to sleep: pvops_provide_lock_wait(). */
PV_SHORT(xen_unlock, "movb $0, (%rdi)");
PV_SHORT(xen_pause, "pause");
/* The hypervisor swaps gs when the mode changes. A delay is nothing too: a domain without the right to
 * ports would fault, and for one with it the way into the hypervisor of any port is delay enough. */
PV_SHORT(xen_nothing, "");
_Static_assert(offsetof(struct percpu, vcpu_info.evtchn_upcall_pending) == 64, "thunks.S");
_Static_assert(offsetof(struct percpu, vcpu_info.evtchn_upcall_mask) == 65,
	       "xen_save_fl, thunks.S");
_Static_assert(offsetof(struct percpu, vcpu_info.arch.cr2) == 80, "xen_read_cr2");

/* block unmasks and waits in one step, so an event between the two is not slept over. */
static void xen_safe_halt(void)
{
	xen_must("safe_halt", hypercall_sched_op(SCHEDOP_block, NULL));
}

/* With upcalls masked nothing would wake a blocked vCPU; poll with no port waits for its deadline
 * (none) or the end of the domain. */
static void xen_halt(void)
{
	struct sched_poll poll = {.nr_ports = 0, .timeout = 0};

	(void)hypercall_sched_op(SCHEDOP_poll, &poll);
}

/* The forced form: what the hypervisor wants us to see, not what the processor has. The first five
 * bytes are ud2 and the letters "xen", which tell it to emulate the instruction after them. */
static void xen_cpuid(uint32_t *regs)
{
	__asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid"
			 : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
			 : "a"(regs[0]), "c"(regs[2]));
}

/* Trapped and answered by the hypervisor for the few registers it lets us see. */
static uint64_t xen_read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

/* As for reads: a write to one that is not ours to write is ignored or faults, by the hypervisor's
 * choice. */
static void xen_write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* The hypervisor keeps CR0.TS; 0 clears it. Without the call the first use of the FPU would trap.
 */
static void xen_clts(void)
{
	XEN_CALL(XEN_CPU, "clts", fpu_taskswitch, 0);
}

/* The other bits are not ours, whatever the value says of them. */
static void xen_write_cr0(uint64_t value)
{
	XEN_CALL(XEN_CPU, "write_cr0", fpu_taskswitch, (value & CR0_TS) != 0);
}

/* One page; the hypervisor wants its frame, and every descriptor in it must be one it allows. */
static void xen_load_gdt(void *table, unsigned entries)
{
	unsigned long frame = maddr_to_mfn(pv_env->virt_to_maddr(table)).v;

	xen_must("load_gdt", hypercall_set_gdt(&frame, entries));
}

/* The table is the hypervisor's trap_info list (xen/arch-x86/xen.h): a row a gate, an address of 0
 * ends it. Bit 2 of the flags asks for masked events on entry, which is what "interrupts off" is
 * here. It is static because the call copies it and a stack is short. */
static void xen_load_idt(const void *gates, unsigned entries)
{
	static struct trap_info table[64];
	const struct pv_gate *gate = gates;
	unsigned n = 0;

	for (unsigned i = 0; i < entries && n < ARRAY_SIZE(table) - 1; i++, gate++) {
		if (!gate->handler)
			continue;
		table[n++] = (struct trap_info){
		    .vector = gate->vector,
		    .flags = (uint8_t)(gate->dpl | (gate->irq_off ? 4 : 0)),
		    .cs = FLAT_KERNEL_CS,
		    .address = gate->handler,
		};
	}
	table[n] = (struct trap_info){0};
	xen_must("load_idt", hypercall_set_trap_table(table));
}

/* Descriptors must not be writable anywhere, or they could not be checked. */
static void make_ldt(void *table, unsigned entries, bool readonly)
{
	unsigned n = (unsigned)PAGES_FOR(entries * 8);

	for (unsigned i = 0; i < n; i++) {
		const char *page = (const char *)table + i * PAGE_SIZE;

		xen_make_readonly(pv_env->mfn_to_pfn(maddr_to_mfn(pv_env->virt_to_maddr(page))),
				  readonly);
	}
}

static void xen_alloc_ldt(void *table, unsigned entries)
{
	make_ldt(table, entries, true);
}

static void xen_free_ldt(void *table, unsigned entries)
{
	make_ldt(table, entries, false);
}

/* By its address: the hypervisor looks for the frames when a selector is first used. */
static void xen_set_ldt(const void *table, unsigned entries)
{
	struct mmuext_op op = {.cmd = MMUEXT_SET_LDT};

	op.arg1.linear_addr = (unsigned long)table;
	op.arg2.nr_ents = entries;
	xen_ext_op(XEN_CPU, "set_ldt", &op);
}

/* There is no TSS of ours that a processor would read, but the kernel keeps its field true for
 * both. */
void xen_load_sp0(uint64_t *tss_sp0, uint64_t sp)
{
	*tss_sp0 = sp;
	XEN_CALL(XEN_CPU, "load_sp0", stack_switch, FLAT_KERNEL_SS, sp);
}

/* A table is read-only while it is loaded; the hypervisor checks the descriptor and writes it. */
void xen_write_descriptor(uint64_t *entry, uint64_t descriptor)
{
	XEN_CALL(XEN_CPU, "write_descriptor", update_descriptor, pv_env->virt_to_maddr(entry).v,
		 descriptor);
}

/* Few programs have any of their own, and each is a hypercall. */
static void xen_load_tls(uint64_t *first, const uint64_t *descriptors)
{
	for (unsigned i = 0; i < PV_TLS_ENTRIES; i++)
		if (first[i] != descriptors[i])
			xen_write_descriptor(&first[i], descriptors[i]);
}

/* SEGBASE_GS_KERNEL is the base while the kernel runs: under a PV hypervisor swapgs is the
 * hypervisor's. */
static void xen_load_gs_base(uint64_t base)
{
	xen_must("load_gs_base", hypercall_set_segment_base(SEGBASE_GS_KERNEL, base));
}

static void xen_load_fs_base(uint64_t base)
{
	XEN_CALL(XEN_CPU, "load_fs_base", set_segment_base, SEGBASE_FS, base);
}

static void xen_load_gs_index(uint16_t selector)
{
	XEN_CALL(XEN_CPU, "load_gs_index", set_segment_base, SEGBASE_GS_USER_SEL, selector);
	if (selector < 4)
		XEN_CALL(XEN_CPU, "load_gs_index", set_segment_base, SEGBASE_GS_USER, 0);
}

/* ---- what programs may use ------------------------------------------------------------ */

static uint64_t xen_get_debugreg(unsigned number)
{
	return (uint64_t)hypercall_get_debugreg(number);
}

/* Refused is only what would stop the hypervisor itself. */
static void xen_set_debugreg(unsigned number, uint64_t value)
{
	xen_must("set_debugreg", hypercall_set_debugreg(number, value));
}

/* The bitmap is looked at where it lies, whenever a program uses a port. It may deny more than the domain is
 * denied, not less. */
static void xen_update_io_bitmap(struct x86_tss_ports *tss, const struct pv_ports *ports)
{
	struct physdev_set_iobitmap op = {.nr_ports = ports ? PV_PORTS : 0};

	(void)tss;
	set_xen_guest_handle(op.bitmap, ports ? (uint8_t *)ports->denied : NULL);
	xen_must("update_io_bitmap", hypercall_physdev_op(PHYSDEVOP_set_iobitmap, &op));
}

static void xen_invalidate_io_bitmap(struct x86_tss_ports *tss)
{
	xen_update_io_bitmap(tss, NULL);
}

/* PV_HYPERCALL differs from PV_CALL only in what reports say: at the site both are direct calls. */
const struct pv_impl pv_table_xen_pv[PV_OP_COUNT] = {
    [PV_irq_save_fl] = PV_INLINED_STACKED(xen_save_fl),
    [PV_irq_read_fl] = PV_INLINED(xen_read_fl),
    [PV_irq_restore_fl] = PV_CALLED_THIN(PV_CALL, pv_xen_restore_fl),
    [PV_irq_irq_disable] = PV_INLINED(xen_irq_disable),
    [PV_irq_irq_enable] = PV_CALLED_THIN(PV_CALL, pv_xen_irq_enable),
    [PV_irq_safe_halt] = PV_CALLED(PV_HYPERCALL, xen_safe_halt),
    [PV_irq_halt] = PV_CALLED(PV_HYPERCALL, xen_halt),
    [PV_cpu_cpuid] = PV_CALLED(PV_HYPERCALL, xen_cpuid),
    [PV_cpu_read_msr] = PV_CALLED(PV_HYPERCALL, xen_read_msr),
    [PV_cpu_write_msr] = PV_CALLED(PV_HYPERCALL, xen_write_msr),
    [PV_cpu_read_msr_safe] = PV_CALLED(PV_HYPERCALL, native_read_msr_safe),
    [PV_cpu_write_msr_safe] = PV_CALLED(PV_HYPERCALL, native_write_msr_safe),
    [PV_cpu_read_cr0] = PV_INLINED(xen_read_cr0),
    [PV_cpu_write_cr0] = PV_CALLED(PV_HYPERCALL, xen_write_cr0),
    [PV_cpu_read_cr4] = PV_INLINED(xen_read_cr4),
    [PV_cpu_write_cr4] = PV_INLINED(xen_write_cr4),
    [PV_cpu_write_xcr0] = PV_INLINED(xen_write_xcr0),
    [PV_cpu_store_tr] = PV_INLINED(xen_zero),
    [PV_cpu_clts] = PV_CALLED(PV_HYPERCALL, xen_clts),
    [PV_cpu_load_gdt] = PV_CALLED(PV_HYPERCALL, xen_load_gdt),
    [PV_cpu_load_idt] = PV_CALLED(PV_HYPERCALL, xen_load_idt),
    [PV_cpu_alloc_ldt] = PV_CALLED(PV_CALL, xen_alloc_ldt),
    [PV_cpu_free_ldt] = PV_CALLED(PV_CALL, xen_free_ldt),
    [PV_cpu_set_ldt] = PV_CALLED(PV_HYPERCALL, xen_set_ldt),
    [PV_cpu_write_ldt_entry] = PV_CALLED_THIN(PV_HYPERCALL, entry_write_descriptor),
    [PV_cpu_load_tls] = PV_CALLED(PV_HYPERCALL, xen_load_tls),
    [PV_cpu_load_sp0] = PV_CALLED_THIN(PV_HYPERCALL, entry_load_sp0),
    [PV_cpu_write_gdt_entry] = PV_CALLED_THIN(PV_HYPERCALL, entry_write_descriptor),
    [PV_cpu_load_gs_base] = PV_CALLED(PV_HYPERCALL, xen_load_gs_base),
    [PV_cpu_load_fs_base] = PV_CALLED(PV_HYPERCALL, xen_load_fs_base),
    [PV_cpu_load_gs_index] = PV_CALLED(PV_HYPERCALL, xen_load_gs_index),
    [PV_cpu_get_debugreg] = PV_CALLED(PV_HYPERCALL, xen_get_debugreg),
    [PV_cpu_set_debugreg] = PV_CALLED(PV_HYPERCALL, xen_set_debugreg),
    [PV_cpu_update_io_bitmap] = PV_CALLED(PV_HYPERCALL, xen_update_io_bitmap),
    [PV_cpu_invalidate_io_bitmap] = PV_CALLED(PV_HYPERCALL, xen_invalidate_io_bitmap),
    [PV_cpu_start_context_switch] = PV_CALLED_THIN(PV_CALL, bare_start_context_switch),
    [PV_cpu_end_context_switch] = PV_CALLED_THIN(PV_HYPERCALL, bare_end_context_switch),
    [PV_cpu_swapgs] = PV_INLINED(xen_nothing),
    [PV_cpu_sysret] = PV_CALLED(PV_HYPERCALL, pv_xen_sysret),
    [PV_cpu_io_delay] = PV_INLINED(xen_nothing),
    [PV_cpu_iret] = PV_CALLED(PV_HYPERCALL, pv_xen_iret),
    [PV_mmu_read_cr2] = PV_INLINED(xen_read_cr2),
    [PV_mmu_read_cr3] = PV_CALLED_THIN(PV_CALL, thin_read_cr3),
    [PV_mmu_write_cr3] = PV_CALLED(PV_HYPERCALL, xen_write_cr3),
    [PV_mmu_activate_mm] = PV_CALLED(PV_HYPERCALL, xen_activate_mm),
    [PV_mmu_flush_tlb_user] = PV_CALLED(PV_HYPERCALL, xen_flush_tlb),
    [PV_mmu_flush_tlb_multi] = PV_INLINED(xen_zero),
    [PV_mmu_flush_tlb_kernel] = PV_CALLED(PV_HYPERCALL, xen_flush_tlb),
    [PV_mmu_flush_tlb_one] = PV_CALLED_THIN(PV_HYPERCALL, entry_flush),
    [PV_mmu_set_pte] = PV_CALLED_THIN(PV_HYPERCALL, entry_set),
    [PV_mmu_set_pmd] = PV_CALLED_THIN(PV_HYPERCALL, entry_set),
    [PV_mmu_set_pud] = PV_CALLED_THIN(PV_HYPERCALL, entry_set),
    [PV_mmu_set_pgd] = PV_CALLED_THIN(PV_HYPERCALL, entry_set),
    [PV_mmu_pte_val] = PV_CALLED_THIN(PV_CALL, entry_pte_val),
    [PV_mmu_make_pte] = PV_CALLED_THIN(PV_CALL, entry_make_pte),
    [PV_mmu_alloc_pt] = PV_CALLED(PV_HYPERCALL, xen_alloc_pt),
    [PV_mmu_release_pt] = PV_CALLED(PV_HYPERCALL, xen_release_pt),
    [PV_mmu_enter_mmap] = PV_CALLED(PV_HYPERCALL, xen_enter_mmap),
    [PV_mmu_exit_mmap] = PV_CALLED(PV_HYPERCALL, xen_exit_mmap),
    [PV_mmu_set_fixmap] = PV_CALLED(PV_HYPERCALL, xen_set_fixmap),
    [PV_mmu_set_ptes] = PV_CALLED(PV_HYPERCALL, xen_set_ptes),
    [PV_mmu_ptep_modify_prot_start] = PV_INLINED_STACKED(xen_get_entry),
    [PV_mmu_ptep_modify_prot_commit] = PV_CALLED_THIN(PV_HYPERCALL, entry_modify_prot_commit),
    [PV_mmu_lazy_mode_enter] = PV_CALLED_THIN(PV_CALL, bare_lazy_enter),
    [PV_mmu_lazy_mode_leave] = PV_CALLED_THIN(PV_HYPERCALL, bare_lazy_leave),
    [PV_mmu_lazy_mode_flush] = PV_CALLED_THIN(PV_HYPERCALL, bare_lazy_flush),
    [PV_lock_queued_spin_lock_slowpath] = PV_CALLED(PV_CALL, lock_slow_spinning),
    [PV_lock_queued_spin_unlock] = PV_INLINED(xen_unlock),
    [PV_lock_wait] = PV_INLINED(xen_pause),
    [PV_lock_kick] = PV_INLINED(xen_nothing),
    [PV_lock_vcpu_is_preempted] = PV_INLINED(xen_zero),
};

void pvops_init_xen_pv(const struct pvops_env *env)
{
	pv_fill(pv_table_xen_pv, env);
}
