/* xs_server_conn.c: one domain's link as two streams of bytes: requests in, replies and events out.
 *
 * A connection works on one request at a time: no byte of the next is taken before the reply has
 * wholly gone, so a peer that does not read its replies costs one reply, whatever it asks. Events
 * are sent between replies and are bounded in xs_server_watch.c. Bytes come and go through
 * xs_server_ring.c (domains) or xs_local_send/recv (this domain); neither is known here.
 */
#include <amphi/string.h>

#include "xs_server_impl.h"

/* A connection is two small machines over one struct:
 *
 *	in:   head (16 bytes) -> payload (head.len) -> xs_handle_request() -> replying -> head ...
 *	out:  nothing -> reply | event, first its head, then its body -> nothing
 *
 * They meet in `replying`: while it is set, in takes no byte. `sent` counts head and body as one.
 */
#define HEAD_LEN sizeof(struct xsd_sockmsg)

/* At the end of the list: the local link is made first and stays first, so its watchers are told
 * first. */
struct xs_conn *xs_conn_new(domid_t domid, bool privileged)
{
	struct xs_conn *conn = host_alloc(sizeof(*conn)), **end = &xs.conns;

	if (!conn)
		return NULL;
	conn->domid = domid;
	conn->target = DOMID_INVALID;
	conn->privileged = privileged;
	conn->events_end = &conn->events;
	while (*end)
		end = &(*end)->next;
	*end = conn;
	return conn;
}

/* head.len is what was allocated by; it is valid while payload is not NULL. */
static void drop_request(struct xs_conn *conn)
{
	if (conn->payload)
		host_free(conn->payload, conn->head.len + 1);
	conn->payload = NULL;
	conn->head_got = conn->payload_got = 0;
}

/* Also the way to take back a reply half made: a handler that fails after it asked for room leaves
 * it to the error that comes in its place. */
static void drop_reply(struct xs_conn *conn)
{
	if (conn->data)
		host_free(conn->data, conn->data_size);
	conn->data = NULL;
	conn->replying = false;
}

/* Events first: those of a watch that goes are looked for among what is left. */
void xs_conn_reset(struct xs_conn *conn)
{
	conn->sending = XS_SENDING_NONE;
	conn->sent = 0;
	xs_event_drop_all(conn);
	xs_watch_drop_all(conn);
	xs_tx_drop_all(conn);
	drop_reply(conn);
	drop_request(conn);
}

/* Off the ring before off the list: an event of the domain must not find a connection that is no
 * more. */
void xs_conn_free(struct xs_conn *conn)
{
	struct xs_conn **link = &xs.conns;

	xs_conn_reset(conn);
	if (conn->ring)
		xs_ring_detach(conn);
	while (*link != conn)
		link = &(*link)->next;
	*link = conn->next;
	host_free(conn, sizeof(*conn));
}

/* The domain's own fault, so only its link ends: it stays known, and its ring is looked at no more
 * until it is released. The error goes where XENSTORE_SERVER_FEATURE_ERROR says that a guest may
 * look (xs_wire.h). */
void xs_conn_fail(struct xs_conn *conn, uint32_t error, const char *why)
{
	host_log(HOST_LOG_WARN, "store: domain %u is disconnected: %s", conn->domid, why);
	xs.ever.disconnects++;
	conn->broken = true;
	xs_conn_reset(conn);
	if (conn->ring)
		peer_store32(&conn->ring->error, error);
}

/* A turn of the ring looks for output itself before it ends. */
void xs_conn_wake(struct xs_conn *conn)
{
	if (conn->ring && !conn->pumping)
		host_work_soon(&conn->work);
	else if (conn == xs.local && xs.on_output)
		xs.on_output(xs.on_output_ctx);
}

/* ---- in -------------------------------------------------------------------------------- */

/* Never more than the message at hand needs, so no byte is taken that would have to be kept. */
size_t xs_conn_wants(const struct xs_conn *conn)
{
	if (conn->broken || conn->replying)
		return 0;
	if (conn->head_got < HEAD_LEN)
		return HEAD_LEN - conn->head_got;
	return conn->head.len - conn->payload_got;
}

/* The message is whole: what it asks for is done, and its reply is ready to go. */
static void finish_request(struct xs_conn *conn)
{
	xs.ever.requests++;
	/* A reply has the request's type, id and transaction (xenstore.txt); an error changes the
	 * type alone. */
	conn->reply = (struct xsd_sockmsg){conn->head.type, conn->head.req_id, conn->head.tx_id, 0};
	xs_handle_request(conn);
	drop_request(conn);
	conn->replying = true;
	xs_conn_wake(conn);
}

/* The length is checked here, once, in our copy; everything after relies on it. */
static bool finish_head(struct xs_conn *conn)
{
	if (conn->head.len > XENSTORE_PAYLOAD_MAX) {
		conn->head.len = 0;
		xs_conn_fail(conn, XENSTORE_ERROR_PROTO, "a message is too long");
		return false;
	}
	/* Without memory the bytes are passed over and the answer is ENOMEM. + 1: host_alloc gives
	 * zeroes, so every text of the payload has an end within our memory. */
	conn->payload = host_alloc(conn->head.len + 1);
	if (!conn->head.len)
		finish_request(conn);
	return true;
}

/* Takes len bytes, of which the connection wants at least so many. False: disconnected. */
static bool take(struct xs_conn *conn, const char *bytes, size_t len)
{
	if (conn->head_got < HEAD_LEN) {
		/* Byte by byte as it comes: a message may begin at the end of the ring, and no more
		 * than the head is asked for before its length is known. */
		memcpy((char *)&conn->head + conn->head_got, bytes, len);
		conn->head_got += len;
		return conn->head_got < HEAD_LEN || finish_head(conn);
	}
	if (conn->payload)
		memcpy(conn->payload + conn->payload_got, bytes, len);
	conn->payload_got += len;
	if (conn->payload_got == conn->head.len)
		finish_request(conn);
	return true;
}

/* Each piece is at most what the message at hand wants, so the loop makes a step each time; it ends
 * at a whole request, whose reply has to go first. */
int xs_conn_input(struct xs_conn *conn, const void *bytes, size_t len)
{
	size_t taken = 0;

	while (taken < len) {
		size_t piece = MIN(xs_conn_wants(conn), len - taken);

		if (!piece)
			break;
		if (!take(conn, (const char *)bytes + taken, piece))
			return -XEN_EIO;
		taken += piece;
	}
	return conn->broken ? -XEN_EIO : (int)taken;
}

/* ---- out ------------------------------------------------------------------------------- */

/* Short replies, errors among them, need no memory. */
char *xs_conn_reply_room(struct xs_conn *conn, size_t len)
{
	drop_reply(conn);
	conn->reply.len = (uint32_t)len;
	if (len <= sizeof(conn->small))
		return conn->small;
	conn->data = host_alloc(len);
	conn->data_size = len;
	return conn->data;
}

int xs_conn_reply(struct xs_conn *conn, const void *bytes, size_t len)
{
	char *room;

	if (len > XENSTORE_PAYLOAD_MAX)
		return -XEN_E2BIG;
	room = xs_conn_reply_room(conn, len);
	if (!room)
		return -XEN_ENOMEM;
	if (len)
		memcpy(room, bytes, len);
	return 0;
}

/* What comes next when nothing is in the middle of being sent: the reply, then events. Replies
 * before events: a client that waits for one takes nothing else as an answer. What was begun is
 * finished first in any case, as the stream has no way to put one message inside another. */
static enum xs_sending choose(struct xs_conn *conn)
{
	if (conn->replying)
		return XS_SENDING_REPLY;
	if (!conn->events && conn->events_owed)
		xs_event_pay(conn);
	if (!conn->events)
		return XS_SENDING_NONE;
	conn->event_head = (struct xsd_sockmsg){XS_WATCH_EVENT, 0, 0, conn->events->len};
	return XS_SENDING_EVENT;
}

/* Head and body are two pieces; a reader with little room gets them in more. */
size_t xs_conn_output(struct xs_conn *conn, const void **out_bytes)
{
	const struct xsd_sockmsg *head;
	const char *body;

	if (conn->sending == XS_SENDING_NONE)
		conn->sending = choose(conn);
	switch (conn->sending) {
	case XS_SENDING_REPLY:
		head = &conn->reply;
		body = conn->data ? conn->data : conn->small;
		break;
	case XS_SENDING_EVENT:
		head = &conn->event_head;
		body = conn->events->payload;
		break;
	default:
		return 0;
	}
	if (conn->sent < HEAD_LEN) {
		*out_bytes = (const char *)head + conn->sent;
		return HEAD_LEN - conn->sent;
	}
	*out_bytes = body + (conn->sent - HEAD_LEN);
	return HEAD_LEN + head->len - conn->sent;
}

void xs_conn_sent(struct xs_conn *conn, size_t len)
{
	enum xs_sending what = conn->sending;
	size_t whole =
	    HEAD_LEN + (what == XS_SENDING_REPLY ? conn->reply.len : conn->event_head.len);

	/* The caller sent what xs_conn_output gave it and no more, which is within one message. */
	conn->sent += len;
	if (conn->sent < whole)
		return;
	conn->sent = 0;
	conn->sending = XS_SENDING_NONE;
	if (what == XS_SENDING_REPLY)
		drop_reply(conn);
	else
		xs_event_done(conn);
}
