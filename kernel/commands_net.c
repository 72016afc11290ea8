/* commands_net.c: the shell's look at network interfaces: what went through each queue, and what did not; and what a guest may want of
 * its backend besides.
 *
 * Caller: shell.c. Calls host_net.h for the interfaces, and netfront.h and netback.h for what only those drivers count. All is read in
 * the worker, whose counters they are. Not here: addresses, connections (kernel/net/).
 */
#include <amphi/error_name.h>
#include <amphi/host_net.h>
#include <amphi/netback.h>
#include <amphi/netfront.h>
#include <amphi/string.h>
#include <amphi/xen.h>
#include "commands.h"
#include "console.h"
#include "shell.h"
#include "thread.h"
#include "time.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

#define ULL(x) ((unsigned long long)(x))

/* In the order of their bits. */
static const char *const can_names[] = {"sg", "remote", "csum4", "csum6", "gso4", "gso6"};

static void print_device(const struct net_device *dev)
{
	const uint8_t *m = dev->mac;

	console_printf("@stat net=%s mac=%02x:%02x:%02x:%02x:%02x:%02x mtu=%u carrier=%u queues=%u "
		       "used=%u bridge=%s can=",
		       dev->name, m[0], m[1], m[2], m[3], m[4], m[5], dev->mtu, dev->carrier,
		       dev->n_queues, dev->user != NULL, dev->bridge[0] ? dev->bridge : "-");
	for (unsigned i = 0, n = 0; i < ARRAY_SIZE(can_names); i++)
		if (dev->can & 1u << i)
			console_printf("%s%s", n++ ? "," : "", can_names[i]);
	console_printf("\n");
}

/* Frames by batches is how well they are batched. A queue that nothing went through has no line but the first. */
static void print_queue(const struct net_device *dev, unsigned queue)
{
	static const char *const reasons[] = {
#define REASON(name, text) #name,
	    NET_DROPS(REASON)
#undef REASON
	};
	const struct net_stats *s = &dev->stats[queue];
	uint64_t dropped = 0;

	for (unsigned i = 0; i < NET_DROP_REASONS; i++)
		dropped += s->drops[i];
	if (queue && !(s->frames_in | s->frames_out | dropped))
		return;
	console_printf("@stat net=%s queue=%u frames_in=%llu bytes_in=%llu frames_out=%llu "
		       "bytes_out=%llu batches_in=%llu batches_out=%llu notified=%llu "
		       "notifications=%llu dropped=%llu",
		       dev->name, queue, ULL(s->frames_in), ULL(s->bytes_in), ULL(s->frames_out),
		       ULL(s->bytes_out), ULL(s->batches_in), ULL(s->batches_out),
		       ULL(s->notifications_in), ULL(s->notifications_out), ULL(dropped));
	for (unsigned i = 0; i < NET_DROP_REASONS; i++)
		if (s->drops[i])
			console_printf(" drop_%s=%llu", reasons[i], ULL(s->drops[i]));
	console_printf("\n");
}

static void print_front(const struct net_device *dev, const struct netfront_stats *s, void *ctx)
{
	if (ctx && strcmp(ctx, dev->name))
		return;
	console_printf(
	    "@stat netfront=%s copied_out=%llu granted_out=%llu gso_out=%llu gso_in=%llu "
	    "merged_in=%llu copied_in=%llu grants=%llu reconnects=%llu queues=%u "
	    "waiting=%u in_flight=%u posted=%u untrusted=%u split=%u control=%u "
	    "staged=%u hashed=%u multicast=%u\n",
	    dev->name, ULL(s->copied_out), ULL(s->granted_out), ULL(s->gso_out), ULL(s->gso_in),
	    ULL(s->merged_in), ULL(s->copied_in), ULL(s->grants_offered), ULL(s->reconnects),
	    s->queues, s->waiting, s->in_flight, s->posted, s->untrusted, s->split, s->control,
	    s->staged, s->hashed, s->multicast_filter);
}

static void print_back(const struct netback_info *info, void *ctx)
{
	const struct netback_stats *s = &info->stats;

	if (!info->connected || (ctx && strcmp(ctx, info->dev->name)))
		return;
	console_printf("@stat netback=%s requests=%llu responses=%llu refused=%llu copied=%llu "
		       "copy_calls=%llu unmapped_copies=%llu control=%llu waited=%llu staged=%u "
		       "hashed=%u multicast=%u guarded=%u blank_in=%llu gso_in=%llu blank_out=%llu "
		       "gso_out=%llu\n",
		       info->dev->name, ULL(s->requests), ULL(s->responses), ULL(s->refused),
		       ULL(s->copied), ULL(s->copy_calls), ULL(s->unmapped_copies), ULL(s->control),
		       ULL(s->waited), info->n_staged, info->hashes, info->filters_multicast,
		       info->guarded, ULL(s->blank_in), ULL(s->gso_in), ULL(s->blank_out),
		       ULL(s->gso_out));
}

/* ctx: the name of one, or NULL for all. */
static int print_all(void *ctx)
{
	unsigned n = 0;

	for (struct net_device *dev = host_net_next(NULL); dev; dev = host_net_next(dev)) {
		if (ctx && strcmp(ctx, dev->name))
			continue;
		print_device(dev);
		for (unsigned i = 0; i < dev->n_queues; i++)
			print_queue(dev, i);
		n++;
	}
	netfront_for_each(print_front, ctx);
	netback_for_each(print_back, ctx);
	return n || !ctx ? 0 : -XEN_ENODEV;
}

static int netstat(int argc, char **argv)
{
	if (argc > 2)
		return -XEN_EINVAL;
	return worker_call(print_all, argc == 2 ? argv[1] : NULL);
}

struct find {
	const char *name;
	struct net_device *dev;
};

static int find(void *ctx)
{
	struct find *f = ctx;

	f->dev = host_net_find(f->name);
	return f->dev && f->dev->carrier ? 0 : -XEN_ENODEV;
}

/* An interface appears when its backend has answered. */
struct net_device *commands_interface(const char *name)
{
	struct find f = {.name = name};

	for (int i = 0; i < 100 && worker_call(find, &f); i++)
		thread_sleep_ns(NS_PER_S / 10);
	return f.dev;
}

/* ---- what a backend is asked for ------------------------------------------------------------------ */

/* A backend answers within a moment, or it is not at work. */
#define ANSWER_NS (2 * NS_PER_S)
#define LOOK_NS   NS_PER_MS

struct wish {
	const char *name;
	int (*set)(const char *name, bool on);
	bool on;
	bool (*is_on)(const struct netfront_stats *s);
	bool met;
};

static bool is_hashed(const struct netfront_stats *s)
{
	return s->hashed;
}

static bool is_staged(const struct netfront_stats *s)
{
	return s->staged != 0;
}

static void look_at(const struct net_device *dev, const struct netfront_stats *s, void *ctx)
{
	struct wish *w = ctx;

	if (!strcmp(dev->name, w->name))
		w->met = w->is_on(s) == w->on;
}

static int set_work(void *ctx)
{
	const struct wish *w = ctx;

	return w->set(w->name, w->on);
}

static int look_work(void *ctx)
{
	struct wish *w = ctx;

	netfront_for_each(look_at, w);
	return w->met;
}

/* Until the backend has answered: who goes on believes that it is so. A wish of before may be under way still. */
static int fulfil(struct wish *w)
{
	uint64_t end = time_ns() + ANSWER_NS;
	bool asked = false;
	int err;

	do {
		err = asked ? 0 : worker_call(set_work, w);
		asked |= !err;
		if (asked && worker_call(look_work, w))
			return 0;
		thread_sleep_ns(LOOK_NS);
	} while ((asked || err == -XEN_EBUSY) && time_ns() < end);
	err = asked ? -XEN_ETIMEDOUT : err;
	console_printf("%s: %s\n", w->name,
		       err == -XEN_EOPNOTSUPP  ? "its backend cannot"
		       : err == -XEN_ETIMEDOUT ? "its backend does not do it"
					       : error_name(err));
	return err;
}

static int net(int argc, char **argv)
{
	struct wish w = {.set = netfront_hash, .is_on = is_hashed};

	if (argc != 4)
		return -XEN_EINVAL;
	w.name = argv[2];
	w.on = !strcmp(argv[3], "on");
	if (!strcmp(argv[1], "staging")) {
		w.set = netfront_staging;
		w.is_on = is_staged;
	} else if (strcmp(argv[1], "hash") != 0) {
		return -XEN_EINVAL;
	}
	return w.on || !strcmp(argv[3], "off") ? fulfil(&w) : -XEN_EINVAL;
}

void commands_net_add(void)
{
	static const struct shell_command table[] = {
	    {"net", "hash|staging IF on|off",
	     "a guest: has the backend tell the hash of each frame; keep its pages mapped", net},
	    {"netstat", "[IF]",
	     "what went through each queue of an interface, and what was dropped", netstat},
	};

	shell_add(table, ARRAY_SIZE(table));
}
