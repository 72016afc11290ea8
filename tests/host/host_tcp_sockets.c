/* host_tcp_sockets.c: host_tcp.h over sockets, for tests against real servers; see host_tcp_sockets.h.
 *
 * Only what a client needs; addresses are numbers. Streams are never blocked on: what a socket does not take is refused, and writable
 * is called when poll says that there is room.
 */
#include "host_tcp_sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <amphi/xen.h>

#define STREAMS 16

struct host_tcp {
	int fd; /* 0: not in use */
	bool connected, full;
	const struct host_tcp_ops *ops;
	void *ctx;
};
static struct host_tcp streams[STREAMS];

static int open_socket(uint16_t port, int flags)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

bool sockets_listens(unsigned port)
{
	int fd = open_socket((uint16_t)port, 0);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int host_tcp_connect(const char *host, uint16_t port, const struct host_tcp_ops *ops, void *ctx,
		     struct host_tcp **out)
{
	struct host_tcp *tcp = streams;
	int fd;

	(void)host;
	while (tcp->fd)
		if (++tcp == streams + STREAMS)
			return -XEN_ENOMEM;
	fd = open_socket(port, SOCK_NONBLOCK);
	if (fd < 0)
		return -XEN_ENOMEM;
	*tcp = (struct host_tcp){.fd = fd, .ops = ops, .ctx = ctx};
	*out = tcp;
	return 0;
}

size_t host_tcp_send(struct host_tcp *tcp, const void *bytes, size_t len, bool more)
{
	ssize_t n = send(tcp->fd, bytes, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));

	tcp->full |= n < (ssize_t)len;
	return n < 0 ? 0 : (size_t)n;
}

void host_tcp_pause(struct host_tcp *tcp, bool on)
{
	(void)tcp, (void)on;
}

void host_tcp_close(struct host_tcp *tcp, bool abort)
{
	(void)abort;
	close(tcp->fd);
	tcp->fd = 0;
}

static void on_writable(struct host_tcp *tcp)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (tcp->connected) {
		tcp->full = false;
		tcp->ops->writable(tcp->ctx);
		return;
	}
	(void)getsockopt(tcp->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		tcp->ops->ended(tcp->ctx, err == ECONNREFUSED ? -XEN_ECONNREFUSED : -XEN_EIO);
		return;
	}
	tcp->connected = true;
	tcp->ops->connected(tcp->ctx);
}

static void on_readable(struct host_tcp *tcp)
{
	static uint8_t bytes[65536];
	ssize_t n = recv(tcp->fd, bytes, sizeof(bytes), 0);

	if (n > 0)
		tcp->ops->received(tcp->ctx, bytes, (size_t)n);
	else if (n == 0 || errno != EAGAIN)
		tcp->ops->ended(tcp->ctx, n ? -XEN_EIO : 0);
}

void sockets_poll(int timeout_ms)
{
	struct pollfd fds[STREAMS];
	unsigned i;

	for (i = 0; i < STREAMS; i++)
		fds[i] = (struct pollfd){
		    .fd = streams[i].fd ? streams[i].fd : -1,
		    .events =
			(short)(POLLIN | (!streams[i].connected || streams[i].full ? POLLOUT : 0))};
	(void)poll(fds, STREAMS, timeout_ms);
	for (i = 0; i < STREAMS; i++) {
		if (streams[i].fd == fds[i].fd && (fds[i].revents & POLLOUT))
			on_writable(&streams[i]);
		if (streams[i].fd == fds[i].fd && (fds[i].revents & (POLLIN | POLLHUP | POLLERR)))
			on_readable(&streams[i]);
	}
}
