/* thunks.S: the operations that are too long to inline and too hot for C, or that are no function at
 * all, of a Xen PV domain.
 *
 * Those on interrupts change the flags only, because the sites that call them promise the compiler no
 * more (class BARE, amphi/pvops.def). They touch the mask and pending bytes of this CPU's vcpu_info; only an
 * event that is waiting costs a hypercall. Called from patched sites; filled in by xen_pv.c.
 */
/* Numbers for the assembler itself, so that a host test can take this file in as it is. The bytes are
 * evtchn_upcall_pending and evtchn_upcall_mask of struct percpu's vcpu_info. */
	.set PENDING, 64
	.set MASK, 65
	.set NR_XEN_VERSION, 17
	.set NR_IRET, 23
	.set IN_SYSCALL, 0x100		/* VGCF_in_syscall */

	.include "pvops/keep.S"
	.text
	.globl pv_xen_irq_enable, pv_xen_restore_fl, pv_xen_iret, pv_xen_sysret, pv_unfilled

/* On the stack: what save_fl left there, the first bytes of vcpu_info. Any mask but 0 is one. */
pv_xen_restore_fl:
	cmpb $0, 8 + MASK - PENDING(%rsp)
	je 1f
	movb $1, %gs:MASK
	ret $8
1:	movb $0, %gs:MASK
	cmpb $0, %gs:PENDING		/* see below */
	jne 2f
	ret $8
2:	call pv_xen_irq_enable
	ret $8

/* Unmask, then look: an event that came in between was delivered by the hypervisor on its own, one
 * that came before shows in the pending byte and is fetched by a call that does nothing. Had we
 * looked first, one between the look and the unmasking would wait for the next interrupt. */
pv_xen_irq_enable:
	movb $0, %gs:MASK
	cmpb $0, %gs:PENDING
	jne 1f
	ret
1:	push %rax
	PUSH_LOST
	incq hypercall_counts + 8 * NR_XEN_VERSION(%rip)
	xor %edi, %edi
	xor %esi, %esi
	call hypercall_page + 32 * NR_XEN_VERSION
	POP_LOST
	pop %rax
	ret

/* struct iret_context of <xen/arch-x86/xen-x86_64.h> over the processor's frame. Written without the
 * page's stub, which for this number pushes rax on its own. */
pv_xen_iret:
	incq hypercall_counts + 8 * NR_IRET(%rip)
	push $0				/* flags: restore rcx and r11 too */
	push %rcx
	push %r11
	push %rax
	mov $NR_IRET, %eax
	syscall
	ud2

/* The same after a system call, whose caller expects nothing in rcx and r11: the hypervisor may take
 * its own short way back. */
pv_xen_sysret:
	incq hypercall_counts + 8 * NR_IRET(%rip)
	push $IN_SYSCALL
	push %rcx
	push %r11
	push %rax
	mov $NR_IRET, %eax
	syscall
	ud2

/* Where a call of an operation that the platform lacks ends. */
pv_unfilled:
	ud2

	.section .bss.page, "aw", @nobits
	.balign 4096
	.globl pv_shared_page
	.type pv_shared_page, @object
	.size pv_shared_page, 4096
pv_shared_page:
	.skip 4096
	.section .note.GNU-stack, "", @progbits
