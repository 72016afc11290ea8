/* netfront_rx.c: pages go out to be filled, and packets come back in their slots.
 *
 * Called by notifications, and by netfront.c around a connection; calls netfront_rx_frame.c with each packet. A response
 * lies in the slot of its request (xen/io/netif.h), so the slot says whose page it is; an extra info takes a slot, whose page
 * is lent again. Every response is copied out once, and a packet is taken only as a whole.
 */
#include "netfront_private.h"

#define MAX_ROUNDS 8 /* over the ring in one event */

static void put_request(struct nf_queue *q, struct nf_page *page)
{
	uint32_t slot = q->rx.out % NETIF_RING_SLOTS;
	volatile uint32_t *to = (volatile uint32_t *)(volatile void *)ring_slot(&q->rx, q->rx.out);

	q->posted[slot] = page;
	peer_store32(&to[0], slot); /* and the padding */
	peer_store32(&to[1], page->ref.v);
	q->rx.out++;
}

/* Of those that are with users as many again as are with the backend, or a user who keeps frames would starve us. */
static struct nf_page *page_to_lend(struct nf_queue *q)
{
	struct nf_page *page = nf_pages_get(&q->ready);

	if (page)
		return page;
	page = nf_pages_get(&q->free);
	if (!page && q->n_rx_pages < 2 * q->dev->rx_pages) {
		page = nf_page_new(q);
		q->n_rx_pages += page != NULL;
	}
	if (page && !nf_page_grant(q, page, false)) {
		nf_pages_put(&q->free, page);
		page = NULL;
	}
	return page;
}

/* Hungry: no event will say that there are pages again, so who brings one back looks (page_back). */
void nf_rx_fill(struct nf_queue *q)
{
	struct nf_page *page;

	q->hungry = false;
	while (ring_front_in_flight(&q->rx) < q->dev->rx_pages) {
		page = page_to_lend(q);
		if (!page) {
			q->hungry = true;
			break;
		}
		put_request(q, page);
	}
	if (ring_front_push(&q->rx)) {
		host_event_notify(q->port_rx);
		nf_stats(q)->notifications_out++;
	}
}

/* ---- one packet -------------------------------------------------------------------------------- */

/* An extra info in a slot. 1: another one follows, 0: none, <0: nonsense. */
static int take_extra(struct nf_packet *p, const struct netif_rx_response *rsp, uint16_t slot)
{
	struct netif_extra_info info;

	__builtin_memcpy(&info, rsp, sizeof(info));
	p->extra_slots[p->n_extra_slots++] = slot; /* bounded by the types there are */
	return netif_extra_take(&p->extras, &info);
}

/* The slot before the first that some backends of old put there for a large packet: no data, offset is its size. */
static bool take_prefix(struct nf_packet *p, const struct netif_rx_response *rsp, uint16_t slot)
{
	if (p->n_slots || !rsp->offset || rsp->status || !(rsp->flags & NETRXF_more_data))
		return false;
	p->prefix_gso = rsp->offset;
	p->extra_slots[p->n_extra_slots++] = slot;
	return true;
}

/* A slot of data, whose length is in its status. The first one's flags are the packet's. */
static bool take_data(struct nf_packet *p, const struct netif_rx_response *rsp, uint16_t slot)
{
	if (rsp->id != slot || p->n_data == NETIF_SLOTS_MAX)
		return false;
	if (p->n_data == 0)
		p->flags = rsp->flags;
	else if (rsp->flags & NETRXF_extra_info)
		return false;
	if (rsp->status <= 0)
		p->refused = true;
	else if (rsp->offset + (uint32_t)rsp->status > PAGE_SIZE)
		return false;
	p->data[p->n_data].slot = slot;
	p->data[p->n_data].offset = rsp->offset;
	p->data[p->n_data].len_bytes = rsp->status > 0 ? (uint16_t)rsp->status : 0;
	p->len_bytes += p->data[p->n_data++].len_bytes;
	return true;
}

/* Reads the packet at the ring's head, of at most n slots. 1: it is whole; 0: its end is not there yet; -1: it is none. Changes
 * nothing. */
static int read_packet(const struct nf_queue *q, unsigned n, struct nf_packet *p)
{
	bool extra = false, more = true;
	struct netif_rx_response rsp;

	__builtin_memset(p, 0, offsetof(struct nf_packet, data));
	p->n_extra_slots = 0;
	p->extras = (struct netif_extras){0};
	p->flags = p->prefix_gso = 0;
	p->len_bytes = 0;
	p->refused = false;
	for (; more || extra; p->n_slots++) {
		uint16_t slot = (uint16_t)((q->rx.in + p->n_slots) % NETIF_RING_SLOTS);
		int err = 0;

		if (p->n_slots == n)
			return 0;
		peer_copy_in(&rsp, ring_slot(&q->rx, q->rx.in + p->n_slots), sizeof(rsp));
		if (extra) {
			err = take_extra(p, &rsp, slot);
			extra = err > 0;
		} else if (rsp.flags & NETRXF_gso_prefix) {
			err = take_prefix(p, &rsp, slot) ? 0 : -1;
		} else {
			err = take_data(p, &rsp, slot) ? 0 : -1;
			extra = rsp.flags & NETRXF_extra_info;
			more = rsp.flags & NETRXF_more_data;
		}
		if (err < 0)
			return -1;
	}
	return 1;
}

/* ---- all of them ------------------------------------------------------------------------------- */

/* Packets while there are whole ones among n slots (<= the ring's, by ring_front_fetch). Returns how many slots stay. */
static unsigned take_packets(struct nf_queue *q, unsigned n)
{
	struct nf_packet packet;

	while (n && q->dev->connected) {
		int whole = read_packet(q, n, &packet);

		if (whole < 0)
			nf_broken(q->dev, "what came in is no packet");
		if (whole <= 0)
			break;
		q->rx.in += packet.n_slots;
		n -= packet.n_slots;
		nf_rx_deliver(q, &packet);
	}
	return n;
}

/* The rest of a packet that is not whole is waited for: it has fewer slots than are lent, so it can come. */
void nf_rx_run(struct nf_queue *q)
{
	int n = ring_front_fetch(&q->rx);
	unsigned left = 0;

	for (int round = 0; n > (int)left && round < MAX_ROUNDS; round++) {
		q->found = true;
		left = take_packets(q, (unsigned)n);
		if (!q->dev->connected)
			return;
		nf_stats(q)->batches_in++;
		host_net_batch_end(&q->dev->net);
		if (!q->dev->connected)
			return;
		nf_rx_fill(q);
		n = ring_front_arm(&q->rx, left + 1);
	}
	if (n < 0)
		nf_broken(q->dev, "more packets than there is room for");
	else if (n > (int)left)
		host_work_soon(&q->again);
}

/* Answers first: they free slots for what users send for what came in. */
void nf_run(void *ctx)
{
	struct nf_queue *q = ctx;

	if (q->dev->connected)
		nf_tx_run(q);
	if (q->dev->connected)
		nf_rx_run(q);
	if (q->dev->connected && q->hungry)
		nf_rx_fill(q);
}

/* Either port; both rings are looked at, so the next event may find that all is done: that one is excused. */
void nf_on_event(void *ctx)
{
	struct nf_queue *q = ctx;
	bool excused = q->found;

	q->found = false;
	if (q->dev->connected)
		nf_stats(q)->notifications_in++;
	nf_run(q);
	if (!q->found && !excused) {
		host_event_spurious(q->port_rx);
		if (q->port_tx.v != q->port_rx.v)
			host_event_spurious(q->port_tx);
	}
}

void nf_rx_end(struct nf_queue *q)
{
	for (unsigned i = 0; i < NETIF_RING_SLOTS; i++)
		if (q->posted[i])
			nf_page_end(q->posted[i]);
	nf_pages_end(&q->ready);
	nf_pages_end(&q->free);
}
