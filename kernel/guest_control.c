/* guest_control.c: watches control/shutdown and control/sysrq, and does what they ask.
 *
 * Worker context. A suspend is done in the worker itself, which is what stops the portable rooms; all other
 * requests go to a thread of their own, because disks are flushed before an end and that waits for the
 * worker. Calls the store by host.h, suspend.h, power.h, the shell's commands. Words: guest_control_words.h.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/types.h>

#include "block.h"
#include "block_use.h"
#include "console.h"
#include "guest_control.h"
#include "guest_control_words.h"
#include "power.h"
#include "shell.h"
#include "suspend.h"
#include "thread.h"
#include "worker.h"

#define WORD_MAX 16u
#define TRIES    8u

/* ---- ends ----------------------------------------------------------------------------------- */

static int next_disk(void *ctx)
{
	return block_use_next(ctx);
}

/* Each disk once; one that fails must not keep the domain from ending. */
static void flush_disks(void)
{
	struct block_use disk = {0};

	while (worker_call(next_disk, &disk)) {
		int error = block_flush(disk.dev);

		if (error)
			klog(LOG_WARN, "%s: not flushed: %s", disk.name, error_name(error));
	}
}

static void end_thread(void *ctx)
{
	const enum control_request *request = ctx;

	flush_disks();
	if (*request == CONTROL_POWEROFF)
		power_halt(0);
	console_drain();
	power_reboot();
}

/* A second request while the first is carried out changes nothing. */
static void end_domain(enum control_request how)
{
	static enum control_request request;

	if (request)
		return;
	request = how;
	if (!thread_create("shutdown", end_thread, &request))
		klog(LOG_ERROR, "shutdown: no memory for its thread");
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Where the toolstack may look for the reason: a refused request is only a time-out to it. */
static void suspend(void)
{
	struct suspend_report report = suspend_domain();
	char text[96] = "";

	if (report.why)
		fmt_text(text, sizeof(text), "%s: %s", report.step, report.why);
	console_printf("@suspend %s\n", report.why                        ? "refused"
					: report.end == SUSPEND_NEW_WORLD ? "resumed"
									  : "cancelled");
	(void)host_store_write(HOST_TX_NONE, "data/suspend-refused", text);
}

static void announce(void)
{
	enum control_request request;
	const char *node;

	for (unsigned i = 0; (node = control_feature(i, &request)); i++)
		if (request != CONTROL_SUSPEND || suspend_possible())
			(void)host_store_write(HOST_TX_NONE, node, "1");
}

static void obey(enum control_request request, const char *word)
{
	switch (request) {
	case CONTROL_POWEROFF:
	case CONTROL_REBOOT:
		klog(LOG_INFO, "the toolstack asks for %s", word);
		end_domain(request);
		return;
	case CONTROL_SUSPEND:
		suspend();
		announce(); /* the directory is another one in a new world */
		return;
	default:
		klog(LOG_WARN, "control/shutdown: what is \"%s\"?", word);
	}
}

/* ---- the nodes ------------------------------------------------------------------------------ */

/* In one transaction, or a request that is written in between would be taken away unread, and one that was
 * withdrawn be obeyed. False: there is none. */
static bool take_once(const char *node, char *word, size_t cap, int *out_error)
{
	uint32_t tx;
	int len = 0;

	*out_error = host_store_begin(&tx);
	if (*out_error)
		return false;
	len = host_store_read(tx, node, word, cap);
	if (len > 0)
		*out_error = host_store_write(tx, node, "");
	if (len <= 0 || *out_error) {
		(void)host_store_end(tx, false);
		return false;
	}
	*out_error = host_store_end(tx, true);
	return !*out_error;
}

static bool take_word(const char *node, char *word, size_t cap)
{
	int error = -XEN_EAGAIN;

	for (unsigned i = 0; i < TRIES && error == -XEN_EAGAIN; i++)
		if (take_once(node, word, cap, &error))
			return true;
	if (error)
		klog(LOG_WARN, "%s: a request cannot be taken: %s", node, error_name(error));
	return false;
}

static void on_shutdown(void *ctx, const char *changed_path)
{
	char word[WORD_MAX];
	enum control_request request;

	if (!take_word("control/shutdown", word, sizeof(word)))
		return;
	request = control_shutdown_word(word);
	if (request != CONTROL_NOTHING)
		obey(request, word);
}

/* The shell's own functions, beside the shell: commands of these letters only print, or end the domain. */
static void sysrq_thread(void *ctx)
{
	char line[WORD_MAX];

	str_copy(line, sizeof(line), ctx);
	(void)shell_line(line);
}

static void on_sysrq(void *ctx, const char *changed_path)
{
	char word[WORD_MAX];
	const char *line;

	if (!take_word("control/sysrq", word, sizeof(word)))
		return;
	line = control_sysrq_line(word);
	if (line)
		(void)thread_create("sysrq", sysrq_thread, (void *)line);
}

int guest_control_start(void)
{
	struct host_watch *watch;
	int error = host_store_watch("control/shutdown", on_shutdown, NULL, &watch);

	if (!error)
		error = host_store_watch("control/sysrq", on_sysrq, NULL, &watch);
	if (!error)
		announce();
	return error;
}
