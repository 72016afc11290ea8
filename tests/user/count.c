/* count.c: a program for ring 3 that notices when its world was not left as it was: count SECONDS.
 *
 * Shows: memory keeps what was written to it, the floating-point registers keep their values, the clock does not
 * step back, and the number of rounds goes up one by one, whatever is done to the domain meanwhile (a suspend, CPUs
 * coming and going). Why: a page, a register or a timer lost on the way is seen by whoever uses it next, and
 * a program is the plainest user. Expected: "count: in order, rounds N", exit 0.
 */
#include "program.h"

#define PAGES_USED 64u
#define WORDS      (PAGES_USED * PAGE_SIZE / 8)
#define ROUND_NS   20000000u

/* Each word from its place and the round, so that a page of an earlier round is seen too. */
static uint64_t word_for(uint64_t round, uint64_t at)
{
	return (round << 32 | at) * 0x9e3779b97f4a7c15ull;
}

static void fill(uint64_t *memory, uint64_t round)
{
	for (uint64_t i = 0; i < WORDS; i++)
		memory[i] = word_for(round, i);
}

static bool intact(const uint64_t *memory, uint64_t round)
{
	for (uint64_t i = 0; i < WORDS; i++)
		if (memory[i] != word_for(round, i))
			return false;
	return true;
}

static uint64_t number(const char *text)
{
	uint64_t n = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (uint64_t)(*text - '0');
	return n;
}

/* Holds a value in a register over the sleep, which no compiler would do by itself. */
static bool sleep_with_register(double value)
{
	double after = 0;

	__asm__ volatile("movsd %0, %%xmm13" ::"m"(value) : "xmm13");
	CALL(sleep, ROUND_NS, 0, 0);
	__asm__ volatile("movsd %%xmm13, %0" : "=m"(after));
	return after == value;
}

static int fail(const char *what)
{
	say("count: ", what);
	return 1;
}

static void say_end(uint64_t rounds)
{
	char text[24];
	unsigned at = sizeof(text) - 1;

	text[at] = '\0';
	do
		text[--at] = (char)('0' + rounds % 10);
	while (rounds /= 10);
	say("count: in order, rounds ", text + at);
}

int program(int argc, char **argv)
{
	uint64_t *memory = (uint64_t *)CALL(pages, PAGES_USED, USER_READ | USER_WRITE, 0);
	uint64_t last = (uint64_t)CALL(time, 0, 0, 0), now, round = 0;
	uint64_t end = last + (argc > 1 ? number(argv[1]) : 1) * 1000000000u;

	if ((long)memory < 0)
		return fail("no memory");
	while (last < end) {
		fill(memory, ++round);
		if (!sleep_with_register((double)round))
			return fail("a register has changed");
		now = (uint64_t)CALL(time, 0, 0, 0);
		if (now < last + ROUND_NS)
			return fail("the clock has stepped back, or a sleep was short");
		if (!intact(memory, round))
			return fail("memory has changed");
		last = now;
	}
	say_end(round);
	return 0;
}
