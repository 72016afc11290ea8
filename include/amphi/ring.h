/* ring.h: the shared ring under every split driver, seen from either half.
 *
 * The layout is that of xen/io/ring.h: four indices that run freely modulo 2^32, then a power of
 * two of slots, each of which holds a request until its response takes its place. Callers are
 * the drivers of drivers-front and drivers-back; all is inline over peer.h, allocates nothing,
 * asks nothing of the host. Context: one thread at a time per half, the halves at the same time.
 *
 * What the peer can do: write anything into the page at any moment. The half's own indices are
 * private; a peer's index is fetched once and checked for range (ring_*_fetch return -1 when it
 * lies); slots are opaque memory. Not promised: that a slot's content is fit for anything.
 */
#ifndef AMPHI_RING_H
#define AMPHI_RING_H

#include <amphi/peer.h>
#include <amphi/types.h>

#define RING_SLOTS_OFFSET 64u

struct ring_page {
	/* front writes */
	volatile uint32_t req_prod; /* requests there are, up to here */
	/* back writes */
	volatile uint32_t req_event; /* "wake me when req_prod passes this" */
	volatile uint32_t rsp_prod;
	/* front writes */
	volatile uint32_t rsp_event;
	volatile uint8_t unused[RING_SLOTS_OFFSET - 16];
	peer_byte slots[];
};
_Static_assert(offsetof(struct ring_page, slots) == RING_SLOTS_OFFSET, "xen/io/ring.h");

/* One half's private view. The same struct for both: "out" is what this half produces (requests
 * in front, responses in back), "in" what it consumes. */
struct ring {
	struct ring_page *shared;
	uint32_t n_slots; /* a power of two */
	uint32_t slot_bytes;
	uint32_t out;        /* produced so far, published or not */
	uint32_t out_pushed; /* published */
	uint32_t in;         /* consumed so far */
};

/* Slots of slot_bytes each that fit pages: the greatest power of two. */
static inline uint32_t ring_slots(unsigned pages, uint32_t slot_bytes)
{
	uint32_t n = (uint32_t)((pages * PAGE_SIZE - RING_SLOTS_OFFSET) / slot_bytes);

	return n == 0 ? 0 : 1u << (31 - __builtin_clz(n));
}

/* The half's view of a ring of so many pages. front also makes the shared part fresh
 * (ring_reset_shared) before it grants it away; back calls only this. */
static inline void ring_init(struct ring *r, void *va, unsigned pages, uint32_t slot_bytes)
{
	*r = (struct ring){
	    .shared = va, .n_slots = ring_slots(pages, slot_bytes), .slot_bytes = slot_bytes};
}
static inline void ring_reset_shared(struct ring *r)
{
	peer_store32(&r->shared->req_prod, 0);
	peer_store32(&r->shared->rsp_prod, 0);
	peer_store32(&r->shared->req_event, 1);
	peer_store32(&r->shared->rsp_event, 1);
}

/* The slot of a running index: opaque memory, slot_bytes long, for peer_copy_in/out. */
static inline peer_byte *ring_slot(const struct ring *r, uint32_t index)
{
	return r->shared->slots + (size_t)(index & (r->n_slots - 1)) * r->slot_bytes;
}

/* ---- front: requests out, responses in ---------------------------------------------- */

/* Requests that can be put now. A slot is free once its response was consumed. */
static inline uint32_t ring_front_free(const struct ring *r)
{
	return r->n_slots - (r->out - r->in);
}

/* Requests that have no consumed response yet. */
static inline uint32_t ring_front_in_flight(const struct ring *r)
{
	return r->out - r->in;
}

/* How many responses wait to be consumed; -1: the back half published more than was asked. */
static inline int ring_front_fetch(const struct ring *r)
{
	uint32_t waiting = peer_fetch32(&r->shared->rsp_prod) - r->in;

	peer_rmb(); /* the index before the responses under it */
	return waiting > r->out_pushed - r->in ? -1 : (int)waiting;
}

/* Publishes every request put since the last push. Whether the peer asked to be notified. */
static inline bool ring_front_push(struct ring *r)
{
	uint32_t old = r->out_pushed, new = r->out;

	if (old == new)
		return false;
	peer_wmb(); /* the requests before the index over them */
	peer_store32(&r->shared->req_prod, new);
	r->out_pushed = new;
	peer_mb(); /* our index before their threshold: else both may think the other is awake */
	return new - peer_fetch32(&r->shared->req_event) < new - old;
}

/* Asks to be woken when `after` (>= 1) more responses are there; then looks once more. Returns what
 * ring_front_fetch does: when it is not 0 the wake-up may have been missed, so consume again. */
static inline int ring_front_arm(struct ring *r, uint32_t after)
{
	peer_store32(&r->shared->rsp_event, r->in + after);
	peer_mb();
	return ring_front_fetch(r);
}

/* ---- back: requests in, responses out ----------------------------------------------- */

/* How many requests wait; -1: the front half published more than the ring holds. */
static inline int ring_back_fetch(const struct ring *r)
{
	uint32_t waiting = peer_fetch32(&r->shared->req_prod) - r->in;

	peer_rmb();
	return waiting > r->n_slots - (r->in - r->out) ? -1 : (int)waiting;
}

static inline bool ring_back_push(struct ring *r)
{
	uint32_t old = r->out_pushed, new = r->out;

	if (old == new)
		return false;
	peer_wmb();
	peer_store32(&r->shared->rsp_prod, new);
	r->out_pushed = new;
	peer_mb();
	return new - peer_fetch32(&r->shared->rsp_event) < new - old;
}

static inline int ring_back_arm(struct ring *r, uint32_t after)
{
	peer_store32(&r->shared->req_event, r->in + after);
	peer_mb();
	return ring_back_fetch(r);
}

#endif
