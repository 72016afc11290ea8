/* commands_price.c: the shell's price list: what the kernel's own basic steps cost, in ticks of the TSC.
 *
 * Caller: shell.c. Under QEMU's -icount shift=0 a tick is an instruction. Each line "@price WHAT n=N ticks=T
 * hypercalls=H" is for N steps together; the shortest steps are written out ten times in a row, and the
 * loop around them is taken off. tests/bench holds the figures of a kernel without pvops, and of
 * this one on every platform, beside each other. Not here: disks (commands_bench.c).
 */
#include <amphi/hypercall.h>
#include <amphi/pvops.h>
#include <amphi/spinlock.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "mm.h"
#include "shell.h"
#include "smp.h"
#include "thread.h"
#include "time.h"
#include "user.h"

#define ULL(x) ((unsigned long long)(x))
#define PAGES  256u
#define ROUNDS 64u
#define LOOPS  1000u
#define STEPS  (LOOPS * 10u)
#define YIELDS 1000u
#define CALLS  1000u

#define TEN(x) x x x x x x x x x x

/* ---- counting --------------------------------------------------------------------------- */

struct meter {
	uint64_t ticks, hypercalls;
};

static struct meter meter_now(void)
{
	return (struct meter){.hypercalls = hypercall_total(), .ticks = time_tsc()};
}

static struct meter less(struct meter m, struct meter part)
{
	return (struct meter){m.ticks - part.ticks, m.hypercalls - part.hypercalls};
}

static struct meter meter_since(struct meter from)
{
	uint64_t ticks = time_tsc();

	return less((struct meter){ticks, hypercall_total()}, from);
}

static void meter_add(struct meter *sum, struct meter more)
{
	sum->ticks += more.ticks;
	sum->hypercalls += more.hypercalls;
}

static void tell(const char *what, uint64_t n, struct meter m)
{
	console_printf("@price %s n=%llu ticks=%llu hypercalls=%llu\n", what, ULL(n), ULL(m.ticks),
		       ULL(m.hypercalls));
}

/* ---- interrupts and locks --------------------------------------------------------------- */

/* What the loop around ten steps costs by itself. */
static struct meter empty_loops(void)
{
	struct meter from = meter_now();

	for (unsigned i = 0; i < LOOPS; i++)
		__asm__ volatile("" ::: "memory");
	return meter_since(from);
}

static int price_irq(void)
{
	struct meter loops = empty_loops(), from = meter_now();
	uint64_t flags;

	for (unsigned i = 0; i < LOOPS; i++) {
		TEN(flags = irq_save(); irq_restore(flags);)
	}
	tell("irq", STEPS, less(meter_since(from), loops));
	return 0;
}

static int price_lock(void)
{
	static struct spinlock some_lock;
	struct spinlock *lock = &some_lock;
	struct meter loops = empty_loops(), from = meter_now();

	__asm__ volatile("" : "+r"(lock)); /* locks lie in structures: by a register */
	for (unsigned i = 0; i < LOOPS; i++) {
		TEN(spin_lock(lock); spin_unlock(lock);)
	}
	tell("spinlock", STEPS, less(meter_since(from), loops));
	return 0;
}

/* ---- mappings --------------------------------------------------------------------------- */

/* The whole window at once, and page by page. One frame serves for all pages: what it costs to have
 * them is not asked here. */
static void price_windows(char *window, const mfn_t *frames)
{
	struct meter at, map = {0}, unmap = {0}, map_one = {0}, unmap_one = {0};

	for (unsigned round = 0; round < ROUNDS; round++) {
		at = meter_now();
		(void)map_frames(window, frames, PAGES, MM_WRITE, DOMID_SELF);
		meter_add(&map, meter_since(at));
		at = meter_now();
		unmap_frames(window, PAGES);
		meter_add(&unmap, meter_since(at));
	}
	for (unsigned i = 0; i < PAGES; i++) {
		at = meter_now();
		(void)map_frames(window + i * PAGE_SIZE, frames, 1, MM_WRITE, DOMID_SELF);
		meter_add(&map_one, meter_since(at));
		at = meter_now();
		unmap_frames(window + i * PAGE_SIZE, 1);
		meter_add(&unmap_one, meter_since(at));
	}
	tell("map256", ROUNDS * PAGES, map);
	tell("unmap256", ROUNDS * PAGES, unmap);
	tell("map1", PAGES, map_one);
	tell("unmap1", PAGES, unmap_one);
}

/* On the heap: 2 KiB of frame numbers are much for a stack. */
static int price_map(void)
{
	char *window = vmap_reserve(PAGES);
	mfn_t *frames = kmalloc(PAGES * sizeof(*frames));
	void *page = pages_alloc(1);
	bool ok = window && frames && page;

	if (ok) {
		for (unsigned i = 0; i < PAGES; i++)
			frames[i] = pfn_to_mfn(virt_to_pfn(page));
		price_windows(window, frames);
	}
	if (page)
		pages_free(page, 1);
	kfree(frames, PAGES * sizeof(*frames));
	if (window)
		vmap_release(window, PAGES);
	return ok ? 0 : -XEN_ENOMEM;
}

/* ---- threads and programs --------------------------------------------------------------- */

static void give_way(void *ctx)
{
	for (unsigned i = 0; i < YIELDS; i++)
		thread_yield();
}

/* Two threads in turn, nobody else being ready: each yield is a switch. */
static int price_threads(void)
{
	struct meter from;

	if (!thread_create("price", give_way, NULL))
		return -XEN_ENOMEM;
	from = meter_now();
	give_way(NULL);
	tell("thread", 2 * YIELDS, meter_since(from));
	return 0;
}

static void nothing(void *ctx) {}

/* To another CPU, idle, and its answer. Nothing is said where there is none. */
static int price_ipi(void)
{
	struct meter from;
	unsigned cpu = 1;

	while (cpu < smp_count() && smp_state(cpu) != SMP_ONLINE)
		cpu++;
	if (cpu >= smp_count())
		return 0;
	from = meter_now();
	for (unsigned i = 0; i < CALLS; i++)
		(void)smp_call(cpu, nothing, NULL);
	tell("ipi", CALLS, meter_since(from));
	return 0;
}

/* From its start to its end. */
static int run_program(const char *word, struct meter *out)
{
	char name[] = "price", copy[16];
	char *argv[] = {name, copy};
	struct meter from = meter_now();
	int pid;

	str_copy(copy, sizeof(copy), word);
	pid = user_start(2, argv, USER_SHELL);
	if (pid < 0)
		return pid;
	if (user_wait(pid, USER_SHELL))
		return -XEN_EIO;
	*out = meter_since(from);
	return 0;
}

/* What a program does 11000 times less what it does 1000 times: its start and end are in both. */
static int price_program(const char *what, const char *fewer, const char *more, uint64_t steps)
{
	struct meter few, many;
	int error = run_program(fewer, &few);

	if (!error)
		error = run_program(more, &many);
	if (error)
		return error;
	tell(what, steps, less(many, few));
	return 0;
}

/* The program is tests/user/price.c, which has to be in the boot module. Pages: 256 a step. */
static int price_programs(void)
{
	int error = price_program("call", "calls=1000", "calls=11000", 10000);

	if (!error)
		error = price_program("fault", "faults=1000", "faults=11000", 10000);
	if (!error)
		error = price_program("program", "turns=1000", "turns=11000", 20000);
	if (!error)
		error = price_program("pages", "pages=1", "pages=9", 8 * PAGES);
	return error;
}

/* ---- the command ------------------------------------------------------------------------ */

static const struct {
	const char *name;
	int (*run)(void);
} kinds[] = {
    {"irq", price_irq},         {"lock", price_lock}, {"map", price_map},
    {"threads", price_threads}, {"ipi", price_ipi},   {"programs", price_programs},
};

static int price(int argc, char **argv)
{
	int error = -XEN_EINVAL;

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (argc > 1 && strcmp(argv[1], kinds[i].name))
			continue;
		error = kinds[i].run();
		if (error)
			return error;
	}
	return error;
}

void commands_price_add(void)
{
	static const struct shell_command table[] = {
	    {"price", "[irq|lock|map|threads|ipi|programs]", "what basic steps cost, in TSC ticks",
	     price},
	};

	shell_add(table, ARRAY_SIZE(table));
}
