/* stack.h: the stack's interfaces, for the files of kernel/net that list or change them.
 *
 * Between stack.c, which has them, show.c and addresses.c. Private to kernel/net. Worker context.
 */
#ifndef KERNEL_NET_STACK_PRIVATE_H
#define KERNEL_NET_STACK_PRIVATE_H

#include "link.h"

/* NULL begins, and ends. In the order in which they were taken. */
struct net_link *net_link_next(struct net_link *prev);
/* NULL: none of that device's name. */
struct net_link *net_link_find(const char *name);

/* Into out: the interface's name, addresses, gateway and servers, as report lines and `ip` show them. */
void net_link_text(const struct net_link *link, char *out, size_t cap);

/* Reads an address; one of a link itself (fe80::) may have "%IF" behind it, without which the first interface is meant. */
bool net_address_read(const char *text, ip_addr_t *out);

/* As people write it, without its interface. */
void net_address_text(const ip_addr_t *address, char *out, int cap);

/* routes.c: the lines of its routes; link is about to go, and with it those by it. */
void net_show_ways(void (*line)(const char *text));
void net_routes_lost(const struct net_link *link);

/* Looks, a little later, whether there is something new to report. */
void net_report_soon(void);

#endif
