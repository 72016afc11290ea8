/* disk_trace.c: has blkfront trace what the store asks for, and puts into the store what it traced.
 *
 * Contract: disk_trace.h and amphi/blktrace.h. Nothing is written while requests are traced, or the writing would be
 * among what they wait for. Worker context. Calls blkfront.h, blktrace.h and the store by host.h.
 */
#include <amphi/blktrace.h>
#include <amphi/host.h>
#include <amphi/printf.h>

#include "disk_trace.h"

/* After the end, for those that are on their way. */
#define TELL_AFTER_NS 50000000ull

static void put(const struct blkfront_trace *trace, void *ctx)
{
	unsigned *n = ctx;
	char path[sizeof(BLKTRACE_TOLD) + 8], text[BLKTRACE_TEXT_MAX];

	fmt_text(path, sizeof(path), BLKTRACE_TOLD "/%u", (*n)++);
	blktrace_text(trace, text);
	(void)host_store_write(HOST_TX_NONE, path, text); /* a store that is full tells no more */
}

static void forget(void)
{
	(void)host_store_rm(HOST_TX_NONE, BLKTRACE_TOLD);
}

static void tell(void *ctx)
{
	unsigned n = 0;

	forget();
	blkfront_trace_for_each(put, &n);
}

static struct host_work telling = {.fn = tell};

static void on_ask(void *ctx, const char *changed_path)
{
	char text[BLKTRACE_TEXT_MAX];
	unsigned vdev, every;

	if (host_store_read(HOST_TX_NONE, BLKTRACE_ASK, text, sizeof(text)) < 0)
		return;
	if (!blktrace_asked(text, &vdev, &every)) {
		host_log(HOST_LOG_WARN, BLKTRACE_ASK ": what is \"%s\"?", text);
		return;
	}
	host_work_cancel(&telling);
	blkfront_trace(vdev, every);
	if (every)
		forget();
	else
		host_work_after(&telling, TELL_AFTER_NS);
}

int disk_trace_start(void)
{
	struct host_watch *watch;

	return host_store_watch(BLKTRACE_ASK, on_ask, NULL, &watch);
}
