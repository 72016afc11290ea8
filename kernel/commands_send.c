/* commands_send.c: the shell's command that sends frames nobody answers, as fast as an interface takes them or at a pace.
 *
 * One load for a bench or a test: a flood, and beside it guests that send little. The frames have an Ethernet header of a type that no
 * stack knows (IEEE 802's first for local experiments), or are UDP that nobody wants, and are one memory, which nobody writes while they are on their way. Caller:
 * shell.c. Calls host_net.h, in the worker; it is not the interface's user, so a bridge or the stack may be. Echoes are
 * commands_blast.c's.
 */
#include <amphi/host.h>
#include <amphi/host_net.h>
#include <amphi/net_offload.h>
#include <amphi/string.h>
#include <amphi/xen.h>
#include "bench_mark.h"
#include "commands.h"
#include "console.h"
#include "mm.h"
#include "shell.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

#define ULL(x)     ((unsigned long long)(x))
#define DEPTH      128u /* half of what an interface lets wait: other users of it have room too */
#define TURN       64u  /* then others have the worker */
#define PACE_MAX   65536u
#define QUIET_NS   (2 * NS_PER_S)
#define ETHER_TYPE 0x88b5u
#define IP_BYTES   20u
#define UDP_HEADS  (NET_HEAD_BYTES + IP_BYTES + 8)
#define ARRIVE_NS                                                                                  \
	(20 *                                                                                      \
	 NS_PER_MS) /* for what is in rings when the last is back; nobody works, so it counts nothing */

struct item {
	struct net_frame frame;
	struct item *next;
};

/* The worker alone touches it between begin and end. */
struct sending {
	const char *name;
	uint8_t to[NET_MAC_BYTES], from4[4], to4[4];
	bool ip4;
	uint64_t count, size, sent, back, refused;
	/* the pace: so many may go each pause_ns; 0: as many as the interface takes */
	uint64_t pace, pause_ns, next_ns, allowed;
	uint8_t *bytes;
	struct item *items, *free;
	bool gone;
	struct host_work turn, wake;
	struct wait_queue wait;
};

/* ---- frames ---------------------------------------------------------------------------------- */

/* Called from within send too: the next is sent by a turn of its own. */
static void on_done(struct net_frame *frame, int status)
{
	struct sending *s = frame->ctx;
	struct item *item = container_of(frame, struct item, frame);

	item->next = s->free;
	s->free = item;
	s->back++;
	s->refused += status != 0;
	if (s->back == s->count || s->gone)
		wait_wake(&s->wait);
	else if (!s->pace)
		host_work_soon(&s->turn);
}

static void lend(struct sending *s, struct net_device *dev)
{
	struct item *item = s->free;
	struct net_frame *frame = &item->frame;

	s->free = item->next;
	s->sent++;
	frame->len_bytes = (uint32_t)s->size;
	frame->n_segments = 1;
	frame->segments[0] = (struct net_segment){.va = s->bytes, .len_bytes = (uint32_t)s->size};
	frame->flags = frame->gso = 0;
	frame->hash = 0;
	frame->status = 0;
	frame->holders = 1;
	frame->done = on_done;
	frame->ctx = s;
	dev->ops->send(dev, frame);
}

/* What was missed is made up for: who is held up for a while sends the same number in the end, if he can. */
static uint64_t may_go(struct sending *s)
{
	uint64_t now_ns = time_ns(), pauses;

	if (!s->pace)
		return s->count;
	if (now_ns >= s->next_ns) {
		pauses = 1 + (now_ns - s->next_ns) / s->pause_ns;
		s->next_ns += pauses * s->pause_ns;
		s->allowed += pauses * s->pace;
	}
	return MIN(s->allowed, s->count);
}

static void turn(void *ctx)
{
	struct sending *s = ctx;
	struct net_device *dev = host_net_find(s->name);
	uint64_t most = may_go(s);
	unsigned n;

	if (!dev) {
		s->gone = true;
		wait_wake(&s->wait);
		return;
	}
	for (n = 0; n < TURN && s->free && s->sent < most; n++)
		lend(s, dev);
	if (n)
		dev->ops->kick(dev);
	if (s->sent == s->count)
		return;
	if (s->free && s->sent < most)
		host_work_soon(&s->turn);
	else if (s->pace)
		host_work_after(&s->wake, s->next_ns - MIN(s->next_ns, time_ns()));
}

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* To the port "discard"; a checksum of 0 is none (RFC 768). */
static void put_udp(const struct sending *s, uint8_t *at)
{
	uint16_t sum;

	at[0] = 0x45;
	put16(at + 2, s->size - NET_HEAD_BYTES);
	at[8] = 64;
	at[9] = 17;
	memcpy(at + 12, s->from4, 4);
	memcpy(at + 16, s->to4, 4);
	sum = (uint16_t)~net_fold(net_sum(0, at, IP_BYTES));
	memcpy(at + 10, &sum, sizeof(sum));
	put16(at + IP_BYTES, 9);
	put16(at + IP_BYTES + 2, 9);
	put16(at + IP_BYTES + 4, s->size - NET_HEAD_BYTES - IP_BYTES);
}

/* ---- the command ------------------------------------------------------------------------------ */

static int begin(void *ctx)
{
	struct sending *s = ctx;
	struct net_device *dev = host_net_find(s->name);
	uint8_t *head = s->bytes;

	if (!dev || !dev->carrier)
		return -XEN_ENODEV;
	if (s->size > dev->mtu + NET_HEAD_BYTES)
		return -XEN_E2BIG;
	memcpy(head, s->to, NET_MAC_BYTES);
	memcpy(head + NET_MAC_BYTES, dev->mac, NET_MAC_BYTES);
	put16(head + 12, s->ip4 ? 0x0800 : ETHER_TYPE);
	if (s->ip4)
		put_udp(s, head + NET_HEAD_BYTES);
	for (unsigned i = 0; i < DEPTH; i++) {
		s->items[i].next = s->free;
		s->free = &s->items[i];
	}
	s->turn = (struct host_work){.fn = turn, .ctx = s};
	s->wake = (struct host_work){.fn = turn, .ctx = s};
	s->next_ns = time_ns();
	turn(s);
	return 0;
}

static int end(void *ctx)
{
	struct sending *s = ctx;

	s->count = s->sent;
	host_work_cancel(&s->turn);
	host_work_cancel(&s->wake);
	return 0;
}

/* Over when all are back; given up when none comes any more, and then their memory stays where it is. */
static void wait_for_frames(struct sending *s)
{
	for (uint64_t before = ~0ull; s->back != s->count && before != s->back && !s->gone;) {
		before = s->back;
		(void)WAIT_UNTIL_DEADLINE(&s->wait, s->back == s->count || s->gone,
					  time_ns() + QUIET_NS);
	}
	(void)worker_call(end, s);
}

static int run(struct sending *s)
{
	uint64_t start_ns = time_ns(), ns;
	int error;

	BENCH_MARK(10);
	error = worker_call(begin, s);
	if (error)
		return error;
	wait_for_frames(s);
	ns = time_ns() - start_ns;
	thread_sleep_ns(ARRIVE_NS);
	BENCH_MARK(11);
	console_printf("@sent %s size=%llu frames=%llu refused=%llu ns=%llu\n", s->name,
		       ULL(s->size), ULL(s->back), ULL(s->refused), ULL(ns));
	return s->back == s->count && !s->gone ? 0 : -XEN_EIO;
}

static int send_frames(struct sending *s)
{
	unsigned frame_pages = (unsigned)PAGES_FOR(s->size),
		 item_pages = (unsigned)PAGES_FOR(DEPTH * sizeof(struct item));
	int error = -XEN_ENOMEM;

	s->bytes = pages_alloc(frame_pages);
	s->items = s->bytes ? pages_alloc(item_pages) : NULL;
	if (s->items) {
		memset(s->bytes, 0, s->size);
		error = run(s);
	}
	if (s->back != s->sent)
		return error;
	if (s->items)
		pages_free(s->items, item_pages);
	if (s->bytes)
		pages_free(s->bytes, frame_pages);
	return error;
}

/* The two words behind the others: addresses or a pace. */
static bool read_more(struct sending *s, int argc, char **argv)
{
	uint64_t ms;

	if (argc == 5)
		return true;
	if (argc == 7 && commands_ip4(argv[5], s->from4) && commands_ip4(argv[6], s->to4)) {
		s->ip4 = true;
		return s->size >= UDP_HEADS;
	}
	if (argc != 7 || !str_to_u64(argv[5], &s->pace) || !str_to_u64(argv[6], &ms))
		return false;
	s->pause_ns = ms * NS_PER_MS;
	return s->pace && s->pace <= PACE_MAX && ms && ms <= PACE_MAX;
}

/* The one frame memory and struct stay for frames that never came back: then the next call is refused. */
static int netsend(int argc, char **argv)
{
	static struct sending s;
	uint64_t to;

	if (s.back != s.sent)
		return -XEN_EBUSY;
	memset(&s, 0, sizeof(s));
	if (argc < 5 || !str_to_u64(argv[2], &s.count) || !str_to_u64(argv[3], &s.size) ||
	    !str_to_u64(argv[4], &to) || !read_more(&s, argc, argv) || !s.count ||
	    s.size < NET_HEAD_BYTES || s.size > NET_FRAME_MAX || to >> 48)
		return -XEN_EINVAL;
	for (unsigned i = 0; i < NET_MAC_BYTES; i++)
		s.to[i] = (uint8_t)(to >> (40 - 8 * i));
	s.name = argv[1];
	return commands_interface(s.name) ? send_frames(&s) : -XEN_ENODEV;
}

void commands_send_add(void)
{
	static const struct shell_command table[] = {
	    {"netsend", "IF COUNT SIZE MAC [N MS|FROM TO]",
	     "sends frames of SIZE bytes to MAC (0x00163e000001), N each MS milliseconds, or as "
	     "fast as it goes",
	     netsend},
	};

	shell_add(table, ARRAY_SIZE(table));
}
