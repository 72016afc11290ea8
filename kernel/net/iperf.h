/* iperf.h: measures TCP or UDP against iperf3 (the real program, or another domain's), as its client or its server.
 *
 * Callers: the shell's command iperf, tests. Implemented by iperf.c, iperf_udp.c and iperf_json.c. Worker context, callbacks too.
 * Errors: negative XEN_Exxx. The protocol is that of iperf3 (3.1 and later): a control connection, on which one byte is a state and
 * JSON behind its length are parameters and results, and connections for the data, each beginning with the control's cookie.
 */
#ifndef KERNEL_NET_IPERF_H
#define KERNEL_NET_IPERF_H

#include <amphi/types.h>

#define IPERF_PORT        5201u
#define IPERF_STREAMS_MAX 8u
/* Of UDP: bytes in a packet, bits in a second. */
#define IPERF_PACKET_MIN 16u
#define IPERF_PACKET_MAX 65507u
#define IPERF_RATE_MAX   1000000000000ull

struct iperf_params {
	bool reverse; /* the server sends */
	unsigned streams, seconds;
	/* UDP's: bits of data in a second of each stream (0: as many as go), and bytes in a packet. */
	bool udp;
	uint64_t rate_bit_s;
	unsigned packet_bytes;
	bool short_numbers; /* OUT: of the packets, an older client's */
};

/* Of UDP: as the receiver counts them, but packets at the sender, which are those that it sent. */
struct iperf_stream_result {
	uint64_t bytes, packets, lost, jitter_ns;
};

struct iperf_result {
	struct iperf_params params;
	bool sent;                            /* by us; else received */
	struct iperf_stream_result own, peer; /* of all streams together, jitter the mean */
	uint64_t ns;
};

struct iperf;
typedef void iperf_ended_fn(void *ctx, int status, const struct iperf_result *result);

/* ended is called once: with 0 and what was measured; -XEN_EBUSY: the server has another client; -XEN_EBADMSG: no iperf3; else what
 * host_tcp.h says. -XEN_EINVAL, -XEN_ENOMEM, -XEN_ENODEV, and for a server -XEN_EADDRINUSE: it is not called. */
int iperf_client(const char *host, uint16_t port, const struct iperf_params *params,
		 iperf_ended_fn *ended, void *ctx, struct iperf **out);
/* One test of the first client that comes; others are turned away. */
int iperf_server(uint16_t port, iperf_ended_fn *ended, void *ctx, struct iperf **out);
/* After ended, or before: then nothing is called any more. */
void iperf_free(struct iperf *iperf);

/* ---- iperf_json.c: words out of and into JSON, as much of it as iperf3 writes ---- */

/* The first number behind "key":, from *text on, which is moved behind it; false: there is none. Fractions are cut off. */
bool iperf_json_number(const char **text, const char *key, uint64_t *out);
/* Of a number of seconds, with a fraction or an exponent or without: ns. */
bool iperf_json_seconds(const char **text, const char *key, uint64_t *out_ns);
bool iperf_json_is_true(const char *text, const char *key);
/* Their lengths, as fmt_text gives them. results: of each stream. */
size_t iperf_json_params(char *out, size_t cap, const struct iperf_params *params);
size_t iperf_json_results(char *out, size_t cap, const struct iperf_stream_result *results,
			  unsigned streams, uint64_t ns);

#endif
