/* selftest_traps.c: the self-test's checks of exceptions: raised on purpose, each goes on at its fixup.
 *
 * Caller: commands_selftest.c; selftest_memory.c and selftest_tables.c use its deeds that may fault. The kernel
 * knows of an exception what trap.c kept: vector and error code; the address is the platform's cr2. Not here: NMI,
 * double fault and machine check, which nobody comes back from, and what only ring 3 can raise.
 */
#include "selftest.h"

#define VECTOR_DIVIDE     0u
#define FLAGS_TF          (1u << 8)
#define VECTOR_BREAKPOINT 3u
#define VECTOR_INVALID    6u
#define VECTOR_PROTECTION 13u
#define VECTOR_PAGE       14u
#define ERROR_PRESENT     1u
#define ERROR_WRITE       2u
#define NOT_CANONICAL     0x0800000000000000ull
#define NOT_MAPPED        0x10ull

static void write_byte(volatile void *va, uint8_t value, bool *faulted)
{
	__asm__ volatile("1: movb %2, (%1)\n movb $0, %0\n 2:\n" TRAP_FIXUP("1b", "2b")
			 : "+q"(*faulted)
			 : "r"(va), "q"(value)
			 : "memory");
}

/* The byte that is there is written again: a write that is allowed must change nothing. The last fault
 * is the write's, even where the read has failed already. */
bool selftest_write_faults(volatile void *va)
{
	bool faulted = true;
	uint8_t value = 0;

	__asm__ volatile("1: movb (%1), %0\n 2:\n" TRAP_FIXUP("1b", "2b")
			 : "+q"(value)
			 : "r"(va)
			 : "memory");
	write_byte(va, value, &faulted);
	return faulted;
}

/* Data that is code: jmp *%rcx. In .data, on a page of its own so that nothing else moves with it. */
uint8_t selftest_code[] __attribute__((aligned(16))) = {0xff, 0xe1};

bool selftest_execute_faults(void)
{
	bool faulted = true;

	__asm__ volatile("lea 1f(%%rip), %%rcx\n jmp *%1\n"
			 "1: movb $0, %0\n 2:\n" TRAP_FIXUP("selftest_code", "2b")
			 : "+q"(faulted)
			 : "r"(selftest_code)
			 : "rcx", "memory");
	return faulted;
}

static bool was(uint64_t vector, uint64_t error)
{
	struct trap_fixed t = trap_last_fixed();

	return t.vector == vector && t.error == error;
}

static const char *divide(void)
{
	uint32_t high = 0, low = 1, by = 0;

	__asm__ volatile("1: div %2\n 2:\n" TRAP_FIXUP("1b", "2b")
			 : "+d"(high), "+a"(low)
			 : "r"(by)
			 : "cc");
	WANT(was(VECTOR_DIVIDE, 0));
	return NULL;
}

/* A trap and not a fault: it tells of the instruction after it. */
static const char *breakpoint(void)
{
	__asm__ volatile("int3\n 1: ud2\n 2:\n" TRAP_FIXUP("1b", "2b")::: "memory");
	WANT(was(VECTOR_BREAKPOINT, 0));
	return NULL;
}

/* The trap flag is set by one popf and cleared by the next, after which the exception comes. Natively the entry
 * passes over one that comes out of the kernel; in a PV domain it gets as far as the fixup. Either way the kernel
 * goes on, and is stepped no further. */
static const char *single_step(void)
{
	uint64_t flags = 0;
	bool went_on = false;

	__asm__ volatile("pushfq\n pushfq\n orl $0x100, (%%rsp)\n popfq\n popfq\n"
			 "1: nop\n 2: movb $1, %0\n pushfq\n pop %1\n" TRAP_FIXUP("1b", "2b")
			 : "+q"(went_on), "=r"(flags)
			 :
			 : "memory", "cc");
	WANT(went_on && !(flags & FLAGS_TF));
	return NULL;
}

static const char *invalid(void)
{
	__asm__ volatile("1: ud2\n 2:\n" TRAP_FIXUP("1b", "2b")::: "memory");
	WANT(was(VECTOR_INVALID, 0));
	return NULL;
}

static const char *protection(void)
{
	uint64_t value;

	WANT(!trap_safe_read64((void *)NOT_CANONICAL, &value));
	WANT(was(VECTOR_PROTECTION, 0));
	return NULL;
}

static const char *page_fault(void)
{
	uint64_t value;

	WANT(!trap_safe_read64((void *)NOT_MAPPED, &value));
	WANT(was(VECTOR_PAGE, 0));
	WANT(trap_fault_address() == NOT_MAPPED);
	WANT(selftest_write_faults((void *)(NOT_MAPPED + 8)));
	WANT(was(VECTOR_PAGE, ERROR_WRITE));
	WANT(trap_fault_address() == NOT_MAPPED + 8);
	return NULL;
}

/* Text is there and may not be written. */
static const char *page_protection(void)
{
	void *text = (void *)(uintptr_t)page_protection;

	WANT(selftest_write_faults(text));
	WANT(was(VECTOR_PAGE, ERROR_PRESENT | ERROR_WRITE));
	WANT(trap_fault_address() == (uint64_t)(uintptr_t)text);
	return NULL;
}

/* Through the entry, the dispatcher and the return. */
static const char *registers(void)
{
	WANT(SELFTEST_KEEPS_REGISTERS("1: ud2\n 2:\n" TRAP_FIXUP("1b", "2b")));
	return NULL;
}

static const struct selftest tests[] = {
    {"traps: divide error", divide},
    {"traps: debug", single_step},
    {"traps: breakpoint", breakpoint},
    {"traps: invalid opcode", invalid},
    {"traps: general protection", protection},
    {"traps: page fault", page_fault},
    {"traps: page protection", page_protection},
    {"traps: registers are kept", registers},
};
const struct selftest_room selftest_traps = {tests, ARRAY_SIZE(tests)};
