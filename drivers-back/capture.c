/* capture.c: frames that pass an interface, as a pcap file in a ring of ours, for whoever reads it.
 *
 * Contract: capture.h. Callers: netback and the bridge (the tap), the control port (the rest). Asks net_fit for frames as a wire has
 * them. Worker context. Knows nothing of who reads, nor how: bytes are taken out as they fit there.
 *
 *      tap --frame--> net_fit --as on a wire--> record --> ring --capture_read--> the control port
 */
#include <amphi/bridge.h>
#include <amphi/capture.h>
#include <amphi/host.h>
#include <amphi/net_offload.h>
#include <amphi/netback.h>
#include <amphi/string.h>

#define RING_PAGES  (CAPTURE_RING_BYTES / PAGE_SIZE)
#define NS_PER_S    1000000000u
#define MAGIC_NS    0xa1b23c4du
#define DLT_EN10MB  1u
#define LONGEST_MTU 65521u

struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snap_bytes, link_type;
};
_Static_assert(sizeof(struct file_header) == 24, "as in the file");

struct record_header {
	uint32_t s, ns;
	uint32_t kept_bytes, frame_bytes;
};
_Static_assert(sizeof(struct record_header) == 16, "as in the file");

/* put and taken only grow; the ring has no record in part. */
struct capture {
	struct capture_want want;
	void (*news)(void *ctx);
	void *ctx;
	uint8_t *ring;
	uint64_t put, taken;
	struct capture_state state;
	bool tapped;
	bool at_guest; /* by netback's tap, else by the bridge's */
};

/* ---- the ring -------------------------------------------------------------------------------- */

static size_t room(const struct capture *c)
{
	return CAPTURE_RING_BYTES - (size_t)(c->put - c->taken);
}

/* There is room for them. */
static void put(struct capture *c, const void *bytes, size_t len)
{
	size_t at = c->put % CAPTURE_RING_BYTES, first = MIN(len, CAPTURE_RING_BYTES - at);

	memcpy(c->ring + at, bytes, first);
	memcpy(c->ring, (const uint8_t *)bytes + first, len - first);
	c->put += len;
}

size_t capture_read(struct capture *c, void *to, size_t cap)
{
	size_t len = MIN(cap, (size_t)(c->put - c->taken)), at = c->taken % CAPTURE_RING_BYTES,
	       first = MIN(len, CAPTURE_RING_BYTES - at);

	memcpy(to, c->ring + at, first);
	memcpy((uint8_t *)to + first, c->ring, len - first);
	c->taken += len;
	return len;
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* As much of it as is memory of ours. */
static void record(struct capture *c, const struct net_frame *frame)
{
	uint64_t now = c->want.epoch_ns + host_time_ns();
	struct record_header header = {.s = (uint32_t)(now / NS_PER_S),
				       .ns = (uint32_t)(now % NS_PER_S),
				       .frame_bytes = frame->len_bytes};
	const struct net_segment *first = &frame->segments[0];

	if (c->state.ended)
		return;
	header.kept_bytes = MIN(first->len_bytes, c->want.snap_bytes);
	if (room(c) < sizeof(header) + header.kept_bytes) {
		c->state.dropped++;
		return;
	}
	put(c, &header, sizeof(header));
	put(c, first->va, header.kept_bytes);
	c->state.frames++;
	c->state.ended = c->want.count && c->state.frames >= c->want.count;
}

/* One that fits; of one segment. */
static void fitted(void *ctx, struct net_frame *frame)
{
	record(ctx, frame);
	net_frame_put(frame, 0);
}

static void not_mine(struct net_frame *frame, int status)
{
	(void)frame, (void)status;
}

/* What is given to net_fit is a frame of our own over the same bytes, so that the true one is neither put nor changed. What a
 * guest does not let us fetch is kept as far as it was: the first bytes, and the length. */
static void on_frame(void *ctx, const struct net_frame *frame, bool to_device)
{
	struct capture *c = ctx;
	struct net_frame view;
	int n;

	if (!frame) {
		c->tapped = false;
		c->state.ended = c->state.gone = true;
	} else if (!c->state.ended && (to_device ? c->want.out : c->want.in)) {
		view = *frame;
		view.next = NULL;
		view.done = not_mine;
		view.holders = 1;
		view.status = 0;
		n = net_fit(&view, 0, LONGEST_MTU, fitted, c);
		if (n == -XEN_ENOMEM)
			c->state.dropped++;
		else if (n < 0)
			record(c, frame);
	}
	c->news(c->ctx);
}

/* ---- the capture ------------------------------------------------------------------------------ */

static int tap(struct capture *c)
{
	int err = netback_tap(c->want.name, on_frame, c);

	c->at_guest = err != -XEN_ENODEV;
	if (!c->at_guest)
		err = bridge_tap(c->want.name, on_frame, c);
	c->tapped = err == 0;
	return err;
}

static void capture_free(struct capture *c)
{
	host_pages_free(c->ring, RING_PAGES);
	host_free(c, sizeof(*c));
}

int capture_open(const struct capture_want *want, void (*news)(void *ctx), void *ctx,
		 struct capture **out)
{
	struct file_header header = {MAGIC_NS, 2, 4, 0, 0, want->snap_bytes, DLT_EN10MB};
	struct capture *c = host_alloc(sizeof(*c));
	int err;

	if (!c)
		return -XEN_ENOMEM;
	*c = (struct capture){.want = *want, .news = news, .ctx = ctx};
	c->ring = host_pages_alloc(RING_PAGES);
	if (!c->ring) {
		host_free(c, sizeof(*c));
		return -XEN_ENOMEM;
	}
	put(c, &header, sizeof(header));
	err = tap(c);
	if (err)
		capture_free(c);
	else
		*out = c;
	return err;
}

void capture_look(const struct capture *c, struct capture_state *out)
{
	*out = c->state;
}

void capture_stop(struct capture *c)
{
	if (c->tapped && c->at_guest)
		(void)netback_tap(c->want.name, NULL, NULL);
	else if (c->tapped)
		(void)bridge_tap(c->want.name, NULL, NULL);
	c->tapped = false;
	c->state.ended = true;
}

void capture_close(struct capture *c)
{
	capture_stop(c);
	capture_free(c);
}
