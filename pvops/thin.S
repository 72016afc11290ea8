/* thin.S: C functions of a PV domain as operations that keep the registers: all of them, or all but rax.
 *
 * The sites of these operations promise the compiler that (amphi/pvops.def: bare, thin, pure), so that natively,
 * where they are an instruction, nothing around them is saved for a call that is none. What that costs in a PV
 * domain is little beside what the functions do. Named in xen_pv.c's table; call xen_mmu.c and xen_queue.c.
 * Host tests take this file in as it is.
 */
	.text

.macro KEEPING_CALL name, function, rax
	.globl \name
	.type \name, @function
\name:
	push %rbp
	mov %rsp, %rbp
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %r8
	push %r9
	push %r10
	push %r11
	push %rax
	and $-16, %rsp			/* a site promises no alignment */
	call \function
	.ifc \rax, kept
	mov -72(%rbp), %rax
	.endif
	lea -64(%rbp), %rsp
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	pop %rbp
	ret
	.size \name, . - \name
.endm

	KEEPING_CALL thin_read_cr3, xen_read_cr3, result
	KEEPING_CALL thin_pte_val, xen_pte_val, result
	KEEPING_CALL thin_make_pte, xen_make_pte, result
	KEEPING_CALL bare_set_entry, xen_set_entry, kept
	KEEPING_CALL bare_modify_prot_commit, xen_modify_prot_commit, kept
	KEEPING_CALL bare_flush_tlb_one, xen_flush_tlb_one, kept
	KEEPING_CALL bare_lazy_enter, xen_lazy_enter, kept
	KEEPING_CALL bare_lazy_leave, xen_lazy_leave, kept
	KEEPING_CALL bare_lazy_flush, xen_lazy_flush, kept
	KEEPING_CALL bare_start_context_switch, xen_start_context_switch, kept
	KEEPING_CALL bare_end_context_switch, xen_end_context_switch, kept
	.section .note.GNU-stack, "", @progbits
