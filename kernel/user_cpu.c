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

#define SELECTOR_TI 4u /* of the LDT */

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
	for (unsigned i = 0; i < USER_TLS_SLOTS; i++)
		cpu->tls[i] = DESCRIPTOR_TLS;
	return user_fpu_alloc(cpu);
}

void user_cpu_free(struct user_cpu *cpu)
{
	user_fpu_free(cpu);
	user_rights_free(&cpu->rights);
}

/* ---- segments ------------------------------------------------------------------------------- */

static void read_selectors(struct user_cpu *cpu)
{
	__asm__ volatile("mov %%ds, %0" : "=m"(cpu->ds));
	__asm__ volatile("mov %%es, %0" : "=m"(cpu->es));
	__asm__ volatile("mov %%fs, %0" : "=m"(cpu->fs));
	__asm__ volatile("mov %%gs, %0" : "=m"(cpu->gs));
}

/* Those of the selectors in the processor that are like which, in the bits of mask, become null: their descriptor goes
 * next. A hypervisor may load them anew at any time, and would find none. */
static void drop_selectors(unsigned which, unsigned mask)
{
	struct user_cpu now;

	read_selectors(&now);
	if ((now.ds & mask) == which)
		__asm__ volatile("mov %w0, %%ds" ::"r"(0));
	if ((now.es & mask) == which)
		__asm__ volatile("mov %w0, %%es" ::"r"(0));
	if ((now.fs & mask) == which)
		__asm__ volatile("mov %w0, %%fs" ::"r"(0));
	if ((now.gs & mask) == which)
		pv_load_gs_index(0);
}

/* Before others are loaded. The bases are not read back: fs_base is known, it is set by a call
 * only. */
static void save_selectors(struct user_cpu *cpu)
{
	read_selectors(cpu);
	if (cpu->rights.ldt)
		drop_selectors(SELECTOR_TI, SELECTOR_TI);
}

static void put_tls(const struct user_cpu *cpu)
{
	pv_load_tls(&this()->tables.gdt[user_platform.tls / 8], cpu->tls);
}

/* A selector whose descriptor has gone since becomes the null one, as if it were loaded anew. */
static uint16_t loadable(const struct user_cpu *cpu, uint16_t selector)
{
	return user_selector_ok(&cpu->rights, selector) ? selector : 0;
}

/* Part of the switch, where a hypervisor is told all at once. A base belongs to a null selector, which is
 * loaded before it: loading it afterwards would reset the base. */
static void give_segments(const struct user_cpu *cpu)
{
	put_tls(cpu);
	if (loadable(cpu, cpu->fs) < 4) {
		__asm__ volatile("mov %w0, %%fs" ::"r"(0));
		pv_load_fs_base(cpu->fs_base);
	}
	pv_load_gs_index(loadable(cpu, cpu->gs));
}

/* After the switch, when the descriptors are in force. Every one that a program can have loaded stays loadable: the
 * flat ones are constant, the TLS ones are rewritten but never taken away, and the LDT's are looked at. So none of
 * these can fault. */
static void load_selectors(const struct user_cpu *cpu)
{
	uint16_t fs = loadable(cpu, cpu->fs);

	__asm__ volatile("mov %w0, %%ds" ::"r"(loadable(cpu, cpu->ds)));
	__asm__ volatile("mov %w0, %%es" ::"r"(loadable(cpu, cpu->es)));
	if (fs >= 4)
		__asm__ volatile("mov %w0, %%fs" ::"r"(fs));
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
uint64_t user_cpu_set_tls(struct user_cpu *cpu, uint64_t base, unsigned slot)
{
	cpu->tls[slot] = DESCRIPTOR_TLS | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	put_tls(cpu);
	return (user_platform.tls + slot * 8) | 3;
}

int64_t user_cpu_set_ldt(struct user_cpu *cpu, unsigned entry, uint64_t descriptor)
{
	if (!descriptor)
		drop_selectors(entry << 3 | SELECTOR_TI, 0xfffc);
	return user_set_ldt(&cpu->rights, entry, descriptor);
}

/* Here for the tables, which are this CPU's. */
int user_cpu_set_ports(struct user_cpu *cpu, unsigned first, unsigned n, bool allow)
{
	return user_set_ports(&cpu->rights, &this()->tables, first, n, allow);
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
	pv_start_context_switch();
	pv_load_sp0(this()->tables.sp0, task->cpu.kernel_sp);
	pv_activate_mm(root_of(&task->space, 0), root_of(&task->space, 1));
	user_rights_load(&task->cpu.rights, &this()->tables);
	give_segments(&task->cpu);
	user_fpu_switch(&task->cpu);
	pv_end_context_switch();
	load_selectors(&task->cpu);
}

/* On the first program here: nothing before needed ring 3. */
void user_cpu_begin(void)
{
	struct cpu *cpu = this();

	user_platform.begin_cpu(&cpu->tables);
	user_fpu_begin_cpu();
	user_rights_forget();
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
	user_rights_load(NULL, &cpu->tables);
	pv_activate_mm(virt_to_maddr(mm_top).v, 0);
}

void user_cpu_online(void)
{
	*this() = (struct cpu){0};
}
