/* host_store.c: host.h's store, for the kernel.
 *
 * In the domain that runs the store server the client is linked to it directly; in others it speaks
 * over the ring that boot.h names, and a call waits in the worker thread until the reply has
 * come. Which of the two is found at the first call. Callers: the portable rooms and the shell, in
 * the worker context. Calls xs_client.h, xs_server.h (its local link), event.h, thread.h.
 */
#include <amphi/event.h>
#include <amphi/host.h>
#include <amphi/xs_client.h>
#include <amphi/xs_server.h>
#include "boot.h"
#include "host_resume.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

/* A store that says nothing for so long is gone. The service domain may be busy starting. */
#define ANSWER_WITHIN_NS (60 * NS_PER_S)

/* One connection for the whole kernel; NULL until somebody needs the store. */
static struct xs_client *client;
static struct host_work poll_work; /* takes in events that come while no call waits */

/* Worker context: watches that fire are called from here. */
static void poll_client(void *ctx)
{
	xs_client_poll(client);
}

/* ---- over the ring ------------------------------------------------------------------------ */

static struct wait_queue answered;
static volatile bool signalled;
static port_t port;

/* Interrupt context. */
static void ring_event(void *ctx)
{
	signalled = true;
	wait_wake(&answered);
	worker_post(&poll_work);
}

/* The client has written to the ring; the server's end of the port is told. */
static void ring_notify(void *ctx)
{
	event_notify(port);
}

/* Worker context. While it sleeps the interrupt handler marks and wakes; other work of the
 * worker waits too, which is why the time is bounded. */
static int ring_wait(void *ctx)
{
	uint64_t deadline_ns =
	    time_ns() + ANSWER_WITHIN_NS; /* once: the macro asks again and again */

	if (!WAIT_UNTIL_DEADLINE(&answered, signalled, deadline_ns))
		return -XEN_EIO;
	/* Before the ring is looked at again: what is put there after this look signals anew. */
	signalled = false;
	return 0;
}

static struct xs_client_ring ring = {.notify = ring_notify, .wait = ring_wait};

/* The port exists since the domain was built; an event that came before it was adopted is not lost,
 * because the first thing every call does is to look at the ring. */
static int connect_ring(void)
{
	struct xs_stream stream = xs_client_ring_stream(&ring);

	ring.ring = boot.store_page;
	port.v = boot.store_port;
	client = xs_client_open(&stream);
	return client ? event_adopt(port, ring_event, NULL) : -XEN_ENOMEM;
}

/* Between requests there is nothing of ours in the ring, and this is between requests: they end within the
 * call that makes them. */
int host_store_resume(void)
{
	int status;

	if (!client || !ring.ring)
		return 0;
	port.v = boot.store_port;
	status = event_adopt(port, ring_event, NULL);
	xs_ring_drop(ring.ring, XS_SIDE_CLIENT);
	return status ? status : xs_client_resume(client);
}

/* ---- directly ----------------------------------------------------------------------------- */

static int local_send(void *ctx, const void *bytes, size_t len)
{
	return xs_local_send(bytes, len);
}

static int local_recv(void *ctx, void *bytes, size_t cap)
{
	return xs_local_recv(bytes, cap);
}

/* The server acts within send: there is never anything to wait for. */
static int local_wait(void *ctx)
{
	return -XEN_EIO;
}

/* Called in the middle of other calls of the server: events are taken in later. */
static void local_output(void *ctx)
{
	host_work_soon(&poll_work);
}

static int connect_local(void)
{
	struct xs_stream stream = {local_send, local_recv, local_wait, NULL};

	client = xs_client_open(&stream);
	if (!client)
		return -XEN_ENOMEM;
	xs_local_on_output(local_output, NULL);
	return 0;
}

/* 0, or -XEN_ENODEV where there is no store. */
static int connect(void)
{
	int status = -XEN_ENODEV;

	if (client)
		return 0;
	poll_work.fn = poll_client;
	if (xs_server_running())
		status = connect_local();
	else if (boot.store_page)
		status = connect_ring();
	if (status && client) {
		xs_client_close(client);
		client = NULL;
	}
	return status;
}

/* ---- host.h ------------------------------------------------------------------------------- */

/* Each call connects first, which costs one comparison afterwards: whoever is first may be any
 * room. */
int host_store_read(uint32_t tx, const char *path, char *out, size_t cap)
{
	int status = connect();

	return status ? status : xs_client_read(client, tx, path, out, cap);
}

int host_store_write(uint32_t tx, const char *path, const char *value)
{
	int status = connect();

	return status ? status : xs_client_write(client, tx, path, value);
}

int host_store_mkdir(uint32_t tx, const char *path)
{
	int status = connect();

	return status ? status : xs_client_mkdir(client, tx, path);
}

int host_store_rm(uint32_t tx, const char *path)
{
	int status = connect();

	return status ? status : xs_client_rm(client, tx, path);
}

int host_store_list(uint32_t tx, const char *path, char *out, size_t cap)
{
	int status = connect();

	return status ? status : xs_client_list(client, tx, path, out, cap);
}

/* The owner's letter, which is everybody's default, is "n". */
int host_store_set_perms(uint32_t tx, const char *path, domid_t owner, domid_t reader)
{
	struct xs_perms perms = {.count = reader == DOMID_INVALID ? 1 : 2};
	int status = connect();

	perms.entry[0] = (struct xs_perm){.domid = owner, .may = XS_PERM_NONE};
	perms.entry[1] = (struct xs_perm){.domid = reader, .may = XS_PERM_READ};
	return status ? status : xs_client_set_perms(client, tx, path, &perms);
}

int host_store_begin(uint32_t *out_tx)
{
	int status = connect();

	return status ? status : xs_client_begin(client, out_tx);
}

int host_store_end(uint32_t tx, bool commit)
{
	int status = connect();

	return status ? status : xs_client_end(client, tx, commit);
}

/* A host_watch is the client's own watch under the name that host.h has for it. */
int host_store_watch(const char *path, host_watch_fn *fn, void *ctx, struct host_watch **out_watch)
{
	struct xs_watch *watch;
	int status = connect();

	if (!status)
		status = xs_client_watch(client, path, fn, ctx, &watch);
	if (!status)
		*out_watch = (struct host_watch *)watch;
	return status;
}

void host_store_unwatch(struct host_watch *watch)
{
	xs_client_unwatch((struct xs_watch *)watch);
}
