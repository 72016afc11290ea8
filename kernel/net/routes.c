/* routes.c: ways to networks that are behind some machine other than the gateway, said by hand.
 *
 * Contract: net_stack.h. Callers: the shell's command ip, show.c, stack.c; and lwIP, which asks (port/hooks.h) for an interface and for the next
 * machine. lwIP itself knows the networks of the interfaces, which it reaches without asking, and one gateway of IPv4 and the routers
 * of IPv6 that tell of themselves, which it takes when nothing here fits.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include <lwip/ip.h>
#include <lwip/nd6.h>

#include "kernel/net/port/hooks.h"
#include "net_stack.h"
#include "stack.h"

#define ROUTES_MAX 16u

/* To the addresses whose first bits are those of network: by gateway, or, without one, to each directly. */
struct route {
	struct net_link *link; /* NULL: free */
	ip_addr_t network, gateway;
	unsigned bits;
	bool direct;
};

static struct route routes[ROUTES_MAX];

/* ---- looking ------------------------------------------------------------------------------ */

static const uint8_t *bytes_of(const ip_addr_t *a)
{
	return IP_IS_V6(a) ? (const uint8_t *)ip_2_ip6(a)->addr
			   : (const uint8_t *)&ip_2_ip4(a)->addr;
}

static bool is_in(const uint8_t *address, const uint8_t *network, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return !memcmp(address, network, whole) &&
	       (!rest || !((address[whole] ^ network[whole]) >> (8 - rest)));
}

/* The longest of those that fit and whose interface is up; netif NULL: whichever it is. */
static const struct route *find(bool is_v6, const uint8_t *address, const struct netif *netif)
{
	const struct route *best = NULL, *r;

	for (r = routes; r < routes + ROUTES_MAX; r++)
		if (r->link && IP_IS_V6(&r->network) == is_v6 &&
		    (netif ? &r->link->netif == netif : netif_is_link_up(&r->link->netif)) &&
		    (!best || r->bits > best->bits) &&
		    is_in(address, bytes_of(&r->network), r->bits))
			best = r;
	return best;
}

/* ---- what lwIP asks ------------------------------------------------------------------------- */

struct netif *net_route4(const ip4_addr_t *to)
{
	const struct route *r = find(false, (const uint8_t *)&to->addr, NULL);

	return r ? &r->link->netif : NULL;
}

const ip4_addr_t *net_gateway4(const struct netif *netif, const ip4_addr_t *to)
{
	const struct route *r = find(false, (const uint8_t *)&to->addr, netif);

	return !r ? NULL : r->direct ? to : ip_2_ip4(&r->gateway);
}

/* lwIP asks for IPv6 before it looks at the networks of its interfaces. */
static bool has_own_network(const ip6_addr_t *to)
{
	const struct netif *netif;

	NETIF_FOREACH(netif)
	{
		for (unsigned i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
			if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) &&
			    ip6_addr_netcmp_zoneless(to, netif_ip6_addr(netif, i)))
				return true;
	}
	return false;
}

struct netif *net_route6(const ip6_addr_t *to)
{
	const struct route *r = find(true, (const uint8_t *)to->addr, NULL);

	return r && !has_own_network(to) ? &r->link->netif : NULL;
}

const ip6_addr_t *net_gateway6(const struct netif *netif, const ip6_addr_t *to)
{
	const struct route *r = find(true, (const uint8_t *)to->addr, netif);

	return !r ? NULL : r->direct ? to : ip_2_ip6(&r->gateway);
}

/* ---- changing ------------------------------------------------------------------------------- */

/* ADDRESS/BITS with zeros behind the bits. */
static bool read_network(const char *text, struct route *out)
{
	char word[NET_ADDR_CHARS], *slash;
	const uint8_t *b;
	uint64_t bits;
	unsigned all;

	if (!str_copy(word, sizeof(word), text) || !(slash = strchr(word, '/')))
		return false;
	*slash = '\0';
	if (!ipaddr_aton(word, &out->network) || !str_to_u64(slash + 1, &bits))
		return false;
	all = IP_IS_V6(&out->network) ? 128 : 32;
	b = bytes_of(&out->network);
	if (bits > all)
		return false;
	out->bits = (unsigned)bits;
	for (unsigned i = out->bits; i < all; i++)
		if (b[i / 8] & 0x80 >> i % 8)
			return false;
	return true;
}

static struct net_link *link_with(const ip_addr_t *address)
{
	struct net_link *link = NULL;
	const struct netif *netif;

	if (IP_IS_V6(address)) /* of the link itself, or by the network of an address of ours */
		netif = ip6_route(IP6_ADDR_ANY6, ip_2_ip6(address));
	else
		netif = ip4_route(ip_2_ip4(address));
	while ((link = net_link_next(link)) && &link->netif != netif)
		;
	return link;
}

/* Another way to the gateway than directly is none. */
static bool is_near(const struct net_link *link, const ip_addr_t *gateway)
{
	const struct netif *netif = &link->netif;

	if (IP_IS_V6(gateway))
		return ip6_addr_islinklocal(ip_2_ip6(gateway)) ||
		       has_own_network(ip_2_ip6(gateway));
	return !ip4_addr_isany_val(*netif_ip4_addr(netif)) &&
	       ip4_addr_netcmp(ip_2_ip4(gateway), netif_ip4_addr(netif), netif_ip4_netmask(netif));
}

static struct route *same(const struct route *wanted)
{
	for (struct route *r = routes; r < routes + ROUTES_MAX; r++)
		if (r->link && r->bits == wanted->bits &&
		    ip_addr_cmp(&r->network, &wanted->network))
			return r;
	return NULL;
}

static int read_way(const char *gateway, const char *dev, struct route *out)
{
	out->direct = !gateway;
	if (gateway && (!net_address_read(gateway, &out->gateway) ||
			IP_IS_V6(&out->gateway) != IP_IS_V6(&out->network)))
		return -XEN_EINVAL;
	if (!gateway && !dev)
		return -XEN_EINVAL;
	out->link = dev ? net_link_find(dev) : link_with(&out->gateway);
	if (!out->link)
		return dev ? -XEN_ENODEV : -XEN_EADDRNOTAVAIL;
	if (!gateway)
		return 0;
	if (IP_IS_V6(&out->gateway) && ip6_addr_islinklocal(ip_2_ip6(&out->gateway)))
		ip6_addr_assign_zone(ip_2_ip6(&out->gateway), IP6_UNICAST, &out->link->netif);
	return is_near(out->link, &out->gateway) ? 0 : -XEN_EADDRNOTAVAIL;
}

int net_route_add(const char *network, const char *gateway, const char *dev)
{
	struct route wanted = {0}, *r = routes;
	int error = read_network(network, &wanted) ? read_way(gateway, dev, &wanted) : -XEN_EINVAL;

	if (error)
		return error;
	if (same(&wanted))
		return -XEN_EEXIST;
	while (r < routes + ROUTES_MAX && r->link)
		r++;
	if (r == routes + ROUTES_MAX)
		return -XEN_ENOSPC;
	*r = wanted;
	nd6_clear_destination_cache(); /* where it was sent until now */
	return 0;
}

int net_route_del(const char *network)
{
	struct route wanted = {0}, *r;

	if (!read_network(network, &wanted))
		return -XEN_EINVAL;
	r = same(&wanted);
	if (!r)
		return -XEN_ENOENT;
	r->link = NULL;
	nd6_clear_destination_cache();
	return 0;
}

void net_routes_lost(const struct net_link *link)
{
	for (struct route *r = routes; r < routes + ROUTES_MAX; r++)
		if (r->link == link)
			r->link = NULL;
}

/* ---- showing -------------------------------------------------------------------------------- */

void net_show_ways(void (*line)(const char *text))
{
	char text[2 * NET_ADDR_CHARS + 40], address[NET_ADDR_CHARS];
	size_t n;

	for (const struct route *r = routes; r < routes + ROUTES_MAX; r++) {
		if (!r->link)
			continue;
		net_address_text(&r->network, address, sizeof(address));
		n = fmt_text(text, sizeof(text), "%s/%u", address, r->bits);
		net_address_text(&r->gateway, address, sizeof(address));
		if (!r->direct)
			n += fmt_text(text + n, sizeof(text) - n, " via %s", address);
		(void)fmt_text(text + n, sizeof(text) - n, " dev %s", r->link->dev->name);
		line(text);
	}
}
