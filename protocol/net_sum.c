/* net_sum.c: the Internet checksum, of bytes and of frames.
 *
 * Contract: net_offload.h. Pure. Sums are of 16-bit words as they lie in memory, in this processor's order: RFC 1071
 * (2.B) shows that the order does not matter as long as the result is stored as it was read.
 */
#include <amphi/net_offload.h>
#include <amphi/string.h>

#define IP_TCP 6u
#define IP_UDP 17u

/* One load, also in freestanding code. What is carried out of the top comes in again at the bottom. */
static inline uint64_t add_word(uint64_t sum, const uint8_t *at)
{
	uint64_t word;
	bool carry;

	__builtin_memcpy(&word, at, sizeof(word));
	carry = __builtin_add_overflow(sum, word, &sum);
	return sum + carry;
}

/* Bytes that are no whole word are summed as one with zeros behind them. The result has 33 bits at most, so that others can
 * be added to it. */
uint64_t net_sum(uint64_t sum, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint64_t word = 0;

	for (; len >= 32; len -= 32, at += 32) {
		sum = add_word(sum, at);
		sum = add_word(sum, at + 8);
		sum = add_word(sum, at + 16);
		sum = add_word(sum, at + 24);
	}
	for (; len >= 8; len -= 8, at += 8)
		sum = add_word(sum, at);
	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)at[i] << 8 * i;
	sum = add_word(sum, (const uint8_t *)&word);
	return (sum & UINT32_MAX) + (sum >> 32);
}

uint16_t net_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t to_be16(uint32_t v)
{
	return __builtin_bswap16((uint16_t)v);
}

/* The length of the upper layer is a 32-bit field in IPv6 (RFC 8200, 8.1), and a 16-bit one in IPv4; the sum is the same. */
uint16_t net_pseudo_sum(const uint8_t *head, const struct net_headers *h, uint32_t l4_len)
{
	bool v6 = h->proto == NET_PROTO_IPV6;
	uint64_t sum = net_sum(0, head + h->l3_at + (v6 ? 8 : 12), v6 ? 32 : 8);

	sum += to_be16(h->l4 == NET_L4_TCP ? IP_TCP : IP_UDP);
	return net_fold(sum + to_be16(l4_len >> 16) + to_be16(l4_len));
}

/* From one offset of the frame to another; a stretch that begins at an odd distance is summed with its bytes changed over, which
 * is what it is at an even one (RFC 1071, 2.B). */
static uint64_t sum_frame(uint64_t sum, const struct net_frame *frame, uint32_t from, uint32_t to)
{
	uint32_t at = 0, begin, end;
	unsigned i;

	for (i = 0; i < frame->n_segments && at < to; at += frame->segments[i++].len_bytes) {
		const char *va = frame->segments[i].va;
		uint64_t part;

		begin = MAX(from, at);
		end = MIN(to, at + frame->segments[i].len_bytes);
		if (begin >= end)
			continue;
		part = net_sum(0, va + (begin - at), end - begin);
		sum += (begin - from) & 1 ? __builtin_bswap16(net_fold(part)) : part;
	}
	return sum;
}

static uint32_t checksum_at(const struct net_headers *h)
{
	return h->l4_at + (h->l4 == NET_L4_TCP ? 16u : 6u);
}

/* The headers are in the first segment, by the rule of net.h. */
static int headers_of(const struct net_frame *frame, struct net_headers *h)
{
	return net_parse(frame->segments[0].va, frame->segments[0].len_bytes, frame->len_bytes, h);
}

int net_fill_checksum(struct net_frame *frame)
{
	uint8_t *head = frame->segments[0].va;
	struct net_headers h;
	uint16_t sum;

	if (headers_of(frame, &h) || h.l4 == NET_L4_OTHER)
		return -XEN_EINVAL;
	sum = net_pseudo_sum(head, &h, h.l3_end - h.l4_at);
	memcpy(head + checksum_at(&h), &sum, 2);
	sum = (uint16_t)~net_fold(sum_frame(0, frame, h.l4_at, h.l3_end));
	if (!sum && h.l4 == NET_L4_UDP)
		sum = 0xffff; /* 0 means that there is none (RFC 768) */
	memcpy(head + checksum_at(&h), &sum, 2);
	frame->flags &= (uint8_t)~NET_CSUM_BLANK;
	return 0;
}

bool net_checksum_right(const struct net_frame *frame)
{
	const uint8_t *head = frame->segments[0].va;
	struct net_headers h;
	uint16_t given;

	if (headers_of(frame, &h) || h.l4 == NET_L4_OTHER)
		return true;
	memcpy(&given, head + checksum_at(&h), 2);
	if (h.l4 == NET_L4_UDP && !given && h.proto == NET_PROTO_IPV4)
		return true;
	return net_fold(sum_frame(net_pseudo_sum(head, &h, h.l3_end - h.l4_at), frame, h.l4_at,
				  h.l3_end)) == 0xffff;
}
