/* netfront_offer.c: the rings and event channels that an interface's backend is offered.
 *
 * How many queues is the least of what the backend takes, what the kernel allows (netfront_limit), and what memory there is;
 * with a single one the store has the keys of old. Called by netfront.c when the xenbus engine opens or drops a connection;
 * calls host.h. Not here: what the backend says of the interface itself (netfront_connect.c).
 */
#include <amphi/printf.h>

#include "netfront_private.h"

#define KEY_MAX 32u /* "queue-7/event-channel-tx" */

/* ---- how much ------------------------------------------------------------------------ */

/* A backend that cannot copy into our pages would give us its own in exchange (rx-flip): dead for fifteen years. */
enum { K_COPY, K_QUEUES, K_SPLIT, K_CONTROL, K_MULTICAST, K_DYNAMIC, K_COUNT };
static const struct xenbus_number transport[K_COUNT] = {
    [K_COPY] = {"feature-rx-copy", 1, UINT32_MAX, 0, true},
    [K_QUEUES] = {"multi-queue-max-queues", 0, UINT32_MAX, 1, false},
    [K_SPLIT] = {"feature-split-event-channels", 0, UINT32_MAX, 0, false},
    [K_CONTROL] = {"feature-ctrl-ring", 0, UINT32_MAX, 0, false},
    [K_MULTICAST] = {"feature-multicast-control", 0, UINT32_MAX, 0, false},
    [K_DYNAMIC] = {"feature-dynamic-multicast-control", 0, UINT32_MAX, 0, false},
};

static int choose_layout(struct nf_device *dev)
{
	uint64_t keys[K_COUNT];
	int err = xenbus_read_numbers(HOST_TX_NONE, dev->bus.peer_path, transport, K_COUNT, keys);

	if (err)
		return err;
	dev->n_queues = (unsigned)MIN(MAX(keys[K_QUEUES], 1u), nf_limits.queues);
	dev->split = keys[K_SPLIT] != 0;
	dev->has_control = keys[K_CONTROL] != 0;
	dev->has_multicast = keys[K_MULTICAST] || keys[K_DYNAMIC];
	dev->dynamic_multicast = keys[K_DYNAMIC] != 0;
	dev->rx_pages = nf_limits.rx_pages;
	dev->tx_pages = nf_limits.tx_pages;
	return 0;
}

/* ---- one queue ------------------------------------------------------------------------ */

#define SLOT_PAGES PAGES_FOR(NETIF_RING_SLOTS * sizeof(struct nf_slot))

int nf_offer_ring(struct nf_device *dev, struct ring *ring, uint32_t slot_bytes, gref_t *ref)
{
	void *va = host_pages_alloc(1);
	int err;

	if (!va)
		return -XEN_ENOMEM;
	/* Before the grant: from then on the backend may read the page at any moment. */
	ring_init(ring, va, 1, slot_bytes);
	ring_reset_shared(ring);
	err = host_grant_offer(dev->bus.peer, va, false, ref);
	if (err) {
		host_pages_free(va, 1);
		ring->shared = NULL;
	}
	return err;
}

static void queue_end(struct nf_queue *q)
{
	host_work_cancel(&q->again);
	if (q->port_rx.v && q->port_rx.v != q->port_tx.v)
		host_event_close(q->port_rx);
	if (q->port_tx.v)
		host_event_close(q->port_tx);
	if (q->tx.shared)
		grant_retire(q->tx_ref, q->tx.shared);
	if (q->rx.shared)
		grant_retire(q->rx_ref, q->rx.shared);
	if (q->slots)
		host_pages_free(q->slots, SLOT_PAGES);
}

static int queue_begin(struct nf_device *dev, struct nf_queue *q)
{
	int err;

	q->dev = dev;
	q->again = (struct host_work){.fn = nf_run, .ctx = q};
	q->slots = host_pages_alloc(SLOT_PAGES);
	if (!q->slots)
		return -XEN_ENOMEM;
	err = nf_offer_ring(dev, &q->tx, NETIF_TX_SLOT_BYTES, &q->tx_ref);
	if (!err)
		err = nf_offer_ring(dev, &q->rx, NETIF_RX_SLOT_BYTES, &q->rx_ref);
	if (!err)
		err = host_event_offer(dev->bus.peer, nf_on_event, q, &q->port_tx);
	q->port_rx = q->port_tx;
	if (!err && dev->split)
		err = host_event_offer(dev->bus.peer, nf_on_event, q, &q->port_rx);
	if (!err)
		nf_tx_begin(q);
	return err;
}

/* ---- all of them --------------------------------------------------------------------- */

static unsigned queues_pages(const struct nf_device *dev)
{
	return PAGES_FOR(dev->n_queues * sizeof(struct nf_queue));
}

static void queues_end(struct nf_device *dev)
{
	for (unsigned i = 0; i < dev->n_queues; i++)
		queue_end(&dev->queues[i]);
	host_pages_free(dev->queues, queues_pages(dev));
	dev->queues = NULL;
}

static int queues_begin(struct nf_device *dev)
{
	int err = 0;

	dev->queues = host_pages_alloc(queues_pages(dev));
	if (!dev->queues)
		return -XEN_ENOMEM;
	for (uint16_t i = 0; i < dev->n_queues && !err; i++) {
		dev->queues[i].index = i;
		err = queue_begin(dev, &dev->queues[i]);
	}
	if (err)
		queues_end(dev); /* those that were not begun are empty */
	return err;
}

/* A small guest has fewer queues rather than no network. */
static int queues_that_fit(struct nf_device *dev)
{
	int err = queues_begin(dev);

	while (err && dev->n_queues > 1) {
		dev->n_queues /= 2;
		err = queues_begin(dev);
	}
	if (err)
		dev->n_queues = 0;
	return err;
}

/* ---- in the store -------------------------------------------------------------------- */

static int put_number(uint32_t tx, const struct nf_device *dev, const char *prefix, const char *key,
		      uint32_t value)
{
	char name[KEY_MAX];

	fmt_text(name, sizeof(name), "%s%s", prefix, key);
	return xenbus_write_number(tx, dev->bus.path, name, value);
}

static int put_queue(uint32_t tx, const struct nf_device *dev, const struct nf_queue *q,
		     const char *prefix)
{
	int err = put_number(tx, dev, prefix, "tx-ring-ref", q->tx_ref.v);

	if (!err)
		err = put_number(tx, dev, prefix, "rx-ring-ref", q->rx_ref.v);
	if (err)
		return err;
	if (!dev->split)
		return put_number(tx, dev, prefix, "event-channel", q->port_tx.v);
	err = put_number(tx, dev, prefix, "event-channel-tx", q->port_tx.v);
	return err ? err : put_number(tx, dev, prefix, "event-channel-rx", q->port_rx.v);
}

static int put_queues(uint32_t tx, const struct nf_device *dev)
{
	char prefix[KEY_MAX];
	int err;

	if (dev->n_queues == 1)
		return put_queue(tx, dev, &dev->queues[0], "");
	err = xenbus_write_number(tx, dev->bus.path, "multi-queue-num-queues", dev->n_queues);
	for (unsigned i = 0; i < dev->n_queues && !err; i++) {
		fmt_text(prefix, sizeof(prefix), "queue-%u/", i);
		err = put_queue(tx, dev, &dev->queues[i], prefix);
	}
	return err;
}

static int put_control(uint32_t tx, const struct nf_device *dev)
{
	int err;

	if (!dev->control.port.v)
		return 0;
	err = put_number(tx, dev, "", "ctrl-ring-ref", dev->control.ref.v);
	return err ? err : put_number(tx, dev, "", "event-channel-ctrl", dev->control.port.v);
}

/* What an earlier connection of another layout wrote would be read with what this one writes. */
static void remove_old(uint32_t tx, const struct nf_device *dev)
{
	static const char *const keys[] = {"tx-ring-ref",      "rx-ring-ref",
					   "event-channel",    "event-channel-tx",
					   "event-channel-rx", "multi-queue-num-queues"};
	static const char *const control[] = {"ctrl-ring-ref", "event-channel-ctrl"};
	const char *dir = dev->bus.path;
	char key[KEY_MAX];

	for (unsigned i = 0; i < ARRAY_SIZE(control) && !dev->control.port.v; i++)
		xenbus_remove_key(tx, dir, control[i]);
	if (!dev->has_multicast)
		xenbus_remove_key(tx, dir, "request-multicast-control");
	if (dev->kept_queues == dev->n_queues && dev->kept_split == dev->split)
		return;
	for (unsigned i = 0; dev->kept_queues > 1 && i < dev->kept_queues; i++) {
		fmt_text(key, sizeof(key), "queue-%u", i);
		xenbus_remove_key(tx, dir, key);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		xenbus_remove_key(tx, dir, keys[i]);
}

/* What we can take, whatever the backend is like. Checksums over IPv4 need no word; rx-notify: without it a backend has to
 * believe that it is never told of new pages. */
static int put_features(uint32_t tx, const struct nf_device *dev)
{
	static const char *const features[] = {"request-rx-copy",   "feature-rx-notify",
					       "feature-sg",        "feature-gso-tcpv4",
					       "feature-gso-tcpv6", "feature-ipv6-csum-offload"};
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(features) && !err; i++)
		err = xenbus_write_number(tx, dev->bus.path, features[i], 1);
	return err;
}

/* All keys in one transaction, so that a backend never reads a ring without its event channel. */
static int put_keys(uint32_t tx, void *ctx)
{
	struct nf_device *dev = ctx;
	int err;

	if (dev->kept_queues)
		remove_old(tx, dev);
	err = put_queues(tx, dev);
	if (!err)
		err = put_control(tx, dev);
	if (!err)
		err = put_features(tx, dev);
	return err ? err : nf_multicast_offer(dev, tx);
}

int nf_offer(struct nf_device *dev)
{
	int err = choose_layout(dev);

	if (!err)
		err = queues_that_fit(dev);
	if (err) {
		dev->n_queues = 0;
		return err;
	}
	/* Without it less is asked for, and all goes on. */
	if (dev->has_control && nf_control_offer(dev))
		nf_control_end(dev);
	err = xenbus_transaction(put_keys, dev);
	if (!err) {
		dev->kept_queues = dev->n_queues;
		dev->kept_split = dev->split;
	}
	return err;
}

void nf_offer_end(struct nf_device *dev)
{
	nf_control_end(dev);
	if (dev->n_queues)
		queues_end(dev);
	dev->n_queues = 0;
}
