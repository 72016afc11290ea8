/* http_server.c: answers requests for files of any length, a piece at a time.
 *
 * Contract: http.h. Callers: the shell's command httpd, tests. Calls host_tcp.h. What a path stands for is its owner's to say. One request a connection;
 * who asks for more connections than there may be is sent away.
 *
 *   reading the request ----> sending ----> closed
 *                              | ^
 *                        read  v |  done
 *                            content
 */
#include <amphi/host.h>
#include <amphi/host_tcp.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "http.h"

#define REQUEST_MAX     1024u
#define CONNECTIONS_MAX 16u
#define PIECE_PAGES     (HTTP_PIECE_BYTES / PAGE_SIZE)

struct connection {
	struct http_server *server;
	struct connection *next;
	struct host_tcp *tcp;
	char request[REQUEST_MAX]; /* afterwards the answer's head */
	size_t n_request, n_head, head_sent;
	bool answering;
	bool opened;  /* content is to be closed */
	bool reading; /* content has buf */
	bool over;
	struct http_content content;
	uint64_t offset; /* of the piece after buf's */
	uint8_t *buf;
	uint32_t in_buf, buf_sent;
};

struct http_server {
	struct host_tcp_listener *listener;
	http_open_fn *open;
	void *ctx;
	struct connection *connections;
	unsigned n_connections;
	uint64_t requests, bytes;
	bool stopped;
};

/* ---- the end --------------------------------------------------------------------------------- */

static void free_server(struct http_server *server)
{
	if (server->stopped && !server->connections)
		host_free(server, sizeof(*server));
}

/* With a read under way the rest waits for its done. */
static void finish(struct connection *c)
{
	struct http_server *server = c->server;
	struct connection **at = &server->connections;

	if (c->reading)
		return;
	if (c->opened && c->content.close)
		c->content.close(&c->content);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	server->n_connections--;
	host_pages_free(c->buf, PIECE_PAGES);
	host_free(c, sizeof(*c));
	free_server(server);
}

static void over(struct connection *c, bool abort)
{
	if (c->over)
		return;
	c->over = true;
	host_tcp_close(c->tcp, abort);
	finish(c);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void send_more(struct connection *c);

void http_content_done(struct http_content *content, int status)
{
	struct connection *c = container_of(content, struct connection, content);

	c->reading = false;
	if (c->over)
		finish(c);
	else if (status)
		over(c, true); /* the length was promised: what is missing must show */
	else
		send_more(c);
}

static void read_piece(struct connection *c)
{
	uint64_t left = c->content.length - c->offset;
	uint64_t at = c->offset;

	c->in_buf = (uint32_t)MIN(left, HTTP_PIECE_BYTES);
	c->buf_sent = 0;
	c->offset += c->in_buf;
	c->reading = true;
	c->content.read(&c->content, at, c->buf, c->in_buf);
}

/* Until the stream is full (writable comes), a read has to be waited for (http_content_done comes), or all is sent. */
static void send_more(struct connection *c)
{
	size_t n;

	if (c->head_sent < c->n_head) {
		c->head_sent += host_tcp_send(c->tcp, c->request + c->head_sent,
					      c->n_head - c->head_sent, c->content.length);
		if (c->head_sent < c->n_head)
			return;
	}
	if (c->buf_sent < c->in_buf) {
		n = host_tcp_send(c->tcp, c->buf + c->buf_sent, c->in_buf - c->buf_sent,
				  c->offset < c->content.length);
		c->buf_sent += (uint32_t)n;
		c->server->bytes += n;
		if (c->buf_sent < c->in_buf)
			return;
	}
	if (c->offset < c->content.length)
		read_piece(c);
	else
		over(c, false);
}

/* The path of "GET PATH ...", cut out of the request; NULL: it is none. */
static char *path_of(char *request)
{
	char *end;

	if (!str_starts(request, "GET /"))
		return NULL;
	end = strchr(request + 4, ' ');
	if (!end)
		return NULL;
	*end = '\0';
	return request + 4;
}

static void answer(struct connection *c)
{
	char *path = path_of(c->request);
	const char *line = "200 OK";
	int error = path ? c->server->open(c->server->ctx, path, &c->content) : -XEN_EINVAL;

	c->server->requests++;
	c->answering = true;
	c->opened = !error;
	if (error) {
		c->content = (struct http_content){.type = "text/plain"};
		line = !path                  ? "400 Bad Request"
		       : error == -XEN_ENOENT ? "404 Not Found"
					      : "500 Error";
	}
	c->n_head = fmt_text(c->request, sizeof(c->request),
			     "HTTP/1.0 %s\r\nContent-Type: %s\r\nContent-Length: %llu\r\n"
			     "Connection: close\r\n\r\n",
			     line, c->content.type, (unsigned long long)c->content.length);
	send_more(c);
}

/* ---- the request ------------------------------------------------------------------------------- */

static bool is_whole(const struct connection *c)
{
	const char *r = c->request;
	size_t n = c->n_request;

	return n >= 4 && r[n - 1] == '\n' &&
	       (r[n - 2] == '\n' || (r[n - 2] == '\r' && r[n - 3] == '\n'));
}

/* What comes behind the request is nothing that this server knows. */
static void on_received(void *ctx, const void *bytes, size_t len)
{
	struct connection *c = ctx;
	const char *b = bytes;

	for (size_t i = 0; i < len && !c->answering; i++) {
		if (c->n_request == REQUEST_MAX - 1) {
			over(c, true);
			return;
		}
		c->request[c->n_request++] = b[i];
		if (!is_whole(c))
			continue;
		c->request[c->n_request] = '\0';
		answer(c);
		return;
	}
}

static void on_writable(void *ctx)
{
	struct connection *c = ctx;

	if (c->answering && !c->reading)
		send_more(c);
}

/* A stream ends with its peer's last byte (host_tcp.h): who closes before the answer has come gets none. */
static void on_ended(void *ctx, int status)
{
	over(ctx, true);
}

static void on_connected(void *ctx) {}

static bool accept(void *ctx, struct host_tcp *tcp, const struct host_tcp_ops **out_ops,
		   void **out_ctx)
{
	static const struct host_tcp_ops ops = {on_connected, on_received, on_writable, on_ended};
	struct http_server *server = ctx;
	struct connection *c = NULL;

	if (server->n_connections < CONNECTIONS_MAX)
		c = host_alloc(sizeof(*c));
	if (!c)
		return false;
	c->buf = host_pages_alloc(PIECE_PAGES);
	if (!c->buf) {
		host_free(c, sizeof(*c));
		return false;
	}
	c->server = server;
	c->tcp = tcp;
	c->next = server->connections;
	server->connections = c;
	server->n_connections++;
	*out_ops = &ops;
	*out_ctx = c;
	return true;
}

int http_server_start(uint16_t port, http_open_fn *open, void *ctx, struct http_server **out)
{
	struct http_server *server = host_alloc(sizeof(*server));
	int error = server ? host_tcp_listen(port, accept, server, &server->listener) : -XEN_ENOMEM;

	if (error) {
		host_free(server, sizeof(*server));
		return error;
	}
	server->open = open;
	server->ctx = ctx;
	*out = server;
	return 0;
}

/* Connections that wait for a read go when it is done, and the last takes the server's memory along. */
void http_server_stop(struct http_server *server)
{
	struct connection *c, *next;

	host_tcp_unlisten(server->listener);
	for (c = server->connections; c; c = next) {
		next = c->next;
		over(c, true);
	}
	server->stopped = true;
	free_server(server);
}

void http_server_count(const struct http_server *server, uint64_t *out_requests,
		       uint64_t *out_bytes)
{
	*out_requests = server->requests;
	*out_bytes = server->bytes;
}
