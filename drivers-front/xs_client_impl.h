/* xs_client_impl.h: what the files of the store client share among themselves.
 *
 * xs_client.c sends requests and takes messages apart; xs_client_watch.c keeps watches and the
 * events that wait to be told; xs_client_list.c reads directories of any length. All in the worker
 * context; errors as in <amphi/xs_client.h>.
 */
#ifndef DRIVERS_FRONT_XS_CLIENT_IMPL_H
#define DRIVERS_FRONT_XS_CLIENT_IMPL_H

#include <amphi/xs_client.h>

struct xs_watch {
	struct xs_watch *next;
	struct xs_client *client;
	uint32_t id; /* its token, in decimal */
	host_watch_fn *fn;
	void *ctx;
	char *path;
	bool missed; /* an event could not be kept: fn is told of path itself instead */
};

struct xs_client_event {
	struct xs_client_event *next;
	struct xs_watch *watch;
	size_t size_bytes;
	char path[];
};

struct xs_client {
	struct xs_stream stream;
	bool broken;
	/* the message being taken in; payload is a page */
	struct xsd_sockmsg head;
	size_t head_got, payload_got;
	char *payload;
	/* the request under way; NULL when its reply is there, as status */
	const struct xs_call *call;
	uint32_t request;
	int status;
	struct xs_watch *watches;
	uint32_t last_watch;
	struct xs_client_event *events, **events_end;
	unsigned n_events;
	struct host_work work; /* tells the events */
};

/* A request whose answer is only whether it was done: 0 or a negative XEN_Exxx. */
int xs_client_do(struct xs_client *client, const struct xs_call *call);
/* A WATCH_EVENT came; the payload is the server's and unchecked. */
void xs_client_event(struct xs_client *client, const char *payload, size_t len);
void xs_client_deliver(void *ctx);
/* Asks for every watch again. The first error. */
int xs_client_rewatch(struct xs_client *client);
/* Frees all watches and events. */
void xs_client_forget(struct xs_client *client);

#endif
