/* store_host.c: host.h for tests of the store and the consoles; see store_host.h.
 *
 * Plain and strict: sizes given to host_free must be those asked for, work may not be run twice,
 * what is still held can be counted. Called by the rooms under test and by the tests.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_host.h"

bool host_verbose;
void (*test_on_fetch)(const volatile void *from, size_t len);

static size_t held;
static unsigned fail_in, warnings;
static bool fail_always;
static char last_warning[256];
static uint64_t now_ns;
static struct host_work *queue;

struct link {
	_Alignas(4096) char page[PAGE_SIZE];
	host_event_fn *fn;
	void *ctx;
	unsigned notified, spurious;
};

static struct guest {
	struct link link[2]; /* console, store: by their reserved grant entries */
	uint32_t request;
	char in[XS_MESSAGE_MAX];
	size_t in_len;
} guests[TEST_GUESTS];

static char events[TEST_GUESTS][1 << 16], told[1 << 16];
char guest_reply[REPLY_MAX];

void peer_on_fetch(const volatile void *from, size_t len)
{
	if (test_on_fetch)
		test_on_fetch(from, len);
}

/* ---- memory ------------------------------------------------------------------------------ */

static bool must_fail(void)
{
	if (!fail_in)
		return false;
	if (fail_in > 1)
		return --fail_in, false;
	if (!fail_always)
		fail_in = 0;
	return true;
}

void host_fail_alloc(unsigned nth, bool always)
{
	fail_in = nth;
	fail_always = always;
}

void *host_alloc(size_t size_bytes)
{
	size_t *block = must_fail() ? NULL : calloc(1, size_bytes + 16);

	if (!block)
		return NULL;
	*block = size_bytes;
	held += size_bytes;
	return block + 2;
}

void host_free(void *p, size_t size_bytes)
{
	size_t *block = (size_t *)p - 2;

	if (*block != size_bytes)
		host_bug("freed with another size", __FILE__, __LINE__);
	held -= size_bytes;
	free(block);
}

void *host_pages_alloc(unsigned count)
{
	void *pages = must_fail() ? NULL : aligned_alloc(PAGE_SIZE, count * PAGE_SIZE);

	if (!pages)
		return NULL;
	memset(pages, 0, count * PAGE_SIZE);
	held += count * PAGE_SIZE;
	return pages;
}

void host_pages_free(void *pages, unsigned count)
{
	held -= count * PAGE_SIZE;
	free(pages);
}

size_t host_bytes_held(void)
{
	return held;
}

/* ---- rings and events -------------------------------------------------------------------- */

static struct link *link_of(domid_t domid, uint32_t guest_port)
{
	if (!domid || domid >= TEST_GUESTS)
		return NULL;
	if (guest_port != STORE_PORT && guest_port != CONSOLE_PORT)
		return NULL;
	return &guests[domid].link[guest_port == STORE_PORT];
}

int host_ring_map(domid_t owner, const gref_t *refs, unsigned count, void **out_va)
{
	if (!owner || owner >= TEST_GUESTS || count != 1 || refs[0].v > 1)
		return -XEN_EINVAL;
	*out_va = guests[owner].link[refs[0].v].page;
	return 0;
}

void host_ring_unmap(void *va, unsigned count)
{
	if ((uintptr_t)va % PAGE_SIZE || count != 1)
		host_bug("unmapped what was not mapped", __FILE__, __LINE__);
}

int host_event_bind(domid_t peer, uint32_t peer_port, host_event_fn *fn, void *ctx,
		    port_t *out_port)
{
	struct link *link = link_of(peer, peer_port);

	if (!link || link->fn)
		return -XEN_EINVAL;
	link->fn = fn;
	link->ctx = ctx;
	out_port->v = peer * 16u + peer_port;
	return 0;
}

void host_event_notify(port_t port)
{
	link_of((domid_t)(port.v / 16), port.v % 16)->notified++;
}

void host_event_spurious(port_t port)
{
	link_of((domid_t)(port.v / 16), port.v % 16)->spurious++;
}

void host_event_close(port_t port)
{
	link_of((domid_t)(port.v / 16), port.v % 16)->fn = NULL;
}

/* ---- work and time ----------------------------------------------------------------------- */

static void queue_at(struct host_work *work, uint64_t due_ns)
{
	struct host_work **end = &queue;

	if (work->queued)
		return;
	while (*end)
		end = &(*end)->next;
	work->queued = true;
	work->due_ns = due_ns;
	work->next = NULL;
	*end = work;
}

void host_work_soon(struct host_work *work)
{
	queue_at(work, 0);
}

void host_work_after(struct host_work *work, uint64_t delay_ns)
{
	queue_at(work, now_ns + delay_ns);
}

void host_work_cancel(struct host_work *work)
{
	struct host_work **link = &queue;

	while (*link && *link != work)
		link = &(*link)->next;
	if (*link)
		*link = work->next;
	work->queued = false;
}

bool host_run(void)
{
	unsigned steps = 0;

	for (struct host_work **link = &queue; *link;) {
		struct host_work *work = *link;

		if (work->due_ns > now_ns) {
			link = &work->next;
			continue;
		}
		*link = work->next;
		work->queued = false;
		work->fn(work->ctx);
		link = &queue;
		if (++steps > 100000)
			return false;
	}
	return true;
}

uint64_t host_time_ns(void)
{
	return now_ns;
}

void host_advance_ns(uint64_t delay_ns)
{
	now_ns += delay_ns;
}

/* ---- words ------------------------------------------------------------------------------- */

void host_log(enum host_log_level level, const char *fmt, ...)
{
	char text[sizeof(last_warning)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (host_verbose)
		fprintf(stderr, "log: %s\n", text);
	if (level < HOST_LOG_WARN)
		return;
	warnings++;
	memcpy(last_warning, text, sizeof(text));
}

void host_bug(const char *what, const char *file, int line)
{
	fprintf(stderr, "bug: %s at %s:%d\n", what, file, line);
	abort();
}

unsigned host_warnings(void)
{
	return warnings;
}

const char *host_last_warning(void)
{
	return last_warning;
}

void host_reset(void)
{
	memset(guests, 0, sizeof(guests));
	memset(events, 0, sizeof(events));
	queue = NULL;
	fail_in = warnings = 0;
	now_ns = 0;
	test_on_fetch = NULL;
}

/* ---- guests ------------------------------------------------------------------------------ */

struct xenstore_domain_interface *guest_store_page(domid_t domid)
{
	return (void *)guests[domid].link[1].page;
}

struct xencons_interface *guest_console_page(domid_t domid)
{
	return (void *)guests[domid].link[0].page;
}

bool guest_kick(domid_t domid, uint32_t guest_port)
{
	struct link *link = link_of(domid, guest_port);

	if (!link->fn)
		return false;
	link->fn(link->ctx);
	return true;
}

unsigned guest_notified(domid_t domid, uint32_t guest_port)
{
	struct link *link = link_of(domid, guest_port);
	unsigned count = link->notified;

	link->notified = 0;
	return count;
}

size_t guest_put(domid_t domid, const void *bytes, size_t len)
{
	int put = xs_ring_put(guest_store_page(domid), XS_SIDE_CLIENT, bytes, len);

	return put > 0 ? (size_t)put : 0;
}

static void note_event(domid_t domid, const char *payload, size_t len)
{
	char *list = events[domid];
	size_t used = strlen(list), path_len = strnlen(payload, len);

	if (path_len < len)
		snprintf(list + used, sizeof(events[0]) - used, "%s|%s\n", payload,
			 payload + path_len + 1);
}

/* Takes bytes until one message is whole; true when it is the reply to the last request. */
static bool take_messages(domid_t domid, struct xsd_sockmsg *out)
{
	struct guest *guest = &guests[domid];
	struct xsd_sockmsg *head = (struct xsd_sockmsg *)guest->in;
	size_t want;
	int got;

	for (;;) {
		want = sizeof(*head) + (guest->in_len < sizeof(*head) ? 0 : head->len);
		if (guest->in_len >= sizeof(*head) && guest->in_len == want) {
			*out = *head;
			guest->in_len = 0;
			if (head->type != XS_WATCH_EVENT)
				return head->req_id == guest->request;
			note_event(domid, guest->in + sizeof(*head), head->len);
			continue;
		}
		got = xs_ring_take(guest_store_page(domid), XS_SIDE_CLIENT,
				   guest->in + guest->in_len, want - guest->in_len);
		if (got <= 0)
			return false;
		guest->in_len += (size_t)got;
	}
}

int guest_ask(domid_t domid, uint32_t type, uint32_t tx, const void *payload, size_t len)
{
	struct guest *guest = &guests[domid];
	struct xsd_sockmsg head = {type, ++guest->request, tx, (uint32_t)len};
	char message[XS_MESSAGE_MAX];
	size_t sent = 0, total = sizeof(head) + len;

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), payload, len);
	for (unsigned idle = 0; idle < 20; idle++) {
		sent += guest_put(domid, message + sent, total - sent);
		guest_kick(domid, STORE_PORT);
		host_run();
		if (!take_messages(domid, &head))
			continue;
		memcpy(guest_reply, guest->in + sizeof(head), head.len);
		guest_reply[head.len] = 0;
		if (head.type == XS_ERROR)
			return xs_error_number(guest_reply, head.len);
		return head.type == type ? (int)head.len : -XEN_EBADMSG;
	}
	return -XEN_ETIME;
}

const char *guest_events(domid_t domid)
{
	struct xsd_sockmsg head;

	for (unsigned i = 0; i < 64; i++) {
		take_messages(domid, &head);
		guest_kick(domid, STORE_PORT);
		host_run();
	}
	memcpy(told, events[domid], sizeof(told));
	events[domid][0] = 0;
	return told;
}
