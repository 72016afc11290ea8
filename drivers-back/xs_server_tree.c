/* xs_server_tree.c: nodes that trees share, and changes that copy what is shared.
 *
 * Invariant: a node with refs > 1 is never changed; own() makes a private one first, from the root
 * downwards, so a node reached through owned nodes only may be changed. Depth is bounded by
 * XS_DEPTH_MAX (paths are checked before they come here), children by the quota of nodes, and
 * nothing recurses. Callers: the rest of the server. Calls host.h for memory.
 */
#include <amphi/host.h>
#include <amphi/string.h>

#include "xs_server_tree.h"

/* Two trees after a change to /a/b in the second: only the way down to it is doubled.
 *
 *	first	root --- a --- b	second	root' --- a' --- b'
 *		  |	 +---- c  <- shared by both a --------+
 *		  +---- d ...	  <- shared by both roots --+
 *
 * Numbers of generations are the server's, not a tree's: a change made in a transaction and the
 * same change made in the store get different ones, so equal numbers mean the same content.
 */
static uint64_t last_generation;

/* ---- one node ------------------------------------------------------------------------ */

/* With one reference, the caller's. The generation is new: a node removed and made again is another
 * to whoever noted the first. */
static struct xs_node *node_new(const char *name, unsigned name_len, const struct xs_perms *perms)
{
	struct xs_node *node = host_alloc(sizeof(*node) + name_len + 1);

	if (!node)
		return NULL;
	node->refs = 1;
	node->generation = ++last_generation;
	node->name_len = name_len;
	node->perms = *perms;
	memcpy(node->name, name, name_len);
	return node;
}

/* The node and what is its own; its children are others' too and are let go of by the caller. */
static void node_release_parts(struct xs_node *node)
{
	if (node->value)
		host_free(node->value, node->value_len);
	if (node->children)
		host_free(node->children, node->cap_children * sizeof(*node->children));
	host_free(node, sizeof(*node) + node->name_len + 1);
}

/* Lets go of one reference; takes apart what nobody holds any more, through a list, because a
 * guest chooses the depth. */
static void node_put(struct xs_node *node)
{
	struct xs_node *dead = NULL;

	if (--node->refs == 0) {
		node->next_dead = NULL;
		dead = node;
	}
	/* next_dead may be used as the node belongs to no tree any more. */
	while (dead) {
		node = dead;
		dead = node->next_dead;
		for (unsigned i = 0; i < node->n_children; i++) {
			struct xs_node *child = node->children[i];

			if (--child->refs)
				continue;
			child->next_dead = dead;
			dead = child;
		}
		node_release_parts(node);
	}
}

/* The old value stays when there is no memory for the new one. */
static bool copy_value(struct xs_node *node, const void *value, size_t len)
{
	char *copy = len ? host_alloc(len) : NULL;

	if (len && !copy)
		return false;
	if (len)
		memcpy(copy, value, len);
	if (node->value)
		host_free(node->value, node->value_len);
	node->value = copy;
	node->value_len = (unsigned)len;
	return true;
}

/* Room for cap children. It doubles, so that a directory of n names costs n, not n squared. */
static bool grow_children(struct xs_node *node, unsigned cap)
{
	struct xs_node **wider;

	if (cap <= node->cap_children)
		return true;
	cap = MAX(cap, node->cap_children * 2);
	wider = host_alloc(cap * sizeof(*wider));
	if (!wider)
		return false;
	if (node->children) {
		memcpy(wider, node->children, node->n_children * sizeof(*wider));
		host_free(node->children, node->cap_children * sizeof(*wider));
	}
	node->children = wider;
	node->cap_children = cap;
	return true;
}

/* A private copy that reads the same, generation included. */
static struct xs_node *node_copy(const struct xs_node *node)
{
	struct xs_node *copy = node_new(node->name, node->name_len, &node->perms);

	if (!copy)
		return NULL;
	/* Copying is no change: a transaction that only made nodes its own must not conflict. */
	copy->generation = node->generation;
	if (!copy_value(copy, node->value, node->value_len) ||
	    !grow_children(copy, node->n_children)) {
		node_put(copy);
		return NULL;
	}
	for (unsigned i = 0; i < node->n_children; i++) {
		copy->children[i] = node->children[i];
		copy->children[i]->refs++;
	}
	copy->n_children = node->n_children;
	return copy;
}

/* Makes the node in a slot private to this tree. The caller owns the node above, whose slot this
 * is. On failure the slot is as it was. */
static struct xs_node *own(struct xs_node **slot)
{
	struct xs_node *copy;

	if ((*slot)->refs == 1)
		return *slot;
	copy = node_copy(*slot);
	if (!copy)
		return NULL;
	node_put(*slot);
	*slot = copy;
	return copy;
}

/* Order of names: as strcmp, the name given by its length. */
static int compare(const struct xs_node *node, const char *name, unsigned len)
{
	int order = memcmp(node->name, name, MIN(node->name_len, len));

	return order ? order : (int)node->name_len - (int)len;
}

/* Where the child is, or would be put; true when it is there. */
static bool child_index(const struct xs_node *node, const char *name, unsigned len, unsigned *out)
{
	unsigned low = 0, high = node->n_children;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		int order = compare(node->children[middle], name, len);

		if (order == 0) {
			*out = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*out = low;
	return false;
}

/* Takes over the caller's reference to child. */
static bool insert_child(struct xs_node *node, struct xs_node *child)
{
	unsigned at;

	if (!grow_children(node, node->n_children + 1))
		return false;
	/* After growing, since that may fail, and before the count changes. */
	child_index(node, child->name, child->name_len, &at);
	memmove(&node->children[at + 1], &node->children[at],
		(node->n_children - at) * sizeof(*node->children));
	node->children[at] = child;
	node->n_children++;
	node->generation = ++last_generation;
	return true;
}

/* ---- paths --------------------------------------------------------------------------- */

/* The name after a place in a path, and the place after it; 0: the path has ended. */
static unsigned next_name(const char **path, const char **out_name)
{
	const char *name = *path + (**path == '/'), *end = name;

	while (*end && *end != '/')
		end++;
	*path = end;
	*out_name = name;
	return (unsigned)(end - name);
}

/* The lowest node on the way to path; *rest is what of the path is below it. Bounded by
 * XS_DEPTH_MAX names, each found by halving. */
static struct xs_node *descend(const struct xs_tree *tree, const char *path, const char **rest)
{
	struct xs_node *node = tree->root;
	const char *name;
	unsigned len, at;

	*rest = path;
	while ((len = next_name(&path, &name)) && child_index(node, name, len, &at)) {
		node = node->children[at];
		*rest = path;
	}
	return node;
}

struct xs_node *xs_tree_find(const struct xs_tree *tree, const char *path)
{
	const char *rest;
	struct xs_node *node = descend(tree, path, &rest);

	return *rest && strcmp(rest, "/") ? NULL : node;
}

struct xs_node *xs_tree_nearest(const struct xs_tree *tree, const char *path)
{
	const char *rest;

	return descend(tree, path, &rest);
}

/* How much of a path is its parent's; 0 for the root's children, whose parent is "". */
static size_t parent_length(const char *path)
{
	size_t len = strlen(path);

	while (len && path[len - 1] != '/')
		len--;
	return len ? len - 1 : 0;
}

/* The node of the first len bytes of path; with make_own every node on the way is made private.
 * NULL: it is not there, or no memory. */
static struct xs_node *reach(struct xs_tree *tree, const char *path, size_t len, bool make_own)
{
	const char *end = path + len, *name;
	struct xs_node **slot = &tree->root;
	unsigned name_len, at;

	while (!make_own || own(slot)) {
		if (path >= end || !(name_len = next_name(&path, &name)))
			return *slot;
		if (!child_index(*slot, name, name_len, &at))
			return NULL;
		slot = &(*slot)->children[at];
	}
	return NULL;
}

struct xs_node *xs_tree_parent(const struct xs_tree *tree, const char *path)
{
	struct xs_tree view = *tree;

	return reach(&view, path, parent_length(path), false);
}

uint64_t xs_tree_generation(const struct xs_tree *tree, const char *path)
{
	struct xs_node *node = xs_tree_find(tree, path);

	return node ? node->generation : 0;
}

/* ---- changes ------------------------------------------------------------------------- */

/* Nodes for the names in rest, each below the one before. */
static struct xs_node *chain_new(const char *rest, const struct xs_perms *perms,
				 unsigned *out_count, unsigned *out_bytes)
{
	struct xs_node *first = NULL, *last = NULL, *node;
	const char *name;
	unsigned len;

	while ((len = next_name(&rest, &name))) {
		node = node_new(name, len, perms);
		if (node && last && !insert_child(last, node)) {
			node_put(node);
			node = NULL;
		}
		if (!node)
			goto drop;
		if (!first)
			first = node;
		last = node;
		*out_count += 1;
		*out_bytes += xs_node_bytes(node);
	}
	return first;
drop:
	if (first)
		node_put(first);
	return NULL;
}

/* The new nodes are put together on the side and hung in with one pointer at the end: until then
 * nobody can see them, and after it nothing can fail. */
int xs_tree_create(struct xs_tree *tree, const char *path, domid_t owner)
{
	const char *rest;
	struct xs_perms perms = descend(tree, path, &rest)->perms;
	struct xs_node *chain, *above;
	unsigned count = 0, bytes = 0;

	if (owner != DOMID_INVALID)
		perms.entry[0].domid = owner;
	owner = perms.entry[0].domid;
	chain = chain_new(rest, &perms, &count, &bytes);
	if (!chain)
		return -XEN_ENOMEM;
	above = reach(tree, path, (size_t)(rest - path), true);
	if (!above || xs_account_reserve(tree, owner) || !insert_child(above, chain)) {
		node_put(chain);
		return -XEN_ENOMEM;
	}
	xs_account_add(tree, owner, (int)count, (int)bytes);
	return 0;
}

/* reach() may have made nodes private and then failed: the tree has other nodes then that read the
 * same, which is why callers may drop it or keep it. Same value or not, it is a change: WRITE fires
 * watches in either case, as clients rely on. */
int xs_tree_set_value(struct xs_tree *tree, const char *path, const void *value, size_t len)
{
	struct xs_node *node = reach(tree, path, strlen(path), true);
	int before = node ? (int)node->value_len : 0;

	if (!node || !copy_value(node, value, len))
		return -XEN_ENOMEM;
	node->generation = ++last_generation;
	xs_account_add(tree, node->perms.entry[0].domid, 0, (int)len - before);
	return 0;
}

int xs_tree_set_perms(struct xs_tree *tree, const char *path, const struct xs_perms *perms)
{
	struct xs_node *node = reach(tree, path, strlen(path), true);

	if (!node || xs_account_reserve(tree, perms->entry[0].domid))
		return -XEN_ENOMEM;
	/* Added before it is taken off, so that one owner's account is never empty between. */
	xs_account_add(tree, perms->entry[0].domid, 1, (int)xs_node_bytes(node));
	xs_account_add(tree, node->perms.entry[0].domid, -1, -(int)xs_node_bytes(node));
	node->perms = *perms;
	node->generation = ++last_generation;
	return 0;
}

/* The parent is made private, the node itself is not: it is only let go of here, and another tree
 * may keep it. */
int xs_tree_remove(struct xs_tree *tree, const char *path)
{
	size_t above = parent_length(path);
	struct xs_node *parent = reach(tree, path, above, true), *node;
	const char *name = path + above + 1;
	unsigned at;

	if (!parent)
		return -XEN_ENOMEM;
	if (!child_index(parent, name, (unsigned)strlen(name), &at))
		return -XEN_ENOENT;
	node = parent->children[at];
	parent->n_children--;
	memmove(&parent->children[at], &parent->children[at + 1],
		(parent->n_children - at) * sizeof(*parent->children));
	parent->generation = ++last_generation;
	xs_account_drop(tree, node);
	node_put(node);
	return 0;
}

/* ---- whole trees --------------------------------------------------------------------- */

int xs_tree_init(struct xs_tree *tree, domid_t owner)
{
	struct xs_perms perms = {.count = 1, .entry = {{.domid = owner, .may = XS_PERM_NONE}}};

	/* "" is the root's name, "/" its path; nothing removes it. */
	*tree = (struct xs_tree){.root = node_new("", 0, &perms)};
	if (!tree->root || xs_account_reserve(tree, owner)) {
		xs_tree_free(tree);
		return -XEN_ENOMEM;
	}
	xs_account_add(tree, owner, 1, (int)xs_node_bytes(tree->root));
	return 0;
}

/* The price of a copy: one more reference to the root, and the accounts. */
int xs_tree_clone(const struct xs_tree *tree, struct xs_tree *out)
{
	size_t size = tree->cap_accounts * sizeof(*tree->accounts);

	*out = *tree;
	out->accounts = host_alloc(size);
	if (!out->accounts)
		return -XEN_ENOMEM;
	memcpy(out->accounts, tree->accounts, size);
	out->root->refs++;
	return 0;
}

void xs_tree_free(struct xs_tree *tree)
{
	if (tree->root)
		node_put(tree->root);
	if (tree->accounts)
		host_free(tree->accounts, tree->cap_accounts * sizeof(*tree->accounts));
	*tree = (struct xs_tree){0};
}
