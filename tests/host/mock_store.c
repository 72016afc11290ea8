/* mock_store.c: the store of the mock world, enough of it for drivers and their handshakes.
 *
 * Nodes are a sorted list of absolute paths; a relative path belongs to the caller's
 * /local/domain/N. Transactions work on a copy of the list and fail with -XEN_EAGAIN when anything
 * was changed since. Watches are queued like any callback. No permissions, no quotas.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mock_host.h"

#define TRANSACTIONS 8u

struct node {
	struct node *next;
	char path[STORE_PATH_MAX];
	char value[STORE_VALUE_MAX];
};

struct host_watch {
	struct host_watch *next;
	domid_t domain;
	bool dead; /* unwatched while events of it are queued */
	char path[STORE_PATH_MAX], given[STORE_PATH_MAX];
	host_watch_fn *fn;
	void *ctx;
};

static struct node *nodes;
static struct host_watch *watches;
static unsigned generation;
static int conflicts;
static const char *hidden;
static struct tx {
	bool used, changed;
	domid_t domain;
	unsigned generation;
	struct node *nodes;
	char paths[320][STORE_PATH_MAX]; /* changed, to tell watches of at the end */
	unsigned n_paths;
} txs[TRANSACTIONS + 1];

/* ---- nodes ---- */

static void absolute(const char *path, char out[STORE_PATH_MAX])
{
	int n = path[0] == '/' || path[0] == '@'
		    ? snprintf(out, STORE_PATH_MAX, "%s", path)
		    : snprintf(out, STORE_PATH_MAX, "/local/domain/%u/%s", mock_current(), path);

	if (n >= (int)STORE_PATH_MAX)
		mock_bug("path is too long: %s", path);
}

/* Whether path is base or below it. */
static bool within(const char *path, const char *base)
{
	size_t len = strlen(base);

	return strncmp(path, base, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static struct node **find_link(struct node **list, const char *path)
{
	while (*list && strcmp((*list)->path, path) < 0)
		list = &(*list)->next;
	return list;
}

static struct node *find(struct node *list, const char *path)
{
	struct node *n = *find_link(&list, path);

	return n && strcmp(n->path, path) == 0 ? n : NULL;
}

static void put_one(struct node **list, const char *path, const char *value)
{
	struct node **link = find_link(list, path), *n = *link;

	if (!n || strcmp(n->path, path) != 0) {
		n = calloc(1, sizeof(*n));
		snprintf(n->path, sizeof(n->path), "%s", path);
		n->next = *link;
		*link = n;
	} else if (!value) {
		return;
	}
	snprintf(n->value, sizeof(n->value), "%s", value ? value : "");
}

/* With the parents that are missing. */
static void put(struct node **list, const char *path, const char *value)
{
	char parent[STORE_PATH_MAX];

	for (const char *s = path + 1; (s = strchr(s, '/')); s++) {
		snprintf(parent, sizeof(parent), "%.*s", (int)(s - path), path);
		put_one(list, parent, NULL);
	}
	put_one(list, path, value);
}

static bool remove_below(struct node **list, const char *path)
{
	bool any = false;

	while (*list) {
		struct node *n = *list;

		if (within(n->path, path)) {
			*list = n->next;
			free(n);
			any = true;
		} else {
			list = &n->next;
		}
	}
	return any;
}

static struct node *copy_nodes(const struct node *from)
{
	struct node *head = NULL, **tail = &head;

	for (; from; from = from->next) {
		*tail = malloc(sizeof(**tail));
		**tail = *from;
		(*tail)->next = NULL;
		tail = &(*tail)->next;
	}
	return head;
}

static void free_nodes(struct node **list)
{
	while (*list) {
		struct node *n = *list;

		*list = n->next;
		free(n);
	}
}

/* ---- watches ---- */

static void fire(struct host_watch *w, const char *path)
{
	const char *tell = path;

	/* Told in the words it was asked in: relative when the watch was. */
	if (w->given[0] != '/' && w->given[0] != '@')
		tell = path + strlen(w->path) - strlen(w->given);
	mock_queue(w->domain, MOCK_WATCH, w, tell);
}

/* removed: a subtree went, so watches below it are told too, of their own path. */
static void changed(const char *path, bool removed)
{
	generation++;
	for (struct host_watch *w = watches; w; w = w->next) {
		if (w->dead)
			continue;
		if (within(path, w->path))
			fire(w, path);
		else if (removed && within(w->path, path))
			fire(w, w->path);
	}
}

int host_store_watch(const char *path, host_watch_fn *fn, void *ctx, struct host_watch **out_watch)
{
	struct host_watch *w;

	if (mock_should_fail())
		return -XEN_ENOMEM;
	w = calloc(1, sizeof(*w));
	w->domain = mock_current();
	w->fn = fn;
	w->ctx = ctx;
	absolute(path, w->path);
	snprintf(w->given, sizeof(w->given), "%s", path);
	w->next = watches;
	watches = w;
	*out_watch = w;
	fire(w, w->path);
	return 0;
}

void host_store_unwatch(struct host_watch *watch)
{
	if (watch->dead || watch->domain != mock_current())
		mock_bug("watch of %s ended twice, or by another", watch->path);
	watch->dead = true;
}

void mock_run_watch(void *what, const char *path)
{
	struct host_watch *w = what;

	if (!w->dead)
		w->fn(w->ctx, path);
}

/* ---- host.h ---- */

static struct node **list_of(uint32_t tx)
{
	if (tx == HOST_TX_NONE)
		return &nodes;
	if (tx > TRANSACTIONS || !txs[tx].used || txs[tx].domain != mock_current())
		mock_bug("no transaction %u", tx);
	return &txs[tx].nodes;
}

static void note_change(uint32_t tx, const char *path, bool removed)
{
	struct tx *t = &txs[tx];

	if (tx == HOST_TX_NONE) {
		changed(path, removed);
		return;
	}
	t->changed = true;
	if (t->n_paths == ARRAY_SIZE(t->paths))
		mock_bug("a transaction of too many changes");
	snprintf(t->paths[t->n_paths++], STORE_PATH_MAX, "%s", path);
}

int host_store_read(uint32_t tx, const char *path, char *out, size_t cap)
{
	char full[STORE_PATH_MAX];
	struct node *n;

	if (mock_should_fail())
		return -XEN_ENOMEM;
	absolute(path, full);
	n = find(*list_of(tx), full);
	if (!n)
		return -XEN_ENOENT;
	if (strlen(n->value) + 1 > cap)
		return -XEN_E2BIG;
	strcpy(out, n->value);
	return (int)strlen(out);
}

int host_store_write(uint32_t tx, const char *path, const char *value)
{
	char full[STORE_PATH_MAX];

	if (mock_should_fail())
		return -XEN_ENOMEM;
	absolute(path, full);
	if (hidden && strcmp(strrchr(full, '/') + 1, hidden) == 0)
		return 0;
	put(list_of(tx), full, value);
	note_change(tx, full, false);
	return 0;
}

int host_store_mkdir(uint32_t tx, const char *path)
{
	char full[STORE_PATH_MAX];

	absolute(path, full);
	if (find(*list_of(tx), full))
		return 0;
	put(list_of(tx), full, NULL);
	note_change(tx, full, false);
	return 0;
}

int host_store_rm(uint32_t tx, const char *path)
{
	char full[STORE_PATH_MAX];

	if (mock_should_fail())
		return -XEN_ENOMEM;
	absolute(path, full);
	if (!remove_below(list_of(tx), full))
		return -XEN_ENOENT;
	note_change(tx, full, true);
	return 0;
}

int host_store_list(uint32_t tx, const char *path, char *out, size_t cap)
{
	char full[STORE_PATH_MAX];
	size_t used = 0, len;
	int count = 0;

	if (mock_should_fail())
		return -XEN_ENOMEM;
	absolute(path, full);
	if (!find(*list_of(tx), full))
		return -XEN_ENOENT;
	len = strlen(full);
	for (struct node *n = *list_of(tx); n; n = n->next) {
		if (!within(n->path, full) || n->path[len] != '/' || strchr(n->path + len + 1, '/'))
			continue;
		if (used + strlen(n->path + len + 1) + 1 > cap)
			return -XEN_E2BIG;
		strcpy(out + used, n->path + len + 1);
		used += strlen(out + used) + 1;
		count++;
	}
	return count;
}

int host_store_set_perms(uint32_t tx, const char *path, domid_t owner, domid_t reader)
{
	(void)tx, (void)path, (void)owner, (void)reader;
	return 0;
}

int host_store_begin(uint32_t *out_tx)
{
	if (mock_should_fail())
		return -XEN_ENOSPC;
	for (uint32_t i = 1; i <= TRANSACTIONS; i++)
		if (!txs[i].used) {
			txs[i] = (struct tx){
			    .used = true, .domain = mock_current(), .generation = generation};
			txs[i].nodes = copy_nodes(nodes);
			*out_tx = i;
			return 0;
		}
	return -XEN_ENOSPC;
}

int host_store_end(uint32_t tx, bool commit)
{
	struct tx *t = &txs[tx];
	bool conflict = t->changed && (t->generation != generation || conflicts > 0);

	list_of(tx);
	t->used = false;
	if (!commit || conflict) {
		free_nodes(&t->nodes);
		conflicts -= commit && conflicts > 0;
		return commit ? -XEN_EAGAIN : 0;
	}
	free_nodes(&nodes);
	nodes = t->nodes;
	t->nodes = NULL;
	for (unsigned i = 0; i < t->n_paths; i++)
		changed(t->paths[i], !find(nodes, t->paths[i]));
	return 0;
}

/* ---- tests ---- */

void mock_store_hide(const char *name)
{
	hidden = name;
}

void mock_tx_conflicts(int n)
{
	conflicts = n;
}

void mock_store_put(const char *path, const char *value)
{
	put(&nodes, path, value);
	changed(path, false);
}

const char *mock_store_get(const char *path)
{
	struct node *n = find(nodes, path);

	return n ? n->value : NULL;
}

void mock_store_put_key(const char *dir, const char *key, const char *value)
{
	char path[2 * STORE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, key);
	mock_store_put(path, value);
}

const char *mock_store_key(const char *dir, const char *key)
{
	char path[2 * STORE_PATH_MAX];
	const char *value;

	snprintf(path, sizeof(path), "%s/%s", dir, key);
	value = mock_store_get(path);
	return value ? value : "";
}

const char *mock_front_dir(const char *kind, domid_t guest, unsigned id)
{
	static char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "/local/domain/%u/device/%s/%u", guest, kind, id);
	return path;
}

const char *mock_back_dir(const char *kind, domid_t guest, unsigned id)
{
	static char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u/%u", kind, guest, id);
	return path;
}

void mock_store_remove(const char *path)
{
	if (remove_below(&nodes, path))
		changed(path, true);
}

unsigned mock_store_count(const char *below)
{
	unsigned count = 0;

	for (struct node *n = nodes; n; n = n->next)
		count += within(n->path, below);
	return count;
}

void mock_store_reset(void)
{
	free_nodes(&nodes);
	while (watches) {
		struct host_watch *w = watches;

		watches = w->next;
		free(w);
	}
	for (unsigned i = 1; i <= TRANSACTIONS; i++) {
		free_nodes(&txs[i].nodes);
		txs[i].used = false;
	}
	generation = 0;
	conflicts = 0;
	hidden = NULL;
}

void mock_store_kill(domid_t domain)
{
	for (struct host_watch *w = watches; w; w = w->next)
		if (w->domain == domain)
			w->dead = true;
}

void mock_store_left(domid_t domain, struct mock_left *left)
{
	for (struct host_watch *w = watches; w; w = w->next)
		left->watches += w->domain == domain && !w->dead;
	for (unsigned i = 1; i <= TRANSACTIONS; i++)
		left->transactions += txs[i].used && txs[i].domain == domain;
}
