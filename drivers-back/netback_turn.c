/* netback_turn.c: whose packets are taken next.
 *
 * Turns are in the worker's list of work, first in first out, and there each interface stands at most once: behind its turn it
 * goes to the end, and its queues take their turns one after another. So an interface with eight queues has as much of the
 * worker as one with a single queue, and neither notifications nor full rings give it more. What a turn is: netback_tx.c. Callers:
 * netback_tx.c, netback_rate.c, netback_queues.c. Not here: what waits for a guest, which is bounded (netback_rx.c).
 *
 * A turn has two lists of copies and some notifications, whatever its length: so one for which no other interface waits
 * is as long as the ring, and has half the hypercalls for each packet.
 */
#include "netback_private.h"

void vif_turn_ask(struct vif_queue *q)
{
	struct vif *vif = q->vif;

	q->wants_turn = true;
	if (vif->turn_waits)
		return;
	vif->turn_waits = true;
	host_work_soon(&vif->turn);
}

void vif_turn_later(struct vif_queue *q, uint64_t delay_ns)
{
	struct vif *vif = q->vif;

	q->wants_turn = true;
	host_work_cancel(&vif->turn);
	vif->turn_waits = true;
	host_work_after(&vif->turn, delay_ns);
}

void vif_turn_all(struct vif *vif)
{
	host_work_cancel(&vif->turn);
	vif->turn_waits = false;
	for (unsigned i = 0; i < vif->n_queues; i++)
		vif_turn_ask(&vif->queues[i]);
}

/* The first that wants, behind the one that had the last. */
static struct vif_queue *next_queue(struct vif *vif)
{
	for (unsigned i = 1; i <= vif->n_queues; i++) {
		struct vif_queue *q = &vif->queues[(vif->turn_last + i) % vif->n_queues];

		if (q->wants_turn)
			return q;
	}
	return NULL;
}

void vif_turn_run(void *ctx)
{
	struct vif *vif = ctx;
	struct vif_queue *q = next_queue(vif);

	vif->turn_waits = false;
	if (!q || !vif->connected)
		return;
	vif->turn_last = q->index;
	q->wants_turn = false;
	vif_tx_run(q);
	if (vif->connected && !vif->turn_waits && (q = next_queue(vif)))
		vif_turn_ask(q);
}

/* One that is held by its rate counts as well, though it wants nothing now: shorter turns are never wrong. Interfaces
 * are looked through only where it matters, once for more than VIF_TURN packets. */
unsigned vif_turn_packets(const struct vif *vif, unsigned requests)
{
	struct xenbus_device *other = vif->bus.class->devices;

	while (requests > VIF_TURN && other &&
	       (other == &vif->bus || !vif_of_bus(other)->turn_waits))
		other = other->next;
	return other ? VIF_TURN : VIF_TURN_ALONE;
}

/* At once where nobody of the interface waits and it is little: one turn less of the worker for the guest that has a
 * single queue. Much goes behind what has been told meanwhile, so that it is known who waits. */
void vif_turn_told(struct vif_queue *q)
{
	struct vif *vif = q->vif;
	int n = vif->connected ? ring_back_fetch(&q->tx) : 0;

	if (vif->n_queues == 1 && !vif->turn_waits && n <= (int)VIF_TURN) {
		vif_tx_run(q);
	} else if (n) {
		q->found = true;
		vif_turn_ask(q);
	}
}
