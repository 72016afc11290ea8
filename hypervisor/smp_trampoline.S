/* smp_trampoline.S: a CPU's first instructions, from real mode to smp_main in our own addresses.
 *
 * smp_start.c copies smp_trampoline to page SMP_TRAMPOLINE_PAGE of the first MiB, where the CPU
 * begins, and has that page mapped at its own address meanwhile. Nothing here is written to but the
 * stack. Not here: anything that C can do.
 */
#include "layout.h"

#define LOW (SMP_TRAMPOLINE_PAGE << 12)
#define AT(symbol) ((symbol) - smp_trampoline + LOW)
#define CODE32 0x08
#define CODE64 0x10
#define DATA 0x18

	.section .rodata
	.globl smp_trampoline, smp_trampoline_end
	.balign 16
	.code16
smp_trampoline:
	cli
	cld
	movw $(LOW >> 4), %ax
	movw %ax, %ds
	lgdtl gdt_pointer - smp_trampoline
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $CODE32, $AT(start32)
	.code32
start32:
	movl $DATA, %eax
	.irp segment, ds, es, ss
	movl %eax, %\segment
	.endr
	movl $0x20, %eax	/* PAE */
	movl %eax, %cr4
	movl $(hv_root_table - HV_IMAGE_VIRT), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx	/* EFER: LME, NX */
	xorl %edx, %edx
	movl $0x900, %eax
	wrmsr
	movl $0x80010033, %eax	/* PG WP NE ET MP PE */
	movl %eax, %cr0
	ljmp $CODE64, $AT(start64)
	.code64
start64:
	xorl %eax, %eax
	.irp segment, ds, es, ss, fs, gs
	movl %eax, %\segment
	.endr
	movabsq $start_high, %rax
	jmp *%rax
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
gdt_pointer:
	.word 31
	.long AT(gdt)
smp_trampoline_end:

	.text
start_high:
	movq smp_start_stack(%rip), %rsp
	xorl %ebp, %ebp
	call smp_main
	ud2
