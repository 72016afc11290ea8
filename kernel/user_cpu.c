/* user_cpu.c: the registers of programs that are in no trap frame: segments, page tables, stack.
 *
 * Called when a program's thread is about to run (thread_cpu.c) and when a program ends. Kernel threads use
 * none of these, so a program's stay loaded while they run and are saved only for another program, or when
 * its own goes on at another CPU. The kernel's half is in every program's tables; a kernel thread does not
 * switch them back. FPU, SSE and AVX are user_fpu.c's.
 */
#include <amphi/pvops.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "mm.h"
#include "mm_parts.h"
#include "trap_parts.h"
#include "user_parts.h"

#define DESCRIPTOR_TLS                                                                             \
	0x00cff3000000ffffull /* data, ring 3, 4 GiB long: long mode looks at the base alone */

/* What each CPU knows. loaded: whose registers are in it, running or not; NULL after that one has ended or left.
 * A program is loaded on one CPU at most: it leaves one before it runs on another. */
static struct cpu {
	struct user_task *loaded;
	bool begun;
	struct user_tables tables;
} cpus[CPUS_MAX];

static struct cpu *this(void)
{
	return &cpus[this_cpu()->cpu];
}

int user_cpu_init(struct user_cpu *cpu)
{
	cpu->tls = DESCRIPTOR_TLS;
	return user_fpu_alloc(cpu);
}

void user_cpu_free(struct user_cpu *cpu)
{
	user_fpu_free(cpu);
}

/* ---- segments ------------------------------------------------------------------------------- */

/* Before others are loaded. The bases are not read back: fs_base is known, it is set by a call
 * only. */
static void save_selectors(struct user_cpu *cpu)
{
	__asm__ volatile("mov %%ds, %0" : "=m"(cpu->ds));
	__asm__ volatile("mov %%es, %0" : "=m"(cpu->es));
	__asm__ volatile("mov %%fs, %0" : "=m"(cpu->fs));
	__asm__ volatile("mov %%gs, %0" : "=m"(cpu->gs));
}

/* Few programs have one of their own, and on PV it is a hypercall. */
static void put_tls(uint64_t descriptor)
{
	uint64_t *entry = &this()->tables.gdt[user_platform.tls / 8];

	if (*entry != descriptor)
		pv_write_gdt_entry(entry, descriptor);
}

/* Every descriptor that a program can have loaded stays loadable: the flat ones are constant, and the TLS
 * one is rewritten but never taken away. So none of these can fault. */
static void load_selectors(const struct user_cpu *cpu)
{
	put_tls(cpu->tls);
	__asm__ volatile("mov %0, %%ds" ::"m"(cpu->ds));
	__asm__ volatile("mov %0, %%es" ::"m"(cpu->es));
	__asm__ volatile("mov %0, %%fs" ::"m"(cpu->fs));
	if (cpu->fs < 4)
		pv_load_fs_base(cpu->fs_base);
	pv_load_gs_index(cpu->gs);
}

/* The selector is made null first: a load of it afterwards would reset the base. */
void user_cpu_set_fs_base(struct user_cpu *cpu, uint64_t base)
{
	uint16_t null = 0;

	cpu->fs_base = base;
	__asm__ volatile("mov %0, %%fs" ::"m"(null));
	pv_load_fs_base(base);
}

/* A base that is loaded already stays until the program loads the selector again. */
uint64_t user_cpu_set_tls(struct user_cpu *cpu, uint64_t base)
{
	cpu->tls = DESCRIPTOR_TLS | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	put_tls(cpu->tls);
	return user_platform.tls | 3;
}

/* ---- the switch ------------------------------------------------------------------------------ */

/* 0 where the platform has no second root. */
static uint64_t root_of(const struct user_space *space, unsigned which)
{
	return which < space->n_roots ? virt_to_maddr(space->roots[which]).v : 0;
}

/* kernel_sp in two places: syscall takes no stack from the TSS, so the entry code reads it
 * through %gs; exceptions and interrupts take it from where load_sp0 puts it. */
static void load(struct user_task *task)
{
	this_cpu()->kernel_sp = task->cpu.kernel_sp;
	pv_load_sp0(this()->tables.sp0, task->cpu.kernel_sp);
	pv_activate_mm(root_of(&task->space, 0), root_of(&task->space, 1));
	load_selectors(&task->cpu);
	user_fpu_switch(&task->cpu);
}

/* On the first program here: nothing before needed ring 3. */
void user_cpu_begin(void)
{
	struct cpu *cpu = this();

	user_platform.begin_cpu(&cpu->tables);
	user_fpu_begin_cpu();
	cpu->begun = true;
}

/* Interrupts off. Back to the same program after kernel threads: nothing was disturbed, nothing
 * to do. */
void user_switch_to(struct user_task *task)
{
	struct cpu *cpu = this();

	if (task == cpu->loaded)
		return;
	if (!cpu->begun)
		user_cpu_begin();
	if (cpu->loaded)
		save_selectors(&cpu->loaded->cpu);
	cpu->loaded = task;
	load(task);
}

/* Its FPU registers may still be here when others have been loaded since. Its tables may go away next: onto the
 * kernel's own. */
void user_leave_cpu(struct user_task *task)
{
	struct cpu *cpu = this();

	user_fpu_leave(task ? &task->cpu : NULL);
	if (!cpu->loaded || (task && task != cpu->loaded))
		return;
	save_selectors(&cpu->loaded->cpu);
	cpu->loaded = NULL;
	pv_activate_mm(virt_to_maddr(mm_top).v, 0);
}

void user_cpu_online(void)
{
	*this() = (struct cpu){0};
}
