/* host_tcp.h: byte streams over TCP, as portable code asks for them.
 *
 * Callers: drivers-native/nbd*.c (a disk of an NBD server), kernel/net (httpd, nc, iperf, the control console).
 * Implemented by kernel/net/tcp_stream.c over lwIP, and for host tests over sockets (tests/host/host_tcp_sockets.c).
 * Worker context, and so are the callbacks, which are never made from within a call of these but host_tcp_close.
 * Errors: negative XEN_Exxx.
 */
#ifndef AMPHI_HOST_TCP_H
#define AMPHI_HOST_TCP_H

#include <amphi/types.h>

struct host_tcp;

struct host_tcp_ops {
	void (*connected)(void *ctx);
	/* Bytes came, all of which are taken by the return; only valid until then. */
	void (*received)(void *ctx, const void *bytes, size_t len);
	/* After host_tcp_send took less than it was given: there is room again. */
	void (*writable)(void *ctx);
	/* 0: the peer has sent its last byte; else why the stream broke: -XEN_ECONNREFUSED, -XEN_ETIMEDOUT, -XEN_EIO (reset),
	 * -XEN_ENOENT (no such name). No call of ops follows; the stream is still to be closed. */
	void (*ended)(void *ctx, int status);
};

/* Begins to connect; connected or ended tells what came of it. host: an IPv4 or IPv6 address or a name for DNS. -XEN_ENOMEM,
 * -XEN_EINVAL (host). */
int host_tcp_connect(const char *host, uint16_t port, const struct host_tcp_ops *ops, void *ctx,
		     struct host_tcp **out);

/* Copies as much as there is room for into the stream and returns how much; 0 before it is connected and after it ended.
 * more: another send follows at once, so what is there need not go yet. */
size_t host_tcp_send(struct host_tcp *tcp, const void *bytes, size_t len, bool more);

/* While on, received is not called, and the peer will have to stop. */
void host_tcp_pause(struct host_tcp *tcp, bool on);

/* No more will be sent: the peer sees the end behind what was. What it sends is received as before. */
void host_tcp_finish(struct host_tcp *tcp);

/* What was sent still goes, in order; nothing more is received, and no callback follows. abort: nor is what waits sent. */
void host_tcp_close(struct host_tcp *tcp, bool abort);

/* Calls accepted for each that connects to port; ops and the ctx that it returns through out_ctx are the stream's from then on.
 * False: not wanted, it is closed. -XEN_EADDRINUSE, -XEN_ENOMEM. */
typedef bool host_tcp_accept_fn(void *ctx, struct host_tcp *tcp,
				const struct host_tcp_ops **out_ops, void **out_ctx);
struct host_tcp_listener;

/* Who is at the other end, of a stream that was accepted: this domain itself; a neighbour (IPv4), whose hardware address is then in
 * out_mac; or anybody, maybe from far away. text: the address, of cap bytes with the NUL (64 are enough). */
enum host_tcp_from { HOST_TCP_SELF, HOST_TCP_NEIGHBOUR, HOST_TCP_FAR };
enum host_tcp_from host_tcp_peer(const struct host_tcp *tcp, char *text, size_t cap,
				 uint8_t out_mac[6]);
int host_tcp_listen(uint16_t port, host_tcp_accept_fn *accepted, void *ctx,
		    struct host_tcp_listener **out);
void host_tcp_unlisten(struct host_tcp_listener *listener);

#endif
