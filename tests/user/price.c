/* price.c: what crossing into the kernel and back costs a program, in ticks of the TSC.
 *
 * Shows: the null system call (getpid), a page fault handed to the program's handler and back, and a turn of
 * two programs that give way to each other. Under QEMU's -icount shift=0 a tick is an instruction. Run as
 * `run price`; the calls made are round numbers, so that tests can count what each cost the hypervisor.
 */
#include "program.h"

#define CALLS  10000u
#define FAULTS 1000u
#define TURNS  1000u

static uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

static void say_number(const char *what, uint64_t n)
{
	char digits[24];
	unsigned at = sizeof(digits) - 1;

	digits[at] = '\0';
	do
		digits[--at] = (char)('0' + n % 10);
	while (n /= 10);
	say(what, digits + at);
}

static void price_of_calls(void)
{
	uint64_t from = tsc();

	for (unsigned i = 0; i < CALLS; i++)
		CALL(getpid, 0, 0, 0);
	say_number("price of a system call ", (tsc() - from) / CALLS);
}

/* The instruction is mov (%rdx), %rax: 3 bytes. */
static void skip_it(struct user_context *c)
{
	c->rip += 3;
	CALL(resume, c, 0, 0);
}

static void price_of_faults(void)
{
	uint64_t from, nothing = USER_HEAP;

	CALL(on_fault, nothing, 4096, skip_it);
	from = tsc();
	for (unsigned i = 0; i < FAULTS; i++)
		__asm__ volatile("mov (%%rdx), %%rax" ::"d"(nothing) : "rax", "memory");
	say_number("price of a page fault to a handler and back ", (tsc() - from) / FAULTS);
}

static int give_way(void)
{
	for (unsigned i = 0; i < TURNS; i++)
		CALL(yield, 0, 0, 0);
	return 0;
}

static void price_of_turns(void)
{
	long other = CALL(spawn, "turns", 5, 0);
	uint64_t from = tsc();

	give_way();
	say_number("price of a switch to another program ", (tsc() - from) / TURNS / 2);
	CALL(wait, other, 0, 0);
}

int program(int argc, char **argv)
{
	if (argc == 2)
		return same(argv[1], "calls") ? (price_of_calls(), 0) : give_way();
	price_of_calls();
	price_of_faults();
	price_of_turns();
	return 0;
}
