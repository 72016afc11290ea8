/* fake_tcp.c: streams whose other end is the test; see fake_tcp.h. */
#include "fake_tcp.h"

#include <stdlib.h>
#include <string.h>

#define SENT_MAX (1u << 18)

struct host_tcp fake_streams[FAKE_STREAMS];
int fake_refuse;

int host_tcp_connect(const char *host, uint16_t port, const struct host_tcp_ops *ops, void *ctx,
		     struct host_tcp **out)
{
	struct host_tcp *tcp = fake_streams;

	(void)host, (void)port;
	if (fake_refuse)
		return fake_refuse;
	while (tcp->used)
		if (++tcp == fake_streams + FAKE_STREAMS)
			return -1;
	free(tcp->sent);
	*tcp = (struct host_tcp){
	    .ops = ops, .ctx = ctx, .used = true, .room = SENT_MAX, .sent = malloc(SENT_MAX)};
	*out = tcp;
	return 0;
}

size_t host_tcp_send(struct host_tcp *tcp, const void *bytes, size_t len, bool more)
{
	size_t n = MIN(MIN(len, tcp->room), SENT_MAX - tcp->n_sent);

	(void)more;
	if (!tcp->connected || tcp->ended)
		return 0;
	memcpy(tcp->sent + tcp->n_sent, bytes, n);
	tcp->n_sent += n;
	tcp->room -= n;
	return n;
}

void host_tcp_pause(struct host_tcp *tcp, bool on)
{
	(void)tcp, (void)on;
}

void host_tcp_close(struct host_tcp *tcp, bool abort)
{
	(void)abort;
	tcp->used = false;
}

void fake_tcp_reset(void)
{
	unsigned i;

	for (i = 0; i < FAKE_STREAMS; i++) {
		free(fake_streams[i].sent);
		fake_streams[i] = (struct host_tcp){0};
	}
	fake_refuse = 0;
}

struct host_tcp *fake_stream(unsigned i)
{
	return fake_streams[i].used ? &fake_streams[i] : NULL;
}

void fake_connect(struct host_tcp *tcp)
{
	tcp->connected = true;
	tcp->ops->connected(tcp->ctx);
}

/* A copy of its own size, so that a reader that goes too far is seen. */
void fake_give(struct host_tcp *tcp, const void *bytes, size_t len, size_t piece)
{
	const uint8_t *at = bytes;

	for (size_t n; len && tcp->used && !tcp->ended; at += n, len -= n) {
		uint8_t *copy;

		n = MIN(len, piece);
		copy = malloc(n);
		memcpy(copy, at, n);
		tcp->ops->received(tcp->ctx, copy, n);
		free(copy);
	}
}

void fake_end(struct host_tcp *tcp, int status)
{
	tcp->ended = true;
	tcp->ops->ended(tcp->ctx, status);
}

const uint8_t *fake_take(struct host_tcp *tcp, size_t len)
{
	if (tcp->n_sent - tcp->n_read < len)
		return NULL;
	tcp->n_read += len;
	return tcp->sent + tcp->n_read - len;
}
