/* keep.S: how operations that may lose no register call C: macros, and no code of its own.
 *
 * Taken in by thin.S, thunks.S and lock_thunks.S, by the assembler and not by the preprocessor, because host tests take
 * those in as they are (and this file too, for operations of their own); only once, whoever is first. What C may change are rax and these eight (System V ABI,
 * AMD64, 3.2.1); nothing here touches vector registers, which the kernel does not use.
 */
	.ifndef KEEP_ONCE
	.set KEEP_ONCE, 1

.macro PUSH_LOST
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %r8
	push %r9
	push %r10
	push %r11
.endm

.macro POP_LOST
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
.endm

/* After it 8(%rbp) is the return address, and what the caller pushed is above that. */
.macro ENTER_C
	push %rbp
	mov %rsp, %rbp
	PUSH_LOST
	push %rax
	and $-16, %rsp			/* a site promises no alignment */
.endm

/* What rax was, for those that give nothing back in it. */
.macro OLD_RAX
	mov -72(%rbp), %rax
.endm

.macro LEAVE_C
	lea -64(%rbp), %rsp
	POP_LOST
	pop %rbp
.endm

/* ---- whole operations, by the class of their sites (amphi/pvops.def) ---- */

.macro BEGIN_OP name
	.globl \name
	.type \name, @function
\name:
	ENTER_C
.endm

.macro THIN_CALL name, function
	BEGIN_OP \name
	call \function
	LEAVE_C
	ret
	.size \name, . - \name
.endm

.macro BARE_CALL name, function
	BEGIN_OP \name
	call \function
	OLD_RAX
	LEAVE_C
	ret
	.size \name, . - \name
.endm

/* Class STORE: the address in rdi; on the stack what rdi was, and the value. */
.macro STORE_CALL name, function
	BEGIN_OP \name
	mov 24(%rbp), %rsi
	call \function
	OLD_RAX
	LEAVE_C
	mov 8(%rsp), %rdi
	ret $16
	.size \name, . - \name
.endm

/* Class INVLPG: the address on the stack. */
.macro INVLPG_CALL name, function
	BEGIN_OP \name
	mov 16(%rbp), %rdi
	call \function
	OLD_RAX
	LEAVE_C
	ret $8
	.size \name, . - \name
.endm

/* Classes AND and OR: both on the stack; the result takes the place of what was pushed first. */
.macro BOTH_CALL name, function
	BEGIN_OP \name
	mov 16(%rbp), %rdi
	mov 24(%rbp), %rsi
	call \function
	mov %rax, 24(%rbp)
	OLD_RAX
	LEAVE_C
	ret $8
	.size \name, . - \name
.endm
	.endif
	.section .note.GNU-stack, "", @progbits
