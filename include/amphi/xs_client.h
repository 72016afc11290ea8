/* xs_client.h: the store as a client uses it, over any byte stream.
 *
 * Callers: kernel/host_store.c (which makes host.h's store calls of it), tests. Implemented by
 * drivers-front/xs_client.c. Streams: the ring of start_info.store_mfn (xs_client_ring_stream),
 * or a direct link to a server in the same program (xs_local_send/recv of xs_server.h).
 *
 * All calls come from the worker context. Each request has an id; calls marked [waits] use the
 * stream's wait until the reply with that id is there. Watch events are queued meanwhile and
 * given to their callbacks later from the worker (host_work_soon), never inside a call. Error
 * rule: 0 (or a length) or a negative XEN_Exxx, the server's own where it answered; -XEN_EIO
 * when the stream is broken. */
#ifndef AMPHI_XS_CLIENT_H
#define AMPHI_XS_CLIENT_H

#include <amphi/host.h>
#include <amphi/types.h>
#include <amphi/xs_wire.h>

struct xs_stream {
	/* Each returns how many bytes were taken or given (0: not now), or a negative XEN_Exxx. */
	int (*send)(void *ctx, const void *bytes, size_t len);
	int (*recv)(void *ctx, void *bytes, size_t cap);
	/* Lets time pass until a send or recv may get further. Never called with a whole reply
	 * there. Returns 0, or -XEN_EIO when there is nobody to wait for. */
	int (*wait)(void *ctx);
	void *ctx;
};

struct xs_client;
struct xs_watch; /* one registered watch */

/* NULL when there is no memory. The stream is copied; its ctx must outlive the client. */
struct xs_client *xs_client_open(const struct xs_stream *stream);
/* Forgets all watches without telling the server. */
void xs_client_close(struct xs_client *client);

/* [waits] The same stream has a new server at its other end, which knows nothing of us: a message that was
 * half taken in is dropped, and all watches are asked for again. Not within a call. The first error, if any;
 * the other watches are asked for all the same. */
int xs_client_resume(struct xs_client *client);

/* Takes what the stream has (after an event): watch events are queued and their work scheduled. */
void xs_client_poll(struct xs_client *client);

/* [waits] One request: the texts (NULL: none), each with its NUL, then the tail as it is. The reply
 * goes to out[cap], with a NUL put after it that cap counts. Returns its length, or -XEN_E2BIG when
 * it does not fit. */
struct xs_call {
	/* IN */
	uint32_t type, tx;
	const char *text[2];
	const void *tail;
	size_t tail_len;
	/* OUT */
	char *out;
	size_t cap;
};
int xs_client_call(struct xs_client *client, const struct xs_call *call);

/* [waits] As the host_store_* calls of host.h say. */
int xs_client_read(struct xs_client *client, uint32_t tx, const char *path, char *out, size_t cap);
int xs_client_write(struct xs_client *client, uint32_t tx, const char *path, const char *value);
int xs_client_mkdir(struct xs_client *client, uint32_t tx, const char *path);
int xs_client_rm(struct xs_client *client, uint32_t tx, const char *path);
/* Falls back to DIRECTORY_PART when the list is longer than one message. */
int xs_client_list(struct xs_client *client, uint32_t tx, const char *path, char *out, size_t cap);
int xs_client_set_perms(struct xs_client *client, uint32_t tx, const char *path,
			const struct xs_perms *perms);
int xs_client_begin(struct xs_client *client, uint32_t *out_tx);
int xs_client_end(struct xs_client *client, uint32_t tx, bool commit);
int xs_client_watch(struct xs_client *client, const char *path, host_watch_fn *fn, void *ctx,
		    struct xs_watch **out_watch);
/* No call of fn after it, not even for events that were queued. */
void xs_client_unwatch(struct xs_watch *watch);

/* A stream over a mapped ring page. notify tells the server; wait is as above. ctx is given
 * to both. */
struct xs_client_ring {
	struct xenstore_domain_interface *ring;
	void (*notify)(void *ctx);
	int (*wait)(void *ctx);
	void *ctx;
};
struct xs_stream xs_client_ring_stream(struct xs_client_ring *ring);

#endif
