/* netback_queues.c: a guest's pairs of rings: what it says of them, mapped, with the memory to serve them.
 *
 * Called by netback.c when a guest connects and when it has gone; calls host.h for pages, mappings and ports. All that is
 * read here is the guest's: numbers in range or no connection. All that is taken is bounded: 8 pairs of one page each, a
 * frame and a head for each slot of a tx ring.
 */
#include <amphi/printf.h>

#include "netback_private.h"

#define QUEUE_PAGES(n) PAGES_FOR((n) * sizeof(struct vif_queue))
#define FRAME_PAGES    PAGES_FOR(NETIF_RING_SLOTS * sizeof(struct vif_frame))
#define HEAD_PAGES     PAGES_FOR(NETIF_RING_SLOTS *VIF_HEAD_BYTES)

/* ---- what the guest says ------------------------------------------------------------------ */

enum { K_TX_REF, K_RX_REF, K_PORT, K_TX_PORT, K_RX_PORT, K_COUNT };

/* One port under "event-channel", or one for each ring under the other two. */
static int read_queue(const char *dir, uint64_t *keys)
{
	static const struct xenbus_number numbers[K_COUNT] = {
	    [K_TX_REF] = {"tx-ring-ref", 0, UINT32_MAX, 0, true},
	    [K_RX_REF] = {"rx-ring-ref", 0, UINT32_MAX, 0, true},
	    [K_PORT] = {"event-channel", 1, UINT32_MAX, 0, false},
	    [K_TX_PORT] = {"event-channel-tx", 1, UINT32_MAX, 0, false},
	    [K_RX_PORT] = {"event-channel-rx", 1, UINT32_MAX, 0, false},
	};
	int err = xenbus_read_numbers(HOST_TX_NONE, dir, numbers, K_COUNT, keys);

	if (err)
		return err;
	if (keys[K_TX_PORT] && keys[K_RX_PORT])
		return 0;
	keys[K_RX_PORT] = 0;
	keys[K_TX_PORT] = keys[K_PORT];
	if (keys[K_PORT])
		return 0;
	host_log(HOST_LOG_WARN, "%s: neither event-channel nor one for each ring", dir);
	return -XEN_EINVAL;
}

/* ---- one queue ---------------------------------------------------------------------------- */

static int map_ring(struct vif_queue *q, uint64_t ref, struct ring *ring, void **out_va,
		    uint32_t slot_bytes)
{
	gref_t gref = {(uint32_t)ref};
	int err = host_ring_map(q->vif->bus.peer, &gref, 1, out_va);

	if (err) {
		*out_va = NULL;
		return err;
	}
	ring_init(ring, *out_va, 1, slot_bytes);
	HOST_ASSERT(ring->n_slots == NETIF_RING_SLOTS);
	return 0;
}

/* A port is the guest's number, bound with the guest as the other end: it cannot name a port of anybody else. */
static int bind_ports(struct vif_queue *q, const uint64_t *keys)
{
	domid_t peer = q->vif->bus.peer;
	int err = host_event_bind(peer, (uint32_t)keys[K_TX_PORT], vif_on_tx_event, q, &q->tx_port);

	if (err)
		return err;
	q->split = keys[K_RX_PORT] != 0;
	if (q->split)
		return host_event_bind(peer, (uint32_t)keys[K_RX_PORT], vif_on_rx_event, q,
				       &q->rx_port);
	q->rx_port = q->tx_port;
	return 0;
}

static int connect_queue(struct vif_queue *q, const char *dir)
{
	uint64_t keys[K_COUNT];
	int err = read_queue(dir, keys);

	if (err)
		return err;
	q->frames = host_pages_alloc(FRAME_PAGES);
	q->heads = host_pages_alloc(HEAD_PAGES);
	if (!q->frames || !q->heads)
		return -XEN_ENOMEM;
	vif_frames_reset(q);
	err = map_ring(q, keys[K_TX_REF], &q->tx, &q->tx_va, NETIF_TX_SLOT_BYTES);
	if (!err)
		err = map_ring(q, keys[K_RX_REF], &q->rx, &q->rx_va, NETIF_RX_SLOT_BYTES);
	return err ? err : bind_ports(q, keys);
}

/* A connection that failed half way has less of these, hence the questions. */
static void drop_queue(struct vif_queue *q)
{
	HOST_ASSERT(q->n_frames_out == 0);
	host_work_cancel(&q->answer);
	host_work_cancel(&q->rx_again);
	host_work_cancel(&q->tick);
	if (q->split && q->rx_port.v)
		host_event_close(q->rx_port);
	if (q->tx_port.v)
		host_event_close(q->tx_port);
	vif_staging_drop(q);
	if (q->frames)
		host_pages_free(q->frames, FRAME_PAGES);
	if (q->heads)
		host_pages_free(q->heads, HEAD_PAGES);
	if (q->tx_va)
		host_ring_unmap(q->tx_va, 1);
	if (q->rx_va)
		host_ring_unmap(q->rx_va, 1);
}

/* ---- all of them -------------------------------------------------------------------------- */

static int connect_all(struct vif *vif)
{
	char dir[STORE_PATH_MAX];
	int err = 0;

	for (unsigned i = 0; i < vif->n_queues && !err; i++) {
		const char *fmt = vif->n_queues == 1 ? "%s" : "%s/queue-%u";

		fmt_text(dir, sizeof(dir), fmt, vif->bus.peer_path, i);
		err = connect_queue(&vif->queues[i], dir);
	}
	return err;
}

static int alloc_queues(struct vif *vif, unsigned n)
{
	vif->queues = host_pages_alloc(QUEUE_PAGES(n));
	if (!vif->queues)
		return -XEN_ENOMEM;
	vif->n_queues = vif->dev.n_queues = n;
	vif->turn = (struct host_work){.fn = vif_turn_run, .ctx = vif};
	vif->turn_waits = false;
	vif->turn_last = 0;
	for (unsigned i = 0; i < n; i++) {
		struct vif_queue *q = &vif->queues[i];

		q->vif = vif;
		q->index = i;
		q->answer = (struct host_work){.fn = vif_tx_answer, .ctx = q};
		q->rx_again = (struct host_work){.fn = vif_rx_run, .ctx = q};
		q->tick = (struct host_work){.fn = vif_rx_tick, .ctx = q};
	}
	return 0;
}

int vif_queues_connect(struct vif *vif)
{
	static const struct xenbus_number key = {"multi-queue-num-queues", 1, NETBACK_QUEUES_MAX, 1,
						 false};
	uint64_t n;
	int err = xenbus_read_numbers(HOST_TX_NONE, vif->bus.peer_path, &key, 1, &n);

	if (!err)
		err = alloc_queues(vif, (unsigned)n);
	return err ? err : connect_all(vif);
}

void vif_queues_drop(struct vif *vif)
{
	if (!vif->queues)
		return;
	host_work_cancel(&vif->turn);
	for (unsigned i = 0; i < vif->n_queues; i++)
		drop_queue(&vif->queues[i]);
	host_pages_free(vif->queues, QUEUE_PAGES(vif->n_queues));
	vif->queues = NULL;
	vif->n_queues = 0;
}
