/* commands_bench.c: the shell's measurements, in ticks of the TSC.
 *
 * Caller: shell.c. Under QEMU's -icount shift=0 a tick is an instruction, so the figures are exact
 * and the same on every machine. Each prints one line "@bench what key=value ...". Disk benches
 * keep a number of pieces in flight from the worker, so no thread is switched in between. They begin
 * and end with an instruction that does nothing and carries a number (tests/bench/count_plugin.c): who
 * counts from outside the machine then knows what to count, and can leave out the time that nobody works.
 */
#include <amphi/blkfront.h>
#include <amphi/event.h>
#include <amphi/host.h>
#include <amphi/hypercall.h>
#include <amphi/string.h>
#include "bench_mark.h"
#include "block.h"
#include "block_use.h"
#include "boot.h"
#include "commands.h"
#include "console.h"
#include "mm.h"
#include "shell.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

#define ULL(x) ((unsigned long long)(x))
/* The size of a page, a segment and most requests of file systems. */
#define IO_BYTES   4096u
#define IO_KIB_MAX 1024u
#define DEPTH_MAX  512u
/* All the pieces of a measurement: as much as most need, and at most. */
#define MEMORY_PAGES     256u
#define MEMORY_PAGES_MAX 4096u
#define CALLS            1000u
#define IO_COUNT_MAX     (1u << 20)

/* ---- calls and switches ------------------------------------------------------------- */

/* xen_version with command 0 needs no argument and no answer in memory: what is left is the way
 * there and back. */
static int bench_null(int argc, char **argv)
{
	uint64_t start, ticks;
	unsigned i;

	if (!boot_on_xen())
		return -XEN_ENOSYS;
	start = time_tsc();
	for (i = 0; i < CALLS; i++)
		(void)hypercall_xen_version(XENVER_version, NULL);
	ticks = time_tsc() - start;
	console_printf("@bench null_hypercall calls=%u ticks_per_call=%llu\n", CALLS,
		       ULL(ticks / CALLS));
	return 0;
}

static int nothing(void *ctx)
{
	return 0;
}

/* To the worker and back: two switches, a post and a wake. */
static int bench_switch(int argc, char **argv)
{
	uint64_t start = time_tsc(), ticks;
	unsigned i;

	for (i = 0; i < CALLS; i++)
		(void)worker_call(nothing, NULL);
	ticks = time_tsc() - start;
	console_printf("@bench worker_call calls=%u ticks_per_call=%llu\n", CALLS,
		       ULL(ticks / CALLS));
	return 0;
}

/* ---- a disk ------------------------------------------------------------------------- */

/* One measurement. The worker alone touches it while pieces are in flight. */
struct bench {
	struct block_use disk;
	enum block_op op;
	bool random;
	uint64_t next, left; /* next: the slot, or the generator's state */
	unsigned depth, in_flight;
	uint32_t io_bytes;
	int error;
	/* depth times io_bytes, one slot each. */
	char *memory;
	struct block_piece pieces[DEPTH_MAX];
	struct wait_queue wait;
};

/* In order, so that the layer may join neighbours as it does for real readers, and at the end again
 * from 0; or in an order that repeats from run to run (numbers of Knuth's MMIX generator) and
 * knows no neighbours. */
static uint64_t bench_sector(struct bench *b)
{
	uint64_t slots = b->disk.sectors * SECTOR_SIZE / b->io_bytes, at = b->next;

	if (!b->random) {
		b->next = (at + 1) % slots;
		return at * (b->io_bytes / SECTOR_SIZE);
	}
	b->next = at * 6364136223846793005ull + 1442695040888963407ull;
	return (at >> 33) % slots * (b->io_bytes / SECTOR_SIZE);
}

static void bench_next(struct bench *b, struct block_piece *piece)
{
	if (!b->disk.dev)
		b->error = -XEN_ENODEV;
	if (!b->left || b->error)
		return;
	piece->sector = bench_sector(b);
	b->left--;
	b->in_flight++;
	block_submit(b->disk.dev, piece);
}

/* Keeps the depth: each end begins the next, in the same turn of the worker. */
static void bench_done(struct block_piece *piece, int status)
{
	struct bench *b = piece->ctx;

	b->in_flight--;
	if (status)
		b->error = status;
	bench_next(b, piece);
	/* The last one; the thread reads error only now. */
	if (!b->in_flight)
		wait_wake(&b->wait);
}

/* All pieces are submitted before the first kick, so the device's doorbell rings once for the lot.
 */
static int bench_begin(void *ctx)
{
	struct bench *b = ctx;
	unsigned i;

	for (i = 0; i < b->depth; i++) {
		b->pieces[i].op = b->op;
		b->pieces[i].va = b->memory + i * b->io_bytes;
		b->pieces[i].len_bytes = b->io_bytes;
		b->pieces[i].done = bench_done;
		b->pieces[i].ctx = b;
		bench_next(b, &b->pieces[i]);
	}
	if (b->disk.dev)
		block_kick(b->disk.dev);
	return 0;
}

/* Read before and after; the difference is the measurement's. Only what this domain does is
 * counted. By the thread, which has not waited since it saw the disk. */
struct counters {
	uint64_t tsc, hypercalls, sent, received, requests, kicks;
};

static struct counters count(const struct block_device *dev)
{
	if (!dev)
		return (struct counters){0};
	return (struct counters){.tsc = time_tsc(),
				 .hypercalls = hypercall_total(),
				 .sent = event_sent(),
				 .received = event_received(),
				 .requests = block_layer_stats(dev)->requests,
				 .kicks = dev->stats.notifications_out};
}

/* ticks_per_io is the time of all divided by their number: with a depth above 1 it is no latency.
 */
static void print_bench(const char *what, const struct bench *b, uint64_t n, struct counters from)
{
	struct counters to = count(b->disk.dev);

	console_printf(
	    "@bench %s dev=%s depth=%u bytes=%u count=%llu ticks_per_io=%llu requests=%llu "
	    "hypercalls=%llu events_sent=%llu events_received=%llu doorbells=%llu\n",
	    what, b->disk.name, b->depth, b->io_bytes, ULL(n), ULL((to.tsc - from.tsc) / n),
	    ULL(to.requests - from.requests), ULL(to.hypercalls - from.hypercalls),
	    ULL(to.sent - from.sent), ULL(to.received - from.received), ULL(to.kicks - from.kicks));
}

/* in_flight is 0 before the first piece only as long as bench_begin has not run, which worker_call
 * waits for. */
static int run_disk(struct bench *b, uint64_t n)
{
	b->left = n;
	b->next = 0;
	(void)worker_call(bench_begin, b);
	WAIT_UNTIL(&b->wait, !b->in_flight);
	return b->error;
}

/* Kept and lent for good: a backend may hold on to the pages. With standing grants
 * (feature-persistent) it does, until the connection ends. Who wants more gets another piece, twice as large: there
 * are five at most. */
static char *bench_memory;
static unsigned bench_pages;

/* Worker: blkfront grants the pages once, so that no request pays for it. */
static int lend(void *ctx)
{
	const struct bench *b = ctx;
	unsigned pages = MAX(bench_pages, MEMORY_PAGES);
	char *more;

	while (pages * PAGE_SIZE < (size_t)b->depth * b->io_bytes)
		pages *= 2;
	if (pages == bench_pages)
		return 0;
	more = host_pages_alloc(pages);
	if (!more)
		return -XEN_ENOMEM;
	(void)blkfront_lend(more, pages);
	bench_memory = more;
	bench_pages = pages;
	return 0;
}

/* A first run, not measured, brings standing grants and caches into the state that lasts. Twice the
 * depth, so that each slot's page has been through it. */
static int measure(const char *what, struct bench *b, uint64_t n)
{
	struct counters from;
	int error;

	if (worker_call(lend, b))
		return -XEN_ENOMEM;
	b->memory = bench_memory;
	error = run_disk(b, 2 * b->depth);
	if (error)
		return error;
	from = count(b->disk.dev);
	BENCH_MARK(10);
	error = run_disk(b, n);
	BENCH_MARK(11);
	if (!error && !b->disk.dev)
		error = -XEN_ENODEV;
	if (!error)
		print_bench(what, b, n, from);
	return error;
}

/* [KIB] is the size of a piece. False: a number that is none, or too large. */
static bool disk_args(struct bench *b, int argc, char **argv, uint64_t *out_n)
{
	uint64_t depth, kib = IO_BYTES / 1024;

	if (argc < 5 || argc > 6 || !str_to_u64(argv[3], &depth) || !str_to_u64(argv[4], out_n))
		return false;
	if (argc == 6 && !str_to_u64(argv[5], &kib))
		return false;
	if (!depth || depth > DEPTH_MAX || !*out_n || *out_n > IO_COUNT_MAX)
		return false;
	if (!kib || kib > IO_KIB_MAX || depth * kib > MEMORY_PAGES_MAX * PAGE_SIZE / 1024)
		return false;
	b->depth = (unsigned)depth;
	b->io_bytes = (uint32_t)kib * 1024;
	b->op = strcmp(argv[1], "write") ? BLOCK_READ : BLOCK_WRITE;
	b->random = !strcmp(argv[1], "random");
	return true;
}

static int bench_on(struct bench *b, int argc, char **argv)
{
	int error = -XEN_EINVAL;
	uint64_t n;

	if (!disk_args(b, argc, argv, &n))
		return -XEN_EINVAL;
	if (!commands_disk(argv[2], &b->disk))
		return -XEN_ENODEV;
	if (b->disk.sectors >= b->io_bytes / SECTOR_SIZE)
		error = measure(argv[1], b, n);
	commands_disk_end(&b->disk);
	return error;
}

/* On the heap: pieces for the largest depth are more than a stack should have. */
static int bench_disk(int argc, char **argv)
{
	struct bench *b = kmalloc(sizeof(*b));
	int error = b ? bench_on(b, argc, argv) : -XEN_ENOMEM;

	if (b)
		kfree(b, sizeof(*b));
	return error;
}

/* For what is measured from outside and is a command of its own: begin, ping, end. */
static int mark_begin(int argc, char **argv)
{
	BENCH_MARK(10);
	return 0;
}

static int mark_end(int argc, char **argv)
{
	BENCH_MARK(11);
	return 0;
}

/* The kind's name is argv[1], which bench_disk looks at again for the direction. */
static int bench(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} kinds[] = {
	    {"null", bench_null},  {"switch", bench_switch}, {"read", bench_disk},
	    {"write", bench_disk}, {"random", bench_disk},   {"begin", mark_begin},
	    {"end", mark_end},
	};
	unsigned i;

	for (i = 0; argc > 1 && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(argv[1], kinds[i].name))
			return kinds[i].run(argc, argv);
	return -XEN_EINVAL;
}

void commands_bench_add(void)
{
	static const struct shell_command table[] = {
	    {"bench", "KIND [DEV DEPTH COUNT [KIB]]",
	     "measures null, switch, read, write or random in TSC ticks", bench},
	};

	shell_add(table, ARRAY_SIZE(table));
}
