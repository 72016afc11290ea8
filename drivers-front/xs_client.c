/* xs_client.c: requests to the store with their replies, over any byte stream.
 *
 * One request is under way at a time; its reply is known by its id. What comes in between is watch
 * events, which xs_client_watch.c keeps for later. The server's bytes are checked like any peer's:
 * a length or reply that cannot be ends the use of the stream. Callers: kernel/host_store.c,
 * tests. Calls host.h, the stream.
 */
#include <amphi/string.h>

#include "xs_client_impl.h"

/* A client is a small machine: bytes are put together to messages by receive(), whoever calls it; a
 * message is an event (kept), the reply that is waited for (call becomes NULL), or nothing of ours.
 * Both send and the wait for a reply may have to receive first: a server whose replies are not
 * taken takes no requests.
 *
 *    xs_client_call                 receive (from call, send_all or poll)
 *      call = ours, send pieces       head, then payload, into the one buffer
 *      until call is NULL:            whole? WATCH_EVENT      -> kept, told later
 *        receive, or wait                    reply, our id    -> status, call = NULL
 *      return status                         reply, other id  -> dropped */
struct xs_client *xs_client_open(const struct xs_stream *stream)
{
	struct xs_client *client = host_alloc(sizeof(*client));

	if (!client)
		return NULL;
	client->payload = host_pages_alloc(1);
	if (!client->payload) {
		host_free(client, sizeof(*client));
		return NULL;
	}
	client->stream = *stream;
	client->events_end = &client->events;
	client->work = (struct host_work){.fn = xs_client_deliver, .ctx = client};
	return client;
}

void xs_client_close(struct xs_client *client)
{
	host_work_cancel(&client->work);
	xs_client_forget(client);
	host_pages_free(client->payload, 1);
	host_free(client, sizeof(*client));
}

/* For good: after a broken message nobody knows where the next begins. */
static int fail(struct xs_client *client, const char *why)
{
	if (!client->broken)
		host_log(HOST_LOG_ERROR, "store: the connection is given up: %s", why);
	client->broken = true;
	return -XEN_EIO;
}

/* ---- receiving --------------------------------------------------------------------------- */

/* What the reply at hand means for the request that waits for it. Copied out here and not later:
 * the payload's buffer is the next message's, which may be an event that comes in before the caller
 * looks. */
static int reply_status(const struct xs_client *client)
{
	const struct xs_call *call = client->call;
	uint32_t len = client->head.len;

	if (client->head.type == XS_ERROR)
		return xs_error_number(client->payload, len);
	if (client->head.type != call->type)
		return -XEN_EIO;
	if (!call->out)
		return (int)len;
	if (len >= call->cap)
		return -XEN_E2BIG;
	memcpy(call->out, client->payload, len);
	call->out[len] = 0;
	return (int)len;
}

/* An event is told from a reply by its type and not by its id, which means nothing in an event
 * (stock servers send 0). */
static void take_message(struct xs_client *client)
{
	client->head_got = client->payload_got = 0;
	if (client->head.type == XS_WATCH_EVENT)
		xs_client_event(client, client->payload, client->head.len);
	else if (client->call && client->head.req_id == client->request) {
		client->status = reply_status(client);
		client->call = NULL;
	}
	/* Another id: a reply whose request was given up. */
}

/* Takes one piece of a message. Returns how many bytes, 0 when there are none. */
static int receive(struct xs_client *client)
{
	bool in_head = client->head_got < sizeof(client->head);
	char *to = in_head ? (char *)&client->head + client->head_got
			   : client->payload + client->payload_got;
	size_t want = in_head ? sizeof(client->head) - client->head_got
			      : client->head.len - client->payload_got;
	int got = client->stream.recv(client->stream.ctx, to, want);

	if (got <= 0)
		return got < 0 ? fail(client, "its ring is not usable") : 0;
	if (in_head)
		client->head_got += (size_t)got;
	else
		client->payload_got += (size_t)got;
	if (client->head_got < sizeof(client->head))
		return got;
	/* The check stands before the first payload byte is taken: the buffer is a page, and
	 * XENSTORE_PAYLOAD_MAX is what fits it. */
	if (client->head.len > XENSTORE_PAYLOAD_MAX)
		return fail(client, "a message of the server is too long");
	if (client->payload_got == client->head.len)
		take_message(client);
	return got;
}

/* Ends when the stream has nothing; what it gives is bounded by the ring and the server's patience.
 */
void xs_client_poll(struct xs_client *client)
{
	while (!client->broken && receive(client) > 0)
		;
}

int xs_client_resume(struct xs_client *client)
{
	HOST_ASSERT(!client->call);
	client->head_got = client->payload_got = 0;
	return client->broken ? -XEN_EIO : xs_client_rewatch(client);
}

/* ---- sending ----------------------------------------------------------------------------- */

/* Lets the server get on: first by reading what it says, else by waiting. Reading comes first,
 * since a server that cannot put its replies stops taking requests: two ends that only send would
 * wait for each other. */
static int relax(struct xs_client *client)
{
	int got = receive(client);

	if (got)
		return MIN(got, 0);
	return client->stream.wait(client->stream.ctx) ? fail(client, "nobody answers") : 0;
}

/* Pieces as the stream takes them. */
static int send_all(struct xs_client *client, const void *bytes, size_t len)
{
	size_t done = 0;
	int sent;

	while (done < len) {
		sent =
		    client->stream.send(client->stream.ctx, (const char *)bytes + done, len - done);
		if (sent < 0)
			return fail(client, "its ring is not usable");
		done += (size_t)sent;
		if (!sent && relax(client))
			return -XEN_EIO;
	}
	return 0;
}

static size_t text_len(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* The pieces of a message go out one by one; the server puts them together. A request that was
 * given up (broken stream) leaves call NULL, so that a late reply finds nobody. */
int xs_client_call(struct xs_client *client, const struct xs_call *call)
{
	size_t first = text_len(call->text[0]), second = text_len(call->text[1]);
	size_t len = first + second + call->tail_len;
	/* Ids are ours to choose and count up, so that a late reply to a request given up is not
	 * taken for the next one's. */
	struct xsd_sockmsg head = {call->type, ++client->request, call->tx, (uint32_t)len};

	HOST_ASSERT(!client->call);
	if (len > XENSTORE_PAYLOAD_MAX)
		return -XEN_E2BIG;
	if (client->broken)
		return -XEN_EIO;
	client->call = call;
	if (!send_all(client, &head, sizeof(head)) && !send_all(client, call->text[0], first) &&
	    !send_all(client, call->text[1], second) &&
	    !send_all(client, call->tail, call->tail_len))
		while (client->call && !relax(client))
			;
	if (!client->call)
		return client->status;
	client->call = NULL;
	return -XEN_EIO;
}

/* For requests whose reply is "OK": its length is nobody's business. */
int xs_client_do(struct xs_client *client, const struct xs_call *call)
{
	int status = xs_client_call(client, call);

	return MIN(status, 0);
}

/* ---- the requests ------------------------------------------------------------------------ */

int xs_client_read(struct xs_client *client, uint32_t tx, const char *path, char *out, size_t cap)
{
	struct xs_call call = {XS_READ, tx, .text = {path}, .out = out, .cap = cap};

	return xs_client_call(client, &call);
}

int xs_client_write(struct xs_client *client, uint32_t tx, const char *path, const char *value)
{
	/* The value goes without a NUL: in the store it is bytes with a length. */
	struct xs_call call = {XS_WRITE, tx, .text = {path}, .tail = value,
			       .tail_len = strlen(value)};

	return xs_client_do(client, &call);
}

int xs_client_mkdir(struct xs_client *client, uint32_t tx, const char *path)
{
	struct xs_call call = {XS_MKDIR, tx, .text = {path}};

	return xs_client_do(client, &call);
}

int xs_client_rm(struct xs_client *client, uint32_t tx, const char *path)
{
	struct xs_call call = {XS_RM, tx, .text = {path}};

	return xs_client_do(client, &call);
}

int xs_client_set_perms(struct xs_client *client, uint32_t tx, const char *path,
			const struct xs_perms *perms)
{
	char text[XS_PERMS_MAX * 8];
	int len = xs_perms_format(perms, text, sizeof(text));
	struct xs_call call = {XS_SET_PERMS, tx, .text = {path}, .tail = text,
			       .tail_len = (size_t)len};

	return len < 0 ? len : xs_client_do(client, &call);
}

int xs_client_begin(struct xs_client *client, uint32_t *out_tx)
{
	char text[16];
	struct xs_call call = {XS_TRANSACTION_START, .text = {""}, .out = text,
			       .cap = sizeof(text)};
	int status = xs_client_call(client, &call);
	uint64_t id;

	if (status < 0)
		return status;
	/* 0 is what requests outside of any transaction carry: with it ours would not be one. */
	if (!xs_text_to_number(text, UINT32_MAX, &id) || !id)
		return fail(client, "a transaction without a number");
	*out_tx = (uint32_t)id;
	return 0;
}

int xs_client_end(struct xs_client *client, uint32_t tx, bool commit)
{
	struct xs_call call = {XS_TRANSACTION_END, tx, .text = {commit ? "T" : "F"}};

	return xs_client_do(client, &call);
}

/* ---- the ring as a stream ---------------------------------------------------------------- */

/* The server is told of every piece: it may be waiting for these very bytes. */
static int ring_send(void *ctx, const void *bytes, size_t len)
{
	struct xs_client_ring *ring = ctx;
	int put = xs_ring_put(ring->ring, XS_SIDE_CLIENT, bytes, len);

	if (put > 0)
		ring->notify(ring->ctx);
	return put;
}

static int ring_recv(void *ctx, void *bytes, size_t cap)
{
	struct xs_client_ring *ring = ctx;
	int got = xs_ring_take(ring->ring, XS_SIDE_CLIENT, bytes, cap);

	if (got > 0)
		ring->notify(ring->ctx);
	return got;
}

static int ring_wait(void *ctx)
{
	struct xs_client_ring *ring = ctx;

	return ring->wait(ring->ctx);
}

struct xs_stream xs_client_ring_stream(struct xs_client_ring *ring)
{
	return (struct xs_stream){ring_send, ring_recv, ring_wait, ring};
}
