/* xs_server_impl.h: what the files of the store server share among themselves.
 *
 * The server is one struct, `xs`. A connection is one domain's link; requests come as bytes, are
 * put together in xs_server_conn.c, answered by the table of xs_server_ops.c, act on trees in
 * xs_server_change.c, within transactions of xs_server_tx.c, and tell watchers in
 * xs_server_watch.c. All in the worker context. Errors: negative XEN_Exxx, which become the names a
 * peer sees.
 */
#ifndef DRIVERS_BACK_XS_SERVER_IMPL_H
#define DRIVERS_BACK_XS_SERVER_IMPL_H

#include <amphi/host.h>
#include <amphi/xs_server.h>
#include <amphi/xs_wire.h>

#include "xs_server_tree.h"

/* ---- a watch and the events on their way ----------------------------------------------- */

struct xs_watcher {
	struct xs_watcher *next;
	char *path; /* absolute, or "@name" */
	unsigned
	    strip; /* how much of a changed path is not told, for a watch set by a relative one */
	char *token;
	bool merged; /* events were left out: one for path itself is owed */
};

struct xs_event {
	struct xs_event *next;
	struct xs_watcher
	    *watch; /* NULL once the watch is gone, which only the one being sent survives */
	unsigned len;
	char payload[];
};

/* ---- a change, done at once or noted in a transaction ------------------------------------ */

struct xs_change {
	uint32_t type; /* XS_WRITE, XS_MKDIR, XS_RM or XS_SET_PERMS */
	const char *path;
	const void *value;
	size_t value_len;
	const struct xs_perms *perms;
	/* in a transaction's list */
	struct xs_change *next;
	size_t size_bytes;
};

struct xs_touched; /* a path that a transaction's outcome depends on */

struct xs_tx {
	struct xs_tx *next;
	uint32_t id;
	struct xs_tree base; /* as it was at the start */
	struct xs_tree tree; /* base with the changes made */
	struct xs_touched *touched;
	struct xs_change *first, **last;
};

/* ---- a connection -------------------------------------------------------------------- */

enum xs_sending { XS_SENDING_NONE, XS_SENDING_REPLY, XS_SENDING_EVENT };

struct xs_conn {
	struct xs_conn *next;
	domid_t domid;
	domid_t target; /* whose rights it has besides its own; DOMID_INVALID: nobody's */
	bool privileged, broken;

	/* the ring of a domain; NULL for the local link */
	struct xenstore_domain_interface *ring;
	port_t port;
	struct host_work work;
	bool pumping; /* output is looked for anyway */

	/* the request being put together; payload NULL with len > 0: there was no memory for it */
	struct xsd_sockmsg head;
	size_t head_got, payload_got;
	char *payload;

	/* the reply on its way: data, or small when data is NULL */
	struct xsd_sockmsg reply;
	char *data;
	char small[32];
	size_t data_size;
	bool replying;

	/* events, and what is in the middle of being sent */
	struct xs_event *events, **events_end;
	size_t event_bytes;
	bool events_owed; /* some watch is marked merged */
	enum xs_sending sending;
	struct xsd_sockmsg event_head;
	size_t sent;

	struct xs_watcher *watches;
	unsigned n_watches;
	struct xs_tx *transactions;
	unsigned n_transactions;
	size_t tx_bytes;
	uint32_t last_tx;
};

struct xs_server {
	bool running;
	domid_t own;
	struct xs_quota quota;
	struct xs_tree tree;
	struct xs_conn *conns, *local;
	struct xs_perms special[2]; /* of @introduceDomain, @releaseDomain */
	void (*on_output)(void *ctx);
	void *on_output_ctx;
	struct xs_counters ever; /* its uint64_t members */
};
extern struct xs_server xs;

#define XS_INTRODUCE_NAME "@introduceDomain"
#define XS_RELEASE_NAME   "@releaseDomain"

/* ---- xs_server.c --------------------------------------------------------------------- */

struct xs_conn *xs_conn_find(domid_t domid);
/* Of "@introduceDomain" or "@releaseDomain"; NULL: another name. */
struct xs_perms *xs_special_perms(const char *name);

/* ---- xs_server_conn.c ------------------------------------------------------------------ */

struct xs_conn *xs_conn_new(domid_t domid, bool privileged);
void xs_conn_free(struct xs_conn *conn);
/* Forgets watches, transactions and all bytes on the way, as after a reconnect. */
void xs_conn_reset(struct xs_conn *conn);
/* The peer broke the rules: it is served no more. error: XENSTORE_ERROR_*. */
void xs_conn_fail(struct xs_conn *conn, uint32_t error, const char *why);

/* Takes request bytes; acts on each message as it becomes whole. Stops at a reply that is not sent.
 * Returns how many were taken, or -XEN_EIO when they can be no message. */
int xs_conn_input(struct xs_conn *conn, const void *bytes, size_t len);
/* How many bytes input can take before it acts: 0 while a reply is on its way. */
size_t xs_conn_wants(const struct xs_conn *conn);
/* The next bytes to send; 0: none. They stay until xs_conn_sent says how many have gone. */
size_t xs_conn_output(struct xs_conn *conn, const void **out_bytes);
void xs_conn_sent(struct xs_conn *conn, size_t len);
/* There is output: sees to it that it goes. */
void xs_conn_wake(struct xs_conn *conn);

/* Answers the request at hand; the bytes are copied. -XEN_ENOMEM, -XEN_E2BIG when too long. */
int xs_conn_reply(struct xs_conn *conn, const void *bytes, size_t len);
/* The same with room for the handler to write len bytes into (at most XENSTORE_PAYLOAD_MAX); NULL:
 * no memory. */
char *xs_conn_reply_room(struct xs_conn *conn, size_t len);

/* ---- xs_server_ring.c ------------------------------------------------------------------ */

int xs_ring_attach(struct xs_conn *conn, uint32_t peer_port);
void xs_ring_detach(struct xs_conn *conn);

/* ---- xs_server_ops.c ------------------------------------------------------------------ */

/* Acts on the whole request in conn->head and conn->payload, which ends with a NUL of ours, and
 * leaves a reply. */
void xs_handle_request(struct xs_conn *conn);

/* ---- xs_server_change.c ---------------------------------------------------------------- */

/* XS_PERM_ bits of what the connection may do to a node. */
unsigned xs_may(const struct xs_conn *conn, const struct xs_perms *perms);
/* 0, or why the node cannot be had with all bits of need: -XEN_ENOENT, -XEN_EACCES. */
int xs_check_access(const struct xs_conn *conn, const struct xs_tree *tree, const char *path,
		    unsigned need);
/* Makes one change, with all checks, on a tree: 1 when it changed anything, 0 when it had not to,
 * else the tree is as before. */
int xs_change_tree(const struct xs_conn *conn, struct xs_tree *tree,
		   const struct xs_change *change);
/* Makes a list of changes on the store, all or none, and tells watchers. */
int xs_change_store(const struct xs_conn *conn, const struct xs_change *list);

/* ---- xs_server_tx.c ------------------------------------------------------------------- */

int xs_tx_begin(struct xs_conn *conn, uint32_t *out_id);
struct xs_tx *xs_tx_find(struct xs_conn *conn, uint32_t id);
/* Ends and frees it. -XEN_EAGAIN when what it rests on has changed. */
int xs_tx_end(struct xs_conn *conn, struct xs_tx *tx, bool commit);
/* Notes that its outcome depends on path. -XEN_ENOSPC over the quota. */
int xs_tx_touch(struct xs_conn *conn, struct xs_tx *tx, const char *path);
int xs_tx_change(struct xs_conn *conn, struct xs_tx *tx, const struct xs_change *change);
void xs_tx_drop_all(struct xs_conn *conn);

/* ---- xs_server_watch.c ----------------------------------------------------------------- */

/* path as it came, absolute as it is meant. Its first event is queued. */
int xs_watch_add(struct xs_conn *conn, const char *path, const char *absolute, const char *token);
int xs_watch_remove(struct xs_conn *conn, const char *absolute, const char *token);
void xs_watch_drop_all(struct xs_conn *conn);
/* Tells every watcher that may know of a change; before and after are the tree then and now. */
void xs_watch_fire(const struct xs_change *change, const struct xs_tree *before,
		   const struct xs_tree *after);
void xs_watch_fire_special(const char *name);
/* Frees the event at the head, which was sent. */
void xs_event_done(struct xs_conn *conn);
/* Queues the events owed; for when no other waits. */
void xs_event_pay(struct xs_conn *conn);
void xs_event_drop_all(struct xs_conn *conn);

#endif
