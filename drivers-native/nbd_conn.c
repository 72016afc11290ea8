/* nbd_conn.c: a connection to an NBD server, from the first byte to the first request.
 *
 * Called by nbd.c (nbd_connect) and by the stream (host_tcp.h); calls nbd_io.c once it is ready, and nbd.c when it is or is over.
 * The handshake is the protocol's "fixed newstyle": we ask for structured replies, and then for the export by GO; a server that
 * does not know GO is asked by EXPORT_NAME, the older way.
 *
 *   server: NBDMAGIC IHAVEOPT flags  ->  ours: flags, STRUCTURED_REPLY ?
 *           ACK or an error          ->        GO export
 *           INFO ... ACK             ->        requests
 *           an error: unsupported    ->        EXPORT_NAME export; size and flags, and no word of errors
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "nbd_private.h"

#define MAGIC        0x4e42444d41474943ull /* "NBDMAGIC" */
#define OPTION_MAGIC 0x49484156454f5054ull /* "IHAVEOPT" */
#define REPLY_MAGIC  0x0003e889045565a9ull

enum { SERVER_FIXED = 1, SERVER_NO_ZEROES = 2 }; /* flags of both sides */
enum { OPT_EXPORT_NAME = 1, OPT_GO = 7, OPT_STRUCTURED_REPLY = 8 };
enum { REP_ACK = 1, REP_INFO = 3 };
#define REP_ERROR     0x80000000u
#define REP_ERR_UNSUP 0x80000001u
enum { INFO_EXPORT = 0, INFO_BLOCK_SIZE = 3 };

#define OPTION_HEAD 16u
#define REPLY_HEAD  20u
#define INFO_MAX                                                                                   \
	4096u /* of one reply of the handshake; the text in an error is no longer by the protocol */
#define OLD_ZEROES 124u

void nbd_expect(struct nbd_conn *c, uint32_t want, nbd_take_fn *take)
{
	c->want = want;
	c->have = 0;
	c->take = take;
}

/* The handshake's words are few and short: a stream that has just begun has room for each. */
static int send_all(struct nbd_conn *c, const void *bytes, size_t len)
{
	return host_tcp_send(c->tcp, bytes, len, false) == len ? 0 : -XEN_EIO;
}

static int send_option(struct nbd_conn *c, uint32_t option, const void *data, uint32_t len)
{
	uint8_t head[OPTION_HEAD + NBD_EXPORT_MAX + 16];

	nbd_put(head, 8, OPTION_MAGIC);
	nbd_put(head + 8, 4, option);
	nbd_put(head + 12, 4, len);
	memcpy(head + OPTION_HEAD, data, len);
	c->option = option;
	return send_all(c, head, OPTION_HEAD + len);
}

/* ---- the export ------------------------------------------------------------------------------ */

/* Ready for requests; 0 or, when the server tells of another disk, why not. */
static int take_export(struct nbd_conn *c, const uint8_t *size_and_flags)
{
	if (!nbd_learn(c->disk, nbd_get(size_and_flags, 8),
		       (unsigned)nbd_get(size_and_flags + 8, 2)))
		return -XEN_EINVAL;
	return 0;
}

static int take_old_export(struct nbd_conn *c)
{
	int err = take_export(c, c->small);

	if (err)
		return err;
	c->skip = c->no_zeroes ? 0 : OLD_ZEROES;
	nbd_begin(c);
	return 0;
}

static int ask_by_name(struct nbd_conn *c)
{
	const char *name = c->disk->export;
	int err = send_option(c, OPT_EXPORT_NAME, name, (uint32_t)strlen(name));

	nbd_expect(c, 10, take_old_export);
	return err;
}

static int take_reply(struct nbd_conn *c);

/* GO: the name, and which pieces of information we want. */
static int ask_go(struct nbd_conn *c)
{
	uint8_t data[NBD_EXPORT_MAX + 16];
	uint32_t len = (uint32_t)strlen(c->disk->export);

	nbd_put(data, 4, len);
	memcpy(data + 4, c->disk->export, len);
	nbd_put(data + 4 + len, 2, 1);
	nbd_put(data + 6 + len, 2, INFO_BLOCK_SIZE);
	nbd_expect(c, REPLY_HEAD, take_reply);
	return send_option(c, OPT_GO, data, len + 8);
}

/* ---- replies to options ------------------------------------------------------------------------ */

static int take_info(struct nbd_conn *c)
{
	unsigned info = c->want >= 2 ? (unsigned)nbd_get(c->small, 2) : ~0u;
	uint32_t len = c->want;
	int err = 0;

	if (info == INFO_EXPORT)
		err = len < 12 ? -XEN_EINVAL : take_export(c, c->small + 2);
	else if (info == INFO_BLOCK_SIZE && len >= 14)
		nbd_limits(c->disk, (uint32_t)nbd_get(c->small + 2, 4),
			   (uint32_t)nbd_get(c->small + 10, 4));
	nbd_expect(c, REPLY_HEAD, take_reply);
	return err;
}

/* An error's text is not shown: it is the server's, and nobody has checked what is in it. */
static int take_refusal(struct nbd_conn *c, uint32_t type)
{
	if (c->option == OPT_STRUCTURED_REPLY)
		return ask_go(c); /* then replies are simple ones */
	return type == REP_ERR_UNSUP ? ask_by_name(c) : -XEN_ENOENT;
}

static int take_ack(struct nbd_conn *c)
{
	if (c->option == OPT_STRUCTURED_REPLY) {
		c->structured = true;
		return ask_go(c);
	}
	if (!c->disk->known)
		return -XEN_EINVAL; /* GO without a word of the export */
	nbd_begin(c);
	return 0;
}

static int take_reply(struct nbd_conn *c)
{
	uint32_t type = (uint32_t)nbd_get(c->small + 12, 4);
	uint32_t len = (uint32_t)nbd_get(c->small + 16, 4);

	if (nbd_get(c->small, 8) != REPLY_MAGIC || nbd_get(c->small + 8, 4) != c->option ||
	    len > INFO_MAX)
		return -XEN_EINVAL;
	if (type == REP_INFO && len <= NBD_SMALL) {
		nbd_expect(c, len, take_info);
		return 0;
	}
	c->skip = len;
	nbd_expect(c, REPLY_HEAD, take_reply);
	if (type & REP_ERROR)
		return take_refusal(c, type);
	return type == REP_ACK ? take_ack(c) : 0;
}

static int take_greeting(struct nbd_conn *c)
{
	unsigned flags = (unsigned)nbd_get(c->small + 16, 2);
	uint8_t ours[4];
	int err;

	if (nbd_get(c->small, 8) != MAGIC || nbd_get(c->small + 8, 8) != OPTION_MAGIC ||
	    !(flags & SERVER_FIXED))
		return -XEN_EINVAL; /* oldstyle, or no NBD at all */
	nbd_put(ours, 4, flags & (SERVER_FIXED | SERVER_NO_ZEROES));
	c->no_zeroes = flags & SERVER_NO_ZEROES;
	err = send_all(c, ours, sizeof(ours));
	nbd_expect(c, REPLY_HEAD, take_reply);
	return err ? err : send_option(c, OPT_STRUCTURED_REPLY, "", 0);
}

/* ---- the stream --------------------------------------------------------------------------------- */

static const char *reason(int err)
{
	switch (err) {
	case -XEN_ECONNREFUSED:
		return "connection refused";
	case -XEN_ETIMEDOUT:
		return "no answer";
	case -XEN_EADDRNOTAVAIL:
		return "no address of our own yet";
	case -XEN_ENOENT:
		return "no such host or export";
	case -XEN_EINVAL:
		return "not what an NBD server says";
	default:
		return "connection lost";
	}
}

static void on_connected(void *ctx)
{
	nbd_expect(ctx, 18, take_greeting);
}

/* A piece at a time: of data to where it belongs, of anything else until there is as much as is wanted. An answer of no
 * bytes is taken at once, or it would wait for the next. */
static int take_some(struct nbd_conn *c, const uint8_t *bytes, size_t len, size_t *used)
{
	size_t n;

	if (c->data_left) {
		*used = nbd_data(c, bytes, len);
		return 0;
	}
	n = MIN((size_t)(c->skip ? c->skip : c->want - c->have), len);
	*used = n;
	if (c->skip) {
		c->skip -= (uint32_t)n;
		return 0;
	}
	memcpy(c->small + c->have, bytes, n);
	c->have += (uint32_t)n;
	return c->have < c->want ? 0 : c->take(c);
}

static void on_received(void *ctx, const void *bytes, size_t len)
{
	struct nbd_conn *c = ctx;
	const uint8_t *at = bytes;
	size_t used;
	int err = 0;

	while (!err && c->tcp && (len || (!c->data_left && !c->skip && c->have == c->want))) {
		err = take_some(c, at, len, &used);
		at += used;
		len -= used;
	}
	if (err)
		nbd_lost(c, reason(err), err);
	else if (c->tcp && c->ready)
		nbd_dispatch(c->disk);
}

static void on_writable(void *ctx)
{
	nbd_push(ctx);
}

static void on_ended(void *ctx, int status)
{
	nbd_lost(ctx, reason(status), status);
}

static const struct host_tcp_ops ops = {
    .connected = on_connected,
    .received = on_received,
    .writable = on_writable,
    .ended = on_ended,
};

int nbd_connect(struct nbd_conn *c)
{
	struct nbd_disk *disk = c->disk;

	c->ready = c->structured = false;
	c->skip = c->data_left = 0;
	c->reading = NULL;
	return host_tcp_connect(disk->host, disk->port, &ops, c, &c->tcp);
}
