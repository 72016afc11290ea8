/* user_parts.h: what the files of kernel/user*.c tell each other. Private to them.
 *
 * user.c holds the table of programs and their life, user_load.c makes one from its image, user_call.c and
 * user_fault.c serve it, user_cpu.c switches registers, user_fpu.c those of the
 * FPU, user_rights.c what few programs have, user_native.c and user_xen.c bring up ring 3 on
 * their platform. A task's members change under the kernel lock, in its own thread or with interrupts off; its
 * registers are in at most one CPU, and only that one can save them.
 */
#ifndef KERNEL_USER_PARTS_H
#define KERNEL_USER_PARTS_H

#include <amphi/elf.h>
#include <amphi/pvops.h>

#include "thread.h"
#include "user.h"
#include "user_space.h"

#define USER_NAME_MAX  64u
#define USER_WORDS_MAX 256u

enum user_state { USER_FREE, USER_RUNS, USER_ENDED };

/* What few programs have, user_rights.c's. All zero: nothing. */
struct user_rights {
	uint64_t *ldt;          /* USER_LDT_ENTRIES, a page */
	struct pv_ports *ports; /* NULL: none were ever given */
	uint64_t watched;
	uint64_t dr7; /* 0: nothing is watched */
	bool any;     /* something of it was ever asked for */
};

/* Registers that belong to a program and are not in its trap frame. */
struct user_cpu {
	uint64_t kernel_sp; /* top of its thread's stack: where its traps begin */
	void *fpu;          /* user_fpu.c's */
	uint64_t fs_base, tls[USER_TLS_SLOTS]; /* tls: descriptors */
	uint16_t ds, es, fs, gs;
	struct user_rights rights;
};

struct user_task {
	enum user_state state;
	int pid, parent, status;
	char name[USER_NAME_MAX];
	struct user_space space;
	struct user_cpu cpu;
	uint64_t entry, sp, argc, argv; /* how it begins */
	uint64_t fault_start, fault_size, fault_handler;
	bool to_end; /* before it goes back to ring 3 */
	struct wait_queue ended, sleeps;
};

/* What each CPU has of its own. */
struct user_tables {
	uint64_t *gdt, *sp0;       /* the table with tls in it; where load_sp0 keeps its value */
	struct x86_tss_ports *tss; /* natively, once a program had ports here */
};

/* What a platform has decided, and how it is brought up. */
struct user_platform {
	unsigned n_roots;
	uint16_t cs, ss, tls;
	/* On each CPU before its first program; interrupts off. Cannot fail. */
	void (*begin_cpu)(struct user_tables *out);
	/* Before the first program gets ports, and then on each CPU where one with ports runs. NULL: nothing is
	 * needed. */
	int (*make_port_tables)(void); /* -XEN_ENOMEM */
	void (*begin_ports)(struct user_tables *tables);
};
extern struct user_platform user_platform;
int user_init_native(void);
int user_init_xen_pv(void);

/* trap_native.c: this CPU's GDT and its TSS's first stack. entry_*.S: where system calls come in. */
uint64_t *trap_native_gdt(void);
uint64_t *trap_native_sp0(void);
extern char syscall_entry_native[], xen_syscall_upcall[];

/* entry_native.S: runs the program from this frame; the stack beneath it is lost. Interrupts off. */
void user_enter(struct trap_frame *frame) __attribute__((noreturn));

/* ---- user.c ---- */
struct user_task *user_current(void);
void user_end(int status) __attribute__((noreturn)); /* the current program; interrupts on */
void user_going_back(
    void); /* interrupts off; gives the kernel lock back; the program may end here */

/* ---- user_load.c: fills task's space, entry and stack; -XEN_ENOEXEC was logged. ---- */
int user_load(struct user_task *task, int argc, char **argv);

/* ---- user_cpu.c ---- */
void user_cpu_begin(void);               /* sets up ring 3 on this CPU. Interrupts off. */
int user_cpu_init(struct user_cpu *cpu); /* -XEN_ENOMEM */
void user_cpu_free(struct user_cpu *cpu);
/* Both of the program that runs. */
void user_cpu_set_fs_base(struct user_cpu *cpu, uint64_t base);
/* And of user_rights.c, with the tables of this CPU. */
int64_t user_cpu_set_ldt(struct user_cpu *cpu, unsigned entry, uint64_t descriptor);
int user_cpu_set_ports(struct user_cpu *cpu, unsigned first, unsigned n, bool allow);
uint64_t user_cpu_set_tls(struct user_cpu *cpu, uint64_t base, unsigned slot); /* the selector */

/* ---- user_fpu.c: interrupts off but for alloc and free ---- */
void user_fpu_init(void); /* once, when the first CPU has begun */
void user_fpu_begin_cpu(void);
int user_fpu_alloc(struct user_cpu *cpu);
void user_fpu_free(struct user_cpu *cpu);
void user_fpu_switch(struct user_cpu *to); /* runs on this CPU next */
bool user_fpu_trap(struct user_cpu *cpu);  /* wants its registers; false: it has them */
void user_fpu_leave(struct user_cpu *cpu); /* may run elsewhere next; NULL: whoever is here */
void user_fpu_drop(struct user_cpu *cpu);  /* has ended */

/* ---- user_rights.c ---- */
/* Of the program that runs, in its own thread. The selector, or -XEN_ENOMEM. */
int64_t user_set_ldt(struct user_rights *r, unsigned entry, uint64_t descriptor);
int user_set_ports(struct user_rights *r, struct user_tables *tables, unsigned first, unsigned n,
		   bool allow);
void user_set_watch(struct user_rights *r, uint64_t address, unsigned size, unsigned access);
bool user_watch_hit(const struct user_rights *r); /* in a debug exception */
void user_rights_load(const struct user_rights *r, struct user_tables *tables); /* at a switch */
void user_rights_forget(void); /* this CPU begins: nothing is loaded */
bool user_ldt_has(const struct user_rights *r, uint16_t selector);

/* Whether it can be loaded. The flat segments and the TLS ones are always there. */
static inline bool user_selector_ok(const struct user_rights *r, uint16_t selector)
{
	return !(selector & 4) || user_ldt_has(r, selector);
}
void user_rights_free(struct user_rights *r); /* loaded nowhere */

/* ---- user_fault.c ---- */
int user_resume(struct user_task *task, struct trap_frame *frame, uint64_t context);

#endif
