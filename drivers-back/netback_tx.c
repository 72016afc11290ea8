/* netback_tx.c: batches of a guest's packets become frames, and are answered when those have been put.
 *
 * Called by the guest's notifications and by itself; calls netback_take.c for one packet after another,
 * netback_checks.c for what their headers say, and host_net.h with what comes of them. Not here: the other direction.
 *
 *    take, take, take ...   as many as vif_turn_packets() says; the heads of all by one hypercall
 *    check, give ...        each to the interface's user, which sends most of them on at once
 *    batch end              the user's doorbell: other guests' copies are made, frames come back
 *    answers                published together, one notification
 *
 * What is behind the head stays in the guest's pages until its frame is put: a frame between two guests is copied once,
 * by the hypervisor. So a slot is answered late, and its page is the guest's until then.
 */
#include "netback_private.h"

/* Work areas, too big for a small stack; a turn is never begun inside another. */
static struct gnttab_copy ops[HOST_COPY_BATCH];
static unsigned n_ops;
static struct vif_frame *batch[VIF_TURN_ALONE];
static unsigned n_batch;
static unsigned n_copied; /* of batch: their ops have been done */

/* ---- frames ----------------------------------------------------------------------------- */

static void frame_free(struct vif_frame *frame)
{
	struct vif_queue *q = frame->queue;

	for (; frame->n_staged; frame->n_staged--)
		frame->staged[frame->n_staged - 1]->in_use--;
	frame->next = q->free;
	q->free = frame;
	q->n_frames_out--;
}

void vif_frames_reset(struct vif_queue *q)
{
	q->free = NULL;
	q->n_frames_out = 0;
	for (unsigned i = 0; i < NETIF_RING_SLOTS; i++) {
		struct vif_frame *frame = &q->frames[i];

		frame->queue = q;
		frame->head = q->heads + (size_t)i * VIF_HEAD_BYTES;
		frame->net.done = vif_frame_done;
		frame->net.ctx = frame;
		frame->net.owner = q->vif->bus.peer;
		frame->next = q->free;
		q->free = frame;
	}
}

/* ---- answers ---------------------------------------------------------------------------- */

/* There is always room: a response takes the slot of a request that was taken off the ring, and none has two. It is
 * shorter than the slot: behind it stays what the guest itself wrote. */
void vif_respond(struct vif_queue *q, uint16_t id, int16_t status)
{
	peer_byte *slot = ring_slot(&q->tx, q->tx.out++);

	peer_store32((volatile uint32_t *)slot, id | (uint32_t)(uint16_t)status << 16);
	q->vif->stats.responses++;
}

/* Extra infos took slots and have no ids: their responses say nothing (NETIF_RSP_NULL). A connection that has ended
 * has nobody to answer. */
void vif_frame_answer(struct vif_frame *frame, int16_t status)
{
	struct vif_queue *q = frame->queue;
	bool answers = q->vif->connected;

	for (unsigned i = 0; answers && i < frame->n_ids; i++)
		vif_respond(q, frame->ids[i], status);
	for (unsigned i = 0; answers && i < frame->n_extras; i++)
		vif_respond(q, 0, NETIF_RSP_NULL);
	frame_free(frame);
}

void vif_frame_refuse(struct vif_frame *frame)
{
	vif_refused(frame->queue->vif, frame->why);
	vif_frame_answer(frame, NETIF_RSP_ERROR);
}

/* A frame that was dropped on its way is answered as one that was sent: so it is on a wire, and an error would be the
 * guest's fault. Inside a turn of this queue the turn publishes. */
void vif_frame_done(struct net_frame *net, int status)
{
	struct vif_frame *frame = container_of(net, struct vif_frame, net);
	struct vif_queue *q = frame->queue;

	vif_frame_answer(frame, status == -XEN_EFAULT ? NETIF_RSP_ERROR : NETIF_RSP_OKAY);
	if (!q->vif->connected)
		host_work_soon(&q->vif->finish);
	else if (!q->in_turn)
		host_work_soon(&q->answer);
}

unsigned vif_frames_out(const struct vif *vif)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vif->n_queues; i++)
		n += vif->queues[i].n_frames_out;
	return n;
}

/* Whether the guest wants to be told is in rsp_event, which it may set to nonsense: then it misses its own wake-up
 * or has too many. */
void vif_tx_answer(void *ctx)
{
	struct vif_queue *q = ctx;

	if (!q->vif->connected)
		return;
	if (ring_back_push(&q->tx)) {
		host_event_notify(q->tx_port);
		vif_net_stats(q)->notifications_out++;
	}
	if (q->starved && q->free) {
		q->starved = false;
		vif_turn_ask(q);
	}
}

/* ---- heads ------------------------------------------------------------------------------ */

static void copy_heads(struct vif *vif)
{
	if (n_ops) {
		vif->stats.copied += n_ops;
		vif->stats.copy_calls++;
		(void)host_grants_copy(ops, n_ops);
	}
	for (; n_copied < n_batch; n_copied++) {
		struct vif_frame *frame = batch[n_copied];

		for (unsigned i = 0; i < frame->n_ops; i++)
			if (ops[frame->first_op + i].status != GNTST_okay)
				frame->why = "page not granted";
	}
	n_ops = 0;
}

static void add_op(const struct vif_frame *frame, const struct net_segment *piece, uint32_t at,
		   uint32_t len)
{
	maddr_t head = host_virt_to_maddr(frame->head);
	struct gnttab_copy *op = &ops[n_ops++];

	op->source.u.ref = piece->ref.v;
	op->source.domid = frame->net.owner;
	op->source.offset = piece->offset;
	op->dest.u.gmfn = maddr_to_mfn(head).v;
	op->dest.domid = DOMID_SELF;
	op->dest.offset = (uint16_t)(head.v % PAGE_SIZE + at);
	op->len = (uint16_t)len;
	op->flags = GNTCOPY_source_gref;
	op->status = GNTST_general_error;
}

/* The pieces in pages that are kept mapped have an address, besides their grant. What is not used up by the head stays
 * in use until the frame is back. */
static void find_staged(struct vif_frame *frame)
{
	for (unsigned i = 1; i <= frame->n_ids; i++) {
		struct net_segment *s = &frame->net.segments[i];
		struct vif_staged *e = vif_staged_find(frame->queue, s->ref.v);

		if (!e)
			continue;
		s->va = e->page + s->offset;
		e->in_use++;
		frame->staged[frame->n_staged++] = e;
	}
}

/* So much of a piece goes to the head. */
static void move_head(struct vif_frame *frame, struct net_segment *s, uint32_t at, uint32_t len)
{
	if (s->va) {
		peer_copy_in(frame->head + at, s->va, len);
		frame->queue->vif->stats.unmapped_copies++;
		s->va = (uint8_t *)s->va + len;
	} else {
		add_op(frame, s, at, len);
	}
	s->offset = (uint16_t)(s->offset + len);
	s->len_bytes -= len;
}

/* Segment 0 is what the pieces begin with; they lose that much. A piece that is used up is none. */
static void take_head(struct vif_frame *frame)
{
	struct net_frame *net = &frame->net;
	uint32_t want = MIN(net->len_bytes, VIF_HEAD_BYTES), at = 0, len;
	unsigned piece = 1, left;

	frame->first_op = (uint16_t)n_ops;
	if (frame->queue->n_staged)
		find_staged(frame);
	for (; at < want; at += len) {
		struct net_segment *s = &net->segments[piece];

		len = MIN(s->len_bytes, want - at);
		move_head(frame, s, at, len);
		if (s->len_bytes == 0)
			piece++;
	}
	frame->n_ops = (uint16_t)(n_ops - frame->first_op);
	net->segments[0] = (struct net_segment){.va = frame->head, .len_bytes = want};
	left = frame->n_ids + 1u - piece;
	for (unsigned i = 0; piece > 1 && i < left; i++)
		net->segments[1 + i] = net->segments[piece + i];
	net->n_segments = (uint16_t)(1 + left);
}

/* ---- a turn ----------------------------------------------------------------------------- */

/* How many requests there are still; VIF_BROKEN ends the connection and so the turn. */
static bool collect(struct vif_queue *q, unsigned *left)
{
	enum vif_taken taken = VIF_ANSWERED;
	struct vif_frame *frame;
	unsigned looked = 0, most = vif_turn_packets(q->vif, *left);

	n_batch = n_copied = n_ops = 0;
	for (; looked < most && *left && vif_rate_allows(q); looked++) {
		taken = vif_take(q, left, &frame);
		if (taken == VIF_NOTHING || taken == VIF_BROKEN)
			break;
		if (taken != VIF_FRAME)
			continue;
		vif_rate_use(q->vif, frame->net.len_bytes);
		if (n_ops + NETIF_SLOTS_MAX > HOST_COPY_BATCH)
			copy_heads(q->vif);
		take_head(frame);
		batch[n_batch++] = frame;
	}
	copy_heads(q->vif);
	return taken != VIF_BROKEN;
}

/* The callbacks of the user run in here, and send to other guests' interfaces, or back to this one. */
static void give(struct vif_queue *q, struct vif_frame *frame)
{
	struct vif *vif = q->vif;
	struct net_stats *stats = vif_net_stats(q);
	enum net_drop drop = NET_DROP_malformed;

	if (!frame->why)
		frame->why = vif_check(vif, frame, &drop);
	if (frame->why) {
		stats->drops[drop]++;
		vif_frame_refuse(frame);
		return;
	}
	stats->frames_in++;
	stats->bytes_in += frame->net.len_bytes;
	if (vif->tap)
		vif->tap(vif->tap_ctx, &frame->net, false);
	host_net_receive(&vif->dev, &frame->net);
}

static bool turn(struct vif_queue *q, unsigned *left)
{
	bool whole = collect(q, left);

	for (unsigned i = 0; i < n_batch; i++)
		give(q, batch[i]);
	if (n_batch) {
		vif_net_stats(q)->batches_in++;
		host_net_batch_end(&q->vif->dev);
	}
	return whole;
}

/* One turn, and another one later if there is more: a guest that fills its ring as fast as it is emptied waits like
 * the others. ring_back_arm asks for an event at the very next request and looks again. */
void vif_tx_run(struct vif_queue *q)
{
	int n;
	unsigned left;

	if (!q->vif->connected)
		return;
	n = ring_back_fetch(&q->tx);
	q->found |= n != 0;
	left = n > 0 ? (unsigned)n : 0;
	q->in_turn = true;
	if (left && !turn(q, &left))
		n = 0;
	q->in_turn = false;
	vif_tx_answer(q);
	if (left == 0 && n >= 0 && q->vif->connected)
		n = ring_back_arm(&q->tx, 1);
	if (n < 0)
		vif_broken(q->vif, "more tx requests than its ring holds");
	else if (n > 0 && q->vif->connected && !q->starved && vif_rate_allows(q))
		vif_turn_ask(q);
}

/* One port may serve both rings. */
void vif_on_tx_event(void *ctx)
{
	struct vif_queue *q = ctx;

	q->found = false;
	vif_net_stats(q)->notifications_in++;
	vif_turn_told(q);
	if (!q->split)
		vif_rx_retry(q);
	if (!q->found && q->vif->connected)
		host_event_spurious(q->tx_port);
}
