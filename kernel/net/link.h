/* link.h: a network interface as lwIP has it, over the one a driver has.
 *
 * Between link.c (frames), stack.c (who is taken, addresses), show.c and timers.c. Private to kernel/net. Worker context.
 */
#ifndef KERNEL_NET_LINK_H
#define KERNEL_NET_LINK_H

#include <amphi/host.h>
#include <amphi/net.h>

#include "kernel/net/port/lwipopts.h"
#include <lwip/netif.h>

struct net_link {
	struct netif netif; /* its state points here */
	struct net_device *dev;
	struct net_link *next;
	unsigned held; /* frames of the driver's that lwIP still reads */
	bool in_batch; /* the end of the batch will kick */
	struct host_work kick;
	/* Of those received, for the one answer that may be shown: what was reported last. */
	char reported[160];
};

/* Attaches to dev and makes it an interface that is up, without an address. -XEN_EBUSY, -XEN_ENOMEM. */
int net_link_open(struct net_device *dev, struct net_link **out);
/* Before lwIP takes in what it sent to itself by link's addresses: sums that were left to the device are in none of it. */
void net_link_loops(struct net_link *link);
/* Takes it away: connections with its addresses end, every frame is put, dev is free for another. */
void net_link_close(struct net_link *link);

/* Whether what is sent by netif goes to a driver that can all of that (NET_CAN_*); lwIP's own loop has none. */
bool net_link_can(const struct netif *netif, uint32_t can);

/* Has drivers look for frames that they could put, if there are any: a driver may leave that until the next frame, but lwIP sends nothing
 * again as long as the driver still has it. */
void net_links_kick(void);

/* stack.c's: dev is about to be gone; it closes the link. */
void net_stack_lost(struct net_link *link);
/* stack.c: a carrier has come or gone. */
void net_stack_carriers(void);

/* After anything that may have given lwIP something to send to itself. */
void net_loop_soon(void);

#endif
