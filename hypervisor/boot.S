/* boot.S: from the boot loader's 32-bit world to boot_main in the hypervisor's own addresses.
 *
 * The multiboot header carries addresses (flag 16), because QEMU takes a 64-bit ELF in no other
 * way; GRUB's multiboot command honours it too. Expected here: protected mode, paging off, EAX the
 * magic of either version of multiboot, EBX its information. Not here: anything that C can do. Tables made here map the first
 * GiB three times: at 0 (until boot_main drops it), at HV_IMAGE_VIRT and in the direct map.
 */
#include "layout.h"

#define PHYS(symbol) ((symbol) - HV_IMAGE_VIRT)
#define MB_MAGIC 0x1badb002
#define MB_FLAGS 0x00010003 /* modules on pages, memory map wanted, addresses below are valid */
#define MB_LOADED 0x2badb002
#define MB2_MAGIC 0xe85250d6
#define MB2_LOADED 0x36d76289

#define PTE_TABLE 0x03	 /* present, writable */
#define PTE_2M 0x83	 /* the same, 2 MiB */

	.section .multiboot, "a"
	.balign 4
multiboot_header:
	.long MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)
	.long PHYS(multiboot_header), PHYS(image_start), PHYS(image_data_end), PHYS(image_end)
	.long PHYS(hv_entry32)

	/* Version 2, for GRUB under UEFI, with the same addresses as tags (2 and 3), since GRUB looks for an ELF
	 * file's entry among its virtual addresses. */
	.balign 8
multiboot2_header:
	.long MB2_MAGIC, 0, multiboot2_end - multiboot2_header
	.long -(MB2_MAGIC + (multiboot2_end - multiboot2_header))
	.short 2, 0
	.long 24, PHYS(multiboot2_header), PHYS(image_start), PHYS(image_data_end), PHYS(image_end)
	.short 3, 0
	.long 12, PHYS(hv_entry32), 0
	.short 0, 0
	.long 8
multiboot2_end:

	.text
	.code32
	.globl hv_entry32
hv_entry32:
	cli
	cld
	movl $PHYS(boot_stack_top), %esp
	movl %eax, %ebp		/* the magic; rdtsc wants EAX */
	rdtsc
	movl %eax, PHYS(boot_tsc)
	movl %edx, PHYS(boot_tsc) + 4
	movl %ebx, PHYS(boot_info_phys)
	movl %ebp, PHYS(boot_magic)
	cmpl $MB_LOADED, %ebp
	je 1f
	cmpl $MB2_LOADED, %ebp
	jne no_boot
1:
	movl $0x80000001, %eax
	cpuid
	testl $(1 << 29), %edx	/* long mode */
	jz no_boot

	/* 512 entries of 2 MiB. */
	movl $PHYS(boot_l2), %edi
	movl $PTE_2M, %eax
1:	movl %eax, (%edi)
	addl $8, %edi
	addl $0x200000, %eax
	cmpl $(PHYS(boot_l2) + 4096), %edi
	jne 1b
	movl $(PHYS(boot_l2) + PTE_TABLE), %eax
	movl %eax, PHYS(boot_l3_image)
	movl %eax, PHYS(boot_l3_direct)
	movl $(PHYS(boot_l3_image) + PTE_TABLE), %eax
	movl %eax, PHYS(hv_root_table)
	movl %eax, PHYS(hv_root_table) + HV_IMAGE_SLOT * 8
	movl $(PHYS(boot_l3_direct) + PTE_TABLE), %eax
	movl %eax, PHYS(hv_root_table) + HV_DIRECT_SLOT * 8

	movl %cr4, %eax
	orl $0x20, %eax		/* PAE */
	movl %eax, %cr4
	movl $PHYS(hv_root_table), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx	/* EFER: LME */
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl $0x80010033, %eax	/* PG WP NE ET MP PE */
	movl %eax, %cr0
	lgdt PHYS(boot_gdt_pointer)
	ljmp $8, $PHYS(entry64)

no_boot: /* not a multiboot loader, or no 64-bit CPU: there is nothing to say it with but this */
	movw $0x3f8, %dx
	movb $'!', %al
	outb %al, %dx
2:	hlt
	jmp 2b

	.code64
entry64:
	movabsq $entry64_high, %rax
	jmp *%rax
entry64_high:
	xorl %eax, %eax
	.irp segment, ds, es, ss, fs, gs
	movl %eax, %\segment
	.endr
	leaq boot_stack_top(%rip), %rsp
	xorl %ebp, %ebp
	movl boot_info_phys(%rip), %edi
	movl boot_magic(%rip), %esi
	call boot_main
	ud2

	.section .rodata
	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 64-bit code, ring 0 */
boot_gdt_pointer:
	.word 15
	.long PHYS(boot_gdt)

	.data
	.balign 8
	.globl boot_tsc
boot_tsc:
	.quad 0
boot_info_phys:
	.long 0
boot_magic:
	.long 0

	.section .bss.page, "aw", @nobits
	.balign 4096
	.globl hv_root_table, boot_l2, boot_l3_image, boot_l3_direct, boot_stack_top
	.irp table, hv_root_table, boot_l3_image, boot_l3_direct, boot_l2
\table:
	.skip 4096
	.endr
	.skip 16384
boot_stack_top:
