/* consback.c: the service domain's end of a guest's console.
 *
 * The guest's page is read through peer.h: its indices once each, its bytes once each; our own
 * indices are kept privately. One turn takes at most one ring's worth, then the worker's queue goes
 * round; beyond CONSBACK_BYTES_PER_S the ring is left full for a while, which stops the guest and
 * nobody else. Callers: control, the kernel's service role. Calls host.h.
 */
#include <amphi/consback.h>
#include <amphi/host.h>
#include <amphi/peer.h>
#include <amphi/string.h>
#include <xen/io/console.h>

#define OUT_SIZE ((uint32_t)sizeof(((struct xencons_interface *)0)->out))
#define IN_SIZE  ((uint32_t)sizeof(((struct xencons_interface *)0)->in))

/* Who writes which index, and where it is read from:
 *
 *	out_prod, in_cons	the guest, in the page; fetched once a turn
 *	out_cons, in_prod	we; kept in struct consback, the page's copies are for the guest
 */

/* Bytes may come in bursts of a tenth of a second's worth.
 *
 *    span  |<---- 100 ms ---->|<---- 100 ms ---->|
 *    read   ##########..........##########.......      at most BYTES_PER_SPAN in each
 *
 * Without a bound a guest that prints without end would have the worker, and the log, for
 * itself. */
#define SPAN_NS        100000000ull
#define BYTES_PER_SPAN (CONSBACK_BYTES_PER_S / 10)

/* Memory for one guest, all of it taken at attach: what a guest says can make it no bigger. */
struct consback {
	domid_t domid;
	struct xencons_interface *ring;
	port_t port;
	struct consback_sink sink;
	struct host_work work;
	uint32_t out_cons, in_prod; /* ours: the ring's copies are for the guest */

	char line[CONSBACK_LINE_MAX + 1];
	size_t line_len;
	char input[CONSBACK_INPUT_MAX]; /* waits for room in the ring */
	size_t input_len;

	uint64_t span_start_ns;
	uint32_t span_bytes;
	struct consback_stats stats;
};

/* ---- output ---------------------------------------------------------------------------- */

static void give_line(struct consback *c)
{
	while (c->line_len && c->line[c->line_len - 1] == '\r')
		c->line_len--;
	c->line[c->line_len] = 0;
	c->stats.lines++;
	if (c->sink.line)
		c->sink.line(c->sink.ctx, c->line, c->line_len);
	c->line_len = 0;
}

/* A line ends at LF. One that never ends is given in pieces; what follows its last LF waits. */
static void give(struct consback *c, const char *bytes, size_t len)
{
	if (c->sink.raw)
		c->sink.raw(c->sink.ctx, bytes, len);
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			give_line(c);
			continue;
		}
		if (c->line_len == CONSBACK_LINE_MAX)
			give_line(c);
		c->line[c->line_len++] = bytes[i];
	}
}

/* Once: nobody looks at a broken ring again. */
static void fail(struct consback *c, const char *why)
{
	/* The page stays mapped and the port bound until detach: the domain itself lives on,
	 * silent. */
	host_log(HOST_LOG_WARN, "console of domain %u is given up: %s", c->domid, why);
	c->stats.broken = true;
}

/* Takes and gives up to most bytes of the ring. Returns how many. */
static uint32_t drain(struct consback *c, uint32_t most)
{
	char piece[256];
	uint32_t there, take, at, first, all = 0;

	there = peer_fetch32(&c->ring->out_prod) - c->out_cons;
	if (there > OUT_SIZE) {
		fail(c, "its output index is impossible");
		return 0;
	}
	peer_rmb(); /* the bytes were there before the index */
	while (all < there && all < most) {
		take = (uint32_t)MIN(MIN(there, most) - all, sizeof(piece));
		at = MASK_XENCONS_IDX(c->out_cons, c->ring->out);
		first = MIN(take, OUT_SIZE - at);
		peer_copy_in(piece, c->ring->out + at, first);
		peer_copy_in(piece + first, c->ring->out, take - first);
		c->out_cons += take;
		all += take;
		give(c, piece, take);
	}
	peer_mb(); /* all are read before their room is given back */
	peer_store32(&c->ring->out_cons, c->out_cons);
	c->stats.bytes_out += all;
	return all;
}

/* What the guest may still say in this span of time. */
static uint32_t allowance(struct consback *c)
{
	uint64_t now = host_time_ns();

	if (now - c->span_start_ns >= SPAN_NS) {
		c->span_start_ns = now;
		c->span_bytes = 0;
	}
	return BYTES_PER_SPAN - c->span_bytes;
}

/* ---- input ----------------------------------------------------------------------------- */

/* Puts bytes where the guest can read them. Returns how many had room. */
static size_t type(struct consback *c, const char *bytes, size_t len)
{
	uint32_t waiting = c->in_prod - peer_fetch32(&c->ring->in_cons);
	uint32_t at = MASK_XENCONS_IDX(c->in_prod, c->ring->in), put, first;

	if (waiting > IN_SIZE) {
		fail(c, "its input index is impossible");
		return 0;
	}
	peer_mb(); /* it was done with the room before it gave it back */
	put = (uint32_t)MIN(len, IN_SIZE - waiting);
	first = MIN(put, IN_SIZE - at);
	peer_copy_out(c->ring->in + at, bytes, first);
	peer_copy_out(c->ring->in, bytes + first, put - first);
	peer_wmb(); /* the bytes before the index that shows them */
	c->in_prod += put;
	peer_store32(&c->ring->in_prod, c->in_prod);
	c->stats.bytes_in += put;
	return put;
}

/* What was typed while the ring was full goes first. */
static size_t type_waiting(struct consback *c)
{
	size_t put = c->input_len ? type(c, c->input, c->input_len) : 0;

	c->input_len -= put;
	memmove(c->input, c->input + put, c->input_len);
	return put;
}

size_t consback_input(struct consback *c, const char *bytes, size_t len)
{
	size_t put = 0, kept;

	if (c->stats.broken)
		return 0;
	type_waiting(c);
	if (!c->input_len)
		put = type(c, bytes, len);
	kept = MIN(len - put, sizeof(c->input) - c->input_len);
	memcpy(c->input + c->input_len, bytes + put, kept);
	c->input_len += kept;
	host_event_notify(c->port);
	return put + kept;
}

/* ---- life ------------------------------------------------------------------------------ */

/* From the guest's event, and again from the worker while there is more. `may` is 0 when the guest
 * has said its share: then its ring stays as it is until the next span, and its kernel waits. */
static void turn(void *ctx)
{
	struct consback *c = ctx;
	uint32_t may, got;
	size_t typed;

	if (c->stats.broken)
		return;
	may = allowance(c);
	may = MIN(may, OUT_SIZE);
	got = drain(c, may);
	c->span_bytes += got;
	typed = c->stats.broken ? 0 : type_waiting(c);
	/* One event for both directions: room to write again, something to read. */
	if (got || typed)
		host_event_notify(c->port);
	else if (may)
		host_event_spurious(c->port);
	if (c->stats.broken || got < may)
		return; /* the ring is empty; its next event comes back here */
	if (c->span_bytes < BYTES_PER_SPAN) {
		host_work_soon(&c->work);
		return;
	}
	c->stats.delays++;
	host_work_after(&c->work, SPAN_NS);
}

int consback_attach(domid_t domid, uint32_t peer_port, const struct consback_sink *sink,
		    struct consback **out)
{
	gref_t ref = {GNTTAB_RESERVED_CONSOLE};
	struct consback *c = host_alloc(sizeof(*c));
	void *page;
	int status = -XEN_ENOMEM;

	if (!c)
		return status;
	c->domid = domid;
	c->sink = *sink;
	c->work = (struct host_work){.fn = turn, .ctx = c};
	c->span_start_ns = host_time_ns();
	status = host_ring_map(domid, &ref, 1, &page);
	if (status)
		goto free_console;
	/* From here on ours are private (see above); the page may hold the words of a guest that
	 * ran before anybody listened, so we begin where it stands. */
	c->ring = page;
	c->out_cons = peer_fetch32(&c->ring->out_cons);
	c->in_prod = peer_fetch32(&c->ring->in_prod);
	status = host_event_bind(domid, peer_port, turn, c, &c->port);
	if (status)
		goto unmap;
	host_work_soon(&c->work); /* it may have spoken before anybody listened */
	*out = c;
	return 0;
unmap:
	host_ring_unmap(page, 1);
free_console:
	host_free(c, sizeof(*c));
	return status;
}

/* The page is read once more: a domain's last words are often why it is gone. */
void consback_detach(struct consback *c)
{
	host_work_cancel(&c->work);
	if (!c->stats.broken)
		drain(c, OUT_SIZE);
	if (c->line_len)
		give_line(c);
	host_event_close(c->port);
	host_ring_unmap(c->ring, 1);
	host_free(c, sizeof(*c));
}

void consback_set_sink(struct consback *c, const struct consback_sink *sink)
{
	c->sink = *sink;
}

void consback_count(const struct consback *c, struct consback_stats *out)
{
	*out = c->stats;
}
