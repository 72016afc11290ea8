/* entry_check.S: 32-bit code that looks whether the processor can run this kernel, and says so if not.
 *
 * Called by the entries in entry_native.S before paging, at physical addresses, on the boot stack. A kernel of 64
 * bits on a processor without them dies in the first wrmsr and nobody knows why; there is no console yet and no
 * code of ours that such a processor could run but this. Says it at the first serial port and in the corner of
 * VGA's text screen, and halts. Not for PV domains: their hypervisor is of 64 bits.
 */
#define KERNEL_BASE 0xffffffff80000000
#define PHYS(sym) (sym - KERNEL_BASE)
#define COM1 0x3f8
#define COM1_STATUS 0x3fd
#define VGA_TEXT 0xb8000

	.section .head, "ax"
	.code32
	.globl check_processor
/* Long mode: leaf 0x80000001, edx bit 29 (SDM vol. 2, CPUID). Changes all but ebx and esi. */
check_processor:
	push %ebx
	mov $0x80000000, %eax
	cpuid
	cmp $0x80000001, %eax
	jb no_long_mode
	mov $0x80000001, %eax
	cpuid
	bt $29, %edx
	jnc no_long_mode
	pop %ebx
	ret

no_long_mode:
	call start_serial
	mov $PHYS(no_long_mode_text), %esi
	mov $VGA_TEXT, %edi
	cld
1:	lodsb
	test %al, %al
	jz 2f
	call say
	jmp 1b
2:	cli
	hlt
	jmp 2b

/* 115200 baud, 8 bits, no parity, as lib/uart.c has it. */
start_serial:
	mov $PHYS(serial_setup), %esi
	mov $4, %ecx
1:	movzwl (%esi), %edx
	mov 2(%esi), %al
	out %al, %dx
	add $3, %esi
	loop 1b
	ret

/* The letter in al, to both. Waits for the transmitter a while only: there may be none. */
say:
	mov $0x10000, %ecx
	mov %al, %ah
	mov $COM1_STATUS, %edx
1:	in %dx, %al
	test $0x20, %al
	loopz 1b
	mov $COM1, %edx
	mov %ah, %al
	out %al, %dx
	cmp $' ', %al
	jb 2f
	mov $0x4f, %ah			/* white on red */
	stosw
2:	ret

	.section .rodata
serial_setup:
	.word COM1 + 3
	.byte 0x80
	.word COM1
	.byte 1
	.word COM1 + 1
	.byte 0
	.word COM1 + 3
	.byte 3
no_long_mode_text:
	.asciz "\r\namphi: this processor has no 64-bit mode (long mode); it cannot run this kernel. Halted.\r\n"
	.section .note.GNU-stack, "", @progbits
