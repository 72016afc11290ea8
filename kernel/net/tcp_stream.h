/* tcp_stream.h: what is behind a stream of host_tcp.h, for the files of kernel/net that look at lwIP's side of it.
 *
 * Between tcp_stream.c and tcp_peer.c. Private to kernel/net. Worker context.
 */
#ifndef KERNEL_NET_TCP_STREAM_H
#define KERNEL_NET_TCP_STREAM_H

#include <amphi/host_tcp.h>

struct tcp_pcb;

/* NULL: not yet, or no more. */
const struct tcp_pcb *tcp_stream_pcb(const struct host_tcp *tcp);

#endif
