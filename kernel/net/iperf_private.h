/* iperf_private.h: one test of iperf's, between its files.
 *
 * Between iperf.c (the control connection, and TCP's streams) and iperf_udp.c. Private to them. Worker context.
 */
#ifndef KERNEL_NET_IPERF_PRIVATE_H
#define KERNEL_NET_IPERF_PRIVATE_H

#include <amphi/host.h>
#include <amphi/host_tcp.h>

#include "iperf.h"
#include "net_stack.h"

#include "kernel/net/port/lwipopts.h"
#include <lwip/udp.h>

#define IPERF_COOKIE_BYTES 37u /* 36 letters and a NUL */
#define IPERF_JSON_MAX     8192u
#define IPERF_DATA_PAGES   16u

/* UDP's side of a stream. */
struct iperf_udp {
	struct udp_pcb *pcb; /* a client's; of a server one serves all streams */
	ip_addr_t peer;
	uint16_t port;
	bool ready;
	uint64_t last; /* number of a packet that was sent, or received: the highest */
	int64_t transit_ns;
	uint64_t jitter_16; /* sixteenths of ns (RFC 1889, A.8) */
};

struct iperf_stream {
	struct iperf *iperf;
	struct host_tcp *tcp;
	unsigned cookie_got; /* a server's: of the first bytes */
	struct iperf_udp udp;
	struct iperf_stream_result result;
};

/* What the next bytes of the control connection are. */
enum iperf_want { WANT_COOKIE, WANT_STATE, WANT_LENGTH, WANT_JSON };

struct iperf {
	bool is_server, running, over;
	struct host_tcp_listener *listener;
	struct host_tcp *control;
	struct host_tcp *refused; /* one at a time is told why */
	uint16_t port;
	char name[256];
	char cookie[IPERF_COOKIE_BYTES];
	enum iperf_want want;
	uint32_t need, have; /* bytes of what is wanted */
	char in[IPERF_JSON_MAX];
	struct iperf_params params;
	struct iperf_stream streams[IPERF_STREAMS_MAX];
	unsigned n_streams, n_ready;
	uint64_t start_ns, ns;
	struct iperf_stream_result own, peer; /* of all streams */
	struct host_work timer;
	uint8_t *data;
	iperf_ended_fn *ended;
	void *ctx;
	/* UDP's */
	struct udp_pcb *udp;
	struct net_resolve resolve;
	struct host_work udp_work; /* the next question of a client, or the next packets */
	unsigned asked;            /* how often, of one stream */
};

/* ---- iperf.c ---- */

bool iperf_we_send(const struct iperf *f);
/* The next of the parameters' streams. */
struct iperf_stream *iperf_stream_new(struct iperf *f);
/* One more stream stands: a server's test begins with the last. */
void iperf_stream_ready(struct iperf *f);
void iperf_end(struct iperf *f, int status);

/* ---- iperf_udp.c ---- */

/* A server waits for all streams, a client opens them. -XEN_ENOMEM, -XEN_EADDRINUSE, and what net_resolve says. */
int iperf_udp_listen(struct iperf *f);
int iperf_udp_open(struct iperf *f);
/* The data: to be sent from now on, or not any more. */
void iperf_udp_run(struct iperf *f);
void iperf_udp_stop(struct iperf *f);
void iperf_udp_close(struct iperf *f);
/* udp_work's. */
void iperf_udp_work(void *ctx);

#endif
