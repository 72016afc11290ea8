/* netback_take.c: the next packet off a guest's tx ring, decoded from our copy of its slots.
 *
 * A packet is a first request, extra infos behind it when it says so, and a request for each further piece; its size
 * stands in the first. Each slot is fetched once. What is read here is numbers of the guest's: they are held against each
 * other and against our limits, and no page of the guest's is touched. Caller: netback_tx.c, per batch.
 *
 * A packet whose slots do not all stand on the ring when it is published has no end, and nobody could tell where the
 * next begins: that ends the connection. Any other nonsense ends the packet, with its slots answered.
 */
#include <amphi/string.h>

#include "netback_private.h"

/* What is being read. */
struct take {
	struct vif_queue *q;
	unsigned *left;
	struct vif_frame *frame;
	const char *why; /* the packet is refused */
	uint32_t total;  /* as the first request says */
	uint32_t pieces; /* of them, what the others have */
	struct netif_extras extras;
};

union tx_slot {
	struct netif_tx_request req;
	struct netif_extra_info extra;
	struct {
		uint64_t low;
		uint32_t high;
	} __attribute__((packed)) words;
};

/* False: there is none. */
static bool next_slot(struct take *t, union tx_slot *out)
{
	const volatile peer_byte *slot = ring_slot(&t->q->tx, t->q->tx.in);

	if (*t->left == 0)
		return false;
	out->words.low = peer_fetch64(slot);
	out->words.high = peer_fetch32((const volatile uint32_t *)(slot + 8));
	t->q->tx.in++;
	(*t->left)--;
	t->q->vif->stats.requests++;
	return true;
}

static void refuse(struct take *t, const char *why)
{
	if (!t->why)
		t->why = why;
}

/* ---- extra infos ----------------------------------------------------------------------- */

/* False: the chain has no end. */
static bool read_extras(struct take *t)
{
	union tx_slot slot;

	do {
		if (t->frame->n_extras == VIF_EXTRAS_MAX || !next_slot(t, &slot))
			return false;
		t->frame->n_extras++;
		if (netif_extra_take(&t->extras, &slot.extra) < 0)
			refuse(t, "extra info that means nothing");
	} while (slot.extra.flags & XEN_NETIF_EXTRA_FLAG_MORE);
	return true;
}

/* ---- pieces ---------------------------------------------------------------------------- */

/* The first has what the others leave of the total, so its length is set when all are read. */
static void add_piece(struct take *t, const struct netif_tx_request *req)
{
	struct vif_frame *frame = t->frame;

	if (frame->n_ids == NETIF_SLOTS_MAX) { /* answered at once: there is no room for its id */
		refuse(t, "more slots than the limit");
		vif_respond(t->q, req->id, NETIF_RSP_ERROR);
		return;
	}
	frame->ids[frame->n_ids++] = req->id;
	frame->net.segments[frame->n_ids] =
	    (struct net_segment){NULL, req->size, req->offset, {req->gref}};
	if (frame->n_ids == 1)
		return;
	t->pieces += req->size;
	if (req->size == 0)
		refuse(t, "empty slot");
	if (req->offset + req->size > PAGE_SIZE)
		refuse(t, "slot beyond its page");
}

static bool read_pieces(struct take *t, const struct netif_tx_request *first)
{
	union tx_slot slot;
	bool more = first->flags & NETTXF_more_data;

	add_piece(t, first);
	if ((first->flags & NETTXF_extra_info) && !read_extras(t))
		return false;
	while (more) {
		if (!next_slot(t, &slot))
			return false;
		add_piece(t, &slot.req);
		more = slot.req.flags & NETTXF_more_data;
	}
	return true;
}

/* ---- the whole ------------------------------------------------------------------------- */

static void check_sizes(struct take *t)
{
	struct net_segment *first = &t->frame->net.segments[1];

	if (t->total < NET_HEAD_BYTES)
		refuse(t, "shorter than a header");
	if (t->pieces >= t->total) {
		refuse(t, "slots longer than the packet");
		return;
	}
	first->len_bytes = t->total - t->pieces;
	if (first->offset + first->len_bytes > PAGE_SIZE)
		refuse(t, "slot beyond its page");
}

static void check_gso(struct take *t)
{
	struct net_frame *net = &t->frame->net;

	if (t->extras.gso == NET_GSO_NONE)
		return;
	if (t->extras.gso_size < VIF_GSO_SIZE_MIN)
		refuse(t, "GSO with an impossible size");
	net->gso = t->extras.gso;
	net->gso_size = t->extras.gso_size;
	net->flags |= NET_CSUM_BLANK;
}

#define MCAST (1u << XEN_NETIF_EXTRA_TYPE_MCAST_ADD | 1u << XEN_NETIF_EXTRA_TYPE_MCAST_DEL)

/* Of a request that carries an address and nothing else its own size and page mean nothing. */
static enum vif_taken finish(struct take *t)
{
	struct vif_frame *frame = t->frame;

	if ((t->extras.seen & MCAST) && !t->why) {
		bool ok = vif_multicast_ask(t->q->vif, t->extras.mcast,
					    t->extras.seen & 1u << XEN_NETIF_EXTRA_TYPE_MCAST_ADD);

		vif_frame_answer(frame, ok ? NETIF_RSP_OKAY : NETIF_RSP_ERROR);
		return VIF_ANSWERED;
	}
	check_sizes(t);
	check_gso(t);
	frame->net.hash = t->extras.hash;
	if (!t->why) {
		vif_count_offloads(&frame->net, &t->q->vif->stats.blank_in,
				   &t->q->vif->stats.gso_in);
		return VIF_FRAME;
	}
	frame->why = t->why;
	vif_net_stats(t->q)->drops[NET_DROP_malformed]++;
	vif_frame_refuse(frame);
	return VIF_ANSWERED;
}

static void begin(struct take *t, struct vif_frame *frame, const struct netif_tx_request *first)
{
	t->frame = frame;
	t->total = first->size;
	t->pieces = 0;
	t->extras = (struct netif_extras){0};
	t->why = NULL;
	frame->n_ids = frame->n_extras = frame->n_staged = 0;
	frame->why = NULL;
	frame->net.len_bytes = first->size;
	frame->net.flags = netif_tx_frame_flags(first->flags);
	frame->net.gso = NET_GSO_NONE;
	frame->net.gso_size = 0;
	frame->net.status = 0;
	frame->net.holders = 1;
}

enum vif_taken vif_take(struct vif_queue *q, unsigned *left, struct vif_frame **out)
{
	struct take t;
	union tx_slot slot;

	t.q = q;
	t.left = left;
	if (!q->free) {
		q->starved = true;
		return VIF_NOTHING;
	}
	if (!next_slot(&t, &slot))
		return VIF_NOTHING;
	begin(&t, q->free, &slot.req);
	q->free = t.frame->next;
	q->n_frames_out++;
	*out = t.frame;
	if (read_pieces(&t, &slot.req))
		return finish(&t);
	t.frame->next = q->free;
	q->free = t.frame;
	q->n_frames_out--;
	vif_broken(q->vif, t.frame->n_extras == VIF_EXTRAS_MAX
			       ? "a chain of extra infos without end"
			       : "a packet without end");
	return VIF_BROKEN;
}
