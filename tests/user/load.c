/* load.c: a program that keeps a CPU busy, and looks whether anything of its own is lost on the way.
 *
 * Run as `run -N load MS`, many at a time, while CPUs come and go: for MS milliseconds it calculates, sleeps, gives
 * way, asks for pages and gives them back, and faults into its own handler. After each it compares: integer and
 * vector registers, its FS base, its memory, its number, and that time does not step back. Exits with 0, or with the
 * number of what was wrong. `load nap MS` only sleeps so long, at once.
 */
#include "program.h"

#define NS_PER_MS 1000000ull
#define ROUNDS    2000u

enum wrong {
	RIGHT,
	WRONG_WORDS = 10,
	WRONG_SUM,
	WRONG_VECTOR,
	WRONG_FS,
	WRONG_PID,
	WRONG_TIME,
	WRONG_PAGES,
	WRONG_FAULT,
};

static uint64_t faults;

static uint64_t number(const char *s)
{
	uint64_t n = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (uint64_t)(*s - '0');
	return n;
}

/* The same from the same seed, whatever came in between. */
static uint64_t calculate(uint64_t x)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return x;
}

/* In vector registers across a stretch of time in which the program may be anywhere, and across a call. */
static bool vectors_stay(uint64_t value)
{
	uint64_t out[2];
	long result;

	__asm__ volatile("movq %2, %%xmm3\n movq %2, %%xmm15\n mov $3000, %%ecx\n"
			 "1: dec %%ecx\n jnz 1b\n mov %3, %%eax\n syscall\n"
			 "movq %%xmm3, (%1)\n movq %%xmm15, 8(%1)\n"
			 : "=&a"(result)
			 : "r"(out), "r"(value), "i"(USER_CALL_yield)
			 : "rcx", "r11", "xmm3", "xmm15", "memory");
	return out[0] == value && out[1] == value;
}

/* The instruction is mov (%rdx), %rax: 3 bytes. */
static void skip_it(struct user_context *c)
{
	faults++;
	c->rip += 3;
	CALL(resume, c, 0, 0);
}

static bool faults_come(uint64_t nothing)
{
	uint64_t before = faults;

	__asm__ volatile("mov (%%rdx), %%rax" ::"d"(nothing) : "rax", "memory");
	return faults == before + 1;
}

static bool pages_come_and_go(uint64_t mark)
{
	uint64_t *page = (uint64_t *)CALL(pages, 2, USER_READ | USER_WRITE, 0);
	bool fine = (long)page > 0 && !page[0] && !page[1023];

	if (!fine)
		return false;
	page[0] = page[1023] = mark;
	CALL(sleep, mark % 3 * 100000, 0, 0);
	fine = page[0] == mark && page[1023] == mark;
	return !CALL(unpages, page, 2, 0) && fine;
}

static enum wrong one_round(uint64_t *own, uint64_t round)
{
	uint64_t seed = own[0] * 1000003 + round, in_fs, time = (uint64_t)CALL(time, 0, 0, 0);

	if (calculate(seed) != calculate(seed))
		return WRONG_SUM;
	if (!vectors_stay(seed))
		return WRONG_VECTOR;
	__asm__ volatile("mov %%fs:0, %0" : "=r"(in_fs));
	if (in_fs != own[0])
		return WRONG_FS;
	if (CALL(getpid, 0, 0, 0) != (long)own[0])
		return WRONG_PID;
	if (!pages_come_and_go(seed))
		return WRONG_PAGES;
	if (!faults_come(USER_HEAP_END - PAGE_SIZE))
		return WRONG_FAULT;
	return (uint64_t)CALL(time, 0, 0, 0) < time ? WRONG_TIME : RIGHT;
}

/* Its timer may be taken over by another CPU meanwhile, and may be late, but not early or lost. */
static int nap(uint64_t ms)
{
	uint64_t from = (uint64_t)CALL(time, 0, 0, 0);

	CALL(sleep, ms * NS_PER_MS, 0, 0);
	return (uint64_t)CALL(time, 0, 0, 0) - from < ms * NS_PER_MS ? WRONG_TIME : RIGHT;
}

int program(int argc, char **argv)
{
	uint64_t *own = (uint64_t *)CALL(pages, 1, USER_READ | USER_WRITE, 0), end;
	enum wrong wrong = RIGHT;

	if (argc == 3 && same(argv[1], "nap"))
		return nap(number(argv[2]));
	if (argc != 2 || (long)own <= 0)
		return WRONG_WORDS;
	own[0] = (uint64_t)CALL(getpid, 0, 0, 0);
	CALL(set_fs_base, own, 0, 0);
	CALL(on_fault, USER_HEAP_END - PAGE_SIZE, PAGE_SIZE, skip_it);
	end = (uint64_t)CALL(time, 0, 0, 0) + number(argv[1]) * NS_PER_MS;
	for (uint64_t round = 0; !wrong && (uint64_t)CALL(time, 0, 0, 0) < end; round++)
		wrong = one_round(own, round);
	return (int)wrong;
}
