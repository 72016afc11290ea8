/* commands_ip_wait.c: how the shell's commands wait for what the network does in the worker. See commands_ip_wait.h.
 *
 * Callers: commands_ip*.c, in the shell's thread. Calls the stack through worker_call. One command waits at a time: there is one shell.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/string.h>
#include "commands_ip_wait.h"
#include "console.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

#define READY_MS 15000u

static struct {
	struct wait_queue queue;
	bool interrupted;
} waiting;

void net_wait_end(struct net_wait *wait, int status)
{
	wait->status = status;
	wait->ended = true;
	wait_wake(&waiting.queue);
}

/* Ctrl-C's, in an interrupt. */
static void interrupt(void)
{
	waiting.interrupted = true;
	wait_wake(&waiting.queue);
}

int net_wait(struct net_wait *wait, unsigned timeout_ms)
{
	uint64_t deadline_ns = timeout_ms ? time_ns() + timeout_ms * NS_PER_MS : WAIT_FOREVER;

	waiting.interrupted = false;
	console_on_ctrl_c(interrupt);
	(void)WAIT_UNTIL_DEADLINE(&waiting.queue, wait->ended || waiting.interrupted, deadline_ns);
	console_on_ctrl_c(NULL);
	if (wait->ended)
		return wait->status;
	return waiting.interrupted ? -XEN_EAGAIN : -XEN_ETIMEDOUT;
}

static int is_ready(void *ctx)
{
	return net_stack_ready();
}

int net_wait_ready(void)
{
	uint64_t deadline_ns = time_ns() + READY_MS * NS_PER_MS;
	struct net_wait never = {0};

	while (!worker_call(is_ready, NULL)) {
		if (time_ns() >= deadline_ns) {
			console_printf("no interface has an address\n");
			return -XEN_ENODEV;
		}
		if (net_wait(&never, 50) == -XEN_EAGAIN)
			return -XEN_EAGAIN;
	}
	return 0;
}

/* ---- names ---------------------------------------------------------------------------------- */

struct lookup {
	const char *name;
	bool want_ip6;
	char *address;
	struct net_resolve resolve;
	struct net_wait wait;
};

static void resolved(void *ctx, int status, const char *address)
{
	struct lookup *l = ctx;

	(void)str_copy(l->address, NET_ADDR_CHARS, address);
	net_wait_end(&l->wait, status);
}

static int ask(void *ctx)
{
	struct lookup *l = ctx;

	return net_resolve(l->name, l->want_ip6, &l->resolve);
}

static int leave(void *ctx)
{
	net_resolve_cancel(&((struct lookup *)ctx)->resolve);
	return 0;
}

int net_lookup(const char *name, bool want_ip6, char address[NET_ADDR_CHARS])
{
	struct lookup l = {.name = name,
			   .want_ip6 = want_ip6,
			   .address = address,
			   .resolve = {.fn = resolved, .ctx = &l}};
	int error = worker_call(ask, &l);

	if (!error) {
		error = net_wait(&l.wait, 0);
		(void)worker_call(leave, &l);
	}
	if (error)
		console_printf("%s: %s\n", name,
			       error == -XEN_ENOENT ? "no such name" : error_name(error));
	return error;
}
