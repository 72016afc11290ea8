/* commands_wire.c: the shell's commands that speak on a network interface without knowing any protocol.
 *
 * netecho sends back what comes in, as it came in, with the Ethernet addresses exchanged: a peer then sees every byte, every
 * checksum left blank and every long frame twice on its way. netblast sends frames of a pattern and looks at what is
 * echoed. For tests and for finding a cable; TCP/IP is in kernel/net. Caller: shell.c. Calls host_net.h, in the worker.
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

#define BLASTS     32u
#define ETHERTYPE  0x88b5u /* for local experiments (IEEE 802) */
#define NUMBER_AT  14u
#define PATTERN_AT 18u
#define APPEAR_NS  (10 * NS_PER_S)
#define QUIET_NS   (2 * NS_PER_S) /* so long without anything coming back is the end of it */
#define POLL_NS    (5 * NS_PER_MS)

struct blast {
	struct net_frame frame;
	struct blast *next;
};

/* One interface in use; there may be several. */
struct wire {
	struct net_device *dev;
	struct wire *next;
	bool echoes;
	uint64_t in, bytes, bad;
	/* netblast's */
	struct blast blasts[BLASTS], *free;
	struct host_work more;
	uint32_t sent, count, len;
	uint64_t last_ns;
};

/* A frame on its way back: its memory is the one's that came in. */
struct echo {
	struct net_frame frame, *came;
	struct echo *next;
};

static struct wire *wires;
static struct echo *free_echoes;

/* ---- netecho ---------------------------------------------------------------------------------------------- */

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
	struct echo *echo = new_echo();
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
	wire->dev->ops->send(wire->dev, &echo->frame);
}

/* ---- netblast --------------------------------------------------------------------------------------------- */

static uint8_t pattern(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 7 + at);
}

static uint32_t number_of(const uint8_t *head)
{
	return (uint32_t)head[NUMBER_AT] << 24 | head[NUMBER_AT + 1] << 16 |
	       head[NUMBER_AT + 2] << 8 | head[NUMBER_AT + 3];
}

/* A short frame comes back longer, with what Ethernet fills it up with. */
static bool is_right(const struct wire *wire, const struct net_frame *frame)
{
	uint32_t number = number_of(frame->segments[0].va), at = 0;

	if (frame->len_bytes < wire->len || number >= wire->count)
		return false;
	for (unsigned i = 0; i < frame->n_segments; i++) {
		const uint8_t *bytes = frame->segments[i].va;

		for (uint32_t n = 0; n < frame->segments[i].len_bytes; n++, at++)
			if (at >= PATTERN_AT && at < wire->len && bytes[n] != pattern(number, at))
				return false;
	}
	return true;
}

static void look_at(struct wire *wire, struct net_frame *frame)
{
	const uint8_t *head = frame->segments[0].va;

	if (frame->segments[0].len_bytes < PATTERN_AT ||
	    (head[12] << 8 | head[13]) != (int)ETHERTYPE)
		return;
	wire->in++;
	wire->bytes += frame->len_bytes;
	wire->bad += !is_right(wire, frame);
	wire->last_ns = time_ns();
}

static void blast_done(struct net_frame *frame, int status)
{
	struct wire *wire = frame->ctx;
	struct blast *blast = container_of(frame, struct blast, frame);

	blast->next = wire->free;
	wire->free = blast;
	wire->last_ns = time_ns();
	wire->bad += status != 0;
	host_work_soon(&wire->more);
}

static void fill_in(struct wire *wire, struct net_frame *frame)
{
	uint8_t *bytes = frame->segments[0].va;
	uint32_t number = wire->sent++;

	memset(bytes, 0xff, NET_MAC_BYTES);
	memcpy(bytes + NET_MAC_BYTES, wire->dev->mac, NET_MAC_BYTES);
	bytes[12] = ETHERTYPE >> 8;
	bytes[13] = ETHERTYPE & 0xff;
	for (unsigned i = 0; i < 4; i++)
		bytes[NUMBER_AT + i] = (uint8_t)(number >> (24 - 8 * i));
	for (uint32_t at = PATTERN_AT; at < wire->len; at++)
		bytes[at] = pattern(number, at);
	frame->len_bytes = frame->segments[0].len_bytes = wire->len;
}

/* At most BLASTS beyond what has come back: who echoes has as much room as that. */
static void blast_more(void *ctx)
{
	struct wire *wire = ctx;
	struct blast *blast;

	if (!wire->dev)
		return;
	while ((blast = wire->free) && wire->sent < wire->count && wire->sent < wire->in + BLASTS) {
		wire->free = blast->next;
		fill_in(wire, &blast->frame);
		blast->frame.holders = 1;
		blast->frame.status = 0;
		wire->dev->ops->send(wire->dev, &blast->frame);
	}
	wire->dev->ops->kick(wire->dev);
}

/* ---- the user of the interface ------------------------------------------------------------------------------ */

static void received(struct net_device *dev, struct net_frame *frame)
{
	struct wire *wire = dev->user_ctx;

	if (wire->echoes) {
		wire->in++;
		wire->bytes += frame->len_bytes;
		echo_back(wire, frame);
		return;
	}
	look_at(wire, frame);
	net_frame_put(frame, 0);
}

static void batch_end(struct net_device *dev)
{
	struct wire *wire = dev->user_ctx;

	if (wire->echoes)
		dev->ops->kick(dev);
	else
		blast_more(wire);
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
		dev->ops->promiscuous(dev, opening->wire->echoes);
	return 0;
}

static int begin_blast(void *ctx)
{
	struct wire *wire = ctx;

	wire->last_ns = time_ns();
	wire->more = (struct host_work){.fn = blast_more, .ctx = wire};
	blast_more(wire);
	return 0;
}

static int close(void *ctx)
{
	struct wire *wire = ctx, **link = &wires;

	host_work_cancel(&wire->more);
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

static struct wire *new_wire(bool echoes)
{
	struct wire *wire = kmalloc(sizeof(*wire));

	if (wire)
		wire->echoes = echoes;
	return wire;
}

static struct wire *find_echo(const char *name)
{
	struct wire *wire = wires;

	while (wire && !(wire->dev && wire->echoes && !strcmp(wire->dev->name, name)))
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
	if (argc != 2)
		return -XEN_EINVAL;
	wire = new_wire(true);
	if (!wire)
		return -XEN_ENOMEM;
	err = open_waiting(argv[1], wire);
	if (err)
		kfree(wire, sizeof(*wire));
	else
		console_printf("@netecho %s on\n", argv[1]);
	return err;
}

static bool is_over(struct wire *wire)
{
	return !wire->dev || wire->in >= wire->count || time_ns() > wire->last_ns + QUIET_NS;
}

/* Memory that the interface still has stays its own: a frame that did not come back keeps the wire. */
static void end_blast(struct wire *wire, void *pages)
{
	unsigned n = 0;

	(void)worker_call(close, wire);
	for (struct blast *b = wire->free; b; b = b->next)
		n++;
	if (n < BLASTS)
		return;
	pages_free(pages, BLASTS);
	kfree(wire, sizeof(*wire));
}

static void give_pages(struct wire *wire, char *pages)
{
	for (unsigned i = 0; i < BLASTS; i++) {
		struct blast *blast = &wire->blasts[i];

		blast->frame.n_segments = 1;
		blast->frame.segments[0].va = pages + i * PAGE_SIZE;
		blast->frame.done = blast_done;
		blast->frame.ctx = wire;
		blast->next = wire->free;
		wire->free = blast;
	}
}

static int run_blast(const char *name, struct wire *wire)
{
	char *pages = pages_alloc(BLASTS);
	int err;

	if (!pages)
		return -XEN_ENOMEM;
	give_pages(wire, pages);
	err = open_waiting(name, wire);
	if (err) {
		pages_free(pages, BLASTS);
		kfree(wire, sizeof(*wire));
		return err;
	}
	(void)worker_call(begin_blast, wire);
	while (!is_over(wire))
		thread_sleep_ns(POLL_NS);
	console_printf("@netblast %s sent %u back %llu bad %llu\n", name, wire->sent,
		       (unsigned long long)wire->in, (unsigned long long)wire->bad);
	err = wire->in == wire->count && !wire->bad ? 0 : -XEN_EIO;
	end_blast(wire, pages);
	return err;
}

static int netblast(int argc, char **argv)
{
	uint64_t count = 0, len = 0;
	struct wire *wire;

	if (argc != 4 || !str_to_u64(argv[2], &count) || !str_to_u64(argv[3], &len) ||
	    len < PATTERN_AT || len > PAGE_SIZE || !count || count > UINT32_MAX)
		return -XEN_EINVAL;
	wire = new_wire(false);
	if (!wire)
		return -XEN_ENOMEM;
	wire->count = (uint32_t)count;
	wire->len = (uint32_t)len;
	return run_blast(argv[1], wire);
}

void commands_wire_add(void)
{
	static const struct shell_command table[] = {
	    {"netecho", "IF [off]", "sends back each frame that comes in", netecho},
	    {"netblast", "IF COUNT BYTES", "sends frames and looks at what is echoed", netblast},
	};

	shell_add(table, sizeof(table) / sizeof(table[0]));
}
