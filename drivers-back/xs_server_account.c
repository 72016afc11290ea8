/* xs_server_account.c: who owns how much of a tree, and the walk over all its nodes.
 *
 * Accounts belong to the tree, so a tree that is dropped takes its figures with it and one that is
 * taken brings its own: nothing is ever counted back. They are kept by the domain's number, known
 * to the server or not. Callers: xs_server_tree.c, quotas, counters. Calls host.h for memory.
 */
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "xs_server_tree.h"

/* One walk at a time: its 2 KiB are not for a kernel thread's stack. */
static struct xs_walk the_walk;

/* What a node is charged: near to what it takes of memory, its place in the parent included, so
 * that many small nodes are not cheaper than they are. sizeof(node) is the pointer in the parent's
 * list. */
unsigned xs_node_bytes(const struct xs_node *node)
{
	return (unsigned)(sizeof(*node) + sizeof(node)) + node->name_len + 1 + node->value_len;
}

/* Few domains own anything at a time, so a list will do. */
static struct xs_account *account_of(const struct xs_tree *tree, domid_t domid)
{
	for (unsigned i = 0; i < tree->n_accounts; i++)
		if (tree->accounts[i].domid == domid)
			return &tree->accounts[i];
	return NULL;
}

int xs_account_reserve(struct xs_tree *tree, domid_t domid)
{
	unsigned cap = tree->cap_accounts;
	struct xs_account *wider;

	if (account_of(tree, domid))
		return 0;
	if (tree->n_accounts == cap) {
		/* By eights: a new owner comes with a domain, not with a request. */
		wider = host_alloc((cap + 8) * sizeof(*wider));
		if (!wider)
			return -XEN_ENOMEM;
		if (cap) {
			memcpy(wider, tree->accounts, cap * sizeof(*wider));
			host_free(tree->accounts, cap * sizeof(*wider));
		}
		tree->accounts = wider;
		tree->cap_accounts = cap + 8;
	}
	tree->accounts[tree->n_accounts++] = (struct xs_account){.domid = domid};
	return 0;
}

/* An owner of nothing has no account: nothing is left of a domain whose nodes are gone. */
void xs_account_add(struct xs_tree *tree, domid_t domid, int nodes, int bytes)
{
	struct xs_account *account = account_of(tree, domid);

	HOST_ASSERT(account);
	account->nodes += (unsigned)nodes;
	account->bytes += (unsigned)bytes;
	/* The last account moves into its place, which is why nobody may hold a pointer to one
	 * across changes. */
	if (!account->nodes)
		*account = tree->accounts[--tree->n_accounts];
}

/* As many steps as there are nodes below, which the quotas of their owners bound. */
void xs_account_drop(struct xs_tree *tree, const struct xs_node *node)
{
	xs_walk_begin(&the_walk, node);
	while ((node = xs_walk_next(&the_walk)))
		xs_account_add(tree, node->perms.entry[0].domid, -1, -(int)xs_node_bytes(node));
}

struct xs_account xs_tree_account(const struct xs_tree *tree, domid_t domid)
{
	struct xs_account *account = account_of(tree, domid);

	return account ? *account : (struct xs_account){.domid = domid};
}

void xs_tree_total(const struct xs_tree *tree, unsigned *out_nodes, size_t *out_bytes)
{
	*out_nodes = 0;
	*out_bytes = 0;
	for (unsigned i = 0; i < tree->n_accounts; i++) {
		*out_nodes += tree->accounts[i].nodes;
		*out_bytes += tree->accounts[i].bytes;
	}
}

/* The walk keeps the way down in an array instead of on the stack: its depth is a guest's choice.
 * It is valid as long as the tree is not changed. */
void xs_walk_begin(struct xs_walk *walk, const struct xs_node *start)
{
	walk->depth = 0;
	walk->at[0].node = start;
	walk->at[0].next = ~0u; /* the start itself is still to be given */
}

const struct xs_node *xs_walk_next(struct xs_walk *walk)
{
	if (walk->at[0].next == ~0u) {
		walk->at[0].next = 0;
		return walk->at[0].node;
	}
	/* The way down, the walk standing at /local/domain:
	 *
	 *    at[0]        at[1]        at[2]
	 *    /            local        domain          depth 2
	 *    next 1       next 1       next 0          which child comes next in each */
	while (walk->at[walk->depth].next == walk->at[walk->depth].node->n_children) {
		if (!walk->depth)
			return NULL;
		walk->depth--;
	}
	const struct xs_node *child =
	    walk->at[walk->depth].node->children[walk->at[walk->depth].next++];

	HOST_ASSERT(walk->depth < XS_DEPTH_MAX);
	walk->depth++;
	walk->at[walk->depth].node = child;
	walk->at[walk->depth].next = 0;
	return child;
}

/* The owner's entry stays, whoever it is: remove_owned() has seen to it that it is another's. */
static void forget_in(struct xs_perms *perms, domid_t domid)
{
	unsigned kept = 1;

	for (unsigned i = 1; i < perms->count; i++)
		if (perms->entry[i].domid != domid)
			perms->entry[kept++] = perms->entry[i];
	perms->count = kept;
}

/* Changes shared nodes in place, against the rule, because that needs no memory and must not fail;
 * a snapshot that forgets a domain that is gone has lost nothing. */
void xs_tree_forget(struct xs_tree *tree, domid_t domid)
{
	const struct xs_node *node;

	xs_walk_begin(&the_walk, tree->root);
	while ((node = xs_walk_next(&the_walk)))
		forget_in(&((struct xs_node *)node)->perms, domid);
}

/* The walk's array is the way down to the node, and so its path. */
bool xs_tree_first_owned(const struct xs_tree *tree, domid_t domid, char *out, size_t cap)
{
	const struct xs_node *node;
	size_t used = 0;

	if (!account_of(tree, domid))
		return false;
	xs_walk_begin(&the_walk, tree->root);
	while ((node = xs_walk_next(&the_walk)))
		if (node != tree->root && node->perms.entry[0].domid == domid)
			break;
	for (unsigned i = 1; node && i <= the_walk.depth; i++)
		used += fmt_text(out + used, cap - used, "/%s", the_walk.at[i].node->name);
	return node;
}
