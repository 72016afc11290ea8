/* hotplug_xen.c: takes CPUs out and in as the toolstack writes it into the store.
 *
 * Started by main.c. cpu/N/availability of our own directory is "online" or "offline" (`xl vcpu-set`); a watch
 * tells which N has changed, and a thread of its own does it, because a CPU's coming and going waits and the
 * worker may not. Only changes count: what `cpu` did at the prompt stays until the toolstack speaks again.
 * Not here: who may be switched (smp.c); CPU 0 stays, whatever is written.
 */
#include "hotplug_xen.h"

#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "console.h"
#include "smp.h"
#include "thread.h"
#include "worker.h"

#define DIRECTORY "cpu"
#define ALL_CPUS  (~0ull)

/* CPUs whose node has changed, a bit each. Set by the worker, taken by the thread. */
static uint64_t changed;
static struct wait_queue on_change;
_Static_assert(CPUS_MAX == 64, "a bit for each CPU");

/* The number in "cpu/N/availability"; the directory itself, at the watch's first call, means all. */
static uint64_t cpus_of(const char *path)
{
	const char *at = path + sizeof(DIRECTORY);
	unsigned cpu = 0;

	if (strncmp(path, DIRECTORY "/", sizeof(DIRECTORY)) || *at < '0' || *at > '9')
		return ALL_CPUS;
	/* A number with more digits than CPUS_MAX has is none of ours. */
	for (; *at >= '0' && *at <= '9' && cpu < CPUS_MAX; at++)
		cpu = cpu * 10 + (unsigned)(*at - '0');
	return cpu < CPUS_MAX ? 1ull << cpu : 0;
}

static void node_changed(void *ctx, const char *path)
{
	changed |= cpus_of(path);
	wait_wake(&on_change);
}

enum wish { AS_IT_IS, ONLINE, OFFLINE };

/* [waits] In the worker; ctx: the number, and the answer. A node that is not there, or says something else, is
 * no wish. */
struct question {
	unsigned cpu;
	enum wish wish;
};

static int read_wish(void *ctx)
{
	struct question *q = ctx;
	char path[STORE_PATH_MAX], value[16];
	int len;

	fmt_text(path, sizeof(path), DIRECTORY "/%u/availability", q->cpu);
	len = host_store_read(HOST_TX_NONE, path, value, sizeof(value));
	if (len < 0)
		return len;
	if (!strcmp(value, "online"))
		q->wish = ONLINE;
	else if (!strcmp(value, "offline"))
		q->wish = OFFLINE;
	return 0;
}

static void follow(unsigned cpu)
{
	struct question q = {.cpu = cpu};
	int error = 0;

	if (worker_call(read_wish, &q))
		return;
	if (q.wish == ONLINE && smp_state(cpu) == SMP_OFFLINE)
		error = smp_up(cpu);
	else if (q.wish == OFFLINE && smp_state(cpu) == SMP_ONLINE)
		error = smp_down(cpu);
	else
		return;
	/* Somebody at the prompt did it between our look and our turn. */
	if (error == -XEN_EBUSY && smp_state(cpu) == (q.wish == ONLINE ? SMP_ONLINE : SMP_OFFLINE))
		return;
	if (error)
		klog(LOG_WARN, "CPU %u cannot be %s: %s", cpu,
		     q.wish == ONLINE ? "started" : "taken out", error_name(error));
	else
		klog(LOG_INFO, "CPU %u is %s, as the toolstack wants it", cpu,
		     q.wish == ONLINE ? "online" : "offline");
}

static void hotplug_thread(void *ctx)
{
	for (;;) {
		uint64_t now;

		WAIT_UNTIL(&on_change, changed);
		now = changed;
		changed = 0;
		for (unsigned cpu = 0; cpu < smp_count(); cpu++)
			if (now >> cpu & 1)
				follow(cpu);
	}
}

int hotplug_xen_start(void)
{
	struct host_watch *watch;

	if (!thread_create("hotplug", hotplug_thread, NULL))
		return -XEN_ENOMEM;
	return host_store_watch(DIRECTORY, node_changed, NULL, &watch);
}
