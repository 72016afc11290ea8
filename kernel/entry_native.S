/* entry_native.S: from a 32-bit loader to C, and the processor's own trap entries.
 *
 * pvh_entry (QEMU and other PVH loaders) and mb2_entry (GRUB) arrive in 32-bit protected mode without
 * paging, running at physical addresses. They build tables that map the first 4 GiB three times: where
 * it is, at DIRECT_BASE, and (the first 1 GiB) at KERNEL_BASE; then go to 64 bits and call
 * boot_native_start(loader, info). mm_native.c takes the identity mapping away later.
 * The trap stubs and the system call entry here are for a processor of our own; entry_xen.S has those of a
 * PV domain. Both end in trap_common and syscall_common; how registers are kept is entry_frame.S's.
 */
#include "entry_frame.S"

#define KERNEL_BASE 0xffffffff80000000
#define PHYS(sym) (sym - KERNEL_BASE)
#define STACK_SIZE 16384
#define LOADER_PVH 1
#define LOADER_MULTIBOOT2 2
#define PERCPU_KERNEL_SP 24
#define PERCPU_USER_SP 32
#define SEL_USER_SS 0x2b
#define SEL_USER_CS 0x33
#define VECTOR_SYSCALL 257
#define MSR_GS_BASE 0xc0000101

	.section .head, "ax"
	.code32
	.globl pvh_entry, mb2_entry
pvh_entry:
	mov $LOADER_PVH, %esi
	jmp 1f
mb2_entry:
	mov $LOADER_MULTIBOOT2, %esi
1:	cld
	cli
	/* Loaders zero .bss, as ELF asks, but firmware may have been there since: QEMU loads the kernel first, and in a
	 * machine of 2 MiB SeaBIOS then runs where .bss ends. */
	mov $PHYS(bss_start), %edi
	mov $PHYS(bss_end), %ecx
	sub %edi, %ecx
	xor %eax, %eax
	shr $2, %ecx
	rep stosl
	mov $PHYS(boot_stack) + STACK_SIZE, %esp
	call check_processor
	mov $PHYS(boot_l2), %edi
	xor %eax, %eax
2:	mov %eax, %edx
	or $0x83, %edx			/* present, writable, 2 MiB */
	mov %edx, (%edi)
	add $8, %edi
	add $0x200000, %eax
	jnc 2b				/* 2048 entries: 4 GiB */
	mov $PHYS(boot_l2) + 3, %eax
	mov $PHYS(boot_l3_low), %edi
	mov $4, %ecx
3:	mov %eax, (%edi)
	add $8, %edi
	add $4096, %eax
	loop 3b
	movl $PHYS(boot_l2) + 3, PHYS(boot_l3_high) + 510 * 8
	movl $PHYS(boot_l3_low) + 3, PHYS(boot_l4)
	movl $PHYS(boot_l3_low) + 3, PHYS(boot_l4) + 272 * 8
	movl $PHYS(boot_l3_high) + 3, PHYS(boot_l4) + 511 * 8
	mov $PHYS(boot_l4), %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $0x20, %eax			/* PAE */
	mov %eax, %cr4
	mov %ebx, %edi
	mov $0x80000001, %eax
	cpuid
	mov %edx, %ebp
	mov $0xc0000080, %ecx		/* EFER: long mode, and no-execute where there is one */
	rdmsr
	or $0x100, %eax
	bt $20, %ebp
	jnc 4f
	or $0x800, %eax
4:	wrmsr
	mov %cr0, %eax
	and $~0x6000000c, %eax		/* caches on; no emulation, not task-switched */
	or $0x80010021, %eax		/* paging, write protection, native FPU errors, PE */
	mov %eax, %cr0
	lgdt PHYS(boot_gdt_ptr)
	ljmp $8, $PHYS(5f)
	.code64
5:	movabs $6f, %rax
	jmp *%rax
	.text
6:	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %eax, %fs
	mov %eax, %gs
	lea boot_stack + STACK_SIZE(%rip), %rsp
	xor %ebp, %ebp
	xchg %edi, %esi			/* loader, info */
	call boot_native_start
	ud2

	.section .rodata
	.balign 8
boot_gdt:
	.quad 0, 0x00af9b000000ffff
boot_gdt_ptr:
	.word . - boot_gdt - 1
	.quad PHYS(boot_gdt)

	.section .bss.page, "aw", @nobits
	.balign 4096
	.globl boot_l4, boot_l2, boot_l3_low, boot_l3_high, boot_stack, boot_stack_end
boot_l4:	.skip 4096
boot_l3_low:	.skip 4096
boot_l3_high:	.skip 4096
boot_l2:	.skip 4 * 4096
boot_stack:	.skip STACK_SIZE
boot_stack_end:

/* Stubs, 16 bytes each. Exceptions that push no error code get a zero, so that every frame is alike
 * (Intel SDM vol. 3, "Exception and interrupt reference": 8, 10-14, 17, 21, 29, 30 push one). */
	.text
	.balign 16
	.globl trap_stubs_native
trap_stubs_native:
	vector = 0
	.rept 256
	.balign 16
	.if vector == 1
	jmp .Ldebug
	.endif
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
		vector == 29 || vector == 30)
	push $0
	.endif
	push $vector
	.if vector == 2 || vector == 8 || vector == 18
	jmp .Lanywhere
	.else
	jmp trap_common_native
	.endif
	vector = vector + 1
	.endr

/* gs is the program's when ring 3 was interrupted. An NMI, a double fault or a machine check may also come in
 * the kernel before it is swapped; so they look at the base, of which ours is in the upper half. They never
 * return, and need not swap back. */
trap_common_native:
	testb $3, 24(%rsp)		/* cs */
	jz trap_common
	swapgs
	jmp trap_common
.Lanywhere:
	push %rax
	push %rcx
	push %rdx
	mov $MSR_GS_BASE, %ecx
	rdmsr
	test %edx, %edx
	js 1f
	swapgs
1:	pop %rdx
	pop %rcx
	pop %rax
	jmp trap_common

/* A debug exception that MOV SS has put off may strike at the first instruction of the system call or of int3, in
 * the kernel and with the program's gs and (system call) stack: hence a stack of its own, as for an NMI. There,
 * in what lies from the stubs to the call's first instruction, it is passed over; elsewhere in the kernel
 * it is an exception like others. From ring 3 it goes on where every exception of a program does, since
 * others may run before it returns. */
.Ldebug:
	testb $3, 8(%rsp)		/* cs */
	jz 1f
	swapgs
	mov %rax, %gs:PERCPU_USER_SP
	mov %rsp, %rax
	mov %gs:PERCPU_KERNEL_SP, %rsp
	pushq 32(%rax)
	pushq 24(%rax)
	pushq 16(%rax)
	pushq 8(%rax)
	pushq (%rax)
	mov %gs:PERCPU_USER_SP, %rax
	push $0
	push $1
	jmp trap_common
1:	push %rax
	lea trap_stubs_native(%rip), %rax
	cmp %rax, 8(%rsp)
	jb 2f
	lea syscall_entry_native(%rip), %rax
	cmp %rax, 8(%rsp)
	jbe 3f
2:	pop %rax
	push $0
	push $1
	jmp trap_common
3:	pop %rax
	iretq

/* The syscall instruction leaves rip in rcx, the flags in r11, and the program's stack. */
	.globl syscall_entry_native
syscall_entry_native:
	swapgs
	mov %rsp, %gs:PERCPU_USER_SP
	mov %gs:PERCPU_KERNEL_SP, %rsp
	push $SEL_USER_SS
	push %gs:PERCPU_USER_SP
	push %r11
	push $SEL_USER_CS
	push %rcx
	push $0
	push $VECTOR_SYSCALL
	jmp syscall_common

	.globl trap_common
trap_common:
	SAVE_REGISTERS
	call trap_dispatch
	add $16, %rsp
restore:
	testb $3, 18 * 8(%rsp)		/* cs */
	RESTORE_REGISTERS
	jnz trap_return_user		/* pv_ops.cpu.swapgs and iret, in trap.c */
	jmp trap_return

/* void user_enter(struct trap_frame *frame) */
	.globl user_enter
user_enter:
	mov %rdi, %rsp
	jmp restore

	.globl syscall_common
syscall_common:
	SAVE_REGISTERS
	call user_syscall
	add $16, %rsp
	test %al, %al
	RESTORE_REGISTERS
	jnz trap_return_syscall		/* pv_ops.cpu.sysret */
	jmp trap_return_user
	.section .note.GNU-stack, "", @progbits
