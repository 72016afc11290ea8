/* e1000e_send.c: frames to the 82574's descriptors, and what came back of them.
 *
 * What the card is to do (a checksum, cutting) is said by a context descriptor before the frame's pieces. Of a frame that it
 * cuts it wants headers that ours are not: no lengths, a pseudo header's sum without one; so those are a copy. Frames come
 * back in order, by the write-back of their last descriptor. Called by nic.c through e1000e_ops, by e1000e_recover.c.
 */
#include "e1000e.h"

#include <amphi/peer.h>
#include <amphi/string.h>

#define CSUM_AT_TCP 16u
#define CSUM_AT_UDP 6u

/* What one frame becomes. */
struct plan {
	struct net_headers h;
	bool has_context, is_cut;
	int n_pieces;
	struct nic_piece pieces[E1K_PIECES];
	struct nic_pieces mapped;
};

/* Everything that can fail, before anything is written. */
static int make_plan(const struct e1000e *e, const struct net_frame *frame, struct plan *plan)
{
	uint32_t head = 0;
	int err;

	plan->is_cut = frame->gso != NET_GSO_NONE;
	plan->has_context = frame->flags & NET_CSUM_BLANK;
	if (!plan->is_cut && frame->len_bytes > E1K_FRAME_MAX)
		return -XEN_E2BIG;
	if (plan->has_context) {
		err = nic_headers(frame, &plan->h);
		if (err)
			return err;
		if (plan->h.l4 == NET_L4_OTHER)
			return -XEN_EINVAL;
	}
	if (plan->is_cut) {
		head = plan->h.data_at;
		if (!plan->has_context || plan->h.l4 != NET_L4_TCP || !frame->gso_size ||
		    head > NET_PARSE_BYTES || head >= frame->len_bytes || !e->heads[0])
			return -XEN_EINVAL;
	}
	plan->mapped = (struct nic_pieces){
	    .out = plan->pieces, .cap = E1K_PIECES - 1, .max_len = E1K_PIECE_MAX};
	plan->n_pieces = nic_map(&e->nic, frame, head, &plan->mapped);
	return MIN(plan->n_pieces, 0);
}

/* Section 7.2.7: for a frame to be cut, each piece gets its own lengths and sums, so these start from nothing. The bytes up
 * to data_at are in the first segment (net.h). */
static struct nic_piece make_head(struct e1000e *e, const struct net_frame *frame,
				  const struct net_headers *h)
{
	unsigned n = e->next_head++ % E1K_HEADS;
	uint8_t *head = e->heads[n];
	uint16_t sum;

	memcpy(head, frame->segments[0].va, h->data_at);
	if (h->proto == NET_PROTO_IPV4) {
		memset(head + h->l3_at + 2, 0, 2);
		memset(head + h->l3_at + 10, 0, 2);
	} else {
		memset(head + h->l3_at + 4, 0, 2);
	}
	sum = net_pseudo_sum(head, h, 0);
	memcpy(head + h->l4_at + CSUM_AT_TCP, &sum, sizeof(sum));
	e->n_heads_used++;
	return (struct nic_piece){e->heads_at[n], h->data_at};
}

static struct e1000e_tx_desc *next_desc(struct e1000e *e)
{
	struct e1000e_tx_desc *desc = &e->tx[e->tx_next];

	e->tx_next = (e->tx_next + 1) % E1K_RING;
	e->tx_free--;
	return desc;
}

/* Section 7.2.6: IPCSS, IPCSO, IPCSE, TUCSS, TUCSO, TUCSE in the first eight bytes. IPCSE is the last byte of the header, TUCSE
 * 0: to the end. */
static void put_context(struct e1000e *e, const struct net_frame *frame, const struct plan *plan)
{
	const struct net_headers *h = &plan->h;
	bool is_tcp = h->l4 == NET_L4_TCP, is_v4 = h->proto == NET_PROTO_IPV4;
	uint64_t where = h->l3_at | (uint64_t)(h->l4_at - 1u) << 16 | (uint64_t)h->l4_at << 32 |
			 (uint64_t)(h->l4_at + (is_tcp ? CSUM_AT_TCP : CSUM_AT_UDP)) << 40;
	struct e1000e_tx_desc desc = {.addr = where | (h->l3_at + 10ull) << 8,
				      .command = E1K_TX_DEXT};

	desc.command |= (is_tcp ? E1K_TX_TCP : 0) | (is_v4 ? E1K_TX_IPV4 : 0);
	if (plan->is_cut) {
		desc.command |= E1K_TX_TSE | (frame->len_bytes - h->data_at);
		desc.options = (uint8_t)h->data_at;
		desc.special = frame->gso_size;
	}
	*next_desc(e) = desc;
}

static void put_piece(struct e1000e *e, const struct nic_piece *piece, uint32_t command,
		      uint8_t options)
{
	*next_desc(e) = (struct e1000e_tx_desc){
	    .addr = piece->at.v, .command = command | piece->len, .options = options};
}

static uint8_t options_of(const struct plan *plan)
{
	if (!plan->has_context)
		return 0;
	return E1K_TX_TXSM | (plan->is_cut && plan->h.proto == NET_PROTO_IPV4 ? E1K_TX_IXSM : 0);
}

/* The command's end (EOP, RS) is with the last. */
static void put_all(struct e1000e *e, const struct net_frame *frame, const struct plan *plan)
{
	uint32_t command =
	    E1K_TX_DATA | E1K_TX_DEXT | E1K_TX_IFCS | (plan->is_cut ? E1K_TX_TSE : 0);
	uint8_t options = options_of(plan);
	struct nic_piece head;

	if (plan->has_context)
		put_context(e, frame, plan);
	if (plan->is_cut) {
		head = make_head(e, frame, &plan->h);
		put_piece(e, &head, command, options);
	}
	for (int i = 0; i < plan->n_pieces; i++)
		put_piece(e, &plan->pieces[i],
			  command | (i + 1 == plan->n_pieces ? E1K_TX_EOP | E1K_TX_RS : 0),
			  options);
}

/* One descriptor stays free: a ring whose head is its tail is empty. One plan serves all cards, as all are in one
 * context. */
int e1000e_put(struct nic_queue *queue, struct net_frame *frame)
{
	static struct plan plan;
	struct e1000e *e = e1000e_of(queue->nic);
	unsigned free = e->tx_free;
	int err = make_plan(e, frame, &plan);

	if (err)
		return err;
	if (e->tx_free < (unsigned)plan.n_pieces + 2 + 1 ||
	    (plan.is_cut && e->n_heads_used == E1K_HEADS)) {
		dma_group_unmap(&e->nic.dma, &plan.mapped.maps);
		return -XEN_EBUSY;
	}
	put_all(e, frame, &plan);
	e->sent[(e->first_sent + e->n_sent++) % E1K_RING] =
	    (struct e1000e_sent){.frame = frame,
				 .last = (e->tx_next + E1K_RING - 1) % E1K_RING,
				 .descs = free - e->tx_free,
				 .has_head = plan.is_cut,
				 .maps = plan.mapped.maps};
	return 0;
}

/* There is room. */
void e1000e_put_mapped(struct e1000e *e, struct net_frame *frame, const struct nic_piece *piece)
{
	unsigned last = e->tx_next;

	put_piece(e, piece, E1K_TX_DATA | E1K_TX_DEXT | E1K_TX_IFCS | E1K_TX_EOP | E1K_TX_RS, 0);
	e->sent[(e->first_sent + e->n_sent++) % E1K_RING] =
	    (struct e1000e_sent){.frame = frame, .last = last, .descs = 1};
	e->queue.in_flight++;
}

void e1000e_tell(struct nic_queue *queue)
{
	struct e1000e *e = e1000e_of(queue->nic);

	e->nic.dev.stats[queue->index].notifications_out++;
	peer_wmb(); /* descriptors before the tail that shows them */
	e1000e_write(e, E1K_TDT, e->tx_next);
}

bool e1000e_has_sent(const struct e1000e *e)
{
	return e->n_sent &&
	       *(volatile uint8_t *)&e->tx[e->sent[e->first_sent].last].status & E1K_TX_DD;
}

static void end_first(struct e1000e *e, int status)
{
	struct e1000e_sent *sent = &e->sent[e->first_sent];

	e->first_sent = (e->first_sent + 1) % E1K_RING;
	e->n_sent--;
	e->tx_free += sent->descs;
	e->n_heads_used -= sent->has_head;
	dma_group_unmap(&e->nic.dma, &sent->maps);
	nic_done(&e->queue, sent->frame, status);
}

/* At most a ring's frames: those that done() sends meanwhile are of another round. */
void e1000e_reap(struct e1000e *e)
{
	for (unsigned n = e->n_sent; n && e1000e_has_sent(e); n--)
		end_first(e, 0);
}

void e1000e_forget_sent(struct e1000e *e)
{
	while (e->n_sent)
		end_first(e, -XEN_EIO);
}
