/* entry_xen.S: how a Xen PV domain is entered: at start, by further vCPUs, by exceptions, by the upcall.
 *
 * The loader starts us in 64-bit mode on its own page tables, with start_info's address in rsi
 * (<xen/xen.h>, "Start-of-day memory layout"). An exception comes as a call from the hypervisor: it
 * pushes the processor's frame and above it r11 and rcx, which its syscall path wants restored. Each
 * stub drops those two into place and so has the same frame as a native stub; both end in trap_common
 * (entry_native.S). The upcall looks like an exception without an error code, but has a way back of its own.
 */
#include "entry_frame.S"

#define STACK_SIZE 16384
#define NR_VCPU_OP 24
#define VCPUOP_DOWN 2
#define VECTOR_UPCALL 256
#define PERCPU_UPCALL_PENDING 64
#define PERCPU_UPCALL_MASK 65

	.text
	.globl xen_pv_entry
xen_pv_entry:
	cld
	lea boot_stack + STACK_SIZE(%rip), %rsp
	xor %ebp, %ebp
	mov %rsi, %rdi
	call boot_xen_pv_start
	ud2

/* A further vCPU, on its stack. */
	.globl smp_xen_entry
smp_xen_entry:
	cld
	xor %ebp, %ebp
	call smp_xen_begin
	ud2

/* void smp_xen_park(unsigned vcpu, const uint64_t *stack). Once it is down the stack is another's, so the call
 * is not made through the page's stub, which would come back by it. rcx and r11 are lost. */
	.globl smp_xen_park
smp_xen_park:
	mov %rsi, %rbx
	mov %edi, %esi
	mov $VCPUOP_DOWN, %edi
	xor %edx, %edx
	mov $NR_VCPU_OP, %eax
	syscall
	mov (%rbx), %rsp
	jmp smp_xen_entry

/* 32 exceptions, 16 bytes each. They go back by the hypercall, kernel or not: after an NMI, and after a fault with events masked, the
 * hypervisor has more to put back than the processor. */
	.balign 16
	.globl trap_stubs_xen
trap_stubs_xen:
	vector = 0
	.rept 32
	.balign 16
	pop %rcx
	pop %r11
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
		vector == 29 || vector == 30)
	push $0
	.endif
	push $vector
	jmp trap_common
	vector = vector + 1
	.endr

/* The upcall, and the way back from it. The hypervisor's own way back is a hypercall, which a program needs, whose mode differs.
 * Kernel code was interrupted in the mode it goes back to, and with events unmasked, or there would have been no
 * upcall: the processor's iretq does, when the mask is clear again. The two are not one step:
 *
 *	mask = 0              an event from here on is an upcall, in what is left of this one
 *   upcall_unmasked:
 *	pending? ---> again   one from before is fetched here, the hypervisor having had no reason to
 *	iretq
 *   upcall_again:
 *	mask = 1
 *   upcall_masked:
 *
 * An upcall that finds the saved rip from upcall_unmasked to before upcall_masked has all registers as they were when the first came,
 * and that one's frame where the saved rsp points. It takes the frame for its own, as if it had come a moment earlier; its
 * own is dropped. So the stack does not grow, however fast events come (kernel/selftest_upcall.c sends one at each
 * instruction). A program's rip proves nothing: it may jump to our labels, and be interrupted before the jump faults. */
	.globl xen_event_upcall, xen_failsafe_upcall, xen_syscall_upcall
	.globl upcall_return, upcall_unmasked, upcall_again, upcall_masked
xen_event_upcall:
	pop %rcx
	pop %r11
	testb $3, 8(%rsp)		/* cs */
	jnz 1f
	cmpq $upcall_unmasked, (%rsp)
	jb 1f
	cmpq $upcall_masked, (%rsp)
	jae 1f
	mov 24(%rsp), %rsp
	jmp upcall_masked
1:	push $0
	push $VECTOR_UPCALL
	SAVE_REGISTERS
	call trap_dispatch
	add $16, %rsp
	testb $3, 18 * 8(%rsp)		/* cs */
	RESTORE_REGISTERS
	jnz trap_return_user
	orb $3, 8(%rsp)			/* the hypervisor says 0, to tell the kernel from a program */
upcall_return:
	movb $0, %gs:PERCPU_UPCALL_MASK
upcall_unmasked:
	cmpb $0, %gs:PERCPU_UPCALL_PENDING
	jne upcall_again
	iretq
upcall_again:
	movb $1, %gs:PERCPU_UPCALL_MASK
upcall_masked:
	andb $~3, 8(%rsp)
	jmp 1b

/* A program's system call; the stack is ours already. */
xen_syscall_upcall:
	pop %rcx
	pop %r11
	push $0
	push $257
	jmp syscall_common

/* A segment register could not be loaded on the way back to us: ds, es, fs, gs lie above rcx and r11
 * (Xen's create_bounce_frame contract, <xen/callback.h>). We never load a selector that may fail, so
 * nothing resumes: it is reported as a general protection fault. */
xen_failsafe_upcall:
	mov 32(%rsp), %rcx
	mov 40(%rsp), %r11
	add $48, %rsp
	push $0
	push $13
	jmp trap_common
	.section .note.GNU-stack, "", @progbits
