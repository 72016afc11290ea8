/* service_cycle.c: the command `cycle`: makes and ends a domain over and over and looks for leaks.
 *
 * For tests and for whoever doubts: what one domain leaves behind adds up in a service domain that lives for
 * months. On its way each may be saved to a disk and restored. Runs in the shell's thread; what touches control/ runs in the worker by worker_call. Caller:
 * service_commands.c. Calls control.h, service.h, xs_server.h for its counters.
 */
#include <amphi/host.h>
#include <amphi/string.h>
#include <amphi/xs_server.h>
#include "console.h"
#include "service.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

#define CYCLES_MAX   100000u
#define LIFE_MAX_MS  100000u
#define WARM_CYCLES  2u
#define SETTLE_MS    20u
#define SETTLE_LOOKS 100u
#define READY_MS     10000u /* within which a guest says that it can be suspended */

/* ---- the parts that run in the worker ----------------------------------------------------- */

/* worker_call takes one function and one pointer, and gives back one number: hence these. */
static int create_work(void *ctx)
{
	return archive_create(ctx);
}

static int destroy_work(void *ctx)
{
	return control_destroy(ctx);
}

/* Everything a domain takes while it lives and must leave when it goes. */
struct counts {
	struct host_counts host;
	struct xs_counters store;
};

static int count_work(void *ctx)
{
	struct counts *c = ctx;

	host_read_counts(&c->host);
	xs_server_count(&c->store);
	return 0;
}

/* ---- the command -------------------------------------------------------------------------- */

struct plan {
	const char *name;
	uint64_t n, life_ms;
	const char *
	    disk; /* where each is saved to and restored from in the middle of its life; NULL: it is not */
};

static int command(int argc, char **argv)
{
	char text[16];
	struct ctl_answer answer = {.text = text, .cap = sizeof(text)};

	service_run(NULL, argc, argv, &answer);
	return answer.err;
}

/* A guest that has just been made has not yet said that it can be suspended. */
static int save_and_restore(const struct plan *p)
{
	char save_word[] = "save",
	     restore_word[] = "restore"; /* a command may write into its words */
	char *saving[] = {save_word, (char *)p->name, (char *)p->disk, NULL};
	char *restoring[] = {restore_word, (char *)p->disk, NULL};
	uint64_t end = time_ns() + READY_MS * NS_PER_MS;
	int err = command(3, saving);

	while (err == -XEN_EOPNOTSUPP && time_ns() < end) {
		thread_sleep_ns(SETTLE_MS * NS_PER_MS);
		err = command(3, saving);
	}
	return err ? err : command(2, restoring);
}

static int one_cycle(const struct plan *p)
{
	char *name = (char *)p->name;
	int err = worker_call(create_work, name);

	if (err)
		return err;
	/* Without a life the domain is ended in the middle of its boot, which is the harder case
	 * for everybody. */
	if (p->life_ms)
		thread_sleep_ns(p->life_ms * NS_PER_MS);
	if (p->disk)
		err = save_and_restore(p);
	if (p->disk && !err)
		thread_sleep_ns(p->life_ms * NS_PER_MS);
	if (err)
		return err;
	/* It may have ended by itself meanwhile. */
	err = worker_call(destroy_work, name);
	return err && err != -XEN_ENOENT ? err : service_wait_gone(name);
}

/* A hypervisor frees the last pages of a domain a little later: waits until nothing changes. */
static void count_settled(struct counts *out)
{
	struct counts last;

	(void)worker_call(count_work, out);
	for (unsigned i = 0; i < SETTLE_LOOKS; i++) {
		last = *out;
		thread_sleep_ns(SETTLE_MS * NS_PER_MS);
		(void)worker_call(count_work, out);
		if (memcmp(&last.host, &out->host, sizeof(last.host)) == 0)
			return;
	}
}

/* Two views of one counter; true when they differ. Either direction: a count that fell was too high
 * before, and is as wrong. */
static bool leaks(const char *what, uint64_t before, uint64_t after)
{
	if (before != after)
		console_printf("  %s: %llu before, %llu after\n", what, (unsigned long long)before,
			       (unsigned long long)after);
	return before != after;
}

static bool any_held_leaks(const struct host_held *a, const struct host_held *b)
{
	bool any = false;

	for (unsigned i = 0; i < HOST_HELD_MAX; i++)
		any |= leaks(b[i].name, a[i].n, b[i].n);
	return any;
}

/* "|" and not "||": every difference is printed, not only the first. */
static bool any_leak(const struct counts *a, const struct counts *b)
{
	return leaks("pages of the hypervisor", a->host.free_pages, b->host.free_pages) |
	       leaks("bytes here", a->host.own_used_bytes, b->host.own_used_bytes) |
	       leaks("grants offered", a->host.grants_offered, b->host.grants_offered) |
	       leaks("grants mapped", a->host.grants_mapped, b->host.grants_mapped) |
	       leaks("ports", a->host.ports, b->host.ports) |
	       any_held_leaks(a->host.held, b->host.held) |
	       leaks("store nodes", a->store.nodes, b->store.nodes) |
	       leaks("store watches", a->store.watches, b->store.watches) |
	       leaks("store connections", a->store.connections, b->store.connections);
}

/* So that a look that saw nothing at all is not taken for one without a leak. */
static void print_held(const struct host_held *held)
{
	for (unsigned i = 0; i < HOST_HELD_MAX && held[i].name[0]; i++)
		console_printf("  %s: %u\n", held[i].name, held[i].n);
}

/* What is made once and kept is no leak, so the first rounds are not counted. */
static int run_cycles(const struct plan *p)
{
	struct counts before, after;
	const char *verdict = "failed";
	int err = 0;

	/* Caches fill, slabs are taken and tables grow in these. */
	for (unsigned i = 0; !err && i < WARM_CYCLES; i++)
		err = one_cycle(p);
	count_settled(&before);
	for (uint64_t done = 0; !err && done < p->n; done++)
		err = one_cycle(p);
	count_settled(&after);
	if (!err)
		verdict = any_leak(&before, &after) ? "leak" : "ok";
	print_held(after.host.held);
	console_printf("@cycle %s %s %llu\n", verdict, p->name, (unsigned long long)p->n);
	return err;
}

/* Bounded: a mistyped number should not keep the machine for a day. */
int service_cycle(int argc, char **argv)
{
	struct plan p = {.name = argv[1]};

	if (argc < 3 || argc > 5 || !str_to_u64(argv[2], &p.n) || p.n < 1 || p.n > CYCLES_MAX)
		return -XEN_EINVAL;
	if (argc >= 4 && (!str_to_u64(argv[3], &p.life_ms) || p.life_ms > LIFE_MAX_MS))
		return -XEN_EINVAL;
	if (argc == 5)
		p.disk = argv[4];
	return run_cycles(&p);
}
