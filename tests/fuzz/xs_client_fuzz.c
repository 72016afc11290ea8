/* xs_client_fuzz.c: the store client against a server that answers anything.
 *
 * Input is what the server puts into the reply ring, in pieces, some made to look like answers to
 * the request under way or events of a watch that exists, and indices. Shows that no server can
 * make the client read or write out of bounds, keep unbounded memory or call a watch that has
 * ended. Why: the store may be another domain's, and a bug in it must not become one of ours.
 * Called by libFuzzer.
 *
 * links: tests/host/store_host.c drivers-front/xs_client.c drivers-front/xs_client_watch.c
 * links: drivers-front/xs_client_list.c protocol/xs_wire.c protocol/xs_path.c
 * links: protocol/xs_perms.c protocol/xs_ring.c lib/printf.c lib/text.c
 */
#include <string.h>

#include <amphi/xs_client.h>

#include "tests/host/store_host.h"

#define CHECK(cond) ((cond) ? (void)0 : host_bug(#cond, __FILE__, __LINE__))

static const uint8_t *at;
static size_t left;
static struct xs_client *client;
static struct xs_watch *watch;
static uint32_t requests;

static unsigned next(void)
{
	if (!left)
		return 0;
	left--;
	return *at++;
}

static void notify(void *ctx) {}

static void put_bytes(const void *bytes, size_t len)
{
	xs_ring_put(guest_store_page(1), XS_SIDE_SERVER, bytes, len);
}

/* A message with a head that fits the moment and a body of the input's. */
static void put_message(unsigned what)
{
	struct xsd_sockmsg head = {what & 31, requests, 0, next()};
	const uint8_t *body = at;
	size_t len = head.len < left ? head.len : left;

	if (what & 32) { /* an event of the watch there is, or was */
		static const char event[] = "data/x\0"
					    "1";

		head = (struct xsd_sockmsg){XS_WATCH_EVENT, 0, 0, sizeof(event)};
		put_bytes(&head, sizeof(head));
		put_bytes(event, sizeof(event));
		return;
	}
	head.len = (uint32_t)len;
	put_bytes(&head, sizeof(head));
	put_bytes(body, len);
	at += len;
	left -= len;
}

/* The server's turn. */
static int serve(void *ctx)
{
	char taken[XENSTORE_RING_SIZE];
	struct xenstore_domain_interface *page = guest_store_page(1);
	unsigned what = next(), len;

	if (!left)
		return -XEN_EIO;
	xs_ring_take(page, XS_SIDE_SERVER, taken, what & 1 ? sizeof(taken) : what);
	if (what < 180) {
		put_message(what);
	} else if (what < 250) {
		len = next();
		len = len < left ? len : (unsigned)left;
		put_bytes(at, len);
		at += len;
		left -= len;
	} else {
		page->rsp_prod = next() << 8 | next();
	}
	return 0;
}

static void on_change(void *ctx, const char *path)
{
	CHECK(watch && strlen(path) <= XENSTORE_PAYLOAD_MAX);
}

static void end_watch(void)
{
	struct xs_watch *ending = watch;

	watch = NULL;
	if (ending)
		xs_client_unwatch(ending);
}

static void step(void)
{
	static char out[300];
	uint32_t tx;
	int status;

	requests++;
	switch (next() % 8) {
	case 0:
		status = xs_client_read(client, 0, "data/x", out, sizeof(out));
		CHECK(status < (int)sizeof(out) && (status < 0 || !out[status]));
		break;
	case 1:
		xs_client_write(client, 0, "data/x", "value");
		break;
	case 2:
		status = xs_client_list(client, 0, "data", out, sizeof(out));
		CHECK(status <= (int)sizeof(out));
		break;
	case 3:
		if (!xs_client_begin(client, &tx))
			xs_client_end(client, tx, true);
		break;
	case 4:
		if (!watch)
			xs_client_watch(client, "data", on_change, NULL, &watch);
		break;
	case 5:
		end_watch();
		break;
	case 6:
		serve(NULL);
		xs_client_poll(client);
		break;
	case 7:
		CHECK(host_run());
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct xs_client_ring ring = {.notify = notify, .wait = serve};
	struct xs_stream stream = xs_client_ring_stream(&ring);

	host_reset();
	at = data;
	left = size;
	requests = 0;
	watch = NULL;
	ring.ring = guest_store_page(1);
	client = xs_client_open(&stream);
	while (left)
		step();
	CHECK(host_bytes_held() < 3 * PAGE_SIZE + 64 * (XENSTORE_PAYLOAD_MAX + 64));
	watch = NULL;
	xs_client_close(client);
	CHECK(host_bytes_held() == 0);
	return 0;
}
