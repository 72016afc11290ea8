/* panic.c: the last words.
 *
 * Callers: see panic.h; also trap.c for exceptions without a handler, pvops for refused operations.
 * Calls the console, the symbol table and power.h; nothing that waits or allocates, since anything
 * may be broken. A panic inside a panic ends at once. Other CPUs are stopped and say nothing.
 */
#include <amphi/percpu.h>
#include <amphi/pvops.h>
#include "console.h"
#include "mm.h"
#include "panic.h"
#include "power.h"
#include "smp.h"
#include "thread.h"
#include "trap_parts.h"

/* Enough for any chain of ours; a broken chain ends by the tests in the loop. */
#define FRAMES_MAX 32u

#define VECTOR_NMI 2u
#define NOBODY     UINT32_MAX

/* The CPU that does. */
static uint32_t panicking = NOBODY;

/* Without a table (first link) the address has to do, for addr2line. */
static void print_frame(unsigned n, uint64_t address, uint64_t lookup)
{
	uint64_t offset = 0;
	const char *name = symbol_find(lookup, &offset);

	console_printf("  #%-2u %016llx %s+0x%llx\n", n, (unsigned long long)address,
		       name ? name : "?", (unsigned long long)(offset + address - lookup));
}

/* Frames are linked through rbp (-fno-omit-frame-pointer). A return address may lie behind its
 * function's end when the call was the last instruction: so the byte before it is looked up. Each
 * link must be readable, aligned and above the one before: the stack may be what is broken, and a
 * fault here would hide the first one. */
void backtrace_print(uint64_t rip, uint64_t rbp)
{
	unsigned n = 0;
	uint64_t next;

	print_frame(n++, rip, rip);
	while (n < FRAMES_MAX && rbp && !(rbp & 7) && mm_readable((void *)rbp, 16)) {
		rip = ((uint64_t *)rbp)[1];
		next = ((uint64_t *)rbp)[0];
		if (!rip)
			return;
		print_frame(n++, rip, rip - 1);
		if (next <= rbp)
			return;
		rbp = next;
	}
}

static void stand_still(void) __attribute__((noreturn));
static void stand_still(void)
{
	for (;;)
		pv_halt();
}

/* Until gs leads anywhere there is one CPU, and it runs no thread. */
static bool knows_itself(void)
{
	return trap_percpus[0].self;
}

/* The first CPU that gets here speaks, and stops the others; one that has a reason of its own at the same
 * time keeps it to itself. */
static void begin(void)
{
	uint32_t here = knows_itself() ? this_cpu()->cpu : 0, first = NOBODY;

	pv_irq_disable();
	if (!__atomic_compare_exchange_n(&panicking, &first, here, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		if (first == here)
			power_crash();
		stand_still();
	}
	if (knows_itself())
		smp_stop_others();
	console_mute(false);
}

static void finish(uint64_t rip, uint64_t rbp) __attribute__((noreturn));
/* The thread's name is half of the diagnosis where threads share functions. */
static void finish(uint64_t rip, uint64_t rbp)
{
	console_printf(" in thread %s", knows_itself() ? thread_name(thread_current()) : "none");
	if (smp_online() > 1)
		console_printf(" on CPU %u", this_cpu()->cpu);
	console_printf("\n");
	backtrace_print(rip, rbp);
	console_drain();
	power_crash();
}

/* The return address of panic's caller is where it was called, a byte back as above; its rbp is
 * what our own frame saved. */
void panic(const char *fmt, ...)
{
	va_list args;

	begin();
	console_printf("panic: ");
	va_start(args, fmt);
	console_vprintf(fmt, args);
	va_end(args);
	finish((uint64_t)__builtin_return_address(0) - 1, *(uint64_t *)__builtin_frame_address(0));
}

/* For places that have the registers of another moment, such as a trap's frame. */
void panic_at(uint64_t rip, uint64_t rbp, const char *fmt, ...)
{
	va_list args;

	begin();
	console_printf("panic: ");
	va_start(args, fmt);
	console_vprintf(fmt, args);
	va_end(args);
	finish(rip, rbp);
}

static void print_register(unsigned n, const char *name, uint64_t value)
{
	console_printf("%s %3s %016llx", n % 4 ? " " : "\n", name, (unsigned long long)value);
}

/* cr2 by the platform's way of reading it: a PV domain has no such register, the hypervisor notes
 * it. */
void trap_unhandled(const struct trap_frame *f)
{
	const struct {
		const char *name;
		uint64_t value;
	} regs[] = {
	    {"rax", f->rax},
	    {"rbx", f->rbx},
	    {"rcx", f->rcx},
	    {"rdx", f->rdx},
	    {"rsi", f->rsi},
	    {"rdi", f->rdi},
	    {"rbp", f->rbp},
	    {"rsp", f->rsp},
	    {"r8", f->r8},
	    {"r9", f->r9},
	    {"r10", f->r10},
	    {"r11", f->r11},
	    {"r12", f->r12},
	    {"r13", f->r13},
	    {"r14", f->r14},
	    {"r15", f->r15},
	    {"cr2", trap_fault_address()},
	    {"fl", f->rflags},
	};
	unsigned i;

	if (f->vector == VECTOR_NMI && panicking != NOBODY) /* another CPU's way to stop us */
		stand_still();
	begin();
	console_printf("panic: %s, vector %llu error %llx at %llx", trap_name((unsigned)f->vector),
		       (unsigned long long)f->vector, (unsigned long long)f->error,
		       (unsigned long long)f->rip);
	for (i = 0; i < ARRAY_SIZE(regs); i++)
		print_register(i, regs[i].name, regs[i].value);
	finish(f->rip, f->rbp);
}
