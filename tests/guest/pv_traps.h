/* pv_traps.h: handlers for the test guests that want to see their traps: what came, and back again.
 *
 * Included after pv.h by a guest that says what it wants of it: pv_abi.c, pv_modes.c. Exceptions,
 * system calls, upcalls, NMIs and the failsafe callback arrive in on_trap, which notes them; FAULT runs
 * one instruction that faults and goes on behind it. shared is the guest's to map.
 */
#ifndef GUEST_PV_TRAPS_H
#define GUEST_PV_TRAPS_H

#include "pv.h"

static struct shared_info *shared;
static volatile uint64_t trap_vector, trap_error, trap_rip, trap_flags, trap_count, resume_at;
static volatile uint64_t syscalls, upcalls, nmis, nmi_masked_events;
static void (*volatile in_nmi)(void); /* called by the handler, once */

/* ---- entries: every frame has RCX and R11 on top --------------------------------------------- */

#define STUB(name, error, vector)                                                                  \
	__asm__(".globl " #name "\n" #name ":\n\tpopq %rcx\n\tpopq %r11\n\t" error                 \
		"pushq $" #vector "\n\tjmp stub_common\n")
#define NO_ERROR "pushq $0\n\t"
STUB(on_de, NO_ERROR, 0);
STUB(on_nmi, NO_ERROR, 2);
STUB(on_bp, NO_ERROR, 3);
STUB(on_ud, NO_ERROR, 6);
STUB(on_nm, NO_ERROR, 7);
STUB(on_gp, "", 13);
STUB(on_pf, "", 14);
STUB(on_int80, NO_ERROR, 0x80);
STUB(on_syscall, NO_ERROR, 0x100);
STUB(on_event, NO_ERROR, 0x101);

__asm__("stub_common:\n\t" /* vector, error, rip, cs, rflags, rsp, ss */
	"pushq %rax\n\tpushq %rcx\n\tpushq %rdx\n\tpushq %rsi\n\tpushq %rdi\n\tpushq %r8\n\t"
	"pushq %r9\n\tpushq %r10\n\tpushq %r11\n\tpushq %rbx\n\tpushq %rbp\n\tmovq %rsp, %rdi\n\t"
	"movq %rsp, %rbp\n\tandq $-16, %rsp\n\tcall on_trap\n\tmovq %rbp, %rsp\n\t"
	"popq %rbp\n\tpopq %rbx\n\tpopq %r11\n\tpopq %r10\n\tpopq %r9\n\tpopq %r8\n\tpopq %rdi\n\t"
	"popq %rsi\n\tpopq %rdx\n\tpopq %rcx\n\tpopq %rax\n\taddq $16, %rsp\n\t"
	"pushq $0\n\t" /* iret_context: rax, r11, rcx, flags below the frame */
	"jmp hypercall_page + 23 * 32\n");

/* Failsafe: RCX, R11, DS, ES, FS, GS, then the frame. */
__asm__(
    ".globl on_failsafe\non_failsafe:\n\tpopq %rcx\n\tpopq %r11\n\taddq $32, %rsp\n\tpushq $0\n\t"
    "pushq $0x102\n\tjmp stub_common\n");

extern char on_nmi[], on_de[], on_bp[], on_ud[], on_nm[], on_gp[], on_pf[], on_int80[],
    on_syscall[];
extern char on_event[], on_failsafe[];

struct frame {
	uint64_t rbp, rbx, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

/* From user mode (CS with RPL 3 in the frame) a system call goes back to the kernel at resume_at.
 */
void on_trap(struct frame *f);
void on_trap(struct frame *f)
{
	if (f->vector == 0x101) {
		upcalls++;
		shared->vcpu_info[0].evtchn_upcall_pending = 0;
		shared->vcpu_info[0].evtchn_pending_sel = 0;
		for (unsigned i = 0; i < 64; i++)
			shared->evtchn_pending[i] = 0;
		return;
	}
	if (f->vector == 2) {
		void (*then)(void) = in_nmi;

		nmis++;
		nmi_masked_events = shared->vcpu_info[0].evtchn_upcall_mask;
		in_nmi = 0;
		if (then)
			then();
		return;
	}
	trap_vector = f->vector;
	trap_flags = f->rflags;
	trap_error = f->error;
	trap_rip = f->rip;
	trap_count++;
	if (f->vector == 0x100)
		syscalls = f->rax;
	if (resume_at == 0)
		return;
	f->rip = resume_at;
	f->cs = 0xe030; /* to the kernel */
	resume_at = 0;
}

/* Runs one instruction that faults; continues behind it. */
#define FAULT(instruction)                                                                         \
	do {                                                                                       \
		trap_vector = 0xfff;                                                               \
		__asm__ volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, %0\n\t" instruction "\n1:"  \
				 : "+m"(resume_at)                                                 \
				 :                                                                 \
				 : "rax", "rcx", "rdx", "r11", "memory");                          \
		resume_at = 0;                                                                     \
	} while (0)

static void set_up_traps(void)
{
	static struct trap_info table[] = {
	    {0, 0, 0xe033, (uint64_t)on_de},       {3, 3, 0xe033, (uint64_t)on_bp},
	    {6, 0, 0xe033, (uint64_t)on_ud},       {7, 0, 0xe033, (uint64_t)on_nm},
	    {13, 0, 0xe033, (uint64_t)on_gp},      {14, 0, 0xe033, (uint64_t)on_pf},
	    {0x80, 3, 0xe033, (uint64_t)on_int80}, {0, 0, 0, 0},
	};

	check("set_trap_table",
	      hypercall(__HYPERVISOR_set_trap_table, (uint64_t)table, 0, 0, 0) == 0);
	check("set_callbacks", hypercall(__HYPERVISOR_set_callbacks, (uint64_t)on_event,
					 (uint64_t)on_failsafe, (uint64_t)on_syscall, 0) == 0);
}

#endif
