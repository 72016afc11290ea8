/* guest.c: copies between the hypervisor and the current guest's virtual addresses.
 *
 * The one file that touches guest memory by the guest's own addresses; see guest.h for the
 * contract. It is not for frames reached through the direct map, which are held by reference.
 * Called by every hypercall handler; calls nothing. trap.c asks guest_fixup what to do when one of
 * the three string instructions here faults.
 */
#include "guest.h"

#include <xen/errno.h>

#include "layout.h"

/* Both return 0, or 1 after a fault. Interrupts are off, and a fault resumes at the fixup, so
 * nothing of a half-done copy needs undoing. */
int guest_raw_copy(void *dst, const void *src, size_t n);
int guest_raw_clear(void *dst, size_t n);

extern const char guest_fault_words[], guest_fault_bytes[], guest_fault_clear[], guest_faulted[];

/* Three labels name the only instructions that may fault, and all end in guest_faulted: the string
 * instructions keep no state but in rdi, rsi and rcx, which the caller does not look at. Words
 * before bytes, so that an aligned 8-byte object is copied by one access, as guest.h promises. The
 * direction flag is clear: the entry code sees to that. */
__asm__(".text\n"
	".type guest_raw_copy, @function\n"
	"guest_raw_copy:\n"
	"	movq %rdx, %rcx\n"
	"	shrq $3, %rcx\n"
	"guest_fault_words:\n"
	"	rep movsq\n"
	"	movl %edx, %ecx\n"
	"	andl $7, %ecx\n"
	"guest_fault_bytes:\n"
	"	rep movsb\n"
	"	xorl %eax, %eax\n"
	"	ret\n"
	"guest_faulted:\n"
	"	movl $1, %eax\n"
	"	ret\n"
	".type guest_raw_clear, @function\n"
	"guest_raw_clear:\n"
	"	movq %rsi, %rcx\n"
	"	xorl %eax, %eax\n"
	"guest_fault_clear:\n"
	"	rep stosb\n"
	"	ret\n");

/* First and last byte decide: a range that is in order at both ends but has the hole between them
 * begins below 2^47 and ends above it, which the last line refuses. */
bool guest_range_ok(uint64_t va, uint64_t bytes)
{
	uint64_t last;

	if (bytes == 0)
		return true;
	if (__builtin_add_overflow(va, bytes - 1, &last))
		return false;
	return last < 1ull << 47 || va >= HV_HOLE_END;
}

/* The check comes before the first access, never a fault instead of it: in the hole, the mappings
 * are ours and an access would succeed. */
int guest_copy_from(void *dst, uint64_t src, size_t n)
{
	if (!guest_range_ok(src, n) || guest_raw_copy(dst, (const void *)src, n))
		return -XEN_EFAULT;
	return 0;
}

int guest_copy_to(uint64_t dst, const void *src, size_t n)
{
	if (!guest_range_ok(dst, n) || guest_raw_copy((void *)dst, src, n))
		return -XEN_EFAULT;
	return 0;
}

int guest_clear(uint64_t dst, size_t n)
{
	if (!guest_range_ok(dst, n) || guest_raw_clear((void *)dst, n))
		return -XEN_EFAULT;
	return 0;
}

uint64_t guest_fixup(uint64_t rip)
{
	if (rip == (uint64_t)guest_fault_words || rip == (uint64_t)guest_fault_bytes ||
	    rip == (uint64_t)guest_fault_clear)
		return (uint64_t)guest_faulted;
	return 0;
}
