/* user.h: what a program in ring 3 and the kernel have agreed on.
 *
 * Two sides: programs (freestanding static ELF64 images from the boot module, see tests/user) and the
 * kernel's user_*.c. The same on every platform: a program cannot tell a bare machine from a PV domain.
 *
 * A system call: number in rax, arguments in rdi, rsi, rdx, the instruction syscall; the result is in
 * rax, 0 or positive, or a negative XEN_Exxx (-XEN_EFAULT for memory that is not the program's,
 * -XEN_EINVAL for other bad arguments, -XEN_ENOSYS for a number that is none). rcx and r11 are lost,
 * everything else is kept. Rows: amphi/user_calls.def.
 *
 * A program starts at its ELF entry with rdi = argc and rsi = argv (argv[0] is its name), x87 and SSE in
 * their initial states, all selectors null but cs and ss. An exception ends it, unless it is a page fault
 * in the range it gave to on_fault or an access to what it watches. Not promised: any memory below the stack pointer's red zone.
 */
#ifndef AMPHI_USER_H
#define AMPHI_USER_H

#include <amphi/types.h>

/* ---- the address space: all of a program lies in [USER_LOW, USER_END) ------------------------------ */

#define USER_LOW         0x10000ull
#define USER_HEAP        0x40000000ull /* the image ends below; pages asked for are here */
#define USER_HEAP_PAGES  4096u
#define USER_HEAP_END    (USER_HEAP + USER_HEAP_PAGES * PAGE_SIZE)
#define USER_STACK_PAGES 16u
#define USER_STACK_TOP                                                                             \
	0x7fffff0000ull /* a page that is never mapped lies under the stack, and much more */
#define USER_STACK_LOW (USER_STACK_TOP - USER_STACK_PAGES * PAGE_SIZE)
#define USER_END       0x8000000000ull

#define USER_IMAGE_PAGES  4096u
#define USER_BUFFER_MAX   4096u
#define USER_SLEEP_MAX_NS 60000000000ull

#define USER_READ  1u
#define USER_WRITE 2u

/* ---- segments, ports, break points ------------------------------------------------------------------
 *
 * A program's code and stack are the flat 64-bit segments; fs and gs may be segments of its own, by the selectors
 * that set_tls and set_ldt return. Ports are granted only out of those named on the kernel's command line
 * (ports=) and where the kernel may use them itself. A watched address that was accessed is a fault for the
 * program's handler, after the access; without a handler it ends the program. */

#define USER_TLS_SLOTS   3u
#define USER_LDT_ENTRIES 512u

/* What wait returns: an exit code 0..255, or USER_ENDED_BY plus an exception's vector, or that somebody
 * ended it by a key. */
#define USER_ENDED_BY     256u
#define USER_ENDED_BY_KEY (USER_ENDED_BY + 32u)

enum user_call_nr {
#define USER_CALL(nr, name, k1, k2, k3) USER_CALL_##name = (nr),
#include <amphi/user_calls.def>
	USER_CALL_COUNT
};

/* What a fault handler is called with (rdi points to it, on the program's stack). It may change the
 * registers, flags and rip, and must end with resume. */
struct user_context {
	/* IN-OUT */
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t rip, rflags, rsp; /* of rflags only the arithmetic ones and DF are taken back */
	/* OUT */
	uint64_t address;
	uint64_t
	    access; /* bit 0: the page was there; bit 1: a write; bit 4: an execution; 32: it is watched */
};
_Static_assert(sizeof(struct user_context) == 160, "part of the ABI");

#endif
