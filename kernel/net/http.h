/* http.h: HTTP/1.0, as much as it takes to fetch a file and to serve one (RFC 9110, RFC 1945).
 *
 * Callers: the shell's commands fetch and httpd, tests. Implemented by http_client.c and http_server.c over amphi/host_tcp.h. Worker context,
 * callbacks too. Errors: negative XEN_Exxx. Not promised: anything but GET, one request a connection.
 */
#ifndef KERNEL_NET_HTTP_H
#define KERNEL_NET_HTTP_H

#include <amphi/types.h>

/* ---- fetching ------------------------------------------------------------------------------ */

struct http_fetch;

struct http_fetch_ops {
	/* Of the body, in order. */
	void (*body)(void *ctx, const void *bytes, size_t len);
	/* Once; nothing is called after it. 0: all of it has come; -XEN_ENOENT: no such name; -XEN_EBADMSG: no answer of HTTP; -XEN_EIO: less came than
	 * was announced; else host_tcp.h's. code: 200 and so on, 0: there was no answer. */
	void (*ended)(void *ctx, int status, unsigned code);
};

/* url: [http://]HOST[:PORT][/PATH]; an IPv6 address in brackets. -XEN_EINVAL, -XEN_ENOMEM, -XEN_ENODEV. */
int http_fetch_begin(const char *url, const struct http_fetch_ops *ops, void *ctx,
		     struct http_fetch **out);
/* After ended, or before: then nothing is called any more. */
void http_fetch_free(struct http_fetch *fetch);

/* ---- serving ------------------------------------------------------------------------------- */

#define HTTP_PIECE_BYTES 32768u

/* What a path stands for. The one who gives it fills it in; close is called once. */
struct http_content {
	uint64_t length;
	const char *type; /* "text/plain" */
	/* Reads len bytes from offset (both inside the length) into buf; http_content_done tells then or later that it has. */
	void (*read)(struct http_content *content, uint64_t offset, void *buf, uint32_t len);
	void (*close)(struct http_content *content); /* no read is under way; may be NULL */
	void *ctx;
};

/* 0, or -XEN_ENOENT: no such path; anything else is a fault of ours. */
typedef int http_open_fn(void *ctx, const char *path, struct http_content *out);

/* 0: buf has what was to be read into it. */
void http_content_done(struct http_content *content, int status);

struct http_server;
/* What host_tcp_listen says. */
int http_server_start(uint16_t port, http_open_fn *open, void *ctx, struct http_server **out);
/* Connections end where they are. */
void http_server_stop(struct http_server *server);
/* Requests answered so far, and bytes of bodies. */
void http_server_count(const struct http_server *server, uint64_t *out_requests,
		       uint64_t *out_bytes);

#endif
