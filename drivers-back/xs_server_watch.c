/* xs_server_watch.c: who wants to know of which path, and the events that wait to be read.
 *
 * A reader may stop reading, so events must not pile up: one that already waits is not queued
 * twice, and above the quota events are left out and the watch is marked; when the queue has run
 * empty, one event for the watch's own path is sent instead, which tells its holder to look again
 * at everything below. No change is ever lost in silence.
 *
 * Callers: xs_server_change.c (fire), xs_server_ops.c, xs_server_conn.c (sending). Calls the tree.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "xs_server_impl.h"

/* ---- events ---------------------------------------------------------------------------- */

/* The cost is a comparison with each event that waits, which the quota bounds. */
static bool event_waits(const struct xs_conn *conn, const struct xs_watcher *watch,
			const char *path)
{
	const struct xs_event *first = conn->events;

	/* The one being sent tells of the past: a change after it needs another. */
	if (first && conn->sending == XS_SENDING_EVENT)
		first = first->next;
	for (const struct xs_event *e = first; e; e = e->next)
		if (e->watch == watch && !strcmp(e->payload, path))
			return true;
	return false;
}

/* An event is the path as the watcher knows it and its token, each with its NUL. The queue always
 * takes one, however long, so that every event can be sent some time. */
static void event_queue(struct xs_conn *conn, struct xs_watcher *watch, const char *path)
{
	size_t path_len = strlen(path) + 1, token_len = strlen(watch->token) + 1;
	size_t len = path_len + token_len;
	struct xs_event *event = NULL;

	if (event_waits(conn, watch, path))
		return;
	/* What becomes of an event:
	 *
	 *    room             -> queued
	 *    no room, memory  -> watch marked, one for its own path is owed
	 *    queue empty      -> xs_event_pay: the owed go first */
	if (conn->event_bytes + len <= xs.quota.event_bytes || !conn->events)
		event = host_alloc(sizeof(*event) + len);
	if (!event) {
		watch->merged = true;
		conn->events_owed = true;
		xs.ever.events_merged++;
		return;
	}
	event->watch = watch;
	event->len = (unsigned)len;
	memcpy(event->payload, path, path_len);
	memcpy(event->payload + path_len, watch->token, token_len);
	*conn->events_end = event;
	conn->events_end = &event->next;
	conn->event_bytes += len;
	xs.ever.events++;
	xs_conn_wake(conn);
}

/* The queue's end is a pointer to the last next: it moves back when the last goes. */
static void event_free(struct xs_conn *conn, struct xs_event **link)
{
	struct xs_event *event = *link;

	*link = event->next;
	if (conn->events_end == &event->next)
		conn->events_end = link;
	conn->event_bytes -= event->len;
	host_free(event, sizeof(*event) + event->len);
}

void xs_event_done(struct xs_conn *conn)
{
	event_free(conn, &conn->events);
}

/* Owed events go to the queue as it has room. Those that do not fit stay owed: this is called again
 * when the queue has run empty. */
void xs_event_pay(struct xs_conn *conn)
{
	conn->events_owed = false; /* until one finds no room again */
	/* Each watch owes one at most, however many were left out. */
	for (struct xs_watcher *w = conn->watches; w; w = w->next) {
		if (!w->merged)
			continue;
		w->merged = false;
		event_queue(conn, w, w->path + w->strip);
	}
}

void xs_event_drop_all(struct xs_conn *conn)
{
	while (conn->events)
		event_free(conn, &conn->events);
}

/* ---- watches --------------------------------------------------------------------------- */

static size_t text_size(const char *text)
{
	return strlen(text) + 1;
}

static void watch_free(struct xs_watcher *watch)
{
	if (watch->path)
		host_free(watch->path, text_size(watch->path));
	if (watch->token)
		host_free(watch->token, text_size(watch->token));
	host_free(watch, sizeof(*watch));
}

static char *text_copy(const char *text)
{
	char *copy = host_alloc(text_size(text));

	if (copy)
		memcpy(copy, text, text_size(text));
	return copy;
}

/* The link to the watch, or the end of the list: there a new one is put, so that watches are told
 * in the order in which they were set. */
static struct xs_watcher **find(struct xs_conn *conn, const char *absolute, const char *token)
{
	struct xs_watcher **link = &conn->watches;

	while (*link && (strcmp((*link)->path, absolute) || strcmp((*link)->token, token)))
		link = &(*link)->next;
	return link;
}

/* One event at once, as the protocol has it: whoever starts to watch then looks once and needs no
 * other beginning. */
int xs_watch_add(struct xs_conn *conn, const char *path, const char *absolute, const char *token)
{
	struct xs_watcher **end = find(conn, absolute, token), *watch;

	if (*end)
		return -XEN_EEXIST;
	if (!conn->privileged && conn->n_watches >= xs.quota.watches)
		return -XEN_E2BIG;
	watch = host_alloc(sizeof(*watch));
	if (!watch)
		return -XEN_ENOMEM;
	watch->path = text_copy(absolute);
	watch->token = text_copy(token);
	if (!watch->path || !watch->token) {
		watch_free(watch);
		return -XEN_ENOMEM;
	}
	/* Told as it was asked:
	 *
	 *    watch set on      event told as          strip
	 *    device/vbd        device/vbd/51712       length of "/local/domain/N/"
	 *    /local/domain/7   /local/domain/7/...    0 */
	watch->strip = (unsigned)(strlen(absolute) - strlen(path));
	*end = watch;
	conn->n_watches++;
	event_queue(conn, watch, path);
	return 0;
}

/* Its events go with it, but for the one whose first bytes the reader has. */
static void watch_drop(struct xs_conn *conn, struct xs_watcher **link)
{
	struct xs_watcher *watch = *link;
	struct xs_event **e = &conn->events;

	if (*e && conn->sending == XS_SENDING_EVENT) {
		if ((*e)->watch == watch)
			(*e)->watch = NULL;
		e = &(*e)->next;
	}
	while (*e) {
		if ((*e)->watch == watch)
			event_free(conn, e);
		else
			e = &(*e)->next;
	}
	*link = watch->next;
	conn->n_watches--;
	watch_free(watch);
}

int xs_watch_remove(struct xs_conn *conn, const char *absolute, const char *token)
{
	struct xs_watcher **link = find(conn, absolute, token);

	if (!*link)
		return -XEN_ENOENT;
	watch_drop(conn, link);
	return 0;
}

void xs_watch_drop_all(struct xs_conn *conn)
{
	while (conn->watches)
		watch_drop(conn, &conn->watches);
}

/* ---- firing ---------------------------------------------------------------------------- */

/* Whether the connection may know of the node: it may read it, or list the one above it. Before and
 * after are both asked: of a removed node only the tree before knows the rights, of a new one only
 * the tree after. */
static bool may_know(const struct xs_conn *conn, const struct xs_tree *tree, const char *path)
{
	const struct xs_node *node = xs_tree_find(tree, path), *above;

	if (!node)
		return false;
	if (xs_may(conn, &node->perms) & XS_PERM_READ)
		return true;
	above = strcmp(path, "/") ? xs_tree_parent(tree, path) : NULL;
	return above && xs_may(conn, &above->perms) & XS_PERM_READ;
}

struct firing {
	const struct xs_change *change;
	const struct xs_tree *before, *after;
};

/* A watch hears of its node, of all below it, and of the end of a node above it. */
static void fire_one(struct xs_conn *conn, struct xs_watcher *watch, const struct firing *f)
{
	const char *path = f->change->path;

	if (!xs_path_covers(watch->path, path)) {
		/* What lay below a removed node went too: its watchers hear of it by their path. */
		if (f->change->type != XS_RM || !xs_path_covers(path, watch->path))
			return;
		path = watch->path;
	}
	if (may_know(conn, f->before, path) || may_know(conn, f->after, path))
		event_queue(conn, watch, path + watch->strip);
}

void xs_watch_fire(const struct xs_change *change, const struct xs_tree *before,
		   const struct xs_tree *after)
{
	struct firing f = {change, before, after};

	for (struct xs_conn *conn = xs.conns; conn; conn = conn->next)
		for (struct xs_watcher *w = conn->watches; w; w = w->next)
			fire_one(conn, w, &f);
}

/* The special names are no nodes: their permissions are the server's own. */
void xs_watch_fire_special(const char *name)
{
	const struct xs_perms *perms = xs_special_perms(name);

	for (struct xs_conn *conn = xs.conns; conn; conn = conn->next)
		for (struct xs_watcher *w = conn->watches; w; w = w->next)
			if (!strcmp(w->path, name) && xs_may(conn, perms) & XS_PERM_READ)
				event_queue(conn, w, name);
}
