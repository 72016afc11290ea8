/* xs_server.c: the store server as its owner sees it: it starts, domains come and go, it counts.
 *
 * Not here: what a request means (xs_server_ops.c) or how bytes travel (xs_server_conn.c,
 * xs_server_ring.c). Callers: control, the kernel's service role, xs_server_ops.c for the requests
 * that introduce and release. Calls the other files of the server and host.h.
 */
#include <amphi/string.h>

#include "xs_server_impl.h"

/* One for the program: a domain has one store. All its files share it (xs_server_impl.h). */
struct xs_server xs;

/* Nodes, watches, transactions and values as Xen's server has them; the rest bounds memory, and
 * the work of one request: a transaction of 32 KiB is some 200 changes. A Linux guest with a disk
 * and a network holds some 60 nodes of 10 KiB and 10 watches, and changes ten at a time. */
static const struct xs_quota default_quota = {
    .nodes = 1000,
    .bytes = 128 << 10,
    .watches = 128,
    .transactions = 10,
    .tx_bytes = 128 << 10,
    .value_bytes = 2048,
    .event_bytes = 16 << 10,
};

int xs_server_init(domid_t own, const struct xs_quota *quota)
{
	struct xs_perms closed = {.count = 1, .entry = {{.domid = own, .may = XS_PERM_NONE}}};

	if (xs.running)
		return -XEN_EBUSY;
	/* The local link is the one connection that is privileged: quotas and permissions are for
	 * the domains on the rings. */
	xs = (struct xs_server){.own = own, .quota = quota ? *quota : default_quota};
	xs.special[0] = xs.special[1] = closed;
	if (xs_tree_init(&xs.tree, own))
		return -XEN_ENOMEM;
	xs.local = xs_conn_new(own, true);
	if (!xs.local) {
		xs_tree_free(&xs.tree);
		return -XEN_ENOMEM;
	}
	xs.running = true;
	return 0;
}

/* The last connection to go is the local one; all are in one list. */
void xs_server_stop(void)
{
	while (xs.conns)
		xs_conn_free(xs.conns);
	xs_tree_free(&xs.tree);
	xs = (struct xs_server){0};
}

bool xs_server_running(void)
{
	return xs.running;
}

struct xs_conn *xs_conn_find(domid_t domid)
{
	struct xs_conn *conn = xs.conns;

	while (conn && conn->domid != domid)
		conn = conn->next;
	return conn;
}

/* Both are closed to guests until the toolstack opens them (a driver domain may need to know). */
struct xs_perms *xs_special_perms(const char *name)
{
	if (!strcmp(name, XS_INTRODUCE_NAME))
		return &xs.special[0];
	return strcmp(name, XS_RELEASE_NAME) ? NULL : &xs.special[1];
}

/* The connection exists before its ring, so that a failure of the ring has one way back.
 * Introducing twice is an error here although stock servers rebind the event channel then: our
 * toolstack has no use for it, and a second ring for one domain would be two readers of one
 * page. */
int xs_server_introduce(domid_t domid, uint32_t peer_port)
{
	struct xs_conn *conn;
	int status;

	if (domid >= DOMID_FIRST_RESERVED)
		return -XEN_EINVAL;
	if (xs_conn_find(domid))
		return -XEN_EEXIST;
	conn = xs_conn_new(domid, false);
	if (!conn)
		return -XEN_ENOMEM;
	status = xs_ring_attach(conn, peer_port);
	if (status) {
		xs_conn_free(conn);
		return status;
	}
	xs_watch_fire_special(XS_INTRODUCE_NAME);
	return 0;
}

/* A number may be given to another domain later: it must not find what was this one's. */
static void remove_owned(domid_t domid)
{
	static char path[XENSTORE_ABS_PATH_MAX + 1];
	struct xs_change rm = {.type = XS_RM, .path = path};
	int status = 0;

	/* Each round removes at least the node that was found, and what others own below it too: so
	 * it ends. By way of an ordinary change, so that watchers hear of it. */
	while (status >= 0 && xs_tree_first_owned(&xs.tree, domid, path, sizeof(path)))
		status = xs_change_store(xs.local, &rm);
	if (status < 0)
		host_log(HOST_LOG_ERROR, "store: nodes of domain %u stay: error %d", domid, status);
	xs_tree_forget(&xs.tree, domid);
}

/* The connection first: the watchers told below must not include the domain itself. */
int xs_server_release(domid_t domid)
{
	struct xs_conn *conn = xs_conn_find(domid);

	if (!conn || conn == xs.local)
		return -XEN_ENOENT;
	xs_conn_free(conn);
	/* A device model keeps no rights of a domain that is gone: its number may come back. */
	for (struct xs_conn *c = xs.conns; c; c = c->next)
		if (c->target == domid)
			c->target = DOMID_INVALID;
	remove_owned(domid);
	xs_watch_fire_special(XS_RELEASE_NAME);
	return 0;
}

/* The domain's ring is read until the toolstack releases it. @releaseDomain is the name under which
 * toolstacks wait for both (xenstore.txt): they look at the domain's state themselves. */
void xs_server_domain_died(domid_t domid)
{
	if (xs_conn_find(domid))
		xs_watch_fire_special(XS_RELEASE_NAME);
}

bool xs_server_is_introduced(domid_t domid)
{
	return xs_conn_find(domid);
}

bool xs_server_is_broken(domid_t domid)
{
	struct xs_conn *conn = xs_conn_find(domid);

	return conn && conn->broken;
}

static void count_conn(const struct xs_conn *conn, struct xs_counters *out)
{
	out->connections++;
	out->watches += conn->n_watches;
	out->transactions += conn->n_transactions;
	out->queued_bytes += (unsigned)(conn->event_bytes + (conn->replying ? conn->reply.len : 0));
}

void xs_server_count(struct xs_counters *out)
{
	*out = xs.ever;
	xs_tree_total(&xs.tree, &out->nodes, &out->node_bytes);
	for (const struct xs_conn *conn = xs.conns; conn; conn = conn->next)
		count_conn(conn, out);
}

void xs_server_count_domain(domid_t domid, struct xs_counters *out)
{
	const struct xs_conn *conn = xs_conn_find(domid);
	struct xs_account account = xs_tree_account(&xs.tree, domid);

	*out = (struct xs_counters){.nodes = account.nodes, .node_bytes = account.bytes};
	if (conn)
		count_conn(conn, out);
}

/* ---- the local link -------------------------------------------------------------------- */

/* Requests are acted on in here; that is why the local link never waits. */
int xs_local_send(const void *bytes, size_t len)
{
	return xs.running ? xs_conn_input(xs.local, bytes, len) : -XEN_EIO;
}

int xs_local_recv(void *bytes, size_t cap)
{
	const void *from;
	size_t used = 0, piece;

	/* Bounded by cap; a reply and events after it come in one call. */
	while (xs.running && used < cap && (piece = xs_conn_output(xs.local, &from))) {
		piece = MIN(piece, cap - used);
		memcpy((char *)bytes + used, from, piece);
		xs_conn_sent(xs.local, piece);
		used += piece;
	}
	return (int)used;
}

void xs_local_on_output(void (*fn)(void *ctx), void *ctx)
{
	xs.on_output = fn;
	xs.on_output_ctx = ctx;
}
