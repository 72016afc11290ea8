/* xs_ring.c: the store's shared page as two streams of bytes.
 *
 * Both ends use it: what one puts into req the other takes, and the same in rsp. Indices run
 * freely and are reduced when used. The peer may write anything anywhere at any time, so each of
 * its indices is fetched once, and a distance of more than the ring's size ends the use of it.
 * Messages are no matter of this file. Callers: the store's server and client. Calls only peer.h.
 */
#include <amphi/xs_wire.h>

_Static_assert(sizeof(struct xenstore_domain_interface) <= PAGE_SIZE,
	       "the store's ring is one page");
_Static_assert(offsetof(struct xenstore_domain_interface, req_cons) == 2048, "as Xen lays it out");

/* prod - cons is what is there, as both run modulo 2^32:
 *
 *	taken by the reader	 cons ........ prod	room: RING_SIZE - (prod - cons)
 *
 * Of a pair one is the peer's; ours is in the page as well, and a peer that changes it confuses its
 * own stream only: whatever the two say, no byte outside the buffer is touched.
 */
struct half {
	char *buffer;
	XENSTORE_RING_IDX *cons, *prod;
};

static struct half half_of(struct xenstore_domain_interface *ring, bool requests)
{
	if (requests)
		return (struct half){ring->req, &ring->req_cons, &ring->req_prod};
	return (struct half){ring->rsp, &ring->rsp_cons, &ring->rsp_prod};
}

int xs_ring_take(struct xenstore_domain_interface *ring, enum xs_side side, void *out, size_t cap)
{
	struct half half = half_of(ring, side == XS_SIDE_SERVER);
	uint32_t cons = peer_fetch32(half.cons), prod = peer_fetch32(half.prod);
	uint32_t there = prod - cons, at = MASK_XENSTORE_IDX(cons), len, first;

	if (there > XENSTORE_RING_SIZE)
		return -XEN_EIO;
	peer_rmb(); /* the bytes were written before prod was */
	len = (uint32_t)MIN(cap, there);
	first = MIN(len, XENSTORE_RING_SIZE - at);
	peer_copy_in(out, half.buffer + at, first);
	peer_copy_in((char *)out + first, half.buffer, len - first);
	peer_mb(); /* the bytes are read before their room is given back */
	peer_store32(half.cons, cons + len);
	return (int)len;
}

/* The mirror of take: what is room to one is content to the other. */
int xs_ring_put(struct xenstore_domain_interface *ring, enum xs_side side, const void *bytes,
		size_t len)
{
	struct half half = half_of(ring, side == XS_SIDE_CLIENT);
	uint32_t cons = peer_fetch32(half.cons), prod = peer_fetch32(half.prod);
	uint32_t there = prod - cons, at = MASK_XENSTORE_IDX(prod), put, first;

	if (there > XENSTORE_RING_SIZE)
		return -XEN_EIO;
	peer_mb(); /* the room was given back before we fill it */
	put = (uint32_t)MIN(len, XENSTORE_RING_SIZE - there);
	first = MIN(put, XENSTORE_RING_SIZE - at);
	peer_copy_out(half.buffer + at, bytes, first);
	peer_copy_out(half.buffer, (const char *)bytes + first, put - first);
	peer_wmb(); /* the bytes are there before prod says so */
	peer_store32(half.prod, prod + put);
	return (int)put;
}

/* What the peer has put there is for somebody who is no more. */
void xs_ring_drop(struct xenstore_domain_interface *ring, enum xs_side side)
{
	struct half half = half_of(ring, side == XS_SIDE_SERVER);

	peer_store32(half.cons, peer_fetch32(half.prod));
}
