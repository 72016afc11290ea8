/* user_decode.c: checks what a program asks for, argument by argument, by the kinds of its row.
 *
 * Called by user_call.c; pure, see user_decode.h. All numbers are the program's: every sum is made so
 * that it cannot wrap.
 */
#include <amphi/xen.h>

#include "user_decode.h"

/* Whether kind accepts args[at]; some kinds look at the argument before, whose check has passed. */
typedef int check_fn(const uint64_t *args, unsigned at);

/* len is compared with what is left: start + len is never made, and so cannot wrap. */
static bool within(uint64_t start, uint64_t len, uint64_t low, uint64_t end)
{
	return start >= low && start <= end && len <= end - start;
}

static int check_none(const uint64_t *args, unsigned at)
{
	return 0;
}

/* A byte, as everywhere else: higher results of a program are the kernel's words
 * (USER_ENDED_BY). */
static int check_code(const uint64_t *args, unsigned at)
{
	return args[at] <= 255 ? 0 : -XEN_EINVAL;
}

/* Bounded so that the sum with the clock cannot wrap. */
static int check_ns(const uint64_t *args, unsigned at)
{
	return args[at] <= USER_SLEEP_MAX_NS ? 0 : -XEN_EINVAL;
}

/* Where it begins; how far it goes is its length's check, which comes right after it in the row. */
static int check_buffer(const uint64_t *args, unsigned at)
{
	return within(args[at], 0, USER_LOW, USER_END) ? 0 : -XEN_EFAULT;
}

/* The size before the place: a buffer too long is the program's mistake wherever it lies. */
static int check_len(const uint64_t *args, unsigned at)
{
	if (args[at] > USER_BUFFER_MAX)
		return -XEN_EINVAL;
	return within(args[at - 1], args[at], USER_LOW, USER_END) ? 0 : -XEN_EFAULT;
}

/* Only whole pages of the heap can be given back or change rights: image and stack stay as they
 * were loaded. */
static int check_heap(const uint64_t *args, unsigned at)
{
	bool ok =
	    args[at] % PAGE_SIZE == 0 && within(args[at], PAGE_SIZE, USER_HEAP, USER_HEAP_END);

	return ok ? 0 : -XEN_EINVAL;
}

/* The bound on the number comes first, and keeps the product from wrapping. As first argument it
 * has no address before it: the kernel chooses one. */
static int check_pages(const uint64_t *args, unsigned at)
{
	if (args[at] == 0 || args[at] > USER_HEAP_PAGES)
		return -XEN_EINVAL;
	if (at == 0)
		return 0;
	return within(args[at - 1], args[at] * PAGE_SIZE, USER_HEAP, USER_HEAP_END) ? 0
										    : -XEN_EINVAL;
}

/* Readable, or readable and writable. Execution is not to be had: only the loader makes code. */
static int check_prot(const uint64_t *args, unsigned at)
{
	return (args[at] | USER_WRITE) == (USER_READ | USER_WRITE) ? 0 : -XEN_EINVAL;
}

/* Canonical at least: a base beyond would fault when the kernel loads it. */
static int check_address(const uint64_t *args, unsigned at)
{
	return args[at] < USER_END ? 0 : -XEN_EINVAL;
}

/* A descriptor has 32 bits of base. */
static int check_low(const uint64_t *args, unsigned at)
{
	return args[at] < 1ull << 32 ? 0 : -XEN_EINVAL;
}

static int check_size(const uint64_t *args, unsigned at)
{
	return within(args[at - 1], args[at], 0, USER_END) ? 0 : -XEN_EINVAL;
}

/* All of it below USER_END. Whether it is mapped is found out by copying it. */
static int check_context(const uint64_t *args, unsigned at)
{
	return within(args[at], sizeof(struct user_context), USER_LOW, USER_END) ? 0 : -XEN_EFAULT;
}

static int check_slot(const uint64_t *args, unsigned at)
{
	return args[at] < USER_TLS_SLOTS ? 0 : -XEN_EINVAL;
}

static int check_entry(const uint64_t *args, unsigned at)
{
	return args[at] < USER_LDT_ENTRIES ? 0 : -XEN_EINVAL;
}

/* A data segment that grows up, so that loading it cannot fault and no code runs in a mode that the kernel's entries
 * do not know. 16-bit ones are refused: as stacks they would keep part of the kernel's stack pointer (SDM vol. 2,
 * IRET). */
#define DESCRIPTOR_MUST 0x0040f00000000000ull /* D/B, P, DPL 3, S */
#define DESCRIPTOR_MAY  0xff9f03ffffffffffull /* base, limit, G, AVL, writable, accessed */
static int check_descriptor(const uint64_t *args, unsigned at)
{
	uint64_t d = args[at];

	return !d || ((d & DESCRIPTOR_MUST) == DESCRIPTOR_MUST &&
		      !(d & ~(DESCRIPTOR_MUST | DESCRIPTOR_MAY)))
		   ? 0
		   : -XEN_EINVAL;
}

static int check_port(const uint64_t *args, unsigned at)
{
	return args[at] < 65536 ? 0 : -XEN_EINVAL;
}

static int check_ports(const uint64_t *args, unsigned at)
{
	return args[at] && within(args[at - 1], args[at], 0, 65536) ? 0 : -XEN_EINVAL;
}

static int check_flag(const uint64_t *args, unsigned at)
{
	return args[at] <= 1 ? 0 : -XEN_EINVAL;
}

/* The processor watches one aligned word; in the program's half it cannot watch the kernel. */
static int check_watch(const uint64_t *args, unsigned at)
{
	uint64_t size = args[at];
	bool ok = size == 0 || size == 1 || size == 2 || size == 4 || size == 8;

	return ok && (!size || args[at - 1] % size == 0) ? 0 : -XEN_EINVAL;
}

/* Reads alone are nothing a processor can watch. */
static int check_access(const uint64_t *args, unsigned at)
{
	return (args[at] | USER_READ) == (USER_READ | USER_WRITE) ? 0 : -XEN_EINVAL;
}

/* From the kinds' names in user_calls.def to the functions: an unknown kind does not compile. */
#define CHECK_NONE       check_none
#define CHECK_CODE       check_code
#define CHECK_NS         check_ns
#define CHECK_BUFFER     check_buffer
#define CHECK_LEN        check_len
#define CHECK_HEAP       check_heap
#define CHECK_PAGES      check_pages
#define CHECK_PROT       check_prot
#define CHECK_ADDRESS    check_address
#define CHECK_LOW        check_low
#define CHECK_SIZE       check_size
#define CHECK_CONTEXT    check_context
#define CHECK_SLOT       check_slot
#define CHECK_ENTRY      check_entry
#define CHECK_DESCRIPTOR check_descriptor
#define CHECK_PORT       check_port
#define CHECK_PORTS      check_ports
#define CHECK_FLAG       check_flag
#define CHECK_WATCH      check_watch
#define CHECK_ACCESS     check_access

/* A kind for each argument, used or not: NONE accepts anything, and nobody reads it. */
static const struct row {
	const char *name;
	check_fn *checks[USER_CALL_ARGS];
} rows[USER_CALL_COUNT] = {
#define USER_CALL(nr, name, k1, k2, k3) [nr] = {#name, {CHECK_##k1, CHECK_##k2, CHECK_##k3}},
#include <amphi/user_calls.def>
};

/* *out is written only when all is well, so a refused call has no half of itself there. */
int user_decode(uint64_t nr, const uint64_t args[USER_CALL_ARGS], struct user_call *out)
{
	if (nr >= USER_CALL_COUNT)
		return -XEN_ENOSYS;
	for (unsigned i = 0; i < USER_CALL_ARGS; i++) {
		int error = rows[nr].checks[i](args, i);

		if (error)
			return error;
	}
	out->nr = (enum user_call_nr)nr;
	for (unsigned i = 0; i < USER_CALL_ARGS; i++)
		out->args[i] = args[i];
	return 0;
}

const char *user_call_name(uint64_t nr)
{
	return nr < USER_CALL_COUNT ? rows[nr].name : "?";
}
