/* large.h: segments of TCP that are longer than the wire takes, for interfaces that cut them.
 *
 * Between large.c, which says how long and keeps lwIP's books right, and link.c (frames), tcp_stream.c (writes) and timers.c. Private
 * to kernel/net. Worker context.
 */
#ifndef KERNEL_NET_LARGE_H
#define KERNEL_NET_LARGE_H

#include <amphi/net_offload.h>

#include "kernel/net/port/lwipopts.h"
#include <lwip/tcp.h>

/* Before tcp_write on a connection that stands: segments made by it may be as long as the interface and the windows allow. */
void net_large_begin(struct tcp_pcb *pcb);
/* When bytes of pcb's were acknowledged: what is next may go, however long it is. */
void net_large_acked(struct tcp_pcb *pcb);
/* Before lwIP's timers of TCP. */
void net_large_timers(void);

/* How much data of a TCP frame with these headers goes into one packet on the wire; 0: all of it. */
uint16_t net_large_cut(const uint8_t *frame, const struct net_headers *h);

#endif
