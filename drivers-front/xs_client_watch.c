/* xs_client_watch.c: what the client wants to be told of, and the telling.
 *
 * Events come in the middle of requests, so they are kept and told later from the worker: a
 * callback may then make requests itself, or end its own watch. What is kept is bounded; beyond it
 * the watch is marked and told its own path, which means "look again". Callers: users of
 * xs_client.h, xs_client.c (events). Calls host.h.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "xs_client_impl.h"

#define EVENTS_MAX 64u /* kept at a time, of all watches; also told in one turn */

/* A token is the watch's number and not its address, so that whatever a server sends points into
 * our list or nowhere. Numbers are not used again within 2^32 watches. */
static struct xs_watch *find(struct xs_client *client, const char *token)
{
	struct xs_watch *watch = client->watches;
	uint64_t id;

	if (!xs_text_to_number(token, UINT32_MAX, &id))
		return NULL;
	while (watch && watch->id != id)
		watch = watch->next;
	return watch;
}

/* The same path for the same watch, not yet told: one call will do for both. */
static bool event_waits(const struct xs_client *client, const struct xs_watch *watch,
			const char *path)
{
	for (const struct xs_client_event *e = client->events; e; e = e->next)
		if (e->watch == watch && !strcmp(e->path, path))
			return true;
	return false;
}

void xs_client_event(struct xs_client *client, const char *payload, size_t len)
{
	struct xs_reader texts = {payload, len};
	const char *path = xs_next_text(&texts), *token = path ? xs_next_text(&texts) : NULL;
	struct xs_watch *watch = token ? find(client, token) : NULL;
	struct xs_client_event *event = NULL;
	size_t size;

	/* No watch: an event that was under way when the watch ended, which is no error. */
	if (!watch || event_waits(client, watch, path))
		return;
	size = sizeof(*event) + strlen(path) + 1;
	if (client->n_events < EVENTS_MAX)
		event = host_alloc(size);
	if (event) {
		event->watch = watch;
		event->size_bytes = size;
		memcpy(event->path, path, size - sizeof(*event));
		*client->events_end = event;
		client->events_end = &event->next;
		client->n_events++;
	} else {
		/* Nothing is lost: "something changed" covers every change, and its own path is
		 * where every user looks again from. */
		watch->missed = true;
	}
	host_work_soon(&client->work);
}

/* Takes one event off the queue; the caller frees it. */
static struct xs_client_event *unlink(struct xs_client *client, struct xs_client_event **link)
{
	struct xs_client_event *event = *link;

	*link = event->next;
	/* The last one goes: the tail must not point into what the caller frees. */
	if (client->events_end == &event->next)
		client->events_end = link;
	client->n_events--;
	return event;
}

/* One watch whose events were not kept. Found anew each time, since fn may end watches. */
static bool tell_missed(struct xs_client *client)
{
	struct xs_watch *watch = client->watches;

	while (watch && !watch->missed)
		watch = watch->next;
	if (!watch)
		return false;
	watch->missed = false;
	watch->fn(watch->ctx, watch->path);
	return true;
}

void xs_client_deliver(void *ctx)
{
	struct xs_client *client = ctx;
	struct xs_client_event *event;
	unsigned told = 0;

	/* Each is off the queue before its callback, which may change the queue and the watches. */
	while (client->events && told++ < EVENTS_MAX) {
		event = unlink(client, &client->events);
		/* The event's memory is ours until after the call, so path stays good even when fn
		 * ends the watch. */
		event->watch->fn(event->watch->ctx, event->path);
		host_free(event, event->size_bytes);
	}
	while (told++ < EVENTS_MAX && tell_missed(client))
		;
	/* One turn is bounded: a callback that writes what it watches makes an event of each, and
	 * others have work to do. */
	if (told >= EVENTS_MAX)
		host_work_soon(&client->work);
}

/* ---- watches ----------------------------------------------------------------------------- */

/* Its events go first: they point to it. */
static void watch_free(struct xs_watch *watch)
{
	struct xs_client *client = watch->client;
	struct xs_watch **link = &client->watches;
	struct xs_client_event **e = &client->events, *event;

	while (*e) {
		if ((*e)->watch != watch) {
			e = &(*e)->next;
			continue;
		}
		event = unlink(client, e);
		host_free(event, event->size_bytes);
	}
	while (*link != watch)
		link = &(*link)->next;
	*link = watch->next;
	host_free(watch->path, strlen(watch->path) + 1);
	host_free(watch, sizeof(*watch));
}

void xs_client_forget(struct xs_client *client)
{
	while (client->watches)
		watch_free(client->watches);
}

static int call_with_token(struct xs_watch *watch, uint32_t type)
{
	char token[12];
	struct xs_call call = {type, .text = {watch->path, token}};

	fmt_text(token, sizeof(token), "%u", watch->id);
	return xs_client_do(watch->client, &call);
}

int xs_client_watch(struct xs_client *client, const char *path, host_watch_fn *fn, void *ctx,
		    struct xs_watch **out_watch)
{
	struct xs_watch *watch = host_alloc(sizeof(*watch));
	size_t size = strlen(path) + 1;
	int status;

	if (!watch)
		return -XEN_ENOMEM;
	watch->path = host_alloc(size);
	if (!watch->path) {
		host_free(watch, sizeof(*watch));
		return -XEN_ENOMEM;
	}
	memcpy(watch->path, path, size);
	watch->client = client;
	watch->fn = fn;
	watch->ctx = ctx;
	watch->id = ++client->last_watch;
	/* Known before it is asked for: its first event may come with the reply. */
	watch->next = client->watches;
	client->watches = watch;
	status = call_with_token(watch, XS_WATCH);
	if (status) {
		watch_free(watch);
		return status;
	}
	*out_watch = watch;
	return 0;
}

/* No callback runs in a request, so the list stands still. */
int xs_client_rewatch(struct xs_client *client)
{
	int status, first = 0;

	for (struct xs_watch *watch = client->watches; watch; watch = watch->next) {
		status = call_with_token(watch, XS_WATCH);
		if (status && !first)
			first = status;
	}
	return first;
}

/* Events may come in while the server is asked; they find the watch still there and go with it. */
void xs_client_unwatch(struct xs_watch *watch)
{
	/* An error means that the server does not know it either. */
	(void)call_with_token(watch, XS_UNWATCH);
	watch_free(watch);
}
