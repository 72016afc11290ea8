/* xs_server_ops.c: what each request of the store's protocol means (docs/misc/xenstore.txt of Xen).
 *
 * One row of the table per request, one handler per row. A handler takes its payload apart, checks
 * it, and leaves a reply, or returns a negative XEN_Exxx that becomes an ERROR reply. Payloads are
 * in private memory. Called by xs_server_conn.c with a whole request; calls the rest of the
 * server. A path that was taken apart lies in one buffer of the server's: one request at a time.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "xs_server_impl.h"

/* One request while it is acted on: what of the payload is left, and which tree it sees. */
struct request {
	struct xs_reader payload;
	struct xs_tx *tx; /* NULL: none */
	const struct xs_tree *tree;
	const char *given; /* the path as it was sent; path is it made absolute */
};

/* 3 KiB, too much for a kernel thread's stack. */
static char path[XENSTORE_ABS_PATH_MAX + 1];

/* ---- taking payloads apart ------------------------------------------------------------- */

static int take_path(struct xs_conn *conn, struct request *rq, bool special)
{
	rq->given = xs_next_text(&rq->payload);
	if (!rq->given || !xs_path_valid(rq->given, special))
		return -XEN_EINVAL;
	return xs_path_absolute(rq->given, conn->domid, path, sizeof(path));
}

/* The payload is one path and nothing else. */
static int take_only_path(struct xs_conn *conn, struct request *rq)
{
	int status = take_path(conn, rq, false);

	return status ? status : rq->payload.left ? -XEN_EINVAL : 0;
}

/* The node at path may be had with these rights; a transaction notes that it was looked at. Touched
 * before it is checked: that a node was not there, or not to be had, is something that a
 * transaction may have built upon as well. */
static int look(struct xs_conn *conn, struct request *rq, unsigned need)
{
	int status = rq->tx ? xs_tx_touch(conn, rq->tx, path) : 0;

	return status ? status : xs_check_access(conn, rq->tree, path, need);
}

/* DOMID_SELF is how a domain asks about itself without knowing its number. No other reserved number
 * is below it. */
static int take_domid(struct xs_conn *conn, struct request *rq, domid_t *out)
{
	const char *text = xs_next_text(&rq->payload);
	uint64_t domid;

	if (!text || !xs_text_to_number(text, DOMID_SELF, &domid))
		return -XEN_EINVAL;
	*out = domid == DOMID_SELF ? conn->domid : (domid_t)domid;
	return 0;
}

static int ack(struct xs_conn *conn)
{
	/* With its NUL, as every text of the protocol. */
	return xs_conn_reply(conn, "OK", 3);
}

static int reply_text(struct xs_conn *conn, const char *text)
{
	return xs_conn_reply(conn, text, strlen(text) + 1);
}

/* ---- reading --------------------------------------------------------------------------- */

/* READ path| -> the value, which may hold any byte and has no NUL of its own. */
static int do_read(struct xs_conn *conn, struct request *rq)
{
	int status = take_only_path(conn, rq);
	const struct xs_node *node;

	status = status ? status : look(conn, rq, XS_PERM_READ);
	if (status)
		return status;
	node = xs_tree_find(rq->tree, path);
	return xs_conn_reply(conn, node->value, node->value_len);
}

/* Copies whole names, from the one at byte offset from of the list of all, to out[cap]. Returns
 * their length and whether the last name is among them. out NULL: only the length. One loop for
 * measuring and for copying, so that the two cannot disagree about where a reply ends. */
static size_t copy_names(const struct xs_node *node, uint64_t from, char *out, size_t cap,
			 bool *out_end)
{
	uint64_t at = 0;
	size_t used = 0;

	*out_end = true;
	for (unsigned i = 0; i < node->n_children; i++) {
		const struct xs_node *child = node->children[i];
		size_t len = child->name_len + 1;

		/* An offset in the middle of a name begins with the next one: the client only sends
		 * offsets that are ends of names, and another is not ours to guess. */
		if (at >= from) {
			if (used + len > cap) {
				*out_end = false;
				return used;
			}
			if (out)
				memcpy(out + used, child->name, len);
			used += len;
		}
		at += len;
	}
	return used;
}

/* DIRECTORY path| -> name|name|... A list longer than a message is the client's to ask for in
 * parts. */
static int do_directory(struct xs_conn *conn, struct request *rq)
{
	int status = take_only_path(conn, rq);
	const struct xs_node *node;
	char *room;
	size_t len;
	bool end;

	status = status ? status : look(conn, rq, XS_PERM_READ);
	if (status)
		return status;
	node = xs_tree_find(rq->tree, path);
	len = copy_names(node, 0, NULL, XENSTORE_PAYLOAD_MAX, &end);
	if (!end)
		return -XEN_E2BIG;
	room = xs_conn_reply_room(conn, len);
	if (!room)
		return -XEN_ENOMEM;
	copy_names(node, 0, room, len, &end);
	return 0;
}

/* Reply: the node's generation, by which the client sees whether the list changed between two
 * parts; the names; one more NUL after the last of all. The room for generation and last NUL is
 * taken off before names are measured, so a part always fits a message. */
static int do_directory_part(struct xs_conn *conn, struct request *rq)
{
	int status = take_path(conn, rq, false);
	const char *offset = xs_next_text(&rq->payload);
	const struct xs_node *node;
	char generation[24], *room;
	size_t generation_len, len;
	uint64_t from;
	bool end;

	if (status || !offset || !xs_text_to_number(offset, UINT32_MAX, &from) || rq->payload.left)
		return -XEN_EINVAL;
	status = look(conn, rq, XS_PERM_READ);
	if (status)
		return status;
	node = xs_tree_find(rq->tree, path);
	generation_len =
	    fmt_text(generation, sizeof(generation), "%llu", (unsigned long long)node->generation) +
	    1;
	len = copy_names(node, from, NULL, XENSTORE_PAYLOAD_MAX - generation_len - 1, &end);
	room = xs_conn_reply_room(conn, generation_len + len + end);
	if (!room)
		return -XEN_ENOMEM;
	memcpy(room, generation, generation_len);
	copy_names(node, from, room + generation_len, len, &end);
	if (end)
		room[generation_len + len] = 0;
	return 0;
}

/* GET_PERMS path| -> perms as texts. Special names have some too. */
static int do_get_perms(struct xs_conn *conn, struct request *rq)
{
	int status = take_path(conn, rq, true), len;
	const struct xs_perms *perms = xs_special_perms(path);
	char text[XS_PERMS_MAX * 8];

	if (status || rq->payload.left)
		return -XEN_EINVAL;
	/* The special names are no nodes: no transaction sees them, and theirs are the server's
	 * own. */
	if (*path == '@') {
		if (!perms)
			return -XEN_EINVAL;
		if (!(xs_may(conn, perms) & XS_PERM_READ))
			return -XEN_EACCES;
	} else {
		status = look(conn, rq, XS_PERM_READ);
		if (status)
			return status;
		perms = &xs_tree_find(rq->tree, path)->perms;
	}
	len = xs_perms_format(perms, text, sizeof(text));
	return len < 0 ? len : xs_conn_reply(conn, text, (size_t)len);
}

/* ---- changing -------------------------------------------------------------------------- */

/* Within a transaction the change is noted; outside it is done and told at once. The answer is OK
 * also when nothing had to change: a client asks for an outcome. */
static int change(struct xs_conn *conn, struct request *rq, const struct xs_change *what)
{
	int status = rq->tx ? xs_tx_change(conn, rq->tx, what) : xs_change_store(conn, what);

	return status < 0 ? status : ack(conn);
}

/* WRITE path|value: all that follows the path's NUL. */
static int do_write(struct xs_conn *conn, struct request *rq)
{
	int status = take_path(conn, rq, false);
	struct xs_change what = {
	    .type = XS_WRITE,
	    .path = path,
	    .value = rq->payload.at,
	    .value_len = rq->payload.left,
	};

	return status ? status : change(conn, rq, &what);
}

/* MKDIR path|, RM path| */
static int do_mkdir(struct xs_conn *conn, struct request *rq)
{
	struct xs_change what = {.type = XS_MKDIR, .path = path};
	int status = take_only_path(conn, rq);

	return status ? status : change(conn, rq, &what);
}

static int do_rm(struct xs_conn *conn, struct request *rq)
{
	struct xs_change what = {.type = XS_RM, .path = path};
	int status = take_only_path(conn, rq);

	return status ? status : change(conn, rq, &what);
}

/* SET_PERMS path|perm|perm|... */
static int do_set_perms(struct xs_conn *conn, struct request *rq)
{
	int status = take_path(conn, rq, true);
	struct xs_perms perms, *special = status ? NULL : xs_special_perms(path);
	struct xs_change what = {.type = XS_SET_PERMS, .path = path, .perms = &perms};

	if (status || (*path == '@' && !special))
		return -XEN_EINVAL;
	status = xs_perms_parse(rq->payload.at, rq->payload.left, &perms);
	if (status)
		return status;
	if (!special)
		return change(conn, rq, &what);
	if (!conn->privileged)
		return -XEN_EACCES;
	/* Not part of any transaction, and not undone with one. */
	*special = perms;
	return ack(conn);
}

/* ---- watches --------------------------------------------------------------------------- */

/* WATCH path|token|, UNWATCH path|token|: any token, whose bytes come back with each event. */
static int take_watch(struct xs_conn *conn, struct request *rq, const char **out_token)
{
	int status = take_path(conn, rq, true);

	*out_token = status ? NULL : xs_next_text(&rq->payload);
	if (!*out_token || rq->payload.left || strlen(*out_token) >= XS_TOKEN_MAX)
		return -XEN_EINVAL;
	return *path == '@' && !xs_special_perms(path) ? -XEN_EINVAL : 0;
}

/* The path as it was given decides how changed paths are told: relative or absolute. */
static int do_watch(struct xs_conn *conn, struct request *rq)
{
	const char *token;
	int status = take_watch(conn, rq, &token);

	status = status ? status : xs_watch_add(conn, rq->given, path, token);
	return status ? status : ack(conn);
}

static int do_unwatch(struct xs_conn *conn, struct request *rq)
{
	const char *token;
	int status = take_watch(conn, rq, &token);

	status = status ? status : xs_watch_remove(conn, path, token);
	return status ? status : ack(conn);
}

/* RESET_WATCHES: a guest's kernel begins anew and does not know what the one before it set up. So
 * after a kexec, where the domain and its ring stay. Transactions go too, which the name does not
 * say and xenstore.txt does. */
static int do_reset_watches(struct xs_conn *conn, struct request *rq)
{
	xs_watch_drop_all(conn);
	xs_tx_drop_all(conn);
	return ack(conn);
}

/* ---- transactions ---------------------------------------------------------------------- */

/* TRANSACTION_START | -> number|. They do not nest. */
static int do_transaction_start(struct xs_conn *conn, struct request *rq)
{
	char text[12];
	uint32_t id;
	int status = rq->tx ? -XEN_EBUSY : xs_tx_begin(conn, &id);

	if (status)
		return status;
	fmt_text(text, sizeof(text), "%u", id);
	return reply_text(conn, text);
}

/* TRANSACTION_END T| or F|. The transaction is over whatever the answer. */
static int do_transaction_end(struct xs_conn *conn, struct request *rq)
{
	const char *answer = xs_next_text(&rq->payload);
	int status;

	if (!rq->tx)
		return -XEN_ENOENT;
	if (!answer || rq->payload.left || (strcmp(answer, "T") && strcmp(answer, "F")))
		return -XEN_EINVAL;
	/* rq->tx is gone after this. */
	status = xs_tx_end(conn, rq->tx, *answer == 'T');
	return status ? status : ack(conn);
}

/* ---- domains --------------------------------------------------------------------------- */

/* INTRODUCE domid|frame|port|: the frame is not needed, the page is found by its grant. The page's
 * grant is GNTTAB_RESERVED_XENSTORE of the domain, set up by whoever built it. */
static int do_introduce(struct xs_conn *conn, struct request *rq)
{
	domid_t domid;
	int status = take_domid(conn, rq, &domid);
	const char *frame = xs_next_text(&rq->payload), *port = xs_next_text(&rq->payload);
	uint64_t number, ignored;

	if (status || !frame || !port || rq->payload.left ||
	    !xs_text_to_number(frame, UINT64_MAX, &ignored) ||
	    !xs_text_to_number(port, UINT32_MAX, &number))
		return -XEN_EINVAL;
	status = xs_server_introduce(domid, (uint32_t)number);
	return status ? status : ack(conn);
}

/* From the toolstack, when it has destroyed the domain. */
static int do_release(struct xs_conn *conn, struct request *rq)
{
	domid_t domid;
	int status = take_domid(conn, rq, &domid);

	status = status ? status : xs_server_release(domid);
	return status ? status : ack(conn);
}

/* RESUME domid|: nothing to undo, since a domain that shut down is served until it is released. */
static int do_resume(struct xs_conn *conn, struct request *rq)
{
	domid_t domid;
	int status = take_domid(conn, rq, &domid);

	if (status)
		return status;
	return xs_server_is_introduced(domid) ? ack(conn) : -XEN_ENOENT;
}

/* SET_TARGET domid|target|: domid (a device model) gets what target may do. */
static int do_set_target(struct xs_conn *conn, struct request *rq)
{
	domid_t domid, target;
	int status = take_domid(conn, rq, &domid);

	status = status ? status : take_domid(conn, rq, &target);
	if (status || rq->payload.left)
		return -XEN_EINVAL;
	if (!xs_server_is_introduced(domid) || !xs_server_is_introduced(target))
		return -XEN_ENOENT;
	xs_conn_find(domid)->target = target;
	return ack(conn);
}

/* Anyone may ask, as with stock servers: it tells no more than that a domain is there. */
static int do_is_introduced(struct xs_conn *conn, struct request *rq)
{
	domid_t domid;
	int status = take_domid(conn, rq, &domid);

	return status ? status : reply_text(conn, xs_server_is_introduced(domid) ? "T" : "F");
}

static int do_get_domain_path(struct xs_conn *conn, struct request *rq)
{
	char text[32];
	domid_t domid;
	int status = take_domid(conn, rq, &domid);

	if (status)
		return status;
	fmt_text(text, sizeof(text), "/local/domain/%u", domid);
	return reply_text(conn, text);
}

/* CONTROL is the debugging door of Xen's own server; there is none here. */
static int do_control(struct xs_conn *conn, struct request *rq)
{
	return -XEN_ENOSYS;
}

/* ---- the table ------------------------------------------------------------------------- */

/* What is not in the table (a type that is none, XS_ERROR, XS_WATCH_EVENT, which only servers send)
 * is ENOSYS, as an old server says to a new request: clients then fall back. */
static const struct operation {
	int (*fn)(struct xs_conn *conn, struct request *rq);
	bool privileged; /* only for the server's own domain */
} operations[XS_TYPE_COUNT] = {
    [XS_READ] = {do_read},
    [XS_DIRECTORY] = {do_directory},
    [XS_DIRECTORY_PART] = {do_directory_part},
    [XS_GET_PERMS] = {do_get_perms},
    [XS_WRITE] = {do_write},
    [XS_MKDIR] = {do_mkdir},
    [XS_RM] = {do_rm},
    [XS_SET_PERMS] = {do_set_perms},
    [XS_WATCH] = {do_watch},
    [XS_UNWATCH] = {do_unwatch},
    [XS_RESET_WATCHES] = {do_reset_watches},
    [XS_TRANSACTION_START] = {do_transaction_start},
    [XS_TRANSACTION_END] = {do_transaction_end},
    [XS_INTRODUCE] = {do_introduce, .privileged = true},
    [XS_RELEASE] = {do_release, .privileged = true},
    [XS_RESUME] = {do_resume, .privileged = true},
    [XS_SET_TARGET] = {do_set_target, .privileged = true},
    [XS_IS_DOMAIN_INTRODUCED] = {do_is_introduced},
    [XS_GET_DOMAIN_PATH] = {do_get_domain_path},
    [XS_CONTROL] = {do_control, .privileged = true},
};

/* Checks what all requests have in common, in the order in which a stock server answers. */
static int dispatch(struct xs_conn *conn)
{
	uint32_t type = conn->head.type;
	const struct operation *op = type < XS_TYPE_COUNT ? &operations[type] : NULL;
	struct request rq = {.payload = {conn->payload, conn->head.len}, .tree = &xs.tree};

	if (!op || !op->fn)
		return -XEN_ENOSYS;
	if (!conn->payload)
		return -XEN_ENOMEM;
	if (op->privileged && !conn->privileged)
		return -XEN_EACCES;
	/* Also for requests that have nothing to do with transactions: a number that is not one of
	 * this connection's is refused before anything is done. */
	if (conn->head.tx_id) {
		rq.tx = xs_tx_find(conn, conn->head.tx_id);
		if (!rq.tx)
			return -XEN_ENOENT;
		rq.tree = &rq.tx->tree;
	}
	return op->fn(conn, &rq);
}

void xs_handle_request(struct xs_conn *conn)
{
	int status = dispatch(conn);
	const char *name;

	if (status >= 0)
		return;
	/* The longest name fits the small reply, so an error can always be told. xs_conn_reply
	 * takes back whatever of a reply the handler had begun. */
	name = xs_error_name(status);
	conn->reply.type = XS_ERROR;
	xs_conn_reply(conn, name, strlen(name) + 1);
}
