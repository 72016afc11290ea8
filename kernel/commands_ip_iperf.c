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

/* As much as the real one sends of UDP when it is not told, in packets that no Ethernet cuts. */
#define UDP_RATE  1000000u
#define UDP_BYTES 1448u

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

/* Bits in a second, with K, M or G behind the number or without. */
static bool take_rate(struct run *r, const char *word)
{
	static const char units[] = "KMG";
	char digits[16];
	uint64_t n;
	size_t len = word ? strlen(word) : 0;
	const char *unit = len ? strchr(units, word[len - 1]) : NULL;

	if (!len || len >= sizeof(digits))
		return false;
	memcpy(digits, word, len + 1);
	if (unit)
		digits[len - 1] = '\0';
	if (!str_to_u64(digits, &n) || n > IPERF_RATE_MAX)
		return false;
	for (; unit && unit >= units; unit--)
		n *= 1000;
	r->params.rate_bit_s = n;
	return true;
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
	else if (letter == 'l')
		r->params.packet_bytes = (unsigned)n;
	return strchr("ptPl", letter) != NULL;
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
		else if (!strcmp(argv[i], "-u"))
			r->params.udp = true;
		else if (!strcmp(argv[i], "-b") && take_rate(r, next))
			i++;
		else if (!strcmp(argv[i], "-c") && next)
			r->host = argv[++i];
		else if (argv[i][0] == '-' && take_number(r, argv[i][1], next))
			i++;
		else
			return false;
	}
	return serve != (r->host != NULL);
}

static void show(const struct iperf_result *r)
{
	const struct iperf_stream_result *got = r->sent ? &r->peer : &r->own;

	console_printf("@iperf %s streams=%u bytes=%llu peer_bytes=%llu ns=%llu mbit_s=%llu",
		       r->sent ? "sent" : "received", r->params.streams, ULL(r->own.bytes),
		       ULL(r->peer.bytes), ULL(r->ns),
		       ULL(r->ns ? r->own.bytes * 8000 / r->ns : 0));
	if (r->params.udp)
		console_printf(" packets=%llu lost=%llu jitter_ns=%llu", ULL(got->packets),
			       ULL(got->lost), ULL(got->jitter_ns));
	console_printf("\n");
}

static int iperf(int argc, char **argv)
{
	struct run r = {
	    .port = IPERF_PORT,
	    .params = {
		.streams = 1, .seconds = 10, .rate_bit_s = UDP_RATE, .packet_bytes = UDP_BYTES}};
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
		show(&r.result);
	return error;
}

void commands_ip_iperf_add(void)
{
	static const struct shell_command table[] = {
	    {"iperf", "-c HOST [-t S] [-P N] [-R] [-u [-b RATE] [-l BYTES]] | -s",
	     "measures TCP or UDP, as or against iperf3", iperf},
	};

	shell_add(table, ARRAY_SIZE(table));
}
