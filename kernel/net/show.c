/* show.c: addresses, routes and neighbours as lines of text.
 *
 * Contract: net_stack.h. Caller: the shell's command ip, and stack.c for the line that is reported. Reads lwIP's tables and changes nothing.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include <lwip/dns.h>
#include <lwip/etharp.h>
#include <lwip/priv/nd6_priv.h>

#include "net_stack.h"
#include "stack.h"

#define SHOWN_MAX 160u

static unsigned mask_bits(const ip4_addr_t *mask)
{
	uint32_t m = lwip_ntohl(mask->addr);

	return m ? 32 - (unsigned)__builtin_ctz(m) : 0;
}

/* lwIP writes large letters, RFC 5952 wants small ones. */
static void ip6_text(const ip6_addr_t *address, char *out, int cap)
{
	ip6addr_ntoa_r(address, out, cap);
	for (; *out; out++)
		if (*out >= 'A' && *out <= 'F')
			*out = (char)(*out | 0x20);
}

void net_address_text(const ip_addr_t *address, char *out, int cap)
{
	if (IP_IS_V6(address))
		ip6_text(ip_2_ip6(address), out, cap);
	else
		ip4addr_ntoa_r(ip_2_ip4(address), out, cap);
}

/* Text behind what is there; what does not fit is left out. */
static void append(char *out, size_t cap, const char *what, const char *text)
{
	size_t at = strlen(out);

	(void)fmt_text(out + at, cap - at, "%s%s", what, text);
}

static void append_servers(char *out, size_t cap)
{
	char text[NET_ADDR_CHARS];

	for (u8_t i = 0; i < DNS_MAX_SERVERS; i++)
		if (!ip_addr_isany(dns_getserver(i))) {
			ipaddr_ntoa_r(dns_getserver(i), text, sizeof(text));
			append(out, cap, " dns ", text);
		}
}

static void append_ip4(const struct netif *netif, char *out, size_t cap)
{
	char text[NET_ADDR_CHARS];
	size_t at;

	if (ip4_addr_isany_val(*netif_ip4_addr(netif)))
		return;
	ip4addr_ntoa_r(netif_ip4_addr(netif), text, sizeof(text));
	at = strlen(out);
	(void)fmt_text(out + at, cap - at, " %s/%u", text, mask_bits(netif_ip4_netmask(netif)));
	if (ip4_addr_isany_val(*netif_ip4_gw(netif)))
		return;
	ip4addr_ntoa_r(netif_ip4_gw(netif), text, sizeof(text));
	append(out, cap, " gw ", text);
}

/* Those of the link itself reach nobody else, and everybody has one: they are left out where only news counts. */
static void append_ip6(const struct netif *netif, char *out, size_t cap)
{
	char text[NET_ADDR_CHARS];

	for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
		if (!ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) ||
		    ip6_addr_islinklocal(netif_ip6_addr(netif, i)))
			continue;
		ip6_text(netif_ip6_addr(netif, i), text, sizeof(text));
		append(out, cap, " ", text);
		append(out, cap, "", "/64");
	}
}

void net_link_text(const struct net_link *link, char *out, size_t cap)
{
	(void)fmt_text(out, cap, "%s", link->dev->name);
	append_ip4(&link->netif, out, cap);
	append_ip6(&link->netif, out, cap);
	append_servers(out, cap);
}

static void show_ip6(const struct netif *netif, void (*line)(const char *text))
{
	char text[SHOWN_MAX], address[NET_ADDR_CHARS];
	u8_t state;

	for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
		state = netif_ip6_addr_state(netif, i);
		if (ip6_addr_isinvalid(state))
			continue;
		ip6_text(netif_ip6_addr(netif, i), address, sizeof(address));
		(void)fmt_text(text, sizeof(text), "    inet6 %s/64%s", address,
			       ip6_addr_istentative(state)    ? " tentative"
			       : ip6_addr_isduplicated(state) ? " duplicate"
							      : "");
		line(text);
	}
}

void net_show_addresses(void (*line)(const char *text))
{
	char text[SHOWN_MAX], address[NET_ADDR_CHARS];
	struct net_link *link = NULL;
	const uint8_t *m;

	while ((link = net_link_next(link))) {
		m = link->dev->mac;
		(void)fmt_text(text, sizeof(text),
			       "%s: %02x:%02x:%02x:%02x:%02x:%02x mtu %u carrier %s",
			       link->dev->name, m[0], m[1], m[2], m[3], m[4], m[5], link->dev->mtu,
			       link->dev->carrier ? "yes" : "no");
		line(text);
		if (!ip4_addr_isany_val(*netif_ip4_addr(&link->netif))) {
			ip4addr_ntoa_r(netif_ip4_addr(&link->netif), address, sizeof(address));
			(void)fmt_text(text, sizeof(text), "    inet %s/%u", address,
				       mask_bits(netif_ip4_netmask(&link->netif)));
			line(text);
		}
		show_ip6(&link->netif, line);
	}
	text[0] = '\0';
	append_servers(text, sizeof(text));
	if (text[0])
		line(text + 1);
}

static const char *device_of(const struct netif *netif)
{
	struct net_link *link = NULL;

	while ((link = net_link_next(link)))
		if (&link->netif == netif)
			return link->dev->name;
	return "lo";
}

static void show_default(const char *address, const struct netif *netif,
			 void (*line)(const char *text))
{
	char text[SHOWN_MAX];

	(void)fmt_text(text, sizeof(text), "default via %s dev %s", address, device_of(netif));
	line(text);
}

static void show_network(const struct netif *netif, void (*line)(const char *text))
{
	char text[SHOWN_MAX], network[NET_ADDR_CHARS];
	ip4_addr_t a;

	if (ip4_addr_isany_val(*netif_ip4_addr(netif)))
		return;
	ip4_addr_get_network(&a, netif_ip4_addr(netif), netif_ip4_netmask(netif));
	ip4addr_ntoa_r(&a, network, sizeof(network));
	(void)fmt_text(text, sizeof(text), "%s/%u dev %s", network,
		       mask_bits(netif_ip4_netmask(netif)), device_of(netif));
	line(text);
}

/* The default gateway is that of lwIP's default interface; of IPv6, the routers that told of themselves. */
void net_show_routes(void (*line)(const char *text))
{
	char address[NET_ADDR_CHARS];
	struct net_link *link = NULL;

	if (netif_default && !ip4_addr_isany_val(*netif_ip4_gw(netif_default))) {
		ip4addr_ntoa_r(netif_ip4_gw(netif_default), address, sizeof(address));
		show_default(address, netif_default, line);
	}
	while ((link = net_link_next(link)))
		show_network(&link->netif, line);
	net_show_ways(line);
	for (unsigned i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
		const struct nd6_router_list_entry *r = &default_router_list[i];

		if (!r->neighbor_entry || !r->invalidation_timer)
			continue;
		ip6_text(&r->neighbor_entry->next_hop_address, address, sizeof(address));
		show_default(address, r->neighbor_entry->netif, line);
	}
}

static void show_neighbour(const char *address, const struct netif *netif, const uint8_t *mac,
			   void (*line)(const char *text))
{
	char text[SHOWN_MAX];

	(void)fmt_text(text, sizeof(text), "%s dev %s %02x:%02x:%02x:%02x:%02x:%02x", address,
		       device_of(netif), mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	line(text);
}

void net_show_neighbours(void (*line)(const char *text))
{
	char address[NET_ADDR_CHARS];
	struct eth_addr *mac;
	struct netif *netif;
	ip4_addr_t *ip;

	for (size_t i = 0; i < ARP_TABLE_SIZE; i++)
		if (etharp_get_entry(i, &ip, &netif, &mac)) {
			ip4addr_ntoa_r(ip, address, sizeof(address));
			show_neighbour(address, netif, mac->addr, line);
		}
	for (unsigned i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
		const struct nd6_neighbor_cache_entry *n = &neighbor_cache[i];

		if (n->state == ND6_NO_ENTRY || n->state == ND6_INCOMPLETE)
			continue;
		ip6_text(&n->next_hop_address, address, sizeof(address));
		show_neighbour(address, n->netif, n->lladdr, line);
	}
}
