/* hooks.h: the functions of ours that lwIP calls in its course.
 *
 * Included by lwIP's files (LWIP_HOOK_FILENAME of lwipopts.h, and lwip_ip4.c and lwip_ip6.c of ours). Implemented by kernel/net/port.c, large.c and routes.c.
 */
#ifndef KERNEL_NET_HOOKS_H
#define KERNEL_NET_HOOKS_H

#include <lwip/err.h>
#include <lwip/ip_addr.h>
#include <lwip/ip6_addr.h>

struct netif;
struct pbuf;
struct tcp_pcb;

/* The number with which a connection's own bytes begin: not to be guessed by who does not see the connection (RFC 6528). */
u32_t net_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
		  u16_t remote_port);

/* A packet for pcb is about to be looked at. Always ERR_OK: it is wanted. */
err_t net_tcp_inpacket(struct tcp_pcb *pcb);

/* In the place of lwIP's ip4_frag and ip6_frag: what is longer than the interface's MTU, and what is TCP is not made fragments of. */
err_t net_ip4_frag(struct pbuf *p, struct netif *netif, const ip4_addr_t *dest);
err_t net_ip6_frag(struct pbuf *p, struct netif *netif, const ip6_addr_t *dest);

/* The interface for an address that is in no network of ours, and the next machine on the way by it. NULL: no route was given for it. */
struct netif *net_route4(const ip4_addr_t *to);
const ip4_addr_t *net_gateway4(const struct netif *netif, const ip4_addr_t *to);
struct netif *net_route6(const ip6_addr_t *to);
const ip6_addr_t *net_gateway6(const struct netif *netif, const ip6_addr_t *to);

#endif
