/* netback_guard.c: a guest whose addresses are given sends from those and no others.
 *
 * `ip=` of xl-network-configuration: the toolstack writes the addresses to the key `ip`, with blanks or commas between them.
 * Then each packet's source is held against them and against `mac`: Ethernet, IPv4, IPv6, ARP, and the target of a neighbour
 * advertisement, by which IPv6 claims an address. What is neither IP nor ARP is not let pass: addresses could hide in it.
 * What a host has to say before it has an address passes: DHCP's request, ARP's and IPv6's probes. Caller: netback_checks.c.
 */
#include <amphi/string.h>

#include "netback_private.h"

#define ICMP6           58u
#define ICMP6_ADVERTISE 136u
#define TARGET_AT       8u
#define HEADERS_MAX     8u

/* ---- the key -------------------------------------------------------------------------------- */

static bool parse_ipv4(const char *text, uint8_t *out)
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned value = 0, digits = 0;

		for (; *text >= '0' && *text <= '9' && digits < 4; digits++)
			value = value * 10 + (unsigned)(*text++ - '0');
		if (!digits || value > 255 || *text != (i < 3 ? '.' : '\0'))
			return false;
		out[i] = (uint8_t)value;
		text++;
	}
	return true;
}

/* One group of up to four digits. NULL: there is none. */
static const char *parse_group(const char *text, uint8_t *out)
{
	unsigned value = 0, digits = 0;

	for (int d; digits < 5 && (d = vif_hex_digit(*text)) >= 0; digits++, text++)
		value = value << 4 | (unsigned)d;
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
	return digits && digits < 5 ? text : NULL;
}

/* RFC 4291, 2.2, forms 1 and 2: groups, and once "::" for as many zeros as are missing. */
static bool parse_ipv6(const char *text, uint8_t *out)
{
	uint8_t groups[16] = {0};
	unsigned n = 0, gap = 17;

	if (text[0] == ':' && text[1] == ':')
		text++; /* the loop takes the second */
	else if (text[0] == ':')
		return false;
	while (*text && n < 16) {
		if (*text == ':') {
			if (gap != 17)
				return false;
			gap = n;
			text++;
			continue;
		}
		text = parse_group(text, groups + n);
		if (!text || (*text && *text != ':') || (*text == ':' && !text[1]))
			return false;
		n += 2;
		text += *text == ':';
	}
	if (*text || (gap == 17) != (n == 16))
		return false;
	gap = MIN(gap, n);
	memset(out, 0, 16);
	memcpy(out, groups, gap);
	memcpy(out + 16 - (n - gap), groups + gap, n - gap);
	return true;
}

static bool add_address(struct vif_guard *guard, const char *text)
{
	if (guard->n4 < VIF_GUARD_MAX && parse_ipv4(text, guard->v4[guard->n4])) {
		guard->n4++;
		return true;
	}
	if (guard->n6 < VIF_GUARD_MAX && parse_ipv6(text, guard->v6[guard->n6])) {
		guard->n6++;
		return true;
	}
	return false;
}

/* RFC 4291, appendix A: the address that a host gives itself, made of its MAC. */
static void set_link_local(struct vif_guard *guard, const uint8_t *mac)
{
	const uint8_t address[16] = {0xfe, 0x80,   0,          0,      0,      0,
				     0,    0,      mac[0] ^ 2, mac[1], mac[2], 0xff,
				     0xfe, mac[3], mac[4],     mac[5]};

	memcpy(guard->link_local, address, sizeof(address));
}

/* An address that cannot be read would be one that is not held against: there is no connection then. */
int vif_guard_read(struct vif *vif)
{
	char text[256], *at = text;
	int len = xenbus_read_text(HOST_TX_NONE, vif->bus.path, "ip", text, sizeof(text));

	vif->guard = (struct vif_guard){0};
	if (len == -XEN_ENOENT || len == 0)
		return 0;
	if (len < 0)
		return len;
	vif->guard.on = true;
	set_link_local(&vif->guard, vif->dev.mac);
	while (*at) {
		char *word = at;

		while (*at && *at != ' ' && *at != ',')
			at++;
		if (*at)
			*at++ = '\0';
		if (*word && !add_address(&vif->guard, word)) {
			host_log(HOST_LOG_ERROR, "%s: ip: '%s' is no address, or one too many",
				 vif->bus.path, word);
			return -XEN_EINVAL;
		}
	}
	return 0;
}

/* ---- packets -------------------------------------------------------------------------------- */

static bool all_zero(const uint8_t *p, unsigned n)
{
	while (n && !*p)
		n--, p++;
	return n == 0;
}

static bool owns4(const struct vif_guard *guard, const uint8_t *address)
{
	for (unsigned i = 0; i < guard->n4; i++)
		if (memcmp(guard->v4[i], address, 4) == 0)
			return true;
	return false;
}

static bool owns6(const struct vif_guard *guard, const uint8_t *address)
{
	for (unsigned i = 0; i < guard->n6; i++)
		if (memcmp(guard->v6[i], address, 16) == 0)
			return true;
	return memcmp(guard->link_local, address, 16) == 0;
}

/* From nobody: DHCP, from its client's port to its server's. */
static bool may_ipv4(const struct vif_guard *guard, const uint8_t *head,
		     const struct net_headers *h)
{
	static const uint8_t dhcp_ports[] = {0, 68, 0, 67};
	const uint8_t *source = head + h->l3_at + 12;

	if (!all_zero(source, 4))
		return owns4(guard, source);
	return h->l4 == NET_L4_UDP && memcmp(head + h->l4_at, dhcp_ports, 4) == 0;
}

/* Hardware and protocol address of the sender; a probe (RFC 5227) has none of the latter. */
static bool may_arp(const struct vif *vif, const uint8_t *head, uint32_t len,
		    const struct net_headers *h)
{
	const uint8_t *arp = head + h->l3_at;

	if (h->l3_at + 28u > len || memcmp(arp + 8, vif->dev.mac, NET_MAC_BYTES))
		return false;
	return all_zero(arp + 14, 4) || owns4(&vif->guard, arp + 14);
}

/* Where the upper header is, behind extension headers; 0: not in what was copied. */
static uint32_t upper_at(const uint8_t *head, uint32_t len, const struct net_headers *h,
			 uint8_t *protocol)
{
	uint32_t at = h->l3_at + 40u;

	*protocol = head[h->l3_at + 6];
	for (unsigned i = 0; i < HEADERS_MAX; i++) {
		if (*protocol != 0 && *protocol != 43 && *protocol != 60)
			return at;
		if (at + 8 > len)
			return 0;
		*protocol = head[at];
		at += (head[at + 1] + 1u) * 8;
	}
	return 0;
}

static bool may_ipv6(const struct vif_guard *guard, const uint8_t *head, uint32_t len,
		     const struct net_headers *h)
{
	const uint8_t *source = head + h->l3_at + 8;
	uint8_t protocol;
	uint32_t at = upper_at(head, len, h, &protocol);

	if (!at || (!all_zero(source, 16) && !owns6(guard, source)))
		return false;
	if (protocol != ICMP6)
		return true;
	if (at + 4 > len)
		return false;
	if (head[at] != ICMP6_ADVERTISE)
		return true;
	return at + TARGET_AT + 16 <= len && owns6(guard, head + at + TARGET_AT);
}

bool vif_guard_allows(const struct vif *vif, const uint8_t *head, uint32_t len,
		      const struct net_headers *h)
{
	if (memcmp(head + NET_MAC_BYTES, vif->dev.mac, NET_MAC_BYTES))
		return false;
	switch (h->proto) {
	case NET_PROTO_IPV4:
		return may_ipv4(&vif->guard, head, h);
	case NET_PROTO_IPV6:
		return may_ipv6(&vif->guard, head, len, h);
	case NET_PROTO_ARP:
		return may_arp(vif, head, len, h);
	default:
		return false;
	}
}
