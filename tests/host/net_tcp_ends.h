/* net_tcp_ends.h: both ends of a connection of the stack with itself, over a mirror (net_wire.h).
 *
 * Used by net_tcp_test and net_large_test. Each end sends a pattern as fast as it may, and looks whether the other's comes once and in order.
 */
#ifndef TESTS_NET_TCP_ENDS_H
#define TESTS_NET_TCP_ENDS_H

#include <amphi/host_net.h>
#include <amphi/host_tcp.h>

#include "net_wire.h"

#define CAN_ALL (NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_CSUM6)
#define CAN_CUT (CAN_ALL | NET_CAN_GSO4 | NET_CAN_GSO6)
#define SECOND  1000000000ull
#define PORT    7000
#define PIECE   5000u

/* One end: it sends `total` bytes of a pattern, and looks whether the other's come right. */
struct end {
	struct host_tcp *tcp;
	size_t total, sent, got;
	bool close_when_sent, connected, ended, wrong;
	bool close_in_connected, close_in_received, abort_in_received, pause_in_received;
	int status;
	unsigned writables;
};

extern struct net_wire wire;
extern struct end client, server;
extern bool refuse; /* whoever comes */
extern const struct host_tcp_ops end_ops;

/* A wire that can so much, an address, and a server on PORT; and all of it away, with what it took. */
void start(uint32_t can);
void stop(void);
/* The client's. */
void connect_to(const char *host, uint16_t port);
void shut(struct end *e, bool abort);
/* Until both have all, or the time is over. */
void run(unsigned seconds);
void assert_all_arrived(void);
bool on_accepted(void *ctx, struct host_tcp *tcp, const struct host_tcp_ops **out_ops,
		 void **out_ctx);

#endif
