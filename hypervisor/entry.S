/* entry.S: the ways into the hypervisor and the one way back to a guest.
 *
 * In: syscall from a guest, 256 interrupt gates. Each puts the guest's registers straight into its
 * vCPU (struct guest_regs, which TSS.rsp0 points behind), goes over to this CPU's stack and calls C
 * (trap.c). Out: sched_leave says whose registers to load. NMI, #DB, #DF and #MC may come anywhere,
 * even between swapgs and the load of RSP: they have stacks of their own (IST), at whose top their
 * CPU's struct percpu is noted. Offsets are asserted in cpu.c.
 */
#include "layout.h"

#define R15 8
#define R_RIP 136
#define R_CS 144
#define R_RFLAGS 152
#define R_RSP 160
#define R_SS 168
#define R_SIZE 176
#define CPU_STACK 8
#define CPU_REGS_TOP 16
#define CPU_SCRATCH 24
#define MSR_GS_BASE 0xc0000101
#define IST_STACK 4096

	.macro PUSH_REGS
	.irp r, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
	pushq %\r
	.endr
	.endm

	.macro POP_REGS
	.irp r, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
	popq %\r
	.endr
	.endm

/* syscall pushes nothing and leaves RSP the guest's. What an interrupt would have pushed is written
 * by hand: RCX is the guest's RIP, R11 its flags, which the CPU has put there. Interrupts are off and
 * the direction flag is clear by the mask MSR, so scratch is nobody else's. */
	.macro SYSCALL_ENTRY name, cs, handler
	.balign 16
	.globl \name
\name:
	swapgs
	movq %rsp, %gs:CPU_SCRATCH
	movq %gs:CPU_REGS_TOP, %rsp
	pushq $HV_GUEST_DS32
	pushq %gs:CPU_SCRATCH
	pushq %r11
	pushq $\cs
	pushq %rcx
	pushq $0
	PUSH_REGS
	leaq -8(%rsp), %rdi
	movq %gs:CPU_STACK, %rsp
	call \handler
	jmp leave
	.endm

	.text
	SYSCALL_ENTRY entry_syscall, HV_GUEST_CS64, trap_syscall
	SYSCALL_ENTRY entry_syscall32, HV_GUEST_CS32, trap_syscall32

/* The 256 gates, 16 bytes each: an error code if the CPU pushed none, and the vector in the upper
 * half of the same word. */
	.balign 16
	.globl entry_gates
entry_gates:
	.set vector, 0
	.rept 256
	.balign 16
	.if (vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17) && (vector != 21)
	pushq $0
	.endif
	movl $vector, 4(%rsp)
	.if (vector == 1) || (vector == 2) || (vector == 8) || (vector == 18)
	jmp entry_ist
	.else
	jmp entry_common
	.endif
	.set vector, vector + 1
	.endr

	.balign 16
entry_common:
	cld
	testb $3, 16(%rsp)
	jz from_hypervisor
	swapgs
	PUSH_REGS
	leaq -8(%rsp), %rdi
	movq %gs:CPU_STACK, %rsp
	call trap_from_guest
	/* fall through */

/* Back to a guest, always by iretq: sysret faults in ring 0 on the guest's stack when RIP is not
 * canonical. Its registers stay in the vCPU until the last instruction, and the frame of
 * iretq is a copy: so a fault of iretq itself finds everything still there. */
	.globl leave
leave:
	call sched_leave
	movq %rax, %rdi
	movq %gs:CPU_STACK, %rsp
	.irp offset, R_SS, R_RSP, R_RFLAGS, R_CS, R_RIP
	pushq \offset(%rdi)
	.endr
	.set offset, R15
	.irp r, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
	movq offset(%rdi), %\r
	.set offset, offset + 8
	.endr
	swapgs
	.globl guest_iretq
guest_iretq:
	iretq

/* A fault or an interrupt in our own code: interrupts in the idle loop, faults on guest memory and
 * on a guest's selectors, and guest_iretq, which runs with the guest's GS. */
from_hypervisor:
	pushq %rax
	leaq guest_iretq(%rip), %rax
	cmpq %rax, 16(%rsp)
	popq %rax
	je bad_iret
	PUSH_REGS
	leaq -8(%rsp), %rdi
	movq %rsp, %rbx
	andq $-16, %rsp
	call trap_from_hypervisor
	movq %rbx, %rsp
	POP_REGS
	addq $8, %rsp
	iretq

bad_iret:
	swapgs
	movl 4(%rsp), %edi	/* vector */
	movl (%rsp), %esi	/* error code */
	movq %gs:CPU_STACK, %rsp
	call trap_bad_iret
	jmp leave

/* Which GS is in the CPU cannot be told here, so set it and put back what was there. */
	.balign 16
entry_ist:
	cld
	PUSH_REGS
	movl $MSR_GS_BASE, %ecx
	rdmsr
	movl %eax, %r12d
	movl %edx, %r13d
	movq %rsp, %rbx
	orq $(IST_STACK - 1), %rbx
	movq -15(%rbx), %rax	/* the noted percpu, 16 bytes below the stack's end */
	movq %rax, %rdx
	shrq $32, %rdx
	testb $3, R_CS - 8(%rsp)
	jnz 1f
	wrmsr
	leaq -8(%rsp), %rdi
	movq %rsp, %rbx
	andq $-16, %rsp
	call trap_anywhere
	movq %rbx, %rsp
	movl $MSR_GS_BASE, %ecx
	movl %r12d, %eax
	movl %r13d, %edx
	wrmsr
	POP_REGS
	addq $8, %rsp
	iretq
1:	/* From a guest: as any other exception, after moving the frame into the vCPU. */
	swapgs
	leaq -8(%rsp), %rsi
	movq %gs:CPU_REGS_TOP, %rdi
	subq $R_SIZE, %rdi
	movq %rdi, %rbx
	movl $(R_SIZE / 8), %ecx
	rep movsq
	movq %rbx, %rdi
	movq %gs:CPU_STACK, %rsp
	call trap_from_guest
	jmp leave

/* For the start of the machine: from boot's stack into the first vCPU. */
	.globl entry_start
entry_start:
	movq %gs:CPU_STACK, %rsp
	xorl %ebp, %ebp
	jmp leave
