/* xs_server_change.c: who may do what, and how a change comes into the store.
 *
 * A change is never made on the tree that is served. It is made on a copy, which takes the
 * tree's place when all of it went well and is dropped otherwise; so no error, want of memory
 * included, leaves half a change, and what watchers may know is judged by the tree before and
 * after. Callers: xs_server_ops.c, xs_server_tx.c, xs_server.c. Calls the tree and the watches.
 */
#include <amphi/string.h>

#include "xs_server_impl.h"

/* The rights of a target are added to one's own, never put in their place: a device model still has
 * to write its own nodes. */
unsigned xs_may(const struct xs_conn *conn, const struct xs_perms *perms)
{
	unsigned may;

	if (conn->privileged)
		return XS_PERM_READ | XS_PERM_WRITE | XS_PERM_OWNER;
	may = xs_perms_of(perms, conn->domid);
	if (conn->target != DOMID_INVALID)
		may |= xs_perms_of(perms, conn->target);
	return may;
}

/* Whether a node exists is told only to those who have the right on the lowest node above it. */
int xs_check_access(const struct xs_conn *conn, const struct xs_tree *tree, const char *path,
		    unsigned need)
{
	struct xs_node *node = xs_tree_nearest(tree, path);

	if ((xs_may(conn, &node->perms) & need) != need)
		return -XEN_EACCES;
	return node == xs_tree_find(tree, path) ? 0 : -XEN_ENOENT;
}

/* The nodes made belong to who makes them; the privileged leave them to the parent's owner. */
static int create(const struct xs_conn *conn, struct xs_tree *tree, const char *path)
{
	return xs_tree_create(tree, path, conn->privileged ? DOMID_INVALID : conn->domid);
}

/* WRITE: makes the node, and what is missing above it, when it is not there. */
static int write_value(const struct xs_conn *conn, struct xs_tree *tree,
		       const struct xs_change *change)
{
	int status = xs_check_access(conn, tree, change->path, XS_PERM_WRITE);

	/* Before anything is made: the value is judged by itself, what the owner has by
	 * over_quota. */
	if (!conn->privileged && change->value_len > xs.quota.value_bytes)
		return -XEN_ENOSPC;
	if (status == -XEN_ENOENT)
		status = create(conn, tree, change->path);
	if (status)
		return status;
	status = xs_tree_set_value(tree, change->path, change->value, change->value_len);
	return status ? status : 1;
}

/* MKDIR of what exists is no error, but takes the right to write all the same. */
static int make_directory(const struct xs_conn *conn, struct xs_tree *tree,
			  const struct xs_change *change)
{
	int status = xs_check_access(conn, tree, change->path, XS_PERM_WRITE);

	if (status != -XEN_ENOENT)
		return status; /* one that is there will do */
	status = create(conn, tree, change->path);
	return status ? status : 1;
}

/* RM asks for the right to the node alone, not to what is below it: its owner was let in there. */
static int remove_node(const struct xs_conn *conn, struct xs_tree *tree,
		       const struct xs_change *change)
{
	int status = xs_check_access(conn, tree, change->path, XS_PERM_WRITE);

	/* Nothing to remove is as good as removed, in a directory that exists. */
	if (status == -XEN_ENOENT)
		return xs_tree_parent(tree, change->path) ? 0 : -XEN_ENOENT;
	if (status || !strcmp(change->path, "/"))
		return status ? status : -XEN_EINVAL;
	status = xs_tree_remove(tree, change->path);
	return status ? status : 1;
}

/* SET_PERMS is for the owner; those who may write may not. */
static int set_permissions(const struct xs_conn *conn, struct xs_tree *tree,
			   const struct xs_change *change)
{
	int status = xs_check_access(conn, tree, change->path, XS_PERM_WRITE | XS_PERM_OWNER);
	const struct xs_node *node = xs_tree_find(tree, change->path);

	if (status)
		return status;
	if (!conn->privileged && node->perms.entry[0].domid != change->perms->entry[0].domid)
		return -XEN_EPERM; /* nobody gives away what he has to pay for */
	status = xs_tree_set_perms(tree, change->path, change->perms);
	return status ? status : 1;
}

static int apply(const struct xs_conn *conn, struct xs_tree *tree, const struct xs_change *change)
{
	switch (change->type) {
	case XS_WRITE:
		return write_value(conn, tree, change);
	case XS_MKDIR:
		return make_directory(conn, tree, change);
	case XS_RM:
		return remove_node(conn, tree, change);
	case XS_SET_PERMS:
		return set_permissions(conn, tree, change);
	}
	return -XEN_ENOSYS;
}

/* Whether the owner of the node has more than its share now and had less before. What a privileged
 * connection does is not held against anybody. */
static bool over_quota(const struct xs_conn *conn, const struct xs_tree *before,
		       const struct xs_tree *after, const char *path)
{
	const struct xs_node *node = xs_tree_find(after, path);
	struct xs_account was, is;

	if (conn->privileged || !node || node->perms.entry[0].domid == xs.own)
		return false;
	was = xs_tree_account(before, node->perms.entry[0].domid);
	is = xs_tree_account(after, node->perms.entry[0].domid);
	return (is.nodes > xs.quota.nodes && is.nodes > was.nodes) ||
	       (is.bytes > xs.quota.bytes && is.bytes > was.bytes);
}

/* Makes a change on a tree that is dropped when it fails, and may then be half changed. Quotas are
 * judged by the outcome, which is simpler than to foretell it and cannot be wrong; before is the
 * tree that this one began as. */
static int attempt(const struct xs_conn *conn, const struct xs_tree *before, struct xs_tree *tree,
		   const struct xs_change *change)
{
	int status = apply(conn, tree, change);

	return status > 0 && over_quota(conn, before, tree, change->path) ? -XEN_ENOSPC : status;
}

int xs_change_tree(const struct xs_conn *conn, struct xs_tree *tree, const struct xs_change *change)
{
	struct xs_tree next;
	int status = xs_tree_clone(tree, &next);

	if (status)
		return status;
	status = attempt(conn, tree, &next, change);
	if (status <= 0) {
		xs_tree_free(&next);
		return status;
	}
	xs_tree_free(tree);
	*tree = next;
	return status;
}

/* A single request is a list of one; a transaction's end is its list. All of it is made on one
 * copy, which the first change to a directory pays for and those after it do not: a guest must not
 * be able to make us copy a large directory for each of many changes. `before` stays alive until
 * all watchers were told, since who may hear of a removed node is written in the node. */
int xs_change_store(const struct xs_conn *conn, const struct xs_change *list)
{
	struct xs_tree before = xs.tree, next;
	int status = xs_tree_clone(&xs.tree, &next), changed = 0;

	if (status)
		return status;
	for (const struct xs_change *c = list; c; c = c->next) {
		status = attempt(conn, &before, &next, c);
		if (status < 0) {
			xs_tree_free(&next);
			return status;
		}
		changed |= status;
	}
	/* The change is everybody's from this line on; nothing after it can fail. */
	xs.tree = next;
	/* Watchers of what a change left as it was may be told too: they look again for nothing. */
	for (const struct xs_change *c = changed ? list : NULL; c; c = c->next)
		xs_watch_fire(c, &before, &xs.tree);
	xs_tree_free(&before);
	return changed;
}
