/* addresses.c: addresses, the gateway and servers of names, changed by hand.
 *
 * Contract: net_stack.h. Caller: the shell's command ip. Calls lwIP; what an interface begins with is stack.c's.
 */
#include <amphi/string.h>

#include <lwip/dhcp.h>
#include <lwip/dns.h>

#include "net_stack.h"
#include "stack.h"

bool net_address_read(const char *text, ip_addr_t *out)
{
	char word[NET_ADDR_CHARS];
	struct net_link *link;
	char *percent;

	if (!str_copy(word, sizeof(word), text))
		return false;
	percent = strchr(word, '%');
	if (percent)
		*percent++ = '\0';
	link = percent ? net_link_find(percent) : net_link_next(NULL);
	if (!ipaddr_aton(word, out) || (percent && !link))
		return false;
	if (IP_IS_V6(out) && ip6_addr_islinklocal(ip_2_ip6(out)) && link)
		ip6_addr_assign_zone(ip_2_ip6(out), IP6_UNICAST, &link->netif);
	return true;
}

/* The IPv6 address before a "/64", or all of text. */
static bool read_ip6(const char *text, ip6_addr_t *out)
{
	char word[NET_ADDR_CHARS];
	char *slash;

	if (!str_copy(word, sizeof(word), text))
		return false;
	slash = strchr(word, '/');
	if (slash && strcmp(slash, "/64"))
		return false;
	if (slash)
		*slash = '\0';
	return ip6addr_aton(word, out);
}

static int add_ip6(struct net_link *link, const ip6_addr_t *address)
{
	s8_t at = -1;

	if (netif_add_ip6_address(&link->netif, address, &at) != ERR_OK || at < 0)
		return -XEN_ENOSPC;
	netif_ip6_addr_set_state(&link->netif, at, IP6_ADDR_TENTATIVE);
	return 0;
}

/* An interface has one IPv4 address: another one takes its place. */
static int add_ip4(struct net_link *link, const struct net_stack_config *c)
{
	ip4_addr_t address = {c->address}, mask = {c->mask}, gateway = {c->gateway};

	dhcp_stop(&link->netif);
	netif_set_addr(&link->netif, &address, &mask, &gateway);
	return 0;
}

/* What is said of an interface: its link and the address, of which one kind is in *ip6 or *c. */
static int read_address(const char *dev, const char *address, struct net_link **link,
			ip6_addr_t *ip6, struct net_stack_config *c)
{
	*link = net_link_find(dev);
	if (!*link)
		return -XEN_ENODEV;
	if (strchr(address, ':'))
		return read_ip6(address, ip6) ? 0 : -XEN_EINVAL;
	return net_stack_parse(address, c) || c->mode != NET_STACK_STATIC ? -XEN_EINVAL : 0;
}

int net_address_add(const char *dev, const char *address)
{
	struct net_stack_config c;
	struct net_link *link;
	ip6_addr_t ip6;
	int error = read_address(dev, address, &link, &ip6, &c);

	if (error)
		return error;
	if (strchr(address, ':'))
		return add_ip6(link, &ip6);
	return add_ip4(link, &c);
}

static int del_ip6(struct net_link *link, const ip6_addr_t *address)
{
	s8_t at = netif_get_ip6_addr_match(&link->netif, address);

	if (at < 0)
		return -XEN_EADDRNOTAVAIL;
	netif_ip6_addr_set_state(&link->netif, at, IP6_ADDR_INVALID);
	return 0;
}

int net_address_del(const char *dev, const char *address)
{
	struct net_stack_config c;
	struct net_link *link;
	ip6_addr_t ip6;
	int error = read_address(dev, address, &link, &ip6, &c);

	if (error)
		return error;
	if (strchr(address, ':'))
		return del_ip6(link, &ip6);
	if (c.address != netif_ip4_addr(&link->netif)->addr)
		return -XEN_EADDRNOTAVAIL;
	dhcp_stop(&link->netif);
	netif_set_addr(&link->netif, NULL, NULL, NULL);
	return 0;
}

static struct net_link *with_network_of(const ip4_addr_t *address)
{
	struct net_link *link = NULL;

	while ((link = net_link_next(link)))
		if (!ip4_addr_isany_val(*netif_ip4_addr(&link->netif)) &&
		    ip4_addr_netcmp(address, netif_ip4_addr(&link->netif),
				    netif_ip4_netmask(&link->netif)))
			return link;
	return NULL;
}

int net_gateway_set(const char *gateway, const char *dev)
{
	struct net_link *link;
	ip4_addr_t address;

	if (!ip4addr_aton(gateway, &address))
		return -XEN_EINVAL;
	link = dev ? net_link_find(dev) : with_network_of(&address);
	if (!link)
		return dev ? -XEN_ENODEV : -XEN_EADDRNOTAVAIL;
	netif_set_gw(&link->netif, &address);
	netif_set_default(&link->netif);
	net_report_soon();
	return 0;
}

void net_gateway_clear(void)
{
	if (netif_default)
		netif_set_gw(netif_default, NULL);
	net_report_soon();
}

/* It is asked first; those that were there are asked when it does not answer. */
int net_dns_add(const char *address)
{
	ip_addr_t server, moved;

	if (!ipaddr_aton(address, &server))
		return -XEN_EINVAL;
	for (u8_t i = 0; i < DNS_MAX_SERVERS; i++) {
		moved = *dns_getserver(i);
		dns_setserver(i, &server);
		server = moved;
	}
	net_report_soon();
	return 0;
}
