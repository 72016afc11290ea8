/* price.c: what crossing into the kernel and back costs a program, in ticks of the TSC.
 *
 * Shows: the null system call (getpid), a page fault handed to the program's handler and back, and a turn of
 * two programs that give way to each other. Under QEMU's -icount shift=0 a tick is an instruction. Run as
 * `run price`, or as `run price WHAT=COUNT` to do that many steps of one kind and say nothing: then the kernel
 * counts what they cost (kernel/commands_price.c), pages mapped and unmapped by 256 too.
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

static void calls(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		CALL(getpid, 0, 0, 0);
}

static void price_of_calls(void)
{
	uint64_t from = tsc();

	calls(CALLS);
	say_number("price of a system call ", (tsc() - from) / CALLS);
}

/* The instruction is mov (%rdx), %rax: 3 bytes. */
static void skip_it(struct user_context *c)
{
	c->rip += 3;
	CALL(resume, c, 0, 0);
}

static void faults(unsigned n)
{
	uint64_t nothing = USER_HEAP;

	CALL(on_fault, nothing, 4096, skip_it);
	for (unsigned i = 0; i < n; i++)
		__asm__ volatile("mov (%%rdx), %%rax" ::"d"(nothing) : "rax", "memory");
}

static void price_of_faults(void)
{
	uint64_t from = tsc();

	faults(FAULTS);
	say_number("price of a page fault to a handler and back ", (tsc() - from) / FAULTS);
}

static void give_way(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		CALL(yield, 0, 0, 0);
}

static void price_of_turns(void)
{
	long other = CALL(spawn, "yields=1000", 11, 0);
	uint64_t from = tsc();

	give_way(TURNS);
	say_number("price of a switch to another program ", (tsc() - from) / TURNS / 2);
	CALL(wait, other, 0, 0);
}

/* ---- by count, for the kernel's `price` ------------------------------------------------- */

static const char *after(const char *word, const char *name)
{
	while (*name && *word == *name)
		word++, name++;
	return !*name && *word == '=' ? word + 1 : NULL;
}

static unsigned number(const char *digits)
{
	unsigned n = 0;

	while (*digits >= '0' && *digits <= '9')
		n = 10 * n + (unsigned)(*digits++ - '0');
	return n;
}

/* The other gets the same count: each yield is then a switch. */
static void turns(const char *count)
{
	char word[24] = "yields=";
	size_t len = length(count);
	long other;

	for (size_t i = 0; i <= len && i < 16; i++)
		word[7 + i] = count[i];
	other = CALL(spawn, word, length(word), 0);
	give_way(number(count));
	CALL(wait, other, 0, 0);
}

static void pages(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		CALL(unpages, CALL(pages, 256, USER_READ | USER_WRITE, 0), 256, 0);
}

static int by_count(const char *word)
{
	const char *count;

	if ((count = after(word, "calls")))
		calls(number(count));
	else if ((count = after(word, "faults")))
		faults(number(count));
	else if ((count = after(word, "yields")))
		give_way(number(count));
	else if ((count = after(word, "turns")))
		turns(count);
	else if ((count = after(word, "pages")))
		pages(number(count));
	return count ? 0 : 98;
}

int program(int argc, char **argv)
{
	if (argc == 2 && !same(argv[1], "calls"))
		return by_count(argv[1]);
	price_of_calls();
	if (argc == 2)
		return 0;
	price_of_faults();
	price_of_turns();
	return 0;
}
