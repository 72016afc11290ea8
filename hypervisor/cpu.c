/* cpu.c: descriptor tables, control registers and entry points of a physical CPU.
 *
 * Called once per CPU by boot.c or smp_start.c, and by the vCPU switch for the few things that change with the
 * vCPU. Not here: what a vCPU's own registers hold (pv_context.c), page tables (mm_hw.c). The
 * layout of the reserved GDT page is the ABI's for the guest's three segments, and ours elsewhere.
 */
#include <amphi/x86_tables.h>

#include "cpu.h"
#include "domain.h"
#include "layout.h"
#include "percpu.h"

#define HV_STACK_ORDER 2u
#define HV_STACK_SIZE  (PAGE_SIZE << HV_STACK_ORDER)
#define IST_STACKS     4
#define IST_ORDER      2u

/* What entry.S assumes. */
_Static_assert(offsetof(struct percpu, stack_top) == 8, "CPU_STACK");
_Static_assert(offsetof(struct percpu, regs_top) == 16, "CPU_REGS_TOP");
_Static_assert(offsetof(struct percpu, scratch) == 24, "CPU_SCRATCH");
_Static_assert(offsetof(struct guest_regs, r15) == 8, "R15");
_Static_assert(offsetof(struct guest_regs, rip) == 136, "R_RIP");
_Static_assert(offsetof(struct guest_regs, ss) == 168, "R_SS");
_Static_assert(sizeof(struct guest_regs) == 176, "R_SIZE");

extern const char entry_gates[], entry_syscall[], entry_syscall32[];

struct percpu hv_percpu[MAX_CPUS];
static uint8_t boot_cpu_stack[HV_STACK_SIZE] __attribute__((aligned(4096)));
static uint8_t boot_cpu_ist[IST_STACKS][4096] __attribute__((aligned(4096)));
static uint64_t boot_cpu_gdt[512] __attribute__((aligned(4096)));
static struct x86_tss boot_cpu_tss __attribute__((aligned(128)));
static struct x86_gate idt[256] __attribute__((aligned(4096)));

/* Guests may raise breakpoint and overflow by instruction; every other `int n` faults into #GP,
 * where the guest's own trap table decides (trap.c). */
static void fill_idt(void)
{
	for (unsigned i = 0; i < 256; i++) {
		unsigned ring = i == EXC_BP || i == EXC_OF ? 3 : 0;

		idt[i] = x86_gate((uint64_t)entry_gates + 16 * i, HV_CS, 0,
				  X86_GATE_INTERRUPT | ring << X86_GATE_DPL_SHIFT);
	}
	idt[EXC_DB].ist = 1;
	idt[EXC_NMI].ist = 2;
	idt[EXC_DF].ist = 3;
	idt[EXC_MC].ist = 4;
}

/* In our page of reserved entries. */
#define GDT_INDEX(selector) (((selector) >> 3) - HV_GDT_FIRST)

/* The percpu noted at the top of each IST stack is how entry.S finds it when GS may be either. */
static void fill_gdt_and_tss(struct percpu *cpu)
{
	uint64_t *gdt = cpu->gdt;

	gdt[GDT_INDEX(HV_CS)] = X86_CODE64;
	gdt[GDT_INDEX(HV_DS)] = X86_DATA;
	gdt[GDT_INDEX(HV_GUEST_CS32)] = X86_CODE32 | X86_RING3;
	gdt[GDT_INDEX(HV_GUEST_DS32)] = X86_DATA | X86_RING3;
	gdt[GDT_INDEX(HV_GUEST_CS64)] = X86_CODE64 | X86_RING3;
	gdt[GDT_INDEX(HV_TSS)] = x86_tss_descriptor((uint64_t)cpu->tss);
	gdt[GDT_INDEX(HV_TSS) + 1] = (uint64_t)cpu->tss >> 32;
	cpu->tss->iomap = sizeof(*cpu->tss);
	for (unsigned i = 0; i < IST_STACKS; i++) {
		uint64_t top = (uint64_t)cpu->ist + (i + 1) * 4096 - 16;

		*(struct percpu **)top = cpu;
		cpu->tss->ist[i] = top;
	}
}

void cpu_load_gdt(uint64_t base)
{
	struct percpu *cpu = this_cpu();
	struct x86_table_ptr p = {.limit = (HV_GDT_GUEST_PAGES + 1) * 4096 - 1};

	p.base = base != 0 ? base : (uint64_t)cpu->gdt - HV_GDT_GUEST_PAGES * 4096ul;
	__asm__ volatile("lgdt %0" ::"m"(p));
}

static void load_tables(void)
{
	struct x86_table_ptr p = {.limit = sizeof(idt) - 1, .base = (uint64_t)idt};
	uint64_t scratch;

	cpu_load_gdt(0);
	__asm__ volatile("leaq 1f(%%rip), %0; pushq %1; pushq %0; lretq; 1:"
			 : "=&r"(scratch)
			 : "i"(HV_CS)
			 : "memory");
	__asm__ volatile("movl %0, %%ss" ::"r"(HV_DS));
	__asm__ volatile("lidt %0" ::"m"(p));
	__asm__ volatile("ltr %w0" ::"r"(HV_TSS));
	__asm__ volatile("lldt %w0" ::"r"(0));
}

/* SYSCALL: the guest's RFLAGS are kept in R11, ours start with everything dangerous off. */
static void set_msrs(struct percpu *cpu)
{
	wrmsr(MSR_GS_BASE, (uint64_t)cpu);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NX);
	wrmsr(MSR_STAR, (uint64_t)HV_GUEST_CS32 << 48 | (uint64_t)HV_CS << 32);
	wrmsr(MSR_LSTAR, (uint64_t)entry_syscall);
	wrmsr(MSR_CSTAR, (uint64_t)entry_syscall32);
	wrmsr(MSR_SYSENTER_CS, 0); /* sysenter is #GP */
	wrmsr(MSR_FMASK,
	      RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_IOPL | RFLAGS_RF);
}

static bool has_feature7(unsigned bit)
{
	struct cpuid_regs r;

	cpuid(0, 0, &r);
	if (r.eax < 7)
		return false;
	cpuid(7, 0, &r);
	return r.ebx >> bit & 1;
}

/* Guest pages are all user pages: with SMEP no slip of ours can run one. */
static uint64_t smep_bit(void)
{
	return has_feature7(7) ? CR4_SMEP : 0;
}

bool cpu_has_fsgsbase(void)
{
	return has_feature7(0);
}

void cpu_set_fsgsbase(bool on)
{
	uint64_t now = read_cr4(), next = (now & ~CR4_FSGSBASE) | (on ? CR4_FSGSBASE : 0);

	if (next != now)
		write_cr4(next);
}

bool cpu_prepare(uint32_t id)
{
	struct percpu *cpu = &hv_percpu[id];
	uint8_t *stack = id == 0 ? boot_cpu_stack : hv_page_alloc(HV_STACK_ORDER);

	cpu->self = cpu;
	cpu->id = id;
	cpu->ist = id == 0 ? boot_cpu_ist[0] : hv_page_alloc(IST_ORDER);
	cpu->tss = id == 0 ? &boot_cpu_tss : hv_page_alloc(0);
	cpu->gdt = id == 0 ? boot_cpu_gdt : hv_page_alloc(0);
	cpu->stack_top = (uint64_t)stack + HV_STACK_SIZE;
	if (stack == NULL || cpu->ist == NULL || cpu->tss == NULL || cpu->gdt == NULL)
		return false;
	fill_gdt_and_tss(cpu);
	return true;
}

void cpu_init(uint32_t id)
{
	struct percpu *cpu = &hv_percpu[id];

	if (id == 0)
		fill_idt();
	wrmsr(MSR_GS_BASE, (uint64_t)cpu);
	load_tables();
	/* Loading segment registers may have cleared the base again. */
	set_msrs(cpu);
	write_cr4(CR4_PAE | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT | smep_bit());
}

void cpu_set_regs_top(uint64_t regs_top)
{
	this_cpu()->regs_top = regs_top;
	this_cpu()->tss->rsp[0] = regs_top;
}

void *cpu_gdt_page(void)
{
	return this_cpu()->gdt;
}

void cpu_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* sti takes effect after hlt has begun, so no interrupt slips in between. */
void cpu_wait(void)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* An entry of the table in section .fixup_table: a fault at `from` goes on at `to`. */
#define FIXUP(from, to)                                                                            \
	".pushsection .fixup_table, \"a\"\n\t.balign 8\n\t.quad " from ", " to "\n\t.popsection\n"

struct fixup {
	uint64_t from, to;
};
extern const struct fixup fixup_table_start[], fixup_table_end[];

uint64_t cpu_fixup(uint64_t rip)
{
	for (const struct fixup *f = fixup_table_start; f < fixup_table_end; f++)
		if (f->from == rip)
			return f->to;
	return 0;
}

#define LOAD_SEGMENT(reg, sel, ok)                                                                 \
	__asm__ volatile("movl $1, %0\n"                                                           \
			 "1:\tmovl %1, %%" reg "\n\t"                                              \
			 "jmp 3f\n"                                                                \
			 "2:\txorl %0, %0\n\t"                                                     \
			 "movl %0, %%" reg "\n"                                                    \
			 "3:\n" FIXUP("1b", "2b")                                                  \
			 : "=&r"(ok)                                                               \
			 : "r"((uint32_t)(sel))                                                    \
			 : "memory")

bool cpu_load_segment(enum segment_register which, uint16_t sel)
{
	uint32_t ok;

	if (which == SEG_DS)
		LOAD_SEGMENT("ds", sel, ok);
	else if (which == SEG_ES)
		LOAD_SEGMENT("es", sel, ok);
	else
		LOAD_SEGMENT("fs", sel, ok);
	return ok;
}

/* A load that succeeds replaces the base, one that faults does not, and the load of 0 after that
 * may. Nothing between uses GS: the fault handler runs before it changed. */
bool cpu_load_gs(uint16_t sel, uint64_t *out_base)
{
	struct percpu *cpu = this_cpu();
	uint32_t ok;

	__asm__ volatile("" : "+r"(cpu)); /* found before GS is disturbed, not after */
	LOAD_SEGMENT("gs", sel, ok);
	*out_base = ok ? rdmsr(MSR_GS_BASE) : 0;
	wrmsr(MSR_GS_BASE, (uint64_t)cpu);
	return ok;
}

bool rdmsr_safe(uint32_t msr, uint64_t *out)
{
	uint32_t lo = 0, hi = 0, ok;

	__asm__ volatile("movl $1, %2\n"
			 "1:\trdmsr\n\t"
			 "jmp 3f\n"
			 "2:\txorl %2, %2\n"
			 "3:\n" FIXUP("1b", "2b")
			 : "+a"(lo), "+d"(hi), "=&r"(ok)
			 : "c"(msr));
	*out = (uint64_t)hi << 32 | lo;
	return ok;
}
