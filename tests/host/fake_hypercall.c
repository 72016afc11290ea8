/* fake_hypercall.c: the hypercall page of host tests.
 *
 * 64 entries of 32 bytes, as a loader makes them, each of which puts its number where a C function
 * expects its fifth argument and the hypercall's fourth where C expects its own. Called by the real
 * wrappers of amphi/hypercall.h; calls the test's fake_hypercall().
 */
#include "fake_hypercall.h"

__asm__(".text\n .balign 4096\n .globl hypercall_page\nhypercall_page:\n"
	"nr = 0\n .rept 64\n .balign 32, 0xcc\n mov $nr, %r8d\n jmp 1f\n nr = nr + 1\n .endr\n"
	/* the wrappers do not promise an aligned stack; C may want one */
	"1: push %rbp\n mov %rsp, %rbp\n and $-16, %rsp\n mov %r10, %rcx\n call fake_hypercall\n"
	"leave\n ret\n");
