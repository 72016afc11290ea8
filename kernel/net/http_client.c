/* http_client.c: fetches what a URL stands for.
 *
 * Contract: http.h. Callers: the shell's command fetch, tests. Calls host_tcp.h. An answer is a status line and headers up to an empty
 * line, of which two are read here: the code, and the length of what follows.
 */
#include <amphi/host.h>
#include <amphi/host_tcp.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "http.h"

#define HOST_MAX    256u
#define TARGET_MAX  512u
#define HEADERS_MAX 4096u
#define PORT_HTTP   80u

struct http_fetch {
	const struct http_fetch_ops *ops;
	void *ctx;
	struct host_tcp *tcp;
	char host[HOST_MAX], path[TARGET_MAX];
	uint16_t port;
	char headers[HEADERS_MAX];
	size_t n_headers;
	bool in_body, length_known, ended;
	unsigned code;
	uint64_t length, got;
};

/* ---- the URL ------------------------------------------------------------------------------- */

/* [from, end) into out, with a NUL. */
static bool copy_part(char *out, size_t cap, const char *from, const char *end)
{
	size_t n = (size_t)(end - from);

	if (!n || n >= cap)
		return false;
	memcpy(out, from, n);
	out[n] = '\0';
	return true;
}

static bool read_port(const char *from, const char *end, uint16_t *out)
{
	char text[8];
	uint64_t n;

	if (!copy_part(text, sizeof(text), from, end) || !str_to_u64(text, &n) || !n || n > 65535)
		return false;
	*out = (uint16_t)n;
	return true;
}

/* Where the host ends; NULL: a bracket does not close. */
static const char *read_host(struct http_fetch *f, const char *p)
{
	const char *end;

	if (*p == '[') {
		end = strchr(p, ']');
		return end && copy_part(f->host, sizeof(f->host), p + 1, end) ? end + 1 : NULL;
	}
	for (end = p; *end && *end != ':' && *end != '/'; end++)
		;
	return copy_part(f->host, sizeof(f->host), p, end) ? end : NULL;
}

static bool read_url(struct http_fetch *f, const char *url)
{
	const char *p, *end;

	p = read_host(f, str_starts(url, "http://") ? url + 7 : url);
	if (!p)
		return false;
	f->port = PORT_HTTP;
	for (end = p; *end && *end != '/'; end++)
		;
	if (end != p && (*p != ':' || !read_port(p + 1, end, &f->port)))
		return false;
	return str_copy(f->path, sizeof(f->path), *end ? end : "/");
}

/* ---- the answer ---------------------------------------------------------------------------- */

static void end(struct http_fetch *f, int status)
{
	if (f->ended)
		return;
	f->ended = true;
	f->ops->ended(f->ctx, status, f->code);
}

/* Letters alike, large or small; the value behind "name:", or NULL. line is ended by NUL. */
static const char *value_of(const char *line, const char *name)
{
	for (; *name; line++, name++)
		if ((*line | 0x20) != *name)
			return NULL;
	if (*line++ != ':')
		return NULL;
	while (*line == ' ')
		line++;
	return line;
}

static bool read_status(struct http_fetch *f, char *line)
{
	char *space = strchr(line, ' ');
	uint64_t code;

	if (!str_starts(line, "HTTP/1.") || !space || strlen(space) < 4)
		return false;
	space[4] = '\0';
	if (!str_to_u64(space + 1, &code))
		return false;
	f->code = (unsigned)code;
	return true;
}

/* The headers are all there, ended by NUL. */
static bool read_headers(struct http_fetch *f)
{
	char *line = f->headers, *next;
	const char *value;

	for (bool first = true; line && *line; line = next, first = false) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (*line && line[strlen(line) - 1] == '\r')
			line[strlen(line) - 1] = '\0';
		if (first && !read_status(f, line))
			return false;
		value = value_of(line, "content-length");
		if (value)
			f->length_known = str_to_u64(value, &f->length);
	}
	return true;
}

/* Takes bytes up to the empty line; returns how many. */
static size_t take_headers(struct http_fetch *f, const char *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && !f->in_body && f->n_headers < HEADERS_MAX - 1) {
		char c = bytes[n++];

		f->headers[f->n_headers++] = c;
		f->in_body = c == '\n' && f->n_headers > 2 &&
			     (f->headers[f->n_headers - 2] == '\n' ||
			      (f->n_headers > 3 && f->headers[f->n_headers - 3] == '\n'));
	}
	f->headers[f->n_headers] = '\0';
	return n;
}

static void on_received(void *ctx, const void *bytes, size_t len)
{
	struct http_fetch *f = ctx;
	size_t n = 0;

	if (f->ended)
		return;
	if (!f->in_body) {
		n = take_headers(f, bytes, len);
		if (!f->in_body && n == len)
			return;
		if (!f->in_body || !read_headers(f)) {
			end(f, -XEN_EBADMSG);
			return;
		}
	}
	len -= n;
	if (f->length_known)
		len = (size_t)MIN(len, f->length - f->got);
	f->got += len;
	if (len)
		f->ops->body(f->ctx, (const char *)bytes + n, len);
	if (f->length_known && f->got == f->length)
		end(f, 0);
}

static void on_connected(void *ctx)
{
	struct http_fetch *f = ctx;
	char request[TARGET_MAX + HOST_MAX + 64];
	size_t n =
	    fmt_text(request, sizeof(request),
		     "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n", f->path, f->host);

	/* It fits into what a new connection may send, or there is no memory, and no answer will come. */
	if (host_tcp_send(f->tcp, request, n, false) != n)
		end(f, -XEN_ENOMEM);
}

static void on_writable(void *ctx) {}

static void on_ended(void *ctx, int status)
{
	struct http_fetch *f = ctx;

	if (!status && !f->in_body)
		status = -XEN_EBADMSG;
	else if (!status && f->length_known && f->got != f->length)
		status = -XEN_EIO;
	end(f, status);
}

int http_fetch_begin(const char *url, const struct http_fetch_ops *ops, void *ctx,
		     struct http_fetch **out)
{
	static const struct host_tcp_ops tcp_ops = {on_connected, on_received, on_writable,
						    on_ended};
	struct http_fetch *f = host_alloc(sizeof(*f));
	int error = f ? 0 : -XEN_ENOMEM;

	if (!error && !read_url(f, url))
		error = -XEN_EINVAL;
	if (!error) {
		f->ops = ops;
		f->ctx = ctx;
		error = host_tcp_connect(f->host, f->port, &tcp_ops, f, &f->tcp);
	}
	if (error)
		host_free(f, sizeof(*f));
	else
		*out = f;
	return error;
}

void http_fetch_free(struct http_fetch *fetch)
{
	host_tcp_close(fetch->tcp, true);
	host_free(fetch, sizeof(*fetch));
}
