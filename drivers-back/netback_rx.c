/* netback_rx.c: frames for a guest wait until its rx ring has room for them, and not for long.
 *
 * These are the interface's net_ops: its user sends, and kicks. A frame goes at the next kick if the guest has posted requests
 * enough. Else it waits, and with it slots of the guest that it came from: so what waits is bounded in frames, in bytes and
 * in time (docs/decisions/0016). Calls netback_slots.c for the copies.
 *
 *   taking   --- a tick finds frames of the last tick: they are dropped --->  stalled
 *   stalled  --- a frame goes ------------------------------------------->  taking
 *
 * For a guest that is stalled nothing waits: what has no room at its kick is dropped there.
 */
#include "netback_private.h"

static unsigned n_waiting(const struct vif_queue *q)
{
	return q->wait_in - q->wait_out;
}

static struct vif_waiting *first_of(struct vif_queue *q)
{
	return &q->waiting[q->wait_out % VIF_WAIT_FRAMES];
}

static void forget_first(struct vif_queue *q)
{
	q->wait_bytes -= first_of(q)->frame->len_bytes;
	q->wait_out++;
	if (q->n_old)
		q->n_old--;
}

/* The oldest n, for which there was no room. */
static void drop_first(struct vif_queue *q, unsigned n, int status)
{
	for (; n; n--) {
		struct net_frame *frame = first_of(q)->frame;

		forget_first(q);
		vif_net_stats(q)->drops[NET_DROP_full]++;
		net_frame_put(frame, status);
	}
}

void vif_rx_drop(struct vif_queue *q, int status)
{
	host_work_cancel(&q->tick);
	q->ticking = false;
	drop_first(q, n_waiting(q), status);
}

static bool came_from(const struct net_frame *frame, const struct vif *from)
{
	return frame->done == vif_frame_done &&
	       container_of(frame, struct vif_frame, net)->queue->vif == from;
}

/* Each is taken out in front; the others go behind again, and so stay in their order. */
static void forget_from(struct vif_queue *q, const struct vif *from)
{
	for (unsigned n = n_waiting(q), old = q->n_old, kept_old = 0; n; n--) {
		struct vif_waiting w = *first_of(q);
		bool goes = came_from(w.frame, from), is_old = old != 0;

		old -= is_old;
		kept_old += is_old && !goes;
		forget_first(q);
		q->n_old = kept_old;
		if (goes) {
			vif_net_stats(q)->drops[NET_DROP_down]++;
			net_frame_put(w.frame, -XEN_ENOTCONN);
			continue;
		}
		q->waiting[q->wait_in++ % VIF_WAIT_FRAMES] = w;
		q->wait_bytes += w.frame->len_bytes;
	}
}

void vif_rx_forget(struct vif *vif, const struct vif *from)
{
	for (unsigned i = 0; i < vif->n_queues; i++)
		forget_from(&vif->queues[i], from);
}

/* ---- to the guest ------------------------------------------------------------------------ */

/* As many as there are slots for. What ring_back_fetch said last: negative when the ring is broken. */
static int fill_ring(struct vif_queue *q)
{
	int n = ring_back_fetch(&q->rx);

	while (n >= 0 && n_waiting(q)) {
		struct vif_waiting *w = first_of(q);

		if (n < w->slots)
			n = ring_back_arm(&q->rx, w->slots); /* and looks again */
		if (n < w->slots)
			break;
		n -= w->slots;
		vif_net_stats(q)->frames_out++;
		vif_net_stats(q)->bytes_out += w->frame->len_bytes;
		vif_slots_put(q, w);
		forget_first(q);
		q->stalled = false;
	}
	vif_slots_flush(q);
	return n;
}

static void publish(struct vif_queue *q)
{
	if (q->rx.out == q->rx.out_pushed)
		return;
	vif_net_stats(q)->batches_out++;
	if (!ring_back_push(&q->rx))
		return;
	host_event_notify(q->rx_port);
	vif_net_stats(q)->notifications_out++;
}

/* A guest that does not promise to tell of new requests (feature-rx-notify) is asked at each tick. */
static void wait_for_room(struct vif_queue *q)
{
	q->vif->stats.waited += n_waiting(q);
	if (q->stalled) {
		drop_first(q, n_waiting(q), -XEN_EBUSY);
		return;
	}
	if (q->ticking)
		return;
	q->ticking = true;
	q->n_old = 0;
	host_work_after(&q->tick, VIF_WAIT_TICK_NS);
}

void vif_rx_run(void *ctx)
{
	struct vif_queue *q = ctx;
	int n;

	if (!q->vif->connected || !n_waiting(q))
		return;
	if (vif_slots_busy()) { /* somebody sends because a frame of his came back */
		host_work_soon(&q->rx_again);
		return;
	}
	n = fill_ring(q);
	if (n < 0) {
		vif_broken(q->vif, "more rx requests than its ring holds");
		vif_rx_drop(q, -XEN_EIO);
		return;
	}
	publish(q);
	if (n_waiting(q))
		wait_for_room(q);
}

void vif_rx_retry(struct vif_queue *q)
{
	q->found |= n_waiting(q) != 0;
	vif_rx_run(q);
}

/* What was there a tick ago has waited long enough. */
void vif_rx_tick(void *ctx)
{
	struct vif_queue *q = ctx;

	vif_rx_run(q);
	if (q->n_old) {
		q->stalled = true;
		drop_first(q, q->n_old, -XEN_EBUSY);
	}
	q->n_old = n_waiting(q);
	q->ticking = q->n_old != 0;
	if (q->ticking)
		host_work_after(&q->tick, VIF_WAIT_TICK_NS);
}

void vif_on_rx_event(void *ctx)
{
	struct vif_queue *q = ctx;

	q->found = false;
	vif_net_stats(q)->notifications_in++;
	vif_rx_retry(q);
	if (!q->found && q->vif->connected)
		host_event_spurious(q->rx_port);
}

/* ---- the interface's operations ----------------------------------------------------------- */

/* Which queue: by the hash that the guest has set, else by flow. The bytes are looked at only when it matters. */
static struct vif_queue *queue_for(struct vif *vif, struct net_frame *frame, struct vif_waiting *w)
{
	const struct net_segment *head = &frame->segments[0];
	struct net_headers h;

	w->hash_type = VIF_NO_HASH;
	if ((vif->n_queues == 1 || frame->hash) && !vif->hash.types)
		return &vif->queues[frame->hash % vif->n_queues];
	if (net_parse(head->va, MIN(head->len_bytes, NET_PARSE_BYTES), frame->len_bytes, &h))
		return &vif->queues[0];
	if (vif->hash.types && netif_hash(&vif->hash, head->va, &h, &w->hash, &w->hash_type))
		return &vif->queues[netif_hash_queue(&vif->hash, w->hash, vif->n_queues)];
	if (!frame->hash)
		frame->hash = net_flow_hash(head->va, &h);
	return &vif->queues[frame->hash % vif->n_queues];
}

static bool has_room(const struct vif_queue *q, const struct net_frame *frame)
{
	return n_waiting(q) < VIF_WAIT_FRAMES && q->wait_bytes + frame->len_bytes <= VIF_WAIT_BYTES;
}

static void refuse(struct vif_queue *q, struct net_frame *frame, enum net_drop why, int status)
{
	vif_net_stats(q)->drops[why]++;
	net_frame_put(frame, status);
}

/* Without scatter-gather a guest takes frames of one slot. */
static bool is_too_long(const struct vif *vif, const struct net_frame *frame)
{
	return !vif->sg && frame->len_bytes > PAGE_SIZE - vif->headroom;
}

static void vif_send(struct net_device *dev, struct net_frame *frame)
{
	struct vif *vif = dev->driver;
	struct vif_waiting w = {.frame = frame};
	struct vif_queue *q;

	if (!vif->connected) {
		dev->stats[0].drops[NET_DROP_down]++;
		net_frame_put(frame, -XEN_ENOTCONN);
		return;
	}
	q = queue_for(vif, frame, &w);
	if (vif->tap)
		vif->tap(vif->tap_ctx, frame, true);
	if (!vif_multicast_wanted(vif, frame->segments[0].va)) {
		refuse(q, frame, NET_DROP_filtered, -XEN_EPERM);
		return;
	}
	if (is_too_long(vif, frame)) {
		refuse(q, frame, NET_DROP_too_long, -XEN_E2BIG);
		return;
	}
	if (!has_room(q, frame))
		vif_rx_run(q);
	if (!has_room(q, frame)) {
		refuse(q, frame, NET_DROP_full, -XEN_EBUSY);
		return;
	}
	w.slots = (uint8_t)vif_slots_of(vif, frame, w.hash_type != VIF_NO_HASH);
	q->waiting[q->wait_in++ % VIF_WAIT_FRAMES] = w;
	q->wait_bytes += frame->len_bytes;
}

static void vif_kick(struct net_device *dev)
{
	struct vif *vif = dev->driver;

	for (unsigned i = 0; i < vif->n_queues; i++)
		vif_rx_run(&vif->queues[i]);
}

const struct net_ops vif_net_ops = {.send = vif_send, .kick = vif_kick};
