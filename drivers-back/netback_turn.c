/* netback_turn.c: whose packets are taken next.
 *
 * Turns are in the worker's list of work, first in first out, and there each interface stands at most once: behind its turn it
 * goes to the end, and its queues take their turns one after another. So an interface with eight queues has as much of the
 * worker as one with a single queue, and neither notifications nor full rings give it more. What a turn is: netback_tx.c. Callers:
 * netback_tx.c, netback_rate.c, netback_queues.c. Not here: what waits for a guest, which is bounded (netback_rx.c).
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

/* At once where nobody of the interface waits: one turn less of the worker for the guest that has a single queue. */
void vif_turn_told(struct vif_queue *q)
{
	struct vif *vif = q->vif;

	if (vif->n_queues == 1 && !vif->turn_waits) {
		vif_tx_run(q);
	} else if (vif->connected && ring_back_fetch(&q->tx)) {
		q->found = true;
		vif_turn_ask(q);
	}
}
