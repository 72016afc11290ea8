/* virtio_net_send.c: frames to chains of descriptors, and what came back of them.
 *
 * A frame is a header of the device's own (what is left for it to do: checksum, cutting) and its pieces. Long ones go by a table, one descriptor of the queue.
 * Set up by virtio_net_init.c; called by nic.c through vnet_ops and by virtio_net_recover.c.
 */
#include "virtio_net.h"

#define CSUM_AT_TCP 16u
#define CSUM_AT_UDP 6u

/* Section 5.1.6.2: where the checksum begins, and, of a frame to be cut, how long the pieces are. Headers that make no
 * sense are the frame's error: the device would write its sum anywhere. */
static int make_header(const struct net_frame *frame, struct vnet_header *out)
{
	struct net_headers h;
	int err;

	*out = (struct vnet_header){0};
	if (!(frame->flags & NET_CSUM_BLANK))
		return frame->gso ? -XEN_EINVAL : 0;
	err = nic_headers(frame, &h);
	if (err)
		return err;
	if (h.l4 == NET_L4_OTHER || (frame->gso && (h.l4 != NET_L4_TCP || !frame->gso_size)))
		return -XEN_EINVAL;
	out->flags = VNET_NEEDS_CSUM;
	out->csum_start = h.l4_at;
	out->csum_offset = h.l4 == NET_L4_TCP ? CSUM_AT_TCP : CSUM_AT_UDP;
	if (!frame->gso)
		return 0;
	out->gso_type = frame->gso == NET_GSO_TCPV4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
	out->gso_size = frame->gso_size;
	out->hdr_len = h.data_at;
	return 0;
}

/* The device's header, by itself, and the frame. Returns the number of pieces. */
static int make_pieces(const struct vnet *v, struct vnet_slot *slot, const struct net_frame *frame,
		       struct virtq_piece *out)
{
	static struct nic_piece pieces[VNET_PIECES];
	struct nic_pieces mapped = {
	    .out = pieces, .cap = VNET_PIECES - 1, .max_len = NET_FRAME_MAX};
	int n = nic_map(&v->nic, frame, 0, &mapped);

	slot->maps = mapped.maps;
	out[0] = (struct virtq_piece){slot->at, v->header_len, false};
	for (int i = 0; i < n; i++)
		out[i + 1] = (struct virtq_piece){pieces[i].at, pieces[i].len, false};
	return n < 0 ? n : n + 1;
}

static bool add(struct vnet_pair *pair, struct vnet_slot *slot, const struct virtq_piece *pieces,
		unsigned n)
{
	struct vnet_table *table = pair->free_table;

	if (n <= VNET_DIRECT || !table)
		return virtq_add(&pair->out.q, pieces, n, slot);
	if (!virtq_add_indirect(&pair->out.q, table->desc, table->at, pieces, n, slot))
		return false;
	pair->free_table = table->next;
	slot->table = table;
	return true;
}

/* A slot is taken only when the queue has taken the frame: until then nothing has to be undone. One array of pieces serves
 * all cards, as all are in one context. */
int vnet_put(struct nic_queue *queue, struct net_frame *frame)
{
	static struct virtq_piece pieces[VNET_PIECES];
	struct vnet_pair *pair = vnet_pair_of(queue);
	struct vnet_slot *slot = pair->free;
	int n;

	if (!slot)
		return -XEN_EBUSY;
	n = make_header(frame, slot->header);
	if (!n)
		n = make_pieces(pair->card, slot, frame, pieces);
	if (n < 0)
		return n;
	/* Without tables a chain that the whole queue cannot hold would wait for ever. */
	if (n > pair->out.q.size || !add(pair, slot, pieces, (unsigned)n)) {
		dma_group_unmap(&pair->card->nic.dma, &slot->maps);
		return n > pair->out.q.size ? -XEN_E2BIG : -XEN_EBUSY;
	}
	slot->frame = frame;
	pair->free = slot->next_free;
	return 0;
}

/* A device that is busy with the queue says that it need not be told, which spares an exit. */
void vnet_tell(struct nic_queue *queue)
{
	struct vnet_pair *pair = vnet_pair_of(queue);

	if (!virtq_publish(&pair->out.q))
		return;
	pair->card->nic.dev.stats[queue->index].notifications_out++;
	virtio_pci_notify(&pair->card->pci, &pair->out);
}

static void end(struct vnet_pair *pair, struct vnet_slot *slot, int status)
{
	struct net_frame *frame = slot->frame;

	dma_group_unmap(&pair->card->nic.dma, &slot->maps);
	if (slot->table) {
		slot->table->next = pair->free_table;
		pair->free_table = slot->table;
		slot->table = NULL;
	}
	slot->frame = NULL;
	slot->next_free = pair->free;
	pair->free = slot;
	nic_done(&pair->nic, frame, status);
}

bool vnet_reap(struct vnet_pair *pair)
{
	bool bad;

	for (unsigned n = 0; n < 2 * VIRTQ_MAX; n++) { /* more cannot be in flight at once */
		struct vnet_slot *slot = virtq_take(&pair->out.q, &bad);

		if (!slot)
			return !bad;
		end(pair, slot, 0);
	}
	return true;
}

void vnet_forget_sent(struct vnet_pair *pair)
{
	for (unsigned i = 0; i < VIRTQ_MAX; i++)
		if (pair->slots[i].frame)
			end(pair, &pair->slots[i], -XEN_EIO);
}

/* Headers lie 16 bytes apart in a page, tables four to one. Fewer tables than wanted are no error. */
int vnet_slots_init(struct vnet_pair *pair)
{
	const struct dma_device *dma = &pair->card->nic.dma;
	dma_addr_t at = {0};
	char *page = dma_page_alloc(dma, &at);

	if (!page)
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < VIRTQ_MAX; i++) {
		struct vnet_slot *slot = &pair->slots[i];

		slot->header = (struct vnet_header *)(page + 16 * i);
		slot->at = (dma_addr_t){at.v + 16 * i};
		slot->next_free = pair->free;
		pair->free = slot;
	}
	if (!(pair->card->features & VIRTIO_FEATURE_INDIRECT))
		return 0;
	for (unsigned i = 0; i < VNET_TABLES; i++) {
		struct vnet_table *table = &pair->tables[i];
		size_t offset = i * VNET_TABLE_DESCS * sizeof(struct virtq_desc) % PAGE_SIZE;

		if (!offset && !(page = dma_page_alloc(dma, &at)))
			return 0;
		table->desc = (struct virtq_desc *)(page + offset);
		table->at = (dma_addr_t){at.v + offset};
		table->next = pair->free_table;
		pair->free_table = table;
	}
	return 0;
}
