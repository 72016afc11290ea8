/* netfront_tx.c: frames wait, go out, and their slots come back.
 *
 * Called by the interface's user (net_ops) and by notifications; calls netfront_tx_put.c for the slots and ring.h for the
 * ring. Not here: connecting. Frames of one flow go to one queue, and through it in their order.
 *
 * An answer means nothing to a user whose data was copied, so nobody is woken for it: answers are looked at when frames go out
 * or come in, and the backend is asked for a notification only when memory of users, or a frame that waits, depends on it.
 */
#include "netfront_private.h"

#define MAX_ROUNDS 8 /* over the ring in one go, so that a fast backend does not hold the worker */

/* The id on the ring is the slot's index: what a backend answers is checked against a table of ours. */
void nf_tx_begin(struct nf_queue *q)
{
	for (unsigned i = 0; i < NETIF_RING_SLOTS; i++)
		q->slots[i].next_free = (uint16_t)(i + 1);
	q->first_free = 0;
	q->n_free = NETIF_RING_SLOTS;
}

static void drop(struct nf_queue *q, struct net_frame *frame, enum net_drop why, int status)
{
	nf_stats(q)->drops[why]++;
	net_frame_put(frame, status);
}

/* ---- answers ----------------------------------------------------------------------------------- */

/* The page of a user's is his again only when the backend cannot read it any more. One that answers and has it mapped
 * still is left; the reference waits until it has let go. */
static void release(struct nf_queue *q, struct nf_slot *slot, int status)
{
	struct net_frame *frame = slot->frame;

	slot->frame = NULL;
	if (slot->kind == NF_PAGE)
		nf_pages_put(&q->tx_pages, slot->page);
	if (slot->kind == NF_GRANT && host_grant_end(slot->ref)) {
		grant_retire(slot->ref, NULL);
		if (q->dev->connected)
			nf_broken(q->dev, "answered a frame whose memory it has mapped still");
	}
	slot->kind = NF_FREE;
	if (!frame)
		return;
	q->n_held--;
	net_frame_put(frame, status);
}

static bool answer(struct nf_queue *q, uint16_t id, int16_t status)
{
	struct nf_slot *slot;

	/* An extra info's slot: id is whatever lay there. */
	if (status == NETIF_RSP_NULL && q->extras_out) {
		q->extras_out--;
		return true;
	}
	if (id >= NETIF_RING_SLOTS || q->slots[id].kind == NF_FREE || status == NETIF_RSP_NULL)
		return false;
	slot = &q->slots[id];
	if (status < 0)
		nf_stats(q)->drops[NET_DROP_device]++;
	slot->next_free = q->first_free;
	q->first_free = id;
	q->n_free++;
	release(q, slot, status < 0 ? -XEN_EIO : 0);
	return true;
}

/* At most n (<= the ring's slots, by ring_front_fetch). */
static void answers(struct nf_queue *q, int n)
{
	while (n-- > 0 && q->dev->connected) {
		const peer_byte *slot = ring_slot(&q->tx, q->tx.in++);
		/* id and status in one fetch */
		uint32_t word =
		    peer_fetch32((const volatile uint32_t *)(const volatile void *)slot);

		if (!answer(q, (uint16_t)word, (int16_t)(word >> 16)))
			nf_broken(q->dev, "answer to a frame that was not sent");
	}
}

/* ---- out --------------------------------------------------------------------------------------- */

static bool start(struct nf_queue *q, struct net_frame *frame)
{
	int err = nf_tx_put(q, frame);

	if (err == -XEN_EAGAIN)
		return false;
	if (err)
		drop(q, frame, err == -XEN_ENOMEM ? NET_DROP_no_memory : NET_DROP_malformed, err);
	return true;
}

/* Bounded by what waits. */
static void start_waiting(struct nf_queue *q)
{
	while (q->w_out != q->w_in && start(q, q->waiting[q->w_out % NF_WAITING_MAX]))
		q->w_out++;
}

void nf_tx_push(struct nf_queue *q)
{
	if (q->tx.out == q->tx.out_pushed)
		return;
	nf_stats(q)->batches_out++;
	if (!ring_front_push(&q->tx))
		return;
	host_event_notify(q->port_tx);
	nf_stats(q)->notifications_out++;
}

/* How many answers to sleep through: three quarters of what is on its way, when somebody waits for them; else so many that the
 * ring does not run full unseen. */
static uint32_t patience(const struct nf_queue *q)
{
	uint32_t three = ring_front_in_flight(&q->tx) * 3 / 4;

	return q->n_held || q->w_in != q->w_out ? MAX(three, 1u) : NETIF_RING_SLOTS / 2;
}

/* The look finds what was answered before the new rsp_event was there. For fewer than we asked for there is no hurry when
 * nobody waits. */
static int look_again(struct nf_queue *q)
{
	uint32_t after = patience(q);
	int n = ring_front_arm(&q->tx, after);

	return n > 0 && after == NETIF_RING_SLOTS / 2 && (uint32_t)n < after ? 0 : n;
}

void nf_tx_run(struct nf_queue *q)
{
	int n = ring_front_fetch(&q->tx);

	for (int round = 0; n > 0 && round < MAX_ROUNDS; round++) {
		q->found = true;
		answers(q, n);
		if (!q->dev->connected)
			return;
		if (q->dev->groups_wait && q->index == 0)
			nf_multicast_run(q->dev);
		start_waiting(q);
		nf_tx_push(q);
		n = look_again(q);
	}
	if (n < 0)
		nf_broken(q->dev, "more answers than frames");
	else if (n > 0)
		host_work_soon(&q->again);
}

/* ---- the user's -------------------------------------------------------------------------------- */

static struct nf_queue *queue_of(struct nf_device *dev, const struct net_frame *frame)
{
	const struct net_segment *first = &frame->segments[0];
	uint32_t hash = frame->hash;
	struct net_headers h;

	if (dev->n_queues == 1)
		return &dev->queues[0];
	if (!hash &&
	    !net_parse(first->va, MIN(first->len_bytes, NET_PARSE_BYTES), frame->len_bytes, &h))
		hash = net_flow_hash(first->va, &h);
	return &dev->queues[hash % dev->n_queues];
}

/* Behind what waits, if anything does: so a flow's frames keep their order. */
static void nf_send(struct net_device *net, struct net_frame *frame)
{
	struct nf_device *dev = net->driver;
	struct nf_queue *q;

	if (!dev->connected || !net->carrier) {
		net->stats[0].drops[NET_DROP_down]++;
		net_frame_put(frame, -XEN_ENOTCONN);
		return;
	}
	q = queue_of(dev, frame);
	if (q->w_in == q->w_out && start(q, frame))
		return;
	if (q->w_in - q->w_out == NF_WAITING_MAX)
		drop(q, frame, NET_DROP_full, -XEN_ENOBUFS);
	else
		q->waiting[q->w_in++ % NF_WAITING_MAX] = frame;
}

/* Answers that are there already were not to wake us: they are looked at here, which is cheaper. */
static void kick(struct nf_queue *q)
{
	bool waits = q->n_held || q->w_in != q->w_out;

	if (q->tx.out == q->tx.out_pushed && !waits)
		return;
	nf_tx_push(q);
	if (waits ? ring_front_arm(&q->tx, patience(q)) != 0 : q->n_free < NETIF_RING_SLOTS / 2)
		nf_tx_run(q);
}

static void nf_kick(struct net_device *net)
{
	struct nf_device *dev = net->driver;

	for (unsigned i = 0; i < dev->n_queues && dev->connected; i++)
		kick(&dev->queues[i]);
}

const struct net_ops nf_net_ops = {
    .send = nf_send, .kick = nf_kick, .promiscuous = nf_promiscuous, .multicast = nf_multicast};

/* ---- the end of a connection ------------------------------------------------------------------- */

/* No frame is sent again by another connection: its backend may have taken it already. */
void nf_tx_end(struct nf_queue *q)
{
	for (unsigned i = 0; q->slots && i < NETIF_RING_SLOTS; i++)
		if (q->slots[i].kind != NF_FREE)
			release(q, &q->slots[i], -XEN_ENOTCONN);
	for (; q->w_out != q->w_in; q->w_out++)
		drop(q, q->waiting[q->w_out % NF_WAITING_MAX], NET_DROP_down, -XEN_ENOTCONN);
	for (unsigned i = 0; i < NF_CHUNK_PAGES; i++)
		if (q->chunks[i])
			nf_page_end(q->chunks[i]);
	nf_pages_end(&q->tx_pages);
}
