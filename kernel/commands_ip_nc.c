/* commands_ip_nc.c: the shell's command nc: what is typed, or said as words, to another machine, and what it says to the console.
 *
 * Caller: shell.c. Calls host_tcp.h in the worker. The keys are the connection's while it lasts: a line goes when it is ended, Ctrl-D says that
 * no more will come, Ctrl-C ends it.
 */
#include <amphi/host.h>
#include <amphi/host_tcp.h>
#include <amphi/string.h>
#include "cmdline.h"
#include "commands.h"
#include "commands_ip_wait.h"
#include "console.h"
#include "shell.h"
#include "worker.h"

#define TYPED_MAX  256u
#define KEY_CTRL_D 0x04

struct nc {
	const char *host; /* NULL: listen */
	uint16_t port;
	char **words; /* to send at once, and then no more; NULL: what is typed */
	int n_words;
	struct host_tcp *tcp;
	struct host_tcp_listener *listener;
	char typed[TYPED_MAX];
	size_t n_typed;
	struct net_wait wait;
};

/* ---- out ---------------------------------------------------------------------------------------- */

/* What does not fit is lost, and said: whoever types faster than the other reads sees why it has gaps. */
static void say(struct nc *nc, const char *bytes, size_t len, bool more)
{
	if (host_tcp_send(nc->tcp, bytes, len, more) != len)
		console_printf("nc: the other side does not read\n");
}

static void send_words(struct nc *nc)
{
	for (int i = 0; i < nc->n_words; i++) {
		say(nc, nc->words[i], strlen(nc->words[i]), true);
		say(nc, i + 1 < nc->n_words ? " " : "\n", 1, i + 1 < nc->n_words);
	}
	if (nc->n_words)
		host_tcp_finish(nc->tcp);
}

/* In the worker, with each key. */
static void key(void *ctx, uint8_t byte)
{
	struct nc *nc = ctx;

	if (byte == '\r')
		byte = '\n';
	if (byte == KEY_CTRL_D) {
		if (nc->tcp)
			host_tcp_finish(nc->tcp);
		return;
	}
	console_write((const char *)&byte, 1);
	nc->typed[nc->n_typed++] = (char)byte;
	if (byte != '\n' && nc->n_typed < TYPED_MAX)
		return;
	if (nc->tcp)
		say(nc, nc->typed, nc->n_typed, false);
	nc->n_typed = 0;
}

/* ---- the stream ------------------------------------------------------------------------------------ */

static void on_connected(void *ctx)
{
	struct nc *nc = ctx;

	send_words(nc);
}

static void on_received(void *ctx, const void *bytes, size_t len)
{
	console_write(bytes, len);
}

static void on_writable(void *ctx) {}

static void on_ended(void *ctx, int status)
{
	struct nc *nc = ctx;

	net_wait_end(&nc->wait, status);
}

static const struct host_tcp_ops ops = {on_connected, on_received, on_writable, on_ended};

/* The first; others are sent away. */
static bool on_accepted(void *ctx, struct host_tcp *tcp, const struct host_tcp_ops **out_ops,
			void **out_ctx)
{
	struct nc *nc = ctx;

	if (nc->tcp)
		return false;
	nc->tcp = tcp;
	*out_ops = &ops;
	*out_ctx = nc;
	send_words(nc);
	return true;
}

/* ---- the command ------------------------------------------------------------------------------------ */

static int begin(void *ctx)
{
	struct nc *nc = ctx;

	if (!nc->host)
		return host_tcp_listen(nc->port, on_accepted, nc, &nc->listener);
	return host_tcp_connect(nc->host, nc->port, &ops, nc, &nc->tcp);
}

static int end(void *ctx)
{
	struct nc *nc = ctx;

	if (nc->tcp)
		host_tcp_close(nc->tcp, false);
	if (nc->listener)
		host_tcp_unlisten(nc->listener);
	return 0;
}

/* In a service domain the keys are handed round among the guests, and not taken here. */
static bool takes_keys(const struct nc *nc)
{
	return !nc->n_words && cmdline.role != ROLE_SERVICE;
}

static int nc(int argc, char **argv)
{
	struct nc c = {0};
	uint64_t port;
	int error;

	if (argc < 3 || !str_to_u64(argv[2], &port) || !port || port > 65535)
		return -XEN_EINVAL;
	c.host = strcmp(argv[1], "-l") ? argv[1] : NULL;
	c.port = (uint16_t)port;
	c.words = argv + 3;
	c.n_words = argc - 3;
	error = net_wait_ready();
	if (!error)
		error = worker_call(begin, &c);
	if (error)
		return error;
	if (takes_keys(&c))
		console_take_input(key, &c);
	error = net_wait(&c.wait, 0);
	if (takes_keys(&c))
		console_take_input(NULL, NULL);
	(void)worker_call(end, &c);
	console_break_line();
	return error == -XEN_EAGAIN ? 0 : error;
}

void commands_ip_nc_add(void)
{
	static const struct shell_command table[] = {
	    {"nc", "HOST PORT | -l PORT [WORD...]", "talks to another machine by TCP", nc},
	};

	shell_add(table, ARRAY_SIZE(table));
}
