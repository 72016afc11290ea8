/* e1000e_receive.c: buffers to the 82574, and frames made of those that it gives back.
 *
 * A frame that is longer than a page is several descriptors, the last of which has EOP. The card is not believed: lengths are held
 * against the buffer, and only as many descriptors are looked at as it was given. Called by nic.c through e1000e_ops,
 * by e1000e_recover.c.
 */
#include "e1000e.h"

#include <amphi/peer.h>
#include <amphi/string.h>

/* One stays free, for the same reason as with what is sent. */
void e1000e_refill(struct nic_queue *queue)
{
	struct e1000e *e = e1000e_of(queue->nic);
	unsigned before = e->n_posted;

	queue->lacks = 0;
	while (e->n_posted < E1K_RING - 1) {
		unsigned n = (e->rx_next + e->n_posted) % E1K_RING;
		struct nic_buffer *buffer = nic_buffer_get(queue);

		if (!buffer) {
			queue->lacks = E1K_RING - 1 - e->n_posted;
			break;
		}
		e->rx[n] = (struct e1000e_rx_desc){.addr = buffer->at.v};
		e->posted[n] = buffer;
		e->n_posted++;
	}
	if (e->n_posted == before)
		return;
	peer_wmb(); /* descriptors before the tail that shows them */
	e1000e_write(e, E1K_RDT, (e->rx_next + e->n_posted) % E1K_RING);
}

bool e1000e_has_received(const struct e1000e *e)
{
	return e->n_posted && *(volatile uint8_t *)&e->rx[e->rx_next].status & E1K_RX_DD;
}

/* The whole descriptor at once: what is looked at does not change afterwards. */
static struct e1000e_rx_desc take_desc(struct e1000e *e, struct nic_buffer **out_buffer)
{
	union {
		uint64_t word;
		struct e1000e_rx_desc desc;
	} got;
	struct e1000e_rx_desc desc = {0};

	peer_rmb(); /* DD before the rest */
	got.word = peer_fetch64(&e->rx[e->rx_next].len);
	memcpy(&desc.len, &got.word, sizeof(got.word));
	*out_buffer = e->posted[e->rx_next];
	e->posted[e->rx_next] = NULL;
	e->rx_next = (e->rx_next + 1) % E1K_RING;
	e->n_posted--;
	return desc;
}

/* What a frame ends as. TCP and UDP without a sum to look at have neither bit set (7.1.5). */
static void end_frame(struct e1000e *e, const struct e1000e_rx_desc *desc)
{
	struct net_frame *frame = e->coming;

	e->coming = NULL;
	if (desc->errors & E1K_RX_NO_FRAME) {
		nic_discard(&e->queue, frame, NET_DROP_device);
		return;
	}
	if (frame->len_bytes < NET_HEAD_BYTES) {
		nic_discard(&e->queue, frame, NET_DROP_malformed);
		return;
	}
	if (!(desc->status & E1K_RX_IXSM) && desc->status & (E1K_RX_TCPCS | E1K_RX_UDPCS) &&
	    !(desc->errors & (E1K_RX_TCPE | E1K_RX_IPE)))
		frame->flags = NET_CSUM_VALID;
	nic_receive(&e->queue, frame);
}

/* The buffer is the coming frame's in either case. A card fills each before it takes the next; a first one that is not full would be
 * without all headers (net.h). */
static bool join(struct e1000e *e, struct nic_buffer *buffer, const struct e1000e_rx_desc *desc)
{
	bool fits = desc->len && desc->len <= PAGE_SIZE &&
		    (desc->status & E1K_RX_EOP || desc->len == PAGE_SIZE);
	uint32_t len = fits ? desc->len : 1;

	if (e->coming)
		return nic_frame_add(e->coming, buffer, 0, len) && fits;
	e->coming = nic_frame_begin(buffer, 0, len);
	return fits;
}

/* What cannot be a frame is dropped at once, and the rest of it up to its end: one without end holds no buffers. */
static void take_one(struct e1000e *e)
{
	struct nic_buffer *buffer;
	struct e1000e_rx_desc desc = take_desc(e, &buffer);

	if (e->skips) {
		nic_buffer_free(buffer);
	} else if (!join(e, buffer, &desc)) {
		nic_discard(&e->queue, e->coming, NET_DROP_malformed);
		e->coming = NULL;
		e->skips = true;
	}
	if (!(desc.status & E1K_RX_EOP))
		return;
	if (!e->skips)
		end_frame(e, &desc);
	e->skips = false;
}

bool e1000e_receive(struct e1000e *e)
{
	for (unsigned n = 0; n < NIC_BATCH; n++) {
		if (!e1000e_has_received(e))
			return false;
		take_one(e);
	}
	return true;
}

void e1000e_forget_posted(struct e1000e *e)
{
	if (e->coming)
		nic_discard(&e->queue, e->coming, NET_DROP_device);
	e->coming = NULL;
	e->skips = false;
	for (unsigned i = 0; i < E1K_RING; i++) {
		if (e->posted[i])
			nic_buffer_free(e->posted[i]);
		e->posted[i] = NULL;
	}
	e->rx_next = e->n_posted = 0;
}
