/* net_wire.c: the fake interface and its far ends. See net_wire.h.
 *
 * Called by tests; calls host_net.h and the mock world. Frames it gives have each byte in memory of its own that is freed when the frame is
 * put, so that a late read is seen by the sanitizer.
 */
#include <stdlib.h>
#include <string.h>

#include <amphi/host_net.h>
#include <amphi/net_offload.h>

#include "mock_host.h"
#include "net_wire.h"

#define WIRE_NS 50000u /* one way */
#define LATE_NS 3000000u

struct wire_frame {
	struct wire_frame *next;
	struct net_wire *wire;
	uint64_t due_ns;
	bool to_stack;
	struct net_frame frame;
	uint32_t len;
	uint8_t *bytes;
};

static unsigned dice(struct net_wire *wire, unsigned one_in)
{
	wire->chance = wire->chance * 1664525u + 1013904223u;
	return one_in && (wire->chance >> 8) % one_in == 0;
}

/* ---- the queue: both ways, by when they are due ---------------------------------------------- */

static void enqueue(struct net_wire *wire, const uint8_t *bytes, uint32_t len, bool to_stack,
		    uint64_t delay_ns)
{
	struct wire_frame *f = calloc(1, sizeof(*f)), **at = &wire->queue;

	f->wire = wire;
	f->bytes = malloc(len);
	memcpy(f->bytes, bytes, len);
	f->len = len;
	f->to_stack = to_stack;
	f->due_ns = host_time_ns() + delay_ns;
	while (*at && (*at)->due_ns <= f->due_ns)
		at = &(*at)->next;
	f->next = *at;
	*at = f;
	if (wire->queue != f)
		return;
	host_work_cancel(&wire->work);
	host_work_after(&wire->work, delay_ns);
}

static void wire_frame_free(struct wire_frame *f)
{
	free(f->bytes);
	free(f);
}

static void given_done(struct net_frame *frame, int status)
{
	struct wire_frame *f = frame->ctx;

	f->wire->alive--;
	wire_frame_free(f);
}

static void give_now(struct net_wire *wire, struct wire_frame *f)
{
	uint32_t first = f->len < 256 ? f->len : 256, cut = wire->cut_bytes, at;
	struct net_frame *frame = &f->frame;

	frame->len_bytes = f->len;
	frame->flags = wire->flags;
	if (f->len > (uint32_t)wire->dev.mtu + NET_HEAD_BYTES) {
		frame->flags |= NET_CSUM_BLANK | NET_CSUM_VALID;
		frame->gso = f->bytes[12] == 8 ? NET_GSO_TCPV4 : NET_GSO_TCPV6;
		frame->gso_size = wire->last_size;
	}
	frame->holders = wire->holders ? wire->holders : 1;
	frame->done = given_done;
	frame->ctx = f;
	/* All headers lie in the first segment. */
	for (at = 0; at < f->len; at += frame->segments[frame->n_segments++].len_bytes) {
		uint32_t n = cut && at == 0 ? first : cut ? cut : f->len;

		frame->segments[frame->n_segments].va = f->bytes + at;
		if (frame->n_segments == NET_SEGMENTS_MAX - 1 || n > f->len - at)
			n = f->len - at;
		frame->segments[frame->n_segments].len_bytes = n;
	}
	wire->alive++;
	wire->given++;
	host_net_receive(&wire->dev, frame);
	for (unsigned i = 1; i < wire->holders; i++)
		net_frame_put(frame, 0);
}

static void deliver(void *ctx)
{
	struct net_wire *wire = ctx;
	struct wire_frame *f;
	bool any = false;

	while ((f = wire->queue) && f->due_ns <= host_time_ns()) {
		wire->queue = f->next;
		if (f->to_stack) {
			any = true;
			if (wire->buffers && wire->alive >= wire->buffers)
				wire_frame_free(f);
			else
				give_now(wire, f);
			continue;
		}
		wire->peer(wire, f->bytes, f->len);
		wire_frame_free(f);
	}
	if (any)
		host_net_batch_end(&wire->dev);
	if (wire->queue)
		host_work_after(&wire->work, wire->queue->due_ns - host_time_ns());
}

void net_wire_give(struct net_wire *wire, const uint8_t *bytes, uint32_t len)
{
	if (dice(wire, wire->lose_one_in)) {
		wire->lost++;
		return;
	}
	enqueue(wire, bytes, len, true, dice(wire, wire->late_one_in) ? LATE_NS : WIRE_NS);
	if (dice(wire, wire->double_one_in))
		enqueue(wire, bytes, len, true, WIRE_NS);
}

/* ---- the device ------------------------------------------------------------------------------- */

/* As a card does, unless the test says that the frames it gives are blank, too. */
static void fill_in(struct net_wire *wire, uint8_t *bytes, uint32_t len)
{
	struct net_frame whole = {.len_bytes = len,
				  .flags = NET_CSUM_BLANK,
				  .n_segments = 1,
				  .segments = {{.va = bytes, .len_bytes = len}}};

	wire->blanks++;
	if (!(wire->flags & NET_CSUM_BLANK))
		HOST_ASSERT(!net_fill_checksum(&whole));
}

static void look_at_large(struct net_wire *wire, const struct net_frame *frame)
{
	bool is_v4 = frame->gso == NET_GSO_TCPV4;

	HOST_ASSERT(wire->dev.can & (is_v4 ? NET_CAN_GSO4 : NET_CAN_GSO6));
	HOST_ASSERT(frame->flags & NET_CSUM_BLANK);
	HOST_ASSERT(frame->gso_size && frame->gso_size <= wire->dev.mtu - (is_v4 ? 40u : 60u));
	HOST_ASSERT(frame->n_segments < NET_SEGMENTS_MAX);
	wire->large++;
	wire->last_size = frame->gso_size;
	if (frame->len_bytes > wire->largest)
		wire->largest = frame->len_bytes;
}

static void go(void *ctx, struct net_frame *frame)
{
	struct net_wire *wire = ctx;
	uint8_t *bytes = malloc(frame->len_bytes), *to = bytes;

	for (unsigned i = 0; i < frame->n_segments; i++) {
		HOST_ASSERT(frame->segments[i].len_bytes);
		memcpy(to, frame->segments[i].va, frame->segments[i].len_bytes);
		to += frame->segments[i].len_bytes;
	}
	HOST_ASSERT(to == bytes + frame->len_bytes);
	if (frame->flags & NET_CSUM_BLANK)
		fill_in(wire, bytes, frame->len_bytes);
	if (frame->n_segments > wire->most_segments)
		wire->most_segments = frame->n_segments;
	enqueue(wire, bytes, frame->len_bytes, false, 0);
	free(bytes);
	net_frame_put(frame, 0);
}

/* The stack's frame is copied and put at once, unless it is more than the device said it can. */
static void send(struct net_device *dev, struct net_frame *frame)
{
	struct net_wire *wire = dev->driver;

	HOST_ASSERT(frame->n_segments == 1 || dev->can & NET_CAN_SEGMENTS);
	HOST_ASSERT(!(frame->flags & NET_CSUM_BLANK) || dev->can & NET_CAN_CSUM4);
	HOST_ASSERT(frame->len_bytes <= dev->mtu + NET_HEAD_BYTES || frame->gso);
	wire->sent++;
	if (frame->gso)
		look_at_large(wire, frame);
	if (frame->gso && !wire->uncut)
		HOST_ASSERT(net_fit(frame, NET_CAN_SEGMENTS, dev->mtu, go, wire) > 0);
	else
		go(wire, frame);
}

static void kick(struct net_device *dev)
{
	((struct net_wire *)dev->driver)->kicks++;
}

void net_wire_open(struct net_wire *wire, const char *name, uint8_t last, uint32_t can,
		   net_wire_peer *peer)
{
	static const struct net_ops ops = {.send = send, .kick = kick};
	static const uint8_t mac[NET_MAC_BYTES] = {2};

	memset(wire, 0, sizeof(*wire));
	wire->peer = peer;
	wire->chance = 12345;
	wire->work.fn = deliver;
	wire->work.ctx = wire;
	wire->dev.ops = &ops;
	wire->dev.driver = wire;
	strcpy(wire->dev.name, name);
	memcpy(wire->dev.mac, mac, sizeof(mac));
	wire->dev.mac[5] = last;
	wire->dev.mtu = 1500;
	wire->dev.can = can;
	wire->dev.carrier = wire->dev.uplink = true;
	wire->dev.n_queues = 1;
	HOST_ASSERT(!host_net_register(&wire->dev));
}

void net_wire_close(struct net_wire *wire)
{
	struct wire_frame *f;

	host_net_unregister(&wire->dev);
	HOST_ASSERT(!wire->alive);
	host_work_cancel(&wire->work);
	while ((f = wire->queue)) {
		wire->queue = f->next;
		wire_frame_free(f);
	}
}

/* ---- far ends ----------------------------------------------------------------------------------- */

#define FRAME_MAX_BYTES 65535u

static void exchange(uint8_t *a, uint8_t *b, size_t n)
{
	uint8_t keep[16];

	memcpy(keep, a, n);
	memcpy(a, b, n);
	memcpy(b, keep, n);
}

/* The machine asked for has an address made of the last byte of its IP address. */
static void answer_arp(struct net_wire *wire, uint8_t *b, uint32_t len)
{
	uint8_t mac[6] = {2, 0, 0, 0, 1, b[41]};

	if (b[21] != 1 || !memcmp(b + 28, b + 38, 4)) /* no question, or about itself */
		return;
	b[21] = 2;
	memcpy(b, b + 6, 6);
	memcpy(b + 6, mac, 6);
	exchange(b + 22, b + 32, 10);
	memcpy(b + 22, mac, 6);
	net_wire_give(wire, b, len);
}

/* A neighbour's question (RFC 4861) is answered as ARP's is: by who has the last byte of the address asked for. */
static void answer_neighbour(struct net_wire *wire, uint8_t *b)
{
	static const uint8_t head[] = {0x60, 0, 0, 0, 0, 32, 58, 255}, length[] = {0, 32, 0, 58};
	uint8_t option[8] = {2, 1, 2, 0, 0, 0, 1, b[77]}, answer[86];
	uint16_t sum;

	if (!b[22]) /* nobody asks: it looks whether its own address is free */
		return;
	memcpy(answer, b + 6, 6);
	memcpy(answer + 6, option + 2, 6);
	memcpy(answer + 12, "\x86\xdd", 2);
	memcpy(answer + 14, head, 8);
	memcpy(answer + 22, b + 62, 16);
	memcpy(answer + 38, b + 22, 16);
	memcpy(answer + 54, "\x88\0\0\0\x60\0\0\0", 8);
	memcpy(answer + 62, b + 62, 16);
	memcpy(answer + 78, option, 8);
	/* Addresses and the message, which are behind each other, and what else the pseudo header has. */
	sum = (uint16_t)~net_fold(net_sum(net_sum(0, answer + 22, 64), length, sizeof(length)));
	memcpy(answer + 56, &sum, 2);
	net_wire_give(wire, answer, sizeof(answer));
}

static void mirror6(struct net_wire *wire, uint8_t *b, uint32_t len)
{
	if (len >= 78 && b[20] == 58 && b[54] == 135) {
		answer_neighbour(wire, b);
		return;
	}
	if (b[0] & 1)
		return;
	exchange(b, b + 6, 6);
	exchange(b + 22, b + 38, 16);
	net_wire_give(wire, b, len);
}

void net_wire_mirror(struct net_wire *wire, const uint8_t *bytes, uint32_t len)
{
	static uint8_t b[FRAME_MAX_BYTES];

	memcpy(b, bytes, len);
	if (b[12] == 8 && b[13] == 6 && len >= 42) {
		answer_arp(wire, b, len);
		return;
	}
	if (b[12] == 0x86 && b[13] == 0xdd) {
		mirror6(wire, b, len);
		return;
	}
	if (b[0] & 1 || b[12] != 8 || b[13] != 0)
		return;
	exchange(b, b + 6, 6);
	exchange(b + 26, b + 30, 4);
	net_wire_give(wire, b, len);
}

/* ---- DHCP (RFC 2131), just enough ---- */

static uint16_t sum_of(const uint8_t *b, unsigned n)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < n; i += 2)
		sum += (uint32_t)(b[i] << 8 | b[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint8_t message_type(const uint8_t *options, const uint8_t *end)
{
	for (; options + 2 < end && *options != 255; options += 2 + options[1])
		if (*options == 53)
			return options[2];
	return 0;
}

static void answer_dhcp(struct net_wire *wire, const uint8_t *asked, uint32_t len)
{
	static const uint8_t options[] = {54,  4, 10, 0, 2,  2, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255,
					  255, 0, 3,  4, 10, 0, 2,  2, 6, 4, 10, 0,  2, 3, 255};
	uint8_t b[342] = {0}, type = message_type(asked + 282, asked + len);
	uint16_t sum;

	memcpy(b, asked + 6, 6);
	memcpy(b + 6, "\x02\0\0\0\x01\x02", 6);
	b[12] = 8;
	memcpy(b + 14, "\x45\0\x01\x48\0\0\0\0\x40\x11\0\0\x0a\0\x02\x02\xff\xff\xff\xff", 20);
	sum = sum_of(b + 14, 20);
	b[24] = (uint8_t)(sum >> 8);
	b[25] = (uint8_t)sum;
	memcpy(b + 34, "\0\x43\0\x44\x01\x34\0\0", 8); /* ports, length, no checksum */
	memcpy(b + 42, asked + 42, 44);
	b[42] = 2;
	memcpy(b + 58, "\x0a\0\x02\x0f", 4); /* yours */
	memcpy(b + 70, asked + 70, 16);
	memcpy(b + 278, "\x63\x82\x53\x63\x35\x01", 6);
	b[284] = type == 1 ? 2 : 5;
	memcpy(b + 285, options, sizeof(options));
	wire->offers += type == 1;
	net_wire_give(wire, b, sizeof(b));
}

void net_wire_dhcp(struct net_wire *wire, const uint8_t *bytes, uint32_t len)
{
	if (len > 285 && bytes[12] == 8 && !bytes[13] && bytes[23] == 17 && bytes[37] == 67)
		answer_dhcp(wire, bytes, len);
	else
		net_wire_mirror(wire, bytes, len);
}

void net_wire_pass(uint64_t ns)
{
	const uint64_t step = 100000;

	for (uint64_t at = 0; at < ns; at += step)
		mock_advance(step);
}
