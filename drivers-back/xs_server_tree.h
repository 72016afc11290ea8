/* xs_server_tree.h: the store's tree of nodes, as values that can be copied for the price of one.
 *
 * A tree is a root and the accounts of who owns how much. Nodes are shared between trees and
 * counted; a change copies the nodes from the root down to it that another tree still shares. So a
 * transaction's snapshot costs nothing, and every change can be made on a copy and then take the
 * place of the original, or be dropped. Callers: xs_server_*.c. Paths are absolute and valid.
 *
 * Errors: -XEN_ENOMEM leaves a tree that reads as before. Not here: permissions, quotas, watches.
 */
#ifndef DRIVERS_BACK_XS_SERVER_TREE_H
#define DRIVERS_BACK_XS_SERVER_TREE_H

#include <amphi/xs_wire.h>

struct xs_node {
	struct xs_node *next_dead; /* while a dropped tree is taken apart */
	/* Of value, permissions and the list of children, not of what is below: a new number of all
	 * the server's at each change; 0 stands for no node. */
	uint64_t generation;
	unsigned refs;
	unsigned n_children, cap_children;
	struct xs_node **children; /* sorted by name */
	char *value;
	unsigned value_len, name_len;
	struct xs_perms perms;
	char name[];
};

struct xs_account {
	domid_t domid;
	unsigned nodes, bytes;
};

struct xs_tree {
	struct xs_node *root;
	struct xs_account *accounts; /* of owners that own anything */
	unsigned n_accounts, cap_accounts;
};

/* A tree with a root alone, owned by owner, closed to others. */
int xs_tree_init(struct xs_tree *tree, domid_t owner);
int xs_tree_clone(const struct xs_tree *tree, struct xs_tree *out);
void xs_tree_free(struct xs_tree *tree);

/* NULL: no such node. The node is for reading; it is the tree's until the next change. */
struct xs_node *xs_tree_find(const struct xs_tree *tree, const char *path);
/* The node itself, or the lowest above it that exists; never NULL. */
struct xs_node *xs_tree_nearest(const struct xs_tree *tree, const char *path);
/* The node above it, whether the node exists or not; NULL: none. path is not "/". */
struct xs_node *xs_tree_parent(const struct xs_tree *tree, const char *path);
uint64_t xs_tree_generation(const struct xs_tree *tree, const char *path);

/* Makes the node, which must not exist, and those missing above it, which have no value.
 * Permissions are those of the lowest node that exists, owned by owner unless that is
 * DOMID_INVALID. */
int xs_tree_create(struct xs_tree *tree, const char *path, domid_t owner);
/* The node must exist. */
int xs_tree_set_value(struct xs_tree *tree, const char *path, const void *value, size_t len);
int xs_tree_set_perms(struct xs_tree *tree, const char *path, const struct xs_perms *perms);
/* With everything below. path exists and is not "/". */
int xs_tree_remove(struct xs_tree *tree, const char *path);

/* Takes domid out of all permissions in place, snapshots included: for a domain that is gone. */
void xs_tree_forget(struct xs_tree *tree, domid_t domid);
/* Writes the path of the first node that domid owns to out; false: it owns none. */
bool xs_tree_first_owned(const struct xs_tree *tree, domid_t domid, char *out, size_t cap);

struct xs_account xs_tree_account(const struct xs_tree *tree, domid_t domid);
void xs_tree_total(const struct xs_tree *tree, unsigned *out_nodes, size_t *out_bytes);

/* ---- between xs_server_tree.c and xs_server_account.c ---------------------------------- */

unsigned xs_node_bytes(const struct xs_node *node);
/* Makes sure that the next xs_account_add for domid finds its account. */
int xs_account_reserve(struct xs_tree *tree, domid_t domid);
void xs_account_add(struct xs_tree *tree, domid_t domid, int nodes, int bytes);
/* Takes node and all below it off their owners' accounts. */
void xs_account_drop(struct xs_tree *tree, const struct xs_node *node);

/* Every node at and below a start, parents first, without recursion. */
struct xs_walk {
	unsigned depth; /* of the node last given, from the start */
	struct {
		const struct xs_node *node;
		unsigned next;
	} at[XS_DEPTH_MAX + 1];
};
void xs_walk_begin(struct xs_walk *walk, const struct xs_node *start);
/* NULL: no more. */
const struct xs_node *xs_walk_next(struct xs_walk *walk);

#endif
