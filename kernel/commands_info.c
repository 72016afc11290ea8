/* commands_info.c: the shell's commands that tell how things are.
 *
 * Caller: shell.c. Calls the report functions of pvops, hypercalls, events, grants, memory,
 * disks and threads; the store through the worker. Lines "@stat key=value ..." are read by the
 * host tool.
 */
#include <amphi/blkback.h>
#include <amphi/blkfront.h>
#include <amphi/dma.h>
#include <amphi/event.h>
#include <amphi/grant.h>
#include <amphi/hypercall.h>
#include <amphi/printf.h>
#include <amphi/pvops.h>
#include <amphi/string.h>
#include "block.h"
#include "boot.h"
#include "commands.h"
#include "console.h"
#include "mm.h"
#include "pv_site.h"
#include "shell.h"
#include "thread.h"
#include "time.h"
#include "trap.h"
#include "worker.h"

#define ULL(x) ((unsigned long long)(x))

/* ---- pvops -------------------------------------------------------------------------- */

static void tell_site(void *ctx, const struct pv_bad_site *bad)
{
	char text[PV_SITE_TEXT];

	pv_site_text(text, bad);
	console_printf("differs: %s\n", text);
}

/* Both numbers are 0 in a kernel that is as it was planned, and tests ask for just that. */
static int pvops_check(void)
{
	unsigned indirect = pvops_count_indirect();
	unsigned differing = pvops_verify(tell_site, NULL);

	console_printf("left indirect: %u; different from the plan: %u\n", indirect, differing);
	console_printf("@pvops indirect=%u differing=%u\n", indirect, differing);
	return indirect || differing ? -XEN_EIO : 0;
}

/* In the table's order (amphi/pvops.def), operations without a site too: they are part of the
 * interface. */
static int pvops(int argc, char **argv)
{
	struct pv_lock_counts locks;
	struct pv_op_report r;
	unsigned op;

	if (argc == 2 && !strcmp(argv[1], "verify"))
		return pvops_check();
	if (argc != 1)
		return -XEN_EINVAL;
	console_printf("platform %s\n", boot_platform_name(boot.platform));
	for (op = 0; op < PV_OP_COUNT; op++) {
		pvops_report((enum pv_op)op, &r);
		console_printf("  %4s.%-16s %3u sites  %s\n", r.group, r.name, r.sites,
			       pvops_kind_name(r.kind));
	}
	pvops_lock_counts(&locks);
	console_printf("locks: waited for %llu times, asleep %llu times, woken %llu times\n",
		       ULL(locks.slow), ULL(locks.waits), ULL(locks.kicks));
	return pvops_check();
}

/* ---- the store ---------------------------------------------------------------------- */

#define STORE_DEPTH_MAX 8u
#define STORE_LIST_MAX  2048u

/* One directory being listed; the list's names follow each other, each with its NUL. On the heap, a
 * stack of eight is some 18 KiB. */
struct store_level {
	char path[STORE_PATH_MAX];
	char names[STORE_LIST_MAX];
	int left;
	const char *next;
};

/* Indented by depth and without the directory, as a tree is read. */
static void store_print(const char *path, unsigned depth)
{
	char value[STORE_VALUE_MAX];
	int len = host_store_read(HOST_TX_NONE, path, value, sizeof(value));
	const char *slash = path, *p;

	for (p = path; *p; p++)
		if (*p == '/')
			slash = p + 1;
	console_printf("%*s%s = \"%s\"\n", (int)depth * 2, "", slash, len >= 0 ? value : "?");
}

/* False: it is gone, or not ours to read; then it has no children for us. */
static bool store_enter(struct store_level *level, const char *path)
{
	str_copy(level->path, sizeof(level->path), path);
	level->left = host_store_list(HOST_TX_NONE, path, level->names, sizeof(level->names));
	level->next = level->names;
	return level->left >= 0;
}

/* The tree below path, depth first, with a stack of levels instead of recursion. The store changes
 * meanwhile, so a child may be gone when its turn comes; it is then shown with "?". */
static int store_tree(const char *path, struct store_level *levels)
{
	struct store_level *level = levels;
	char child[STORE_PATH_MAX];
	size_t len;

	if (!store_enter(level, path))
		return level->left;
	while (level >= levels) {
		if (!level->left--) {
			level--;
			continue;
		}
		len = fmt_text(child, sizeof(child), "%s%s%s", level->path,
			       strcmp(level->path, "/") ? "/" : "", level->next);
		level->next += strlen(level->next) + 1;
		if (len >= sizeof(child))
			continue;
		store_print(child, (unsigned)(level - levels) + 1);
		if (level + 1 < levels + STORE_DEPTH_MAX && store_enter(level + 1, child))
			level++;
	}
	return 0;
}

/* Without a path: all of it, or in a guest what is its own. The first domain sees everything; a
 * guest may not, and a tree of refusals helps nobody. */
static void store_default(char *path, size_t cap)
{
	char domid[16];

	if (boot.privileged || host_store_read(HOST_TX_NONE, "domid", domid, sizeof(domid)) < 0)
		str_copy(path, cap, "/");
	else
		fmt_text(path, cap, "/local/domain/%s", domid);
}

static int store_work(void *ctx)
{
	struct store_level *levels = kmalloc(STORE_DEPTH_MAX * sizeof(*levels));
	char path[STORE_PATH_MAX];
	int error;

	if (!levels)
		return -XEN_ENOMEM;
	if (ctx)
		str_copy(path, sizeof(path), ctx);
	else
		store_default(path, sizeof(path));
	error = store_tree(path, levels);
	kfree(levels, STORE_DEPTH_MAX * sizeof(*levels));
	return error;
}

/* In the worker, where the store's client lives. */
static int store(int argc, char **argv)
{
	if (argc > 2)
		return -XEN_EINVAL;
	return worker_call(store_work, argc == 2 ? argv[1] : NULL);
}

/* ---- memory, threads ---------------------------------------------------------------- */

/* Pages of others are mapped here but are not this domain's memory. */
static int mem(int argc, char **argv)
{
	console_printf("memory %llu KiB, free %llu KiB; granted to others %u pages, "
		       "of others %u pages\n",
		       ULL(pages_total_count()) * 4, ULL(pages_free_count()) * 4, grant_used(),
		       grant_mapped());
	return 0;
}

/* The most of its stack that a thread ever used, by the pattern that was there before. */
static void print_thread(void *ctx, const struct thread_info *info)
{
	console_printf("  %-10s %-8s cpu %-2u %8llu turns  stack %u of %u\n", info->name,
		       info->state, info->cpu, ULL(info->switches), info->stack_used_bytes,
		       info->stack_bytes);
}

/* The scheduler calls back for each with what it knows; nothing here looks into a thread. */
static int threads(int argc, char **argv)
{
	thread_for_each(print_thread, NULL);
	return 0;
}

/* ---- counters ----------------------------------------------------------------------- */

/* Numbers that were never used are left out; one without a name is not in hypercall.def, but was
 * called. */
static int hypercalls(int argc, char **argv)
{
	const char *name;
	unsigned nr;

	for (nr = 0; nr < HYPERCALL_NUMBERS; nr++) {
		if (!hypercall_count(nr))
			continue;
		name = hypercall_name(nr);
		console_printf("  %10llu %2u %s\n", ULL(hypercall_count(nr)), nr, name ? name : "");
	}
	console_printf("  %10llu in all\n", ULL(hypercall_total()));
	return 0;
}

/* Keys are read by the host tool's users and the benches by name; new ones go to the end. */
static void print_front(const struct block_device *dev, const struct blkfront_stats *s, void *ctx)
{
	console_printf(
	    "@stat front=%s requests=%llu segments=%llu bytes_read=%llu "
	    "bytes_written=%llu flushes=%llu errors=%llu notifications=%llu "
	    "notified=%llu grants=%llu persistent_hits=%llu copied_bytes=%llu "
	    "replayed=%llu queues=%u queues_used=%u ring_pages=%u max_segments=%u "
	    "persistent=%u standing=%u released=%llu untrusted=%u indirect=%llu "
	    "discards=%llu barriers=%llu split=%llu changes=%llu longest=%u deepest=%u "
	    "wanted=%llu secure=%llu unit=%u\n",
	    dev->name, ULL(s->requests), ULL(s->segments), ULL(s->bytes_read),
	    ULL(s->bytes_written), ULL(s->flushes), ULL(s->errors), ULL(s->notifications_sent),
	    ULL(s->notifications_received), ULL(s->grants_offered), ULL(s->persistent_hits),
	    ULL(s->copied_bytes), ULL(s->replayed), s->queues, s->queues_used, s->ring_pages,
	    s->max_segments, s->persistent, s->standing, ULL(s->grants_released), s->untrusted,
	    ULL(s->indirect), ULL(s->discards), ULL(s->barriers), ULL(s->split), ULL(s->changes),
	    s->longest, s->deepest, ULL(s->wanted), ULL(s->secure), s->unit_bytes);
}

/* A name is back=DOMID/DEV, since two guests may both call theirs xvda. */
static void print_back(const struct blkback_info *i, void *ctx)
{
	const struct blkback_stats *s = &i->stats;

	console_printf(
	    "@stat back=%u/%s requests=%llu bytes_read=%llu bytes_written=%llu "
	    "flushes=%llu refused=%llu errors=%llu notifications=%llu notified=%llu "
	    "grants_mapped=%llu persistent_hits=%llu indirect=%llu discards=%llu "
	    "barriers=%llu parts=%llu starved=%llu released=%llu queues=%u ring_pages=%u "
	    "protocol=%s secure=%llu unit=%u evicted=%llu\n",
	    i->guest, i->name, ULL(s->requests), ULL(s->bytes_read), ULL(s->bytes_written),
	    ULL(s->flushes), ULL(s->refused), ULL(s->errors), ULL(s->notifications_sent),
	    ULL(s->notifications_received), ULL(s->grants_mapped), ULL(s->persistent_hits),
	    ULL(s->indirect), ULL(s->discards), ULL(s->barriers), ULL(s->parts), ULL(s->starved),
	    ULL(s->persistent_released), i->n_queues, i->ring_pages, i->protocol, ULL(s->secure),
	    i->unit_bytes, ULL(s->persistent_evicted));
}

/* The layer's figures and the driver's own: requests against pieces shows what joining is worth. */
static void print_disks(void)
{
	const struct block_layer_stats *layer;
	struct block_device *dev;

	for (dev = block_next(NULL); dev; dev = block_next(dev)) {
		layer = block_layer_stats(dev);
		console_printf("@stat disk=%s requests=%llu bytes_read=%llu bytes_written=%llu "
			       "flushes=%llu errors=%llu notifications=%llu notified=%llu "
			       "pieces=%llu merged=%llu split=%llu\n",
			       dev->name, ULL(dev->stats.requests), ULL(dev->stats.bytes_read),
			       ULL(dev->stats.bytes_written), ULL(dev->stats.flushes),
			       ULL(dev->stats.errors), ULL(dev->stats.notifications_out),
			       ULL(dev->stats.notifications_in), ULL(layer->pieces),
			       ULL(layer->merged), ULL(layer->split));
	}
}

static void print_dma(void)
{
	struct dma_counts c;

	for (unsigned n = 0; dma_count(n, &c); n++)
		console_printf("@stat dma=%02x:%02x.%x layer=%s maps=%llu unmaps=%llu flushes=%llu "
			       "tables=%u wrong=%llu\n",
			       c.bdf >> 8, c.bdf >> 3 & 31, c.bdf & 7, c.layer, ULL(c.maps),
			       ULL(c.unmaps), ULL(c.flushes), c.tables, ULL(c.wrong));
}

/* In the worker: these counters are its own, and a device may come or go while others look. */
static int print_portable(void *ctx)
{
	print_disks();
	print_dma();
	blkfront_for_each(print_front, NULL);
	blkback_for_each(print_back, NULL);
	return 0;
}

/* Also called in the worker itself, when a guest has died; worker_call then simply calls. */
void commands_print_stats(void)
{
	console_printf(
	    "@stat memory_kib=%llu free_kib=%llu hypercalls=%llu events_sent=%llu "
	    "events_received=%llu interrupts=%llu uptime_ns=%llu steal_ns=%llu tsc=%llu\n",
	    ULL(pages_total_count()) * 4, ULL(pages_free_count()) * 4, ULL(hypercall_total()),
	    ULL(event_sent()), ULL(event_received()), ULL(trap_irq_count()), ULL(time_ns()),
	    ULL(time_steal_ns()), ULL(time_tsc()));
	(void)worker_call(print_portable, NULL);
}

static int stats(int argc, char **argv)
{
	commands_print_stats();
	return 0;
}

void commands_info_add(void)
{
	static const struct shell_command table[] = {
	    /* Names, usage and words of `help`; docs/kernel.md says more. */
	    {"pvops", "[verify]", "each pv operation, its sites and what they became", pvops},
	    {"store", "[PATH]", "the store's nodes from PATH down", store},
	    {"mem", "", "memory and grants", mem},
	    {"stats", "", "counters, for the host tool", stats},
	    {"threads", "", "threads and their stacks", threads},
	    {"hypercalls", "", "how often each hypercall was made", hypercalls},
	};

	shell_add(table, ARRAY_SIZE(table));
}
