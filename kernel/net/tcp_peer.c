/* tcp_peer.c: who is at the other end of a TCP connection, and how near.
 *
 * Contract: host_tcp_peer of amphi/host_tcp.h. Caller: servers that do not serve everybody (the control console). Asks lwIP for
 * addresses and the ARP table; tcp_stream.c has the streams. An address is what the peer says; its hardware address is what
 * answers to it on our wire, and so what a bridge can be asked about. Worker context.
 */
#include <amphi/host_tcp.h>
#include <amphi/string.h>

#include <lwip/etharp.h>
#include <lwip/tcp.h>

#include "link.h"
#include "net_stack.h"
#include "tcp_stream.h"

static bool is_own(const ip_addr_t *address)
{
	struct netif *netif;

	if (ip_addr_isloopback(address))
		return true;
	NETIF_FOREACH(netif)
	{
		if (IP_IS_V4(address) && ip4_addr_cmp(ip_2_ip4(address), netif_ip4_addr(netif)))
			return true;
	}
	return false;
}

/* The interface in whose network the address is; one that is asked for by ARP, and not by a gateway. */
static bool is_neighbour(const ip_addr_t *address, uint8_t out_mac[6])
{
	const ip4_addr_t *found;
	struct eth_addr *mac;
	struct netif *netif;

	if (!IP_IS_V4(address))
		return false;
	NETIF_FOREACH(netif)
	{
		if (!ip4_addr_netcmp(ip_2_ip4(address), netif_ip4_addr(netif),
				     netif_ip4_netmask(netif)) ||
		    etharp_find_addr(netif, ip_2_ip4(address), &mac, &found) < 0)
			continue;
		memcpy(out_mac, mac->addr, 6);
		return true;
	}
	return false;
}

enum host_tcp_from host_tcp_peer(const struct host_tcp *tcp, char *text, size_t cap,
				 uint8_t out_mac[6])
{
	const struct tcp_pcb *pcb = tcp_stream_pcb(tcp);

	(void)str_copy(text, cap, pcb ? ipaddr_ntoa(&pcb->remote_ip) : "?");
	if (!pcb)
		return HOST_TCP_FAR;
	if (is_own(&pcb->remote_ip))
		return HOST_TCP_SELF;
	return is_neighbour(&pcb->remote_ip, out_mac) ? HOST_TCP_NEIGHBOUR : HOST_TCP_FAR;
}
