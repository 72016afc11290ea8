/* entry_frame.S: how an entry keeps the registers of who was interrupted, and gives them back.
 *
 * Two macros, in the order of struct trap_frame (trap.h), for entry_native.S and entry_xen.S, which take this file in; by
 * itself it is empty. Not here: what lies above the registers (vector, error code, the processor's frame) is pushed by who
 * uses SAVE_REGISTERS.
 */
#ifndef KERNEL_ENTRY_FRAME_S
#define KERNEL_ENTRY_FRAME_S

.macro SAVE_REGISTERS
	cld
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %rax
	push %r8
	push %r9
	push %r10
	push %r11
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, %rdi
	mov 17 * 8(%rsp), %rax		/* the interrupted rip and rbp make a frame for backtraces */
	push %rax
	push %rbp
	mov %rsp, %rbp
.endm

/* Changes no flags. The vector and the error code go too: what is left is the processor's frame. */
.macro RESTORE_REGISTERS
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	lea 16(%rsp), %rsp
.endm

#endif
	.section .note.GNU-stack, "", @progbits
