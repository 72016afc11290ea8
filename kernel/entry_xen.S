/* entry_xen.S: how a Xen PV domain is entered: at start, by further vCPUs, by exceptions, by the upcall.
 *
 * The loader starts us in 64-bit mode on its own page tables, with start_info's address in rsi
 * (<xen/xen.h>, "Start-of-day memory layout"). An exception comes as a call from the hypervisor: it
 * pushes the processor's frame and above it r11 and rcx, which its syscall path wants restored. Each
 * stub drops those two into place and so has the same frame as a native stub; both end in trap_common
 * (entry_native.S). The upcall looks like an exception without an error code.
 */
#define STACK_SIZE 16384
#define NR_VCPU_OP 24
#define VCPUOP_DOWN 2

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

/* 32 exceptions, 16 bytes each. */
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

	.globl xen_event_upcall, xen_failsafe_upcall, xen_syscall_upcall
xen_event_upcall:
	pop %rcx
	pop %r11
	push $0
	push $256
	jmp trap_common

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
