/* net_parse.c: where the headers of an Ethernet frame are.
 *
 * Contract: net_offload.h. Pure. The bytes are a guest's or a wire's: each header must lie wholly in what is there before
 * one of its fields is read, and each length in it is held against the frame. What is not known is let pass as it is;
 * only what cannot be is an error, since a backend passes these numbers on to other people's drivers.
 */
#include <amphi/net_offload.h>

#define ETH_P_IPV4 0x0800u
#define ETH_P_ARP  0x0806u
#define ETH_P_VLAN 0x8100u
#define ETH_P_QINQ 0x88a8u
#define ETH_P_IPV6 0x86ddu
#define TAGS_MAX   2u
#define TAG_BYTES  4u
#define VLAN_ID    0x0fffu
#define IPV4_BYTES 20u
#define IPV6_BYTES 40u
#define TCP_BYTES  20u
#define UDP_BYTES  8u
#define FRAGMENT   0x3fffu /* of IPv4's flags and offset: MORE, or an offset */
#define FRAGMENT6  0xfff9u

/* Next headers of IPv6, protocols of IPv4. */
enum {
	IP_HOP_BY_HOP = 0,
	IP_TCP = 6,
	IP_UDP = 17,
	IP_ROUTING = 43,
	IP_FRAGMENT = 44,
	IP_AUTHENTICATION = 51,
	IP_OPTIONS = 60
};

/* What is being looked at. */
struct window {
	const uint8_t *head;
	uint32_t len, frame_len;
};

static uint16_t be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* bytes from at are there. *err: set when they are not there and the frame is over, so that a header is cut; a header that
 * begins in the window and ends behind it is one that is not looked at. */
static bool has(const struct window *w, uint32_t at, uint32_t bytes, int *err)
{
	if (at + bytes <= w->len)
		return true;
	*err = at + bytes > w->frame_len ? -XEN_EINVAL : 0;
	return false;
}

static int parse_l4(const struct window *w, unsigned proto, struct net_headers *out)
{
	uint32_t at = out->l4_at, bytes;
	int err = 0;

	if (proto == IP_TCP) {
		if (!has(w, at, TCP_BYTES, &err))
			return err;
		bytes = (w->head[at + 12] >> 4) * 4u;
		if (bytes < TCP_BYTES || at + bytes > out->l3_end)
			return -XEN_EINVAL;
		if (!has(w, at, bytes, &err))
			return err;
		out->l4 = NET_L4_TCP;
	} else if (proto == IP_UDP) {
		if (!has(w, at, UDP_BYTES, &err))
			return err;
		bytes = UDP_BYTES;
		if (at + bytes > out->l3_end)
			return -XEN_EINVAL;
		out->l4 = NET_L4_UDP;
	} else {
		return 0;
	}
	out->data_at = (uint16_t)(at + bytes);
	return 0;
}

static int parse_ipv4(const struct window *w, struct net_headers *out)
{
	const uint8_t *ip = w->head + out->l3_at;
	uint32_t ihl, total;
	int err = 0;

	if (!has(w, out->l3_at, IPV4_BYTES, &err))
		return err;
	ihl = (ip[0] & 15u) * 4;
	total = be16(ip + 2);
	if (ip[0] >> 4 != 4 || ihl < IPV4_BYTES || total < ihl || out->l3_at + total > w->frame_len)
		return -XEN_EINVAL;
	out->proto = NET_PROTO_IPV4;
	out->l3_end = out->l3_at + total;
	out->l4_at = (uint16_t)(out->l3_at + ihl);
	out->fragment = be16(ip + 6) & FRAGMENT;
	return out->fragment ? 0 : parse_l4(w, ip[9], out);
}

/* IPv6's extension headers (RFC 8200, 4) and their sizes: most count in eights, behind the first; authentication (RFC 4302) in
 * fours, behind the first two; a fragment's is always 8. 0: next is none of them. */
static uint32_t extension_bytes(unsigned next, unsigned length)
{
	switch (next) {
	case IP_HOP_BY_HOP:
	case IP_ROUTING:
	case IP_OPTIONS:
		return (length + 1) * 8;
	case IP_AUTHENTICATION:
		return (length + 2) * 4;
	case IP_FRAGMENT:
		return 8;
	default:
		return 0;
	}
}

/* From the IPv6 header's end to what is not an extension. Each is at least 8 bytes long, so the window bounds the walk. */
static int parse_extensions(const struct window *w, unsigned next, struct net_headers *out)
{
	uint32_t at = out->l3_at + IPV6_BYTES, bytes;
	int err = 0;

	while ((bytes = extension_bytes(next, 0)) != 0) {
		if (!has(w, at, 8, &err))
			return err;
		out->fragment |= next == IP_FRAGMENT && be16(w->head + at + 2) & FRAGMENT6;
		if (out->fragment)
			return 0;
		bytes = extension_bytes(next, w->head[at + 1]);
		if (at + bytes > out->l3_end)
			return -XEN_EINVAL;
		next = w->head[at];
		at += bytes;
	}
	out->l4_at = (uint16_t)at;
	return parse_l4(w, next, out);
}

static int parse_ipv6(const struct window *w, struct net_headers *out)
{
	const uint8_t *ip = w->head + out->l3_at;
	int err = 0;

	if (!has(w, out->l3_at, IPV6_BYTES, &err))
		return err;
	out->l3_end = out->l3_at + IPV6_BYTES + be16(ip + 4);
	if (ip[0] >> 4 != 6 || out->l3_end > w->frame_len)
		return -XEN_EINVAL;
	out->proto = NET_PROTO_IPV6;
	return parse_extensions(w, ip[6], out);
}

int net_parse(const uint8_t *head, uint32_t head_len, uint32_t frame_len, struct net_headers *out)
{
	struct window w = {head, MIN(head_len, NET_PARSE_BYTES), frame_len};
	uint32_t type_at = NET_HEAD_BYTES - 2;
	unsigned type, tags;
	int err = 0;

	*out = (struct net_headers){0};
	if (!has(&w, 0, NET_HEAD_BYTES, &err))
		return -XEN_EINVAL;
	type = be16(head + type_at);
	for (tags = 0; tags < TAGS_MAX && (type == ETH_P_VLAN || type == ETH_P_QINQ); tags++) {
		if (!has(&w, type_at, TAG_BYTES + 2, &err))
			return err;
		if (!tags)
			out->vlan = be16(head + type_at + 2) & VLAN_ID;
		type_at += TAG_BYTES;
		type = be16(head + type_at);
	}
	out->l3_at = (uint16_t)(type_at + 2);
	out->l3_end = frame_len;
	if (type == ETH_P_ARP)
		out->proto = NET_PROTO_ARP;
	if (type == ETH_P_IPV4)
		return parse_ipv4(&w, out);
	return type == ETH_P_IPV6 ? parse_ipv6(&w, out) : 0;
}
