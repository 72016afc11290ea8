/* virtio_net_receive.c: buffers to the device, and frames made of those that it gives back.
 *
 * With MRG_RXBUF a frame is as many pages as it needs, its header in the first; without, one page, in which a legacy
 * device wants the header apart. The device is not believed: lengths are held against the buffers, the number of buffers
 * against what it has returned, the place of a checksum against the frame's own headers. Set up by
 * virtio_net_init.c; called by nic.c through vnet_ops and by virtio_net_recover.c.
 */
#include "virtio_net.h"

#include <amphi/peer.h>
#include <amphi/string.h>

static bool post(struct vnet_pair *pair, struct nic_buffer *buffer)
{
	const struct vnet *v = pair->card;
	struct virtq_piece pieces[2] = {
	    {buffer->at, PAGE_SIZE, true},
	    {{buffer->at.v + VNET_DATA_AT}, PAGE_SIZE - VNET_DATA_AT, true}};
	unsigned n = 1;

	/* 5.1.6.3.1: a legacy device writes the header into a descriptor of its own. */
	if (v->header_len != VNET_DATA_AT) {
		pieces[0].len = v->header_len;
		n = 2;
	}
	return virtq_add(&pair->in.q, pieces, n, buffer);
}

void vnet_refill(struct nic_queue *queue)
{
	struct vnet_pair *pair = vnet_pair_of(queue);
	unsigned per_buffer = pair->card->header_len != VNET_DATA_AT ? 2 : 1, added = 0;

	queue->lacks = 0;
	while (pair->in.q.n_free >= per_buffer) {
		struct nic_buffer *buffer = nic_buffer_get(queue);

		if (!buffer) {
			queue->lacks = pair->in.q.n_free / per_buffer;
			break;
		}
		(void)post(pair, buffer);
		added++;
	}
	if (!added || !virtq_publish(&pair->in.q))
		return;
	pair->card->nic.dev.stats[queue->index].notifications_out++;
	virtio_pci_notify(&pair->card->pci, &pair->in);
}

/* What the device left to us: no checksum yet (then its place must be that of TCP's or UDP's in the frame), a frame of many
 * segments (which must be TCP's, without checksum). */
static bool take_offloads(struct net_frame *frame, const struct vnet_header *header)
{
	struct net_headers h;
	bool is_v6 = header->gso_type == VNET_GSO_TCPV6;

	if (!(header->flags & VNET_NEEDS_CSUM)) {
		if (header->flags & VNET_DATA_VALID)
			frame->flags = NET_CSUM_VALID;
		return header->gso_type == VNET_GSO_NONE;
	}
	if (nic_headers(frame, &h) || h.l4 == NET_L4_OTHER || header->csum_start != h.l4_at ||
	    header->csum_offset != (h.l4 == NET_L4_TCP ? 16 : 6))
		return false;
	frame->flags = NET_CSUM_BLANK | NET_CSUM_VALID;
	if (header->gso_type == VNET_GSO_NONE)
		return true;
	if (h.l4 != NET_L4_TCP || !header->gso_size ||
	    (header->gso_type != VNET_GSO_TCPV4 && !is_v6) ||
	    h.proto != (is_v6 ? NET_PROTO_IPV6 : NET_PROTO_IPV4))
		return false;
	frame->gso = is_v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
	frame->gso_size = header->gso_size;
	return true;
}

/* The next buffer the device has returned; its length is within it. NULL: none, or (*out_bad) what is none. */
static struct nic_buffer *next_buffer(struct vnet_pair *pair, uint32_t *out_len, bool *out_bad)
{
	struct nic_buffer *buffer = virtq_take_len(&pair->in.q, out_bad, out_len);
	const struct vnet *v = pair->card;

	if (buffer && *out_len > PAGE_SIZE - VNET_DATA_AT + v->header_len) {
		nic_buffer_free(buffer);
		*out_bad = true;
		return NULL;
	}
	return buffer;
}

/* The other buffers of a frame. A device shows them together, so none may be missing. False: the device lies. */
static bool take_rest(struct vnet_pair *pair, struct net_frame *frame, unsigned n,
		      bool *out_too_long)
{
	while (n--) {
		bool bad = false;
		uint32_t len;
		struct nic_buffer *buffer = next_buffer(pair, &len, &bad);

		if (!buffer)
			return false;
		if (!nic_frame_add(frame, buffer, 0, len))
			*out_too_long = true;
	}
	return true;
}

/* One frame, whose first buffer is given; all its buffers go on or come back. False: the device lies. A first buffer without
 * all headers is no frame of ours (net.h), and no device makes one: it fills each buffer before it takes the next. */
static bool take_frame(struct vnet_pair *pair, struct nic_buffer *buffer, uint32_t len)
{
	const struct vnet *v = pair->card;
	struct vnet_header header = {0};
	struct net_frame *frame;
	unsigned rest = 0;
	bool too_long = false;

	if (len < v->header_len) {
		nic_buffer_free(buffer);
		return false;
	}
	memcpy(&header, buffer->page, v->header_len);
	peer_rmb(); /* from here on ours, whatever becomes of the page */
	frame = nic_frame_begin(buffer, VNET_DATA_AT, len - v->header_len);
	if (v->features & VNET_FEATURE_MRG_RXBUF)
		rest = header.num_buffers - 1u;
	if (rest >= pair->in.q.size || !take_rest(pair, frame, rest, &too_long)) {
		nic_discard(&pair->nic, frame, NET_DROP_device);
		return false;
	}
	if (too_long)
		nic_discard(&pair->nic, frame, NET_DROP_too_long);
	else if (frame->len_bytes < NET_HEAD_BYTES ||
		 (rest && frame->segments[0].len_bytes < NET_PARSE_BYTES) ||
		 !take_offloads(frame, &header))
		nic_discard(&pair->nic, frame, NET_DROP_malformed);
	else
		nic_receive(&pair->nic, frame);
	return true;
}

bool vnet_receive(struct vnet_pair *pair)
{
	for (unsigned n = 0; n < NIC_BATCH; n++) {
		bool bad = false;
		uint32_t len;
		struct nic_buffer *buffer = next_buffer(pair, &len, &bad);

		if (buffer)
			bad = !take_frame(pair, buffer, len);
		if (bad)
			nic_reset(&pair->card->nic, "what the device returned it did not have");
		if (!buffer || bad)
			return false;
	}
	return true;
}

/* The queue has them as tokens. */
void vnet_forget_posted(struct vnet_pair *pair)
{
	for (unsigned i = 0; i < pair->in.q.size; i++) {
		if (pair->in.q.token[i])
			nic_buffer_free(pair->in.q.token[i]);
		pair->in.q.token[i] = NULL;
	}
}
