/* net_plain_back.c: the backend of net_plain_back.h.
 *
 * Called by tests; calls the mock world as domain 0, ring.h, and netfront to start and stop it. The user of the guest's
 * interface is in net_plain_user.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers-front/netfront_private.h"
#include "net_plain_back.h"

#define FRONT "/local/domain/1/device/vif/0"
#define BACK  "/local/domain/0/backend/vif/1/0"

struct plain_net nb;
static struct nb_packet packets[NB_SEEN];

/* ---- nodes ------------------------------------------------------------------------------------ */

void nb_put_back(const char *key, const char *value)
{
	mock_store_put_key(BACK, key, value);
}

void nb_put_front(const char *key, const char *value)
{
	mock_store_put_key(FRONT, key, value);
}

const char *nb_front(const char *key)
{
	return mock_store_key(FRONT, key);
}

static void put_flag(const char *key, bool on)
{
	nb_put_back(key, on ? "1" : "0");
}

void nb_reset(void)
{
	static const struct netfront_limits limits = {.queues = 4, .rx_pages = 64, .tx_pages = 40};

	mock_reset();
	memset(&nb, 0, sizeof(nb));
	nb.seen = packets;
	nf_kind.classes = NULL;
	netfront_limit(&limits);
	nb_user_begin();
}

void nb_attach(void)
{
	nb_put_back("frontend", FRONT);
	nb_put_back("frontend-id", "1");
	nb_put_back("online", "1");
	nb_put_back("mac", "00:16:3e:00:00:01");
	nb_put_back("handle", "0");
	nb_put_back("state", "1");
	nb_put_front("backend", BACK);
	nb_put_front("backend-id", "0");
	nb_put_front("handle", "0");
	nb_put_front("mac", "00:16:3e:00:00:01");
	nb_put_front("state", "1");
	mock_run();
}

void nb_offer(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nb.queues);
	if (nb.queues)
		nb_put_back("multi-queue-max-queues", text);
	put_flag("feature-rx-copy", true);
	put_flag("feature-sg", !nb.no_sg);
	put_flag("feature-no-csum-offload", nb.no_csum);
	put_flag("feature-ipv6-csum-offload", nb.csum6);
	put_flag("feature-gso-tcpv4", nb.gso4);
	put_flag("feature-gso-tcpv6", nb.gso6);
	put_flag("feature-split-event-channels", nb.split);
	put_flag("feature-ctrl-ring", nb.control);
	put_flag("feature-multicast-control", nb.multicast);
	put_flag("feature-dynamic-multicast-control", nb.dynamic);
	nb_put_back("state", "2");
	mock_run();
}

/* ---- rings ------------------------------------------------------------------------------------ */

unsigned nb_front_number(const char *prefix, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "%s%s", prefix, key);
	return (unsigned)strtoul(nb_front(path), NULL, 10);
}

static void on_event(void *ctx)
{
	if (!nb.passive)
		nb_take();
}

static bool map_ring(struct ring *ring, unsigned ref, uint32_t slot_bytes)
{
	gref_t gref = {ref};
	void *va;

	if (host_ring_map(1, &gref, 1, &va))
		return false;
	ring_init(ring, va, 1, slot_bytes);
	return true;
}

static bool take_queue(struct nb_queue *q, const char *prefix)
{
	unsigned tx = nb_front_number(prefix, "event-channel-tx"),
		 rx = nb_front_number(prefix, "event-channel-rx"),
		 both = nb_front_number(prefix, "event-channel");

	if (!map_ring(&q->tx, nb_front_number(prefix, "tx-ring-ref"), NETIF_TX_SLOT_BYTES))
		return false;
	if (!map_ring(&q->rx, nb_front_number(prefix, "rx-ring-ref"), NETIF_RX_SLOT_BYTES)) {
		host_ring_unmap(q->tx.shared, 1);
		return false;
	}
	q->back = &nb;
	q->mapped = true;
	if (nb.split ? !tx || !rx || both : tx || rx || !both)
		return false; /* what is in the store is not what was agreed upon */
	if (host_event_bind(1, nb.split ? tx : both, on_event, q, &q->port_tx))
		return false;
	q->port_rx = q->port_tx;
	return !nb.split || !host_event_bind(1, rx, on_event, q, &q->port_rx);
}

bool nb_try(void)
{
	unsigned n = nb_front_number("", "multi-queue-num-queues");
	char prefix[32] = "";

	mock_enter(0);
	nb.n_queues = n ? n : 1;
	if (nb.n_queues > NB_QUEUES || strcmp(nb_front("state"), "4"))
		return nb.n_queues = 0, false;
	for (unsigned i = 0; i < nb.n_queues; i++) {
		if (n)
			snprintf(prefix, sizeof(prefix), "queue-%u/", i);
		if (!take_queue(&nb.q[i], prefix)) {
			nb_drop();
			return false;
		}
	}
	nb_ctrl_take();
	nb_put_back("state", "4");
	mock_run();
	return true;
}

void nb_connect(void)
{
	if (!nb_try())
		mock_bug("no rings to take; frontend in state %s", nb_front("state"));
}

struct net_device *nb_begin(void)
{
	nb_attach();
	mock_enter(1);
	netfront_init();
	mock_run();
	nb_offer();
	nb_connect();
	return host_net_find("eth0");
}

void nb_drop(void)
{
	mock_enter(0);
	for (unsigned i = 0; i < nb.n_kept; i++)
		host_grants_unmap(&nb.kept[i], 1);
	nb.n_kept = nb.n_unanswered = nb.n_groups = 0;
	nb_ctrl_drop();
	for (struct nb_queue *q = nb.q; q < nb.q + NB_QUEUES; q++) {
		if (q->port_rx.v && q->port_rx.v != q->port_tx.v)
			host_event_close(q->port_rx);
		if (q->port_tx.v)
			host_event_close(q->port_tx);
		if (q->mapped) {
			host_ring_unmap(q->tx.shared, 1);
			host_ring_unmap(q->rx.shared, 1);
		}
		memset(q, 0, sizeof(*q));
	}
	nb.n_queues = 0;
}

void nb_detach(void)
{
	nb_drop();
	mock_store_remove(BACK);
	mock_store_remove(FRONT);
	mock_run();
}

bool nb_end(void)
{
	bool clean = true;

	nb_detach();
	mock_enter(1);
	netfront_exit();
	mock_run();
	for (int i = 0; i < 3; i++)
		mock_advance(2000000000ull); /* retired grants */
	nb_user_end();
	for (domid_t d = 0; d < 2; d++)
		clean &= mock_nothing_left(d);
	return clean && !host_net_next(NULL) && !nf_kind.classes;
}

/* ---- what the guest sends ---------------------------------------------------------------------- */

static uint8_t *map_ref(uint32_t ref, bool readonly, struct host_grant_map *map)
{
	*map = (struct host_grant_map){.status = GNTST_general_error}; /* nothing to unmap */
	for (unsigned i = 0; i < nb.n_kept; i++)
		if (nb.kept[i].ref.v == ref)
			return nb.kept[i].page;
	*map = (struct host_grant_map){.owner = 1, .ref = {ref}, .readonly = readonly};
	if (host_grants_map(map, 1) || map->status != GNTST_okay)
		mock_bug("reference %u cannot be mapped", ref);
	if (nb.maps && nb.n_kept < NB_KEPT)
		nb.kept[nb.n_kept++] = *map;
	return map->page;
}

static void unmap_ref(struct host_grant_map *map)
{
	if (!nb.maps)
		host_grants_unmap(map, 1);
}

static void copy_slot(struct nb_packet *p, const struct netif_tx_request *req, uint32_t len)
{
	struct host_grant_map map;
	uint8_t *page;

	if (!len || req->offset + len > PAGE_SIZE || p->len + len > NET_FRAME_MAX ||
	    p->n_slots == NETIF_SLOTS_MAX)
		mock_bug("slot of %u bytes at %u", len, req->offset);
	page = map_ref(req->gref, true, &map);
	memcpy(p->data + p->len, page + req->offset, len);
	unmap_ref(&map);
	p->refs[p->n_slots++].v = req->gref;
	p->len += len;
}

static void next_slot(struct nb_queue *q, void *to, size_t len)
{
	if (q->tx.in == q->tx.shared->req_prod)
		mock_bug("a chain without its end");
	memcpy(to, (const void *)ring_slot(&q->tx, q->tx.in++), len);
}

static unsigned take_extras(struct nb_queue *q, struct nb_packet *p)
{
	struct netif_extra_info info;
	unsigned n = 0;
	int more;

	do {
		next_slot(q, &info, sizeof(info));
		more = netif_extra_take(&p->extras, &info);
		if (more < 0)
			mock_bug("extra info of type %u", info.type);
		n++;
	} while (more);
	return n;
}

static void remember(struct nb_queue *q, uint16_t id, unsigned n_extras)
{
	nb.unanswered[nb.n_unanswered].id = id;
	nb.unanswered[nb.n_unanswered].queue = (uint8_t)(q - nb.q);
	nb.unanswered[nb.n_unanswered++].n_extras = (uint8_t)n_extras;
}

static void change_groups(const struct netif_extras *e)
{
	unsigned i = 0;

	if (!nb.multicast && !nb.dynamic)
		mock_bug("a group for a backend without groups");
	while (i < nb.n_groups && memcmp(nb.groups[i].mac, e->mcast, NET_MAC_BYTES) != 0)
		i++;
	if (!(e->seen & 1u << XEN_NETIF_EXTRA_TYPE_MCAST_ADD) == (i == nb.n_groups))
		mock_bug("a group told twice");
	if (i < nb.n_groups)
		nb.groups[i] = nb.groups[--nb.n_groups];
	else
		memcpy(nb.groups[nb.n_groups++].mac, e->mcast, NET_MAC_BYTES);
}

/* The size in the first slot is the packet's, so its own is known only at the end. */
static void take_packet(struct nb_queue *q)
{
	struct nb_packet *p = &packets[nb.n_seen++ % NB_SEEN];
	struct netif_tx_request reqs[NETIF_SLOTS_MAX];
	unsigned n = 1, rest = 0;

	memset(p, 0, offsetof(struct nb_packet, queue));
	p->n_slots = 0;
	p->extras = (struct netif_extras){0};
	p->queue = (unsigned)(q - nb.q);
	q->packets++;
	next_slot(q, &reqs[0], sizeof(reqs[0]));
	p->flags = reqs[0].flags;
	remember(q, reqs[0].id, p->flags & NETTXF_extra_info ? take_extras(q, p) : 0);
	if (!reqs[0].gref) {
		change_groups(&p->extras);
		return; /* no data: for its extra infos */
	}
	for (; reqs[n - 1].flags & NETTXF_more_data; n++) {
		if (n == NETIF_SLOTS_MAX)
			mock_bug("a packet of too many slots");
		next_slot(q, &reqs[n], sizeof(reqs[n]));
		rest += reqs[n].size;
		remember(q, reqs[n].id, 0);
	}
	if (rest >= reqs[0].size)
		mock_bug("a packet of %u bytes with %u", reqs[0].size, rest);
	copy_slot(p, &reqs[0], reqs[0].size - rest);
	for (unsigned i = 1; i < n; i++)
		copy_slot(p, &reqs[i], reqs[i].size);
}

void nb_take(void)
{
	mock_enter(0);
	for (struct nb_queue *q = nb.q; q < nb.q + nb.n_queues; q++) {
		int n;

		while ((n = ring_back_arm(&q->tx, 1)) != 0) {
			if (n < 0)
				mock_bug("more requests than slots");
			take_packet(q);
			if (!nb.hold)
				nb_answer(nb.n_unanswered);
		}
	}
}

static void put_answer(struct nb_queue *q, uint16_t id, int16_t status)
{
	struct netif_tx_response rsp = {id, status};

	memcpy((void *)ring_slot(&q->tx, q->tx.out++), &rsp, sizeof(rsp));
}

void nb_answer(unsigned n)
{
	mock_enter(0);
	for (unsigned i = 0; i < n; i++) {
		struct nb_queue *q = &nb.q[nb.unanswered[i].queue];

		put_answer(q, nb.unanswered[i].id, nb.status);
		for (unsigned k = 0; k < nb.unanswered[i].n_extras; k++)
			put_answer(q, 0xffff, NETIF_RSP_NULL);
	}
	nb.n_unanswered -= n;
	memmove(nb.unanswered, nb.unanswered + n, nb.n_unanswered * sizeof(nb.unanswered[0]));
	for (struct nb_queue *q = nb.q; q < nb.q + nb.n_queues; q++)
		if (ring_back_push(&q->tx))
			host_event_notify(q->port_tx);
}

struct nb_packet *nb_last(void)
{
	return nb.n_seen ? &packets[(nb.n_seen - 1) % NB_SEEN] : NULL;
}

void nb_notify(unsigned queue)
{
	mock_enter(0);
	host_event_notify(nb.q[queue].port_rx);
	mock_run();
}

/* ---- what the guest receives -------------------------------------------------------------------- */

void nb_raw(unsigned queue, uint16_t id, uint16_t offset, uint16_t flags, int16_t status)
{
	struct nb_queue *q = &nb.q[queue];
	struct netif_rx_response rsp = {id, offset, flags, status};

	memcpy((void *)ring_slot(&q->rx, q->rx.out++), &rsp, sizeof(rsp));
	q->rx.in = q->rx.out;
}

void nb_push(unsigned queue)
{
	mock_enter(0);
	if (ring_back_push(&nb.q[queue].rx))
		host_event_notify(nb.q[queue].port_rx);
	mock_run();
}

static uint32_t put_slot(struct nb_queue *q, const uint8_t *data, uint32_t len, uint16_t flags,
			 const struct nb_send *how)
{
	struct netif_rx_request req;
	uint32_t n = MIN(len, (uint32_t)PAGE_SIZE - how->offset);
	struct host_grant_map map;

	memcpy(&req, (const void *)ring_slot(&q->rx, q->rx.out), sizeof(req));
	if (req.id != q->rx.out % NETIF_RING_SLOTS)
		mock_bug("request %u is in slot %u", req.id, q->rx.out);
	memcpy(map_ref(req.gref, false, &map) + how->offset, data, n);
	unmap_ref(&map);
	nb_raw((unsigned)(q - nb.q), req.id, how->offset,
	       (uint16_t)(flags | (n < len ? NETRXF_more_data : 0)), (int16_t)n);
	return n;
}

bool nb_send(const void *data, uint32_t len, const struct nb_send *how)
{
	static const struct nb_send plain;
	struct netif_extra_info info[NETIF_EXTRAS_MAX];
	const uint8_t *at = data;
	struct nb_queue *q;
	unsigned n_extras;
	uint16_t flags;

	how = how ? how : &plain;
	q = &nb.q[how->queue];
	mock_enter(0);
	n_extras = netif_extras_put(&how->extras, info);
	if (q->rx.shared->req_prod - q->rx.out < PAGES_FOR(len + how->offset) + 1 + n_extras)
		return false;
	flags = (uint16_t)(how->flags | (n_extras ? NETRXF_extra_info : 0));
	if (how->first && how->first < len) {
		put_slot(q, at, how->first, (uint16_t)(flags | NETRXF_more_data), how);
		at += how->first;
		len -= how->first;
	} else {
		uint32_t n = put_slot(q, at, len, flags, how);

		at += n;
		len -= n;
	}
	for (unsigned i = 0; i < n_extras; i++) {
		memcpy((void *)ring_slot(&q->rx, q->rx.out++), &info[i], sizeof(info[i]));
		q->rx.in = q->rx.out;
	}
	while (len) {
		uint32_t n = put_slot(q, at, len, 0, how);

		at += n;
		len -= n;
	}
	if (!how->quiet)
		nb_push(how->queue);
	return true;
}
