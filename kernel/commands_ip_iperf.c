/* commands_ip_iperf.c: the shell's command iperf.
 *
 * Caller: shell.c. Calls net/iperf.h in the worker. Its words are those of iperf3, as far as they go.
 */
#include <amphi/host.h>
#include <amphi/string.h>
#include "commands.h"
#include "commands_ip_wait.h"
#include "console.h"
#include "kernel/net/iperf.h"
#include "shell.h"
#include "worker.h"

#define ULL(x) ((unsigned long long)(x))

struct run {
	const char *host; /* NULL: serve */
	uint16_t port;
	struct iperf_params params;
	struct iperf *iperf;
	struct iperf_result result;
	struct net_wait wait;
};

static void ended(void *ctx, int status, const struct iperf_result *result)
{
	struct run *r = ctx;

	r->result = *result;
	net_wait_end(&r->wait, status);
}

static int begin(void *ctx)
{
	struct run *r = ctx;

	if (!r->host)
		return iperf_server(r->port, ended, r, &r->iperf);
	return iperf_client(r->host, r->port, &r->params, ended, r, &r->iperf);
}

static int finish(void *ctx)
{
	iperf_free(((struct run *)ctx)->iperf);
	return 0;
}

static bool take_number(struct run *r, char letter, const char *word)
{
	uint64_t n;

	if (!word || !str_to_u64(word, &n) || !n || n > 65535)
		return false;
	if (letter == 'p')
		r->port = (uint16_t)n;
	else if (letter == 't')
		r->params.seconds = (unsigned)n;
	else if (letter == 'P')
		r->params.streams = (unsigned)n;
	return letter == 'p' || letter == 't' || letter == 'P';
}

static bool take_options(struct run *r, int argc, char **argv)
{
	bool serve = false;
	const char *next;

	for (int i = 1; i < argc; i++) {
		next = i + 1 < argc ? argv[i + 1] : NULL;
		if (!strcmp(argv[i], "-s"))
			serve = true;
		else if (!strcmp(argv[i], "-R"))
			r->params.reverse = true;
		else if (!strcmp(argv[i], "-c") && next)
			r->host = argv[++i];
		else if (argv[i][0] == '-' && take_number(r, argv[i][1], next))
			i++;
		else
			return false;
	}
	return serve != (r->host != NULL);
}

static int iperf(int argc, char **argv)
{
	struct run r = {.port = IPERF_PORT, .params = {.streams = 1, .seconds = 10}};
	int error;

	if (!take_options(&r, argc, argv))
		return -XEN_EINVAL;
	error = net_wait_ready();
	if (!error)
		error = worker_call(begin, &r);
	if (error)
		return error;
	error = net_wait(&r.wait, 0);
	(void)worker_call(finish, &r);
	if (!error)
		console_printf(
		    "@iperf %s streams=%u bytes=%llu peer_bytes=%llu ns=%llu mbit_s=%llu\n",
		    r.result.sent ? "sent" : "received", r.result.params.streams,
		    ULL(r.result.bytes), ULL(r.result.peer_bytes), ULL(r.result.ns),
		    ULL(r.result.ns ? r.result.bytes * 8000 / r.result.ns : 0));
	return error;
}

void commands_ip_iperf_add(void)
{
	static const struct shell_command table[] = {
	    {"iperf", "-c HOST [-t S] [-P N] [-R] | -s", "measures TCP, as or against iperf3",
	     iperf},
	};

	shell_add(table, ARRAY_SIZE(table));
}
