/* entry_notes.S: what the image says of itself to its loaders.
 *
 * ELF notes for Xen's PV domain builders and ours (<xen/elfnote.h>), the PVH note for QEMU and other
 * loaders that enter in 32-bit protected mode, and the multiboot2 header for GRUB. The hypercall page
 * is here too: the loader finds it by a note and fills it; natively it stays as it is below, and every
 * call answers -XEN_ENOSYS. Read by loaders; the code is in entry_native.S and entry_xen.S.
 */
#define XEN_ELFNOTE_ENTRY 1
#define XEN_ELFNOTE_HYPERCALL_PAGE 2
#define XEN_ELFNOTE_VIRT_BASE 3
#define XEN_ELFNOTE_PADDR_OFFSET 4
#define XEN_ELFNOTE_XEN_VERSION 5
#define XEN_ELFNOTE_GUEST_OS 6
#define XEN_ELFNOTE_GUEST_VERSION 7
#define XEN_ELFNOTE_LOADER 8
#define XEN_ELFNOTE_PAE_MODE 9
#define XEN_ELFNOTE_FEATURES 10
#define XEN_ELFNOTE_HV_START_LOW 12
#define XEN_ELFNOTE_SUSPEND_CANCEL 14
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define KERNEL_BASE 0xffffffff80000000

.macro NOTE type, directive, value:vararg
	.pushsection .note.Xen, "a", @note
	.balign 4
	.long 2f - 1f, 4f - 3f, \type
1:	.asciz "Xen"
2:	.balign 4
3:	\directive \value
4:	.balign 4
	.popsection
.endm

	NOTE XEN_ELFNOTE_GUEST_OS, .asciz, "amphi"
	NOTE XEN_ELFNOTE_GUEST_VERSION, .asciz, "1"
	NOTE XEN_ELFNOTE_XEN_VERSION, .asciz, "xen-3.0"
	NOTE XEN_ELFNOTE_LOADER, .asciz, "generic"
	NOTE XEN_ELFNOTE_VIRT_BASE, .quad, KERNEL_BASE
	NOTE XEN_ELFNOTE_PADDR_OFFSET, .quad, 0
	NOTE XEN_ELFNOTE_ENTRY, .quad, xen_pv_entry
	NOTE XEN_ELFNOTE_HYPERCALL_PAGE, .quad, hypercall_page
	NOTE XEN_ELFNOTE_HV_START_LOW, .quad, 0xffff800000000000
	NOTE XEN_ELFNOTE_PAE_MODE, .asciz, "yes"
	NOTE XEN_ELFNOTE_FEATURES, .asciz, "!writable_page_tables|pae_pgdir_above_4gb"
	NOTE XEN_ELFNOTE_SUSPEND_CANCEL, .long, 1
	/* 8 bytes because the ELF is of 64 bits; the address is physical. */
	NOTE XEN_ELFNOTE_PHYS32_ENTRY, .quad, pvh_entry - KERNEL_BASE

/* Multiboot2 specification 1.6, section 3.1: within the first 32 KiB of the file, 8-aligned. */
	.section .head, "a"
	.balign 8
mb2_header:
	.long 0xe85250d6, 0, mb2_end - mb2_header
	.long -(0xe85250d6 + mb2_end - mb2_header)
	/* entry address, physical */
	.balign 8
	.word 3, 0
	.long 12, mb2_entry - KERNEL_BASE
	/* a framebuffer of 32 bits a pixel, of any size, if there can be one */
	.balign 8
	.word 5, 1
	.long 20, 0, 0, 32
	/* modules begin on a page */
	.balign 8
	.word 6, 0
	.long 8
	.balign 8
	.word 0, 0
	.long 8
mb2_end:

	.section .text.hypercall_page, "ax"
	.balign 4096
	.globl hypercall_page
	.type hypercall_page, @object
	.size hypercall_page, 4096
hypercall_page:
	.rept 128
	.balign 32, 0xcc
	mov $-38, %rax
	ret
	.endr
	.balign 4096, 0xcc
	.section .note.GNU-stack, "", @progbits
