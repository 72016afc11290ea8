/* hooks.h: the functions of ours that lwIP calls in its course.
 *
 * Included by lwIP's files (LWIP_HOOK_FILENAME of lwipopts.h). Implemented by kernel/net/port.c.
 */
#ifndef KERNEL_NET_HOOKS_H
#define KERNEL_NET_HOOKS_H

#include <lwip/ip_addr.h>

/* The number with which a connection's own bytes begin: not to be guessed by who does not see the connection (RFC 6528). */
u32_t net_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
		  u16_t remote_port);

#endif
