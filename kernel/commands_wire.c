/* commands_wire.c: the shell's command that sends back what comes in on a network interface, and knows no protocol.
 *
 * As it came in (or by another interface), with the Ethernet addresses exchanged: a peer then sees every byte, every
 * checksum left blank and every long frame twice on its way. For tests and for finding a cable; TCP/IP is in kernel/net,
 * echo requests are commands_blast.c's. Caller: shell.c. Calls host_net.h, in the worker.
 */
#include <amphi/host.h>
#include <amphi/host_net.h>
#include <amphi/string.h>
#include "commands.h"
#include "console.h"
#include "mm.h"
#include "shell.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

#define APPEAR_NS (10 * NS_PER_S)
#define POLL_NS   (5 * NS_PER_MS)

/* One interface in use; there may be several. */
struct wire {
	struct net_device *dev;
	struct wire *next;
	char out[16]; /* the interface by which frames go: this one, or another */
	uint64_t in, bytes;
};

/* A frame on its way back: its memory is the one's that came in. */
struct echo {
	struct net_frame frame, *came;
	struct echo *next;
};

static struct wire *wires;
static struct echo *free_echoes;

/* ---- frames ---------------------------------------------------------------------------------------------- */

static void echo_done(struct net_frame *frame, int status)
{
	struct echo *echo = frame->ctx;

	echo->next = free_echoes;
	free_echoes = echo;
	net_frame_put(echo->came, status);
}

static struct echo *new_echo(void)
{
	struct echo *echo = free_echoes;

	if (!echo)
		return host_alloc(sizeof(*echo));
	free_echoes = echo->next;
	return echo;
}

/* The first segment is memory of ours that nobody else writes, so the addresses are exchanged in place. */
static void echo_back(struct wire *wire, struct net_frame *came)
{
	struct net_device *out = host_net_find(wire->out);
	struct echo *echo = out ? new_echo() : NULL;
	uint8_t *head = came->segments[0].va, mac[NET_MAC_BYTES];

	if (!echo) {
		net_frame_put(came, -XEN_ENOMEM);
		return;
	}
	memcpy(mac, head, NET_MAC_BYTES);
	memcpy(head, head + NET_MAC_BYTES, NET_MAC_BYTES);
	memcpy(head + NET_MAC_BYTES, mac, NET_MAC_BYTES);
	echo->frame = *came;
	echo->came = came;
	echo->frame.done = echo_done;
	echo->frame.ctx = echo;
	echo->frame.holders = 1;
	out->ops->send(out, &echo->frame);
}

/* ---- the user of the interface ------------------------------------------------------------------------------ */

static void received(struct net_device *dev, struct net_frame *frame)
{
	struct wire *wire = dev->user_ctx;

	wire->in++;
	wire->bytes += frame->len_bytes;
	echo_back(wire, frame);
}

static void batch_end(struct net_device *dev)
{
	struct wire *wire = dev->user_ctx;
	struct net_device *out = host_net_find(wire->out);

	if (out)
		out->ops->kick(out);
}

static void changed(struct net_device *dev)
{
	struct wire *wire = dev->user_ctx;

	if (dev->gone)
		wire->dev = NULL;
}

static const struct net_user_ops wire_ops = {received, batch_end, changed};

struct opening {
	const char *name;
	struct wire *wire;
};

static int open(void *ctx)
{
	struct opening *opening = ctx;
	struct net_device *dev = host_net_find(opening->name);
	int err = dev ? host_net_attach(dev, &wire_ops, opening->wire) : -XEN_ENODEV;

	if (err)
		return err;
	opening->wire->dev = dev;
	opening->wire->next = wires;
	wires = opening->wire;
	if (dev->ops->promiscuous)
		dev->ops->promiscuous(dev, true);
	return 0;
}

static int close(void *ctx)
{
	struct wire *wire = ctx, **link = &wires;

	if (wire->dev && wire->dev->ops->promiscuous)
		wire->dev->ops->promiscuous(wire->dev, false);
	if (wire->dev)
		host_net_detach(wire->dev);
	wire->dev = NULL;
	while (*link && *link != wire)
		link = &(*link)->next;
	if (*link)
		*link = wire->next;
	return 0;
}

/* Interfaces of a guest come when its backends have answered. */
static int open_waiting(const char *name, struct wire *wire)
{
	struct opening opening = {name, wire};
	uint64_t end_ns = time_ns() + APPEAR_NS;
	int err;

	while ((err = worker_call(open, &opening)) == -XEN_ENODEV && time_ns() < end_ns)
		thread_sleep_ns(POLL_NS);
	return err;
}

/* ---- commands --------------------------------------------------------------------------------------------- */

static struct wire *find_echo(const char *name)
{
	struct wire *wire = wires;

	while (wire && !(wire->dev && !strcmp(wire->dev->name, name)))
		wire = wire->next;
	return wire;
}

/* What is still on its way back has its own memory; only the counters end. */
static int netecho(int argc, char **argv)
{
	struct wire *wire;
	int err;

	if (argc == 3 && !strcmp(argv[2], "off")) {
		wire = find_echo(argv[1]);
		if (!wire)
			return -XEN_ENOENT;
		(void)worker_call(close, wire);
		console_printf("@netecho %s %llu frames %llu bytes\n", argv[1],
			       (unsigned long long)wire->in, (unsigned long long)wire->bytes);
		kfree(wire, sizeof(*wire));
		return 0;
	}
	if (argc != 2 && argc != 3)
		return -XEN_EINVAL;
	wire = kmalloc(sizeof(*wire));
	if (!wire)
		return -XEN_ENOMEM;
	(void)str_copy(wire->out, sizeof(wire->out), argv[argc - 1]);
	err = open_waiting(argv[1], wire);
	if (err)
		kfree(wire, sizeof(*wire));
	else
		console_printf("@netecho %s on\n", argv[1]);
	return err;
}

void commands_wire_add(void)
{
	static const struct shell_command table[] = {
	    {"netecho", "IF [OTHER|off]", "sends each frame that comes in back, or by another",
	     netecho},
	};

	shell_add(table, sizeof(table) / sizeof(table[0]));
}
