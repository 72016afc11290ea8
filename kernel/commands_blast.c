/* commands_blast.c: the shell's test of an interface without a stack: echo requests go out, answers are counted.
 *
 * The frames are ICMP echo requests over IPv4 with the addresses that the user gives, to all stations; whoever has the
 * address answers, asking for ours first (ARP), and each answer is held against what was sent. Caller: shell.c. Calls host_net.h as the interface's only
 * user for a while, so not where the TCP/IP stack has it. The command's thread waits; all else is done in the worker.
 */
#include <amphi/host_net.h>
#include <amphi/net_offload.h>
#include <amphi/string.h>
#include <amphi/xen.h>
#include "commands.h"
#include "console.h"
#include "kernel/net/net_stack.h"
#include "mm.h"
#include "shell.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

#define ULL(x)       ((unsigned long long)(x))
#define DEPTH        64u
#define ICMP_AT      34u
#define DATA_AT      42u
#define ECHO_ID      0x616du
#define QUIET_NS     (2 * NS_PER_S) /* no answer for so long: the rest is lost */
#define FLIGHT_BYTES 16384u /* an answering Linux drops what is beyond its socket's buffer */

struct slot {
	struct net_frame frame;
	struct blast *blast;
	uint8_t *va;
	bool busy;
};

/* The worker alone touches it while the interface is ours. */
struct blast {
	struct net_device *dev;
	uint8_t from[4], to[4];
	uint32_t len_bytes;
	unsigned pages; /* of a frame */
	uint64_t count, sent, answered, wrong, refused, others;
	bool gone;
	bool from_stack; /* who gets it back at the end */
	struct slot slots[DEPTH];
	struct slot arp; /* the answer to whoever asks for our address */
	uint8_t arp_frame[60];
	uint8_t *memory;
	struct wait_queue wait;
};

/* ---- frames --------------------------------------------------------------------------------- */

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_sum(uint8_t *at, const uint8_t *from, size_t len)
{
	uint16_t sum = (uint16_t)~net_fold(net_sum(0, from, len));

	memcpy(at, &sum, sizeof(sum));
}

static uint8_t data_byte(uint64_t number, uint32_t at)
{
	return (uint8_t)(number * 31 + at);
}

static void make(const struct blast *b, uint8_t *f, uint64_t number)
{
	memset(f, 0, DATA_AT);
	memset(f, 0xff, NET_MAC_BYTES);
	memcpy(f + 6, b->dev->mac, NET_MAC_BYTES);
	put16(f + 12, 0x0800);
	f[14] = 0x45;
	put16(f + 16, b->len_bytes - NET_HEAD_BYTES);
	f[22] = 64;
	f[23] = 1;
	memcpy(f + 26, b->from, 4);
	memcpy(f + 30, b->to, 4);
	put_sum(f + 24, f + NET_HEAD_BYTES, ICMP_AT - NET_HEAD_BYTES);
	f[ICMP_AT] = 8;
	put16(f + ICMP_AT + 4, ECHO_ID);
	put16(f + ICMP_AT + 6, (uint32_t)number & 0xffff);
	for (uint32_t i = DATA_AT; i < b->len_bytes; i++)
		f[i] = data_byte(number & 0xffff, i);
	put_sum(f + ICMP_AT + 2, f + ICMP_AT, b->len_bytes - ICMP_AT);
}

static void lend(struct slot *slot, uint32_t len_bytes)
{
	slot->busy = true;
	slot->frame.len_bytes = len_bytes;
	slot->frame.n_segments = 1;
	slot->frame.segments[0] = (struct net_segment){.va = slot->va, .len_bytes = len_bytes};
	slot->frame.holders = 1;
	slot->frame.status = 0;
	slot->frame.hash = 0;
}

static void on_done(struct net_frame *frame, int status)
{
	struct slot *slot = frame->ctx;

	slot->busy = false;
	slot->blast->refused += status != 0;
	wait_wake(&slot->blast->wait);
}

static uint64_t most_in_flight(const struct blast *b)
{
	return MIN(MAX(FLIGHT_BYTES / b->len_bytes, 2u), DEPTH);
}

/* Worker: as many as there is room for, and no more on their way than whoever answers can bear. */
static int send_some(void *ctx)
{
	struct blast *b = ctx;

	for (unsigned i = 0; i < DEPTH && !b->gone; i++) {
		struct slot *slot = &b->slots[i];

		if (slot->busy || b->sent == b->count || b->sent - b->answered >= most_in_flight(b))
			continue;
		make(b, slot->va, b->sent++);
		lend(slot, b->len_bytes);
		b->dev->ops->send(b->dev, &slot->frame);
	}
	if (!b->gone)
		b->dev->ops->kick(b->dev);
	return 0;
}

/* ---- answers -------------------------------------------------------------------------------- */

/* Frames are small or in few pieces: byte by byte is quick enough for a test. */
static uint8_t byte_at(const struct net_frame *frame, uint32_t at)
{
	unsigned i = 0;

	while (at >= frame->segments[i].len_bytes)
		at -= frame->segments[i++].len_bytes;
	return ((const uint8_t *)frame->segments[i].va)[at];
}

static bool same(const struct net_frame *frame, uint32_t number)
{
	for (uint32_t i = DATA_AT; i < frame->len_bytes; i++)
		if (byte_at(frame, i) != data_byte(number, i))
			return false;
	return true;
}

/* Whoever asks where our address is gets the same packet back, as an answer. */
static void answer_arp(struct blast *b, const uint8_t *f)
{
	uint8_t *a = b->arp_frame;

	if (b->arp.busy || f[20] != 0 || f[21] != 1 || memcmp(f + 38, b->from, 4) != 0)
		return;
	memset(a, 0, sizeof(b->arp_frame));
	memcpy(a, f + 6, NET_MAC_BYTES);
	memcpy(a + 6, b->dev->mac, NET_MAC_BYTES);
	memcpy(a + 12, f + 12, 8);
	a[21] = 2;
	memcpy(a + 22, b->dev->mac, NET_MAC_BYTES);
	memcpy(a + 28, b->from, 4);
	memcpy(a + 32, f + 22, 10);
	lend(&b->arp, sizeof(b->arp_frame));
	b->dev->ops->send(b->dev, &b->arp.frame);
}

static void on_received(struct net_device *dev, struct net_frame *frame)
{
	struct blast *b = dev->user_ctx;
	const uint8_t *f = frame->segments[0].va;
	bool ours = frame->len_bytes >= DATA_AT && frame->segments[0].len_bytes >= DATA_AT &&
		    f[12] == 8 && f[13] == 0 && f[23] == 1 && f[ICMP_AT] == 0 &&
		    (f[ICMP_AT + 4] << 8 | f[ICMP_AT + 5]) == ECHO_ID;

	if (!ours) {
		b->others++;
		if (frame->segments[0].len_bytes >= 42 && f[12] == 8 && f[13] == 6)
			answer_arp(b, f);
	} else {
		b->answered++;
		b->wrong += frame->len_bytes != b->len_bytes ||
			    !same(frame, (uint32_t)(f[ICMP_AT + 6] << 8 | f[ICMP_AT + 7]));
	}
	net_frame_put(frame, 0);
}

static void on_batch_end(struct net_device *dev)
{
	struct blast *b = dev->user_ctx;

	(void)send_some(b);
	wait_wake(&b->wait);
}

static void on_changed(struct net_device *dev)
{
	struct blast *b = dev->user_ctx;

	b->gone |= dev->gone;
	wait_wake(&b->wait);
}

static const struct net_user_ops ops = {on_received, on_batch_end, on_changed};

/* ---- the command ---------------------------------------------------------------------------- */

static int begin(void *ctx)
{
	struct blast *b = ctx;
	int error;

	if (b->len_bytes > b->dev->mtu + NET_HEAD_BYTES)
		return -XEN_E2BIG;
	b->from_stack = net_stack_drop(b->dev);
	error = host_net_attach(b->dev, &ops, b);
	return error ? error : send_some(b);
}

/* Memory of a frame may be with the backend still: only then is it ours when the last is put. */
static bool all_back(const struct blast *b)
{
	for (unsigned i = 0; i < DEPTH; i++)
		if (b->slots[i].busy)
			return false;
	return !b->arp.busy;
}

static int end(void *ctx)
{
	struct blast *b = ctx;

	if (!b->gone)
		host_net_detach(b->dev);
	if (!b->gone && b->from_stack)
		(void)net_stack_take(b->dev);
	return 0;
}

/* Answers bring new requests by themselves (on_batch_end); lost ones are noticed by the silence. */
static void wait_for_answers(struct blast *b)
{
	for (uint64_t before = ~0ull;
	     b->answered != b->count && !b->gone && before != b->answered;) {
		before = b->answered;
		(void)WAIT_UNTIL_DEADLINE(&b->wait, b->answered == b->count || b->gone,
					  time_ns() + QUIET_NS);
	}
	(void)WAIT_UNTIL_DEADLINE(&b->wait, all_back(b), time_ns() + QUIET_NS);
}

static int run(struct blast *b)
{
	uint64_t start = time_tsc();
	int error = worker_call(begin, b);

	if (error)
		return error;
	wait_for_answers(b);
	(void)worker_call(end, b);
	console_printf("@blast %s size=%u sent=%llu answered=%llu wrong=%llu refused=%llu "
		       "others=%llu ticks=%llu\n",
		       b->gone ? "-" : b->dev->name, b->len_bytes, ULL(b->sent), ULL(b->answered),
		       ULL(b->wrong), ULL(b->refused), ULL(b->others), ULL(time_tsc() - start));
	return b->answered == b->count && !b->wrong ? 0 : -XEN_EIO;
}

bool commands_ip4(const char *text, uint8_t out[4])
{
	for (unsigned i = 0; i < 4; i++, text++) {
		unsigned value = 0, n = 0;

		for (; *text >= '0' && *text <= '9' && n < 3; text++, n++)
			value = value * 10 + (unsigned)(*text - '0');
		if (!n || value > 255 || *text != (i < 3 ? '.' : '\0'))
			return false;
		out[i] = (uint8_t)value;
	}
	return true;
}

static void slot_init(struct blast *b, struct slot *slot, uint8_t *va)
{
	slot->va = va;
	slot->blast = b;
	slot->frame.done = on_done;
	slot->frame.ctx = slot;
}

static int blast_memory(struct blast *b)
{
	int error;

	b->pages = (unsigned)PAGES_FOR(b->len_bytes);
	b->memory = pages_alloc(b->pages * DEPTH);
	if (!b->memory)
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < DEPTH; i++)
		slot_init(b, &b->slots[i], b->memory + i * b->pages * PAGE_SIZE);
	slot_init(b, &b->arp, b->arp_frame);
	error = run(b);
	if (all_back(b))
		pages_free(b->memory, b->pages * DEPTH);
	return error;
}

static int netblast(int argc, char **argv)
{
	static struct blast b; /* too large for a stack; the shell runs one at a time */
	uint64_t count, size;

	if (argc != 6 || !str_to_u64(argv[2], &count) || !str_to_u64(argv[3], &size) ||
	    size < DATA_AT || size > NET_FRAME_MAX || !all_back(&b))
		return -XEN_EINVAL;
	memset(&b, 0, sizeof(b));
	b.count = count;
	b.len_bytes = (uint32_t)size;
	if (!commands_ip4(argv[4], b.from) || !commands_ip4(argv[5], b.to))
		return -XEN_EINVAL;
	b.dev = commands_interface(argv[1]);
	return b.dev ? blast_memory(&b) : -XEN_ENODEV;
}

void commands_blast_add(void)
{
	static const struct shell_command table[] = {
	    {"netblast", "IF COUNT SIZE FROM TO",
	     "sends echo requests of SIZE bytes, header and all, and holds the answers against "
	     "them",
	     netblast},
	};

	shell_add(table, ARRAY_SIZE(table));
}
