/* smp_trampoline.S: the first steps of a CPU that was woken by a startup interrupt: from real mode to C.
 *
 * Not run where it is linked: smp_native.c copies it to a page below 1 MiB, fills in the words at its end and
 * names the page to the CPU, which begins with cs = page and ip = 0. Paging is switched on straight from real
 * mode (SDM vol. 3, "Initializing IA-32e Mode", asks for no more), on tables that map this page where it is
 * and the kernel where it always is. Ends in the C function named there, on the stack named there.
 */
#define OFFSET(sym) (sym - smp_trampoline)

	.section .rodata
	.balign 16
	.globl smp_trampoline, smp_trampoline_words, smp_trampoline_end
	.code16
smp_trampoline:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	lgdtl OFFSET(gdt_ptr)
	mov OFFSET(word_cr4), %eax
	mov %eax, %cr4
	mov OFFSET(word_cr3), %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx		/* EFER */
	mov OFFSET(word_efer), %eax
	xor %edx, %edx
	wrmsr
	mov OFFSET(word_cr0), %eax
	mov %eax, %cr0
	ljmpl *OFFSET(word_far)
	.code64
	.globl smp_trampoline_64
smp_trampoline_64:
	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %eax, %fs
	mov %eax, %gs
	mov word_stack(%rip), %rsp
	mov word_percpu(%rip), %rdi
	movl $1, word_begun(%rip)
	xor %ebp, %ebp
	call *word_entry(%rip)
	ud2

/* struct words of smp_native.c, in its order. */
	.balign 8
smp_trampoline_words:
gdt:		.quad 0, 0x00af9b000000ffff
word_stack:	.quad 0
word_percpu:	.quad 0
word_entry:	.quad 0
word_cr0:	.long 0
word_cr3:	.long 0
word_cr4:	.long 0
word_efer:	.long 0
word_begun:	.long 0
word_far:	.long 0
		.word 8
gdt_ptr:	.word 15
		.long 0
smp_trampoline_end:
	.section .note.GNU-stack, "", @progbits
