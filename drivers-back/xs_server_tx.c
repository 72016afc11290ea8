/* xs_server_tx.c: transactions: a tree of one's own, and the test whether it may become
 * everybody's.
 *
 * A transaction begins with the store as it is (a clone, which is free) and changes its own tree,
 * so it reads its own writes and nobody else's. It notes each path it read or changed. At its end
 * each of these must still have the generation it had at the start: then the changes are made anew
 * on the store of now, and the outcome is what it would have been had the whole transaction run at
 * that moment. Otherwise the answer is EAGAIN and the client begins again.
 *
 * Callers: xs_server_ops.c. Calls the tree and xs_server_change.c.
 */
#include <amphi/string.h>

#include "xs_server_impl.h"

/* Two transactions that meet at /n, whose generation is 7:
 *
 *	T1	begins, reads /n			writes /n, ends: still 7, commits
 *	T2		begins, reads /n, writes /n		ends: no longer 7, EAGAIN
 *
 * T2 read what T1 was about to change. Run again it reads what T1 left. A node that is not there
 * has generation 0, so that "it was not there" can be found to hold no longer.
 */
struct xs_touched {
	struct xs_touched *next;
	uint32_t hash;
	unsigned len;
	char path[];
};

/* FNV-1a: only to tell most paths apart without comparing them. */
static uint32_t hash_of(const char *path)
{
	uint32_t hash = 2166136261u;

	while (*path)
		hash = (hash ^ (unsigned char)*path++) * 16777619u;
	return hash;
}

/* Numbers are of the connection: another domain cannot name this transaction. */
int xs_tx_begin(struct xs_conn *conn, uint32_t *out_id)
{
	struct xs_tx *tx;

	if (!conn->privileged && conn->n_transactions >= xs.quota.transactions)
		return -XEN_ENOSPC;
	tx = host_alloc(sizeof(*tx));
	if (!tx)
		return -XEN_ENOMEM;
	/* Two clones: one to read and write, one to know what was there. Both share all nodes with
	 * the store until a change. */
	if (xs_tree_clone(&xs.tree, &tx->base))
		goto free_tx;
	if (xs_tree_clone(&xs.tree, &tx->tree))
		goto free_base;
	/* Numbers may wrap after 2^32 transactions of one connection, and 0 means none. */
	tx->last = &tx->first;
	do
		tx->id = ++conn->last_tx;
	while (!tx->id || xs_tx_find(conn, tx->id));
	tx->next = conn->transactions;
	conn->transactions = tx;
	conn->n_transactions++;
	*out_id = tx->id;
	return 0;
free_base:
	xs_tree_free(&tx->base);
free_tx:
	host_free(tx, sizeof(*tx));
	return -XEN_ENOMEM;
}

struct xs_tx *xs_tx_find(struct xs_conn *conn, uint32_t id)
{
	struct xs_tx *tx = conn->transactions;

	while (tx && tx->id != id)
		tx = tx->next;
	return tx;
}

/* Memory for a transaction's notes, within what its domain may use for them. A client could read
 * paths for ever within one transaction, so notes count against a quota of the connection: what
 * they are charged is what they take. */
static void *note_alloc(struct xs_conn *conn, size_t size)
{
	void *note;

	if (!conn->privileged && conn->tx_bytes + size > xs.quota.tx_bytes)
		return NULL;
	note = host_alloc(size);
	if (note)
		conn->tx_bytes += size;
	return note;
}

static void note_free(struct xs_conn *conn, void *note, size_t size)
{
	conn->tx_bytes -= size;
	host_free(note, size);
}

/* Each path once. A list: quotas bound it to some hundreds, and a toolstack's has some tens. */
int xs_tx_touch(struct xs_conn *conn, struct xs_tx *tx, const char *path)
{
	uint32_t hash = hash_of(path);
	unsigned len = (unsigned)strlen(path);
	struct xs_touched *t;

	for (t = tx->touched; t; t = t->next)
		if (t->hash == hash && !strcmp(t->path, path))
			return 0;
	t = note_alloc(conn, sizeof(*t) + len + 1);
	if (!t)
		return -XEN_ENOSPC;
	t->hash = hash;
	t->len = len;
	memcpy(t->path, path, len + 1);
	t->next = tx->touched;
	tx->touched = t;
	return 0;
}

/* A copy in one piece: the change, its permissions, its path, its value. */
static struct xs_change *change_copy(struct xs_conn *conn, const struct xs_change *change)
{
	size_t path_len = strlen(change->path) + 1;
	size_t size = sizeof(*change) + sizeof(*change->perms) + path_len + change->value_len;
	struct xs_change *copy = note_alloc(conn, size);
	struct xs_perms *perms;
	char *path;

	if (!copy)
		return NULL;
	perms = (struct xs_perms *)(copy + 1);
	path = (char *)(perms + 1);
	/* value and path point into the request's payload and buffer, which the next request
	 * reuses: hence the copy. */
	*copy = *change;
	copy->next = NULL;
	copy->size_bytes = size;
	if (change->perms)
		*perms = *change->perms;
	copy->perms = perms;
	memcpy(path, change->path, path_len);
	copy->path = path;
	if (change->value_len)
		memcpy(path + path_len, change->value, change->value_len);
	copy->value = path + path_len;
	return copy;
}

/* Removing what is not there is right or wrong by whether its directory is there: that is looked at
 * too. */
static int touch_parent(struct xs_conn *conn, struct xs_tx *tx, const char *path)
{
	static char parent[XENSTORE_ABS_PATH_MAX + 1];
	size_t len = strlen(path);

	memcpy(parent, path, len + 1);
	while (len > 1 && parent[len - 1] != '/')
		len--;
	parent[MAX(len - 1, 1u)] = 0;
	return xs_tx_touch(conn, tx, parent);
}

/* The note is made first, since it may fail; the change is then made on the transaction's tree, and
 * noted only when it changed anything. */
int xs_tx_change(struct xs_conn *conn, struct xs_tx *tx, const struct xs_change *change)
{
	struct xs_change *copy;
	int status = xs_tx_touch(conn, tx, change->path);

	if (!status && change->type == XS_RM && !xs_tree_find(&tx->tree, change->path))
		status = touch_parent(conn, tx, change->path);
	if (status)
		return status;
	copy = change_copy(conn, change);
	if (!copy)
		return -XEN_ENOSPC;
	status = xs_change_tree(conn, &tx->tree, change);
	if (status <= 0) {
		note_free(conn, copy, copy->size_bytes);
		return status;
	}
	*tx->last = copy;
	tx->last = &copy->next;
	return 0;
}

static void tx_free(struct xs_conn *conn, struct xs_tx *tx)
{
	struct xs_tx **link = &conn->transactions;

	while (*link != tx)
		link = &(*link)->next;
	*link = tx->next;
	conn->n_transactions--;
	for (struct xs_touched *t = tx->touched, *next; t; t = next) {
		next = t->next;
		note_free(conn, t, sizeof(*t) + t->len + 1);
	}
	for (struct xs_change *c = tx->first, *next; c; c = next) {
		next = c->next;
		note_free(conn, c, c->size_bytes);
	}
	xs_tree_free(&tx->tree);
	xs_tree_free(&tx->base);
	host_free(tx, sizeof(*tx));
}

/* Compares generations in the two trees by path: nodes are shared or not, that says nothing.
 * Written paths are among the touched: two transactions that write the same node conflict even when
 * neither read it. A conflict too many is a client that begins again; one too few is a lost
 * write. */
static bool still_holds(const struct xs_tx *tx)
{
	for (const struct xs_touched *t = tx->touched; t; t = t->next)
		if (xs_tree_generation(&tx->base, t->path) != xs_tree_generation(&xs.tree, t->path))
			return false;
	return true;
}

/* Whatever the outcome the transaction is gone and its quota free again (xenstore.txt): a client
 * that gets EAGAIN begins anew with another number. */
int xs_tx_end(struct xs_conn *conn, struct xs_tx *tx, bool commit)
{
	int status = 0;

	if (commit && !still_holds(tx))
		status = -XEN_EAGAIN;
	else if (commit && tx->first)
		status = xs_change_store(conn, tx->first);
	/* What was allowed at the start and is not now: a parent that was not touched has changed.
	 */
	if (status == -XEN_EACCES || status == -XEN_ENOENT || status == -XEN_EPERM)
		status = -XEN_EAGAIN;
	if (status == -XEN_EAGAIN)
		xs.ever.conflicts++;
	tx_free(conn, tx);
	return MIN(status, 0);
}

void xs_tx_drop_all(struct xs_conn *conn)
{
	while (conn->transactions)
		tx_free(conn, conn->transactions);
}
