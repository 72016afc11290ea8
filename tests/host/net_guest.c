/* net_guest.c: keys, rings and slots of a frontend that does what a test's plan says.
 *
 * Called by tests of netback; calls the mock world as a domain would its hypervisor.
 */
#include <stdio.h>
#include <string.h>

#include "net_guest.h"

static void on_event(void *ctx)
{
	((struct net_guest_queue *)ctx)->events++;
}

static void on_rx_event(void *ctx)
{
	((struct net_guest_queue *)ctx)->rx_events++;
}

static void on_ctrl_event(void *ctx)
{
	(void)ctx;
}

/* queue: -1 for keys of the directory itself. */
static void put(struct net_guest *g, int queue, const char *key, unsigned value)
{
	char name[64], text[16];

	if (queue >= 0)
		snprintf(name, sizeof(name), "queue-%d/%s", queue, key);
	else
		snprintf(name, sizeof(name), "%s", key);
	snprintf(text, sizeof(text), "%u", value);
	net_world_put_front(g->domid, g->handle, name, text);
}

static void offer_queue(struct net_guest *g, unsigned n)
{
	struct net_guest_queue *q = &g->queues[n];
	int dir = g->n_queues > 1 ? (int)n : -1;

	q->tx_page = host_pages_alloc(1);
	q->rx_page = host_pages_alloc(1);
	ring_init(&q->tx, q->tx_page, 1, NETIF_TX_SLOT_BYTES);
	ring_init(&q->rx, q->rx_page, 1, NETIF_RX_SLOT_BYTES);
	ring_reset_shared(&q->tx);
	ring_reset_shared(&q->rx);
	host_grant_offer(0, q->tx_page, false, &q->tx_ref);
	host_grant_offer(0, q->rx_page, false, &q->rx_ref);
	host_event_offer(0, on_event, q, &q->tx_port);
	put(g, dir, "tx-ring-ref", q->tx_ref.v);
	put(g, dir, "rx-ring-ref", q->rx_ref.v);
	if (!g->plan.split) {
		put(g, dir, "event-channel", q->tx_port.v);
		return;
	}
	host_event_offer(0, on_rx_event, q, &q->rx_port);
	put(g, dir, "event-channel-tx", q->tx_port.v);
	put(g, dir, "event-channel-rx", q->rx_port.v);
}

static void offer_ctrl(struct net_guest *g)
{
	g->ctrl_page = host_pages_alloc(1);
	ring_init(&g->ctrl, g->ctrl_page, 1, NETIF_CTRL_BYTES);
	ring_reset_shared(&g->ctrl);
	host_grant_offer(0, g->ctrl_page, false, &g->ctrl_ref);
	host_event_offer(0, on_ctrl_event, g, &g->ctrl_port);
	put(g, -1, "ctrl-ring-ref", g->ctrl_ref.v);
	put(g, -1, "event-channel-ctrl", g->ctrl_port.v);
}

static void say_features(struct net_guest *g)
{
	const struct net_plan *p = &g->plan;

	if (p->n_queues)
		put(g, -1, "multi-queue-num-queues", p->n_queues);
	put(g, -1, "request-rx-copy", !p->no_copy);
	if (p->plain)
		return;
	put(g, -1, "feature-rx-notify", !p->no_notify);
	put(g, -1, "feature-sg", 1);
	put(g, -1, "feature-gso-tcpv4", !p->no_gso);
	put(g, -1, "feature-gso-tcpv6", !p->no_gso);
	put(g, -1, "feature-no-csum-offload", p->no_csum4);
	put(g, -1, "feature-ipv6-csum-offload", !p->no_csum6);
	if (p->headroom)
		put(g, -1, "xdp-headroom", p->headroom);
	if (p->multicast)
		put(g, -1, "request-multicast-control", 1);
}

void net_guest_offer(struct net_guest *g, domid_t domid, const struct net_plan *plan)
{
	memset(g, 0, sizeof(*g));
	g->domid = domid;
	g->plan = *plan;
	g->n_queues = MAX(plan->n_queues, 1u);
	mock_enter(domid);
	say_features(g);
	for (unsigned i = 0; i < g->n_queues; i++)
		offer_queue(g, i);
	if (plan->ctrl)
		offer_ctrl(g);
	g->pages = host_pages_alloc(GUEST_PAGES);
	g->rx_pages = host_pages_alloc(GUEST_PAGES);
	for (unsigned i = 0; i < GUEST_PAGES; i++) {
		host_grant_offer(0, g->pages + i * PAGE_SIZE, true, &g->refs[i]);
		host_grant_offer(0, g->rx_pages + i * PAGE_SIZE, false, &g->rx_refs[i]);
	}
}

void net_guest_say(struct net_guest *g, const char *state)
{
	net_world_put_front(g->domid, g->handle, "state", state);
	mock_run();
}

void net_guest_connect(struct net_guest *g, domid_t domid, const struct net_plan *plan)
{
	net_guest_offer(g, domid, plan);
	net_guest_say(g, "4");
}

static void take_page(void *page, gref_t ref)
{
	if (host_grant_end(ref) != 0)
		mock_bug("a page is still mapped");
	if (page)
		host_pages_free(page, 1);
}

void net_guest_take_back(struct net_guest *g)
{
	mock_enter(g->domid);
	for (unsigned i = 0; i < g->n_queues; i++) {
		struct net_guest_queue *q = &g->queues[i];

		host_event_close(q->tx_port);
		if (q->rx_port.v)
			host_event_close(q->rx_port);
		take_page(q->tx_page, q->tx_ref);
		take_page(q->rx_page, q->rx_ref);
	}
	if (g->ctrl_page) {
		host_event_close(g->ctrl_port);
		take_page(g->ctrl_page, g->ctrl_ref);
	}
	for (unsigned i = 0; i < GUEST_PAGES; i++) {
		take_page(NULL, g->refs[i]);
		take_page(NULL, g->rx_refs[i]);
	}
	host_pages_free(g->pages, GUEST_PAGES);
	host_pages_free(g->rx_pages, GUEST_PAGES);
}

void net_guest_end(struct net_guest *g)
{
	net_world_detach_end(g->domid, g->handle);
	net_world_detach_begin(g->domid, g->handle);
	mock_advance(6000000000ull);
	net_guest_take_back(g);
}

/* ---- tx ---- */

static void *next_slot(struct net_guest *g, unsigned queue)
{
	struct ring *tx = &g->queues[queue].tx;
	uint8_t *slot = (uint8_t *)ring_slot(tx, tx->out);

	if (!ring_front_free(tx))
		mock_bug("the ring is full");
	tx->out++;
	return memset(slot, 0xee, NETIF_TX_SLOT_BYTES); /* what is padding is anything */
}

void net_guest_tx(struct net_guest *g, unsigned queue, const struct netif_tx_request *req)
{
	memcpy(next_slot(g, queue), req, sizeof(*req));
}

void net_guest_extra(struct net_guest *g, unsigned queue, const struct netif_extra_info *info)
{
	memcpy(next_slot(g, queue), info, sizeof(*info));
}

void net_guest_push(struct net_guest *g, unsigned queue)
{
	mock_enter(g->domid);
	if (ring_front_push(&g->queues[queue].tx))
		host_event_notify(g->queues[queue].tx_port);
	mock_run();
}

bool net_guest_answer(struct net_guest *g, unsigned queue, struct netif_tx_response *out)
{
	struct ring *tx = &g->queues[queue].tx;

	if (ring_front_arm(tx, 1) <= 0)
		return false;
	memcpy(out, (uint8_t *)ring_slot(tx, tx->in), sizeof(*out));
	tx->in++;
	return true;
}

static void put_extras(struct net_guest *g, unsigned queue, const struct netif_extras *extras)
{
	struct netif_extra_info infos[NETIF_EXTRAS_MAX];
	unsigned n = extras ? netif_extras_put(extras, infos) : 0;

	for (unsigned i = 0; i < n; i++)
		net_guest_extra(g, queue, &infos[i]);
}

void net_guest_packet(struct net_guest *g, unsigned queue, const struct net_packet *p)
{
	uint32_t piece = MIN(p->len, p->first ? p->first : (uint32_t)PAGE_SIZE), at = 0;

	for (bool begin = true; at < p->len; begin = false) {
		struct netif_tx_request req = {
		    .gref = g->refs[(p->page + at / PAGE_SIZE) % GUEST_PAGES].v,
		    .offset = at % PAGE_SIZE,
		    .id = (uint16_t)p->page,
		    .size = (uint16_t)(begin ? p->len : piece),
		    .flags = begin ? p->flags : 0,
		};

		if (at + piece < p->len)
			req.flags |= NETTXF_more_data;
		if (begin && p->extras)
			req.flags |= NETTXF_extra_info;
		net_guest_tx(g, queue, &req);
		if (begin)
			put_extras(g, queue, p->extras);
		at += piece;
		piece = MIN(p->len - at, (uint32_t)(PAGE_SIZE - at % PAGE_SIZE));
	}
}

int net_guest_ask(struct net_guest *g, unsigned page, uint32_t len, uint16_t flags)
{
	struct netif_tx_response rsp;
	int status = 99;

	net_guest_packet(g, 0, &(struct net_packet){.page = page, .len = len, .flags = flags});
	net_guest_push(g, 0);
	while (net_guest_answer(g, 0, &rsp))
		status = status == 99 ? rsp.status : status;
	return status;
}

/* ---- rx ---- */

void net_guest_post(struct net_guest *g, unsigned queue, unsigned n)
{
	struct ring *rx = &g->queues[queue].rx;

	mock_enter(g->domid);
	for (; n; n--, g->rx_posted++) {
		struct netif_rx_request req = {.id = (uint16_t)g->rx_posted,
					       .gref = g->rx_refs[g->rx_posted % GUEST_PAGES].v};

		memcpy((uint8_t *)ring_slot(rx, rx->out++), &req, sizeof(req));
	}
	if (ring_front_push(rx)) {
		struct net_guest_queue *q = &g->queues[queue];

		host_event_notify(g->plan.split ? q->rx_port : q->tx_port);
	}
	mock_run();
}

static void *next_answer(struct ring *rx)
{
	if (ring_front_arm(rx, 1) <= 0)
		mock_bug("a packet without its end");
	return (uint8_t *)ring_slot(rx, rx->in++);
}

static void take_extras(struct ring *rx, struct net_got *out)
{
	struct netif_extra_info info;
	int more;

	do {
		memcpy(&info, next_answer(rx), sizeof(info));
		more = netif_extra_take(&out->extras, &info);
		if (more < 0)
			mock_bug("extra info %u means nothing", info.type);
	} while (more);
}

bool net_guest_got(struct net_guest *g, unsigned queue, struct net_got *out)
{
	struct ring *rx = &g->queues[queue].rx;
	struct netif_rx_response rsp;

	out->len = out->slots = 0;
	out->status = 0;
	out->extras = (struct netif_extras){0};
	if (ring_front_arm(rx, 1) <= 0)
		return false;
	do {
		memcpy(&rsp, next_answer(rx), sizeof(rsp));
		if (rsp.status < 0)
			out->status = rsp.status;
		else
			memcpy(out->data + out->len,
			       g->rx_pages + rsp.id % GUEST_PAGES * PAGE_SIZE + rsp.offset,
			       (size_t)rsp.status);
		out->len += rsp.status < 0 ? 0 : (uint32_t)rsp.status;
		if (!out->slots++)
			out->flags = rsp.flags;
		if (out->slots == 1 && rsp.flags & NETRXF_extra_info)
			take_extras(rx, out);
	} while (rsp.flags & NETRXF_more_data);
	return true;
}

/* ---- the control ring ---- */

bool net_guest_ctrl(struct net_guest *g, const struct xen_netif_ctrl_request *req,
		    struct xen_netif_ctrl_response *out)
{
	mock_enter(g->domid);
	memcpy((uint8_t *)ring_slot(&g->ctrl, g->ctrl.out++), req, sizeof(*req));
	if (ring_front_push(&g->ctrl))
		host_event_notify(g->ctrl_port);
	mock_run();
	if (ring_front_arm(&g->ctrl, 1) <= 0)
		return false;
	memcpy(out, (uint8_t *)ring_slot(&g->ctrl, g->ctrl.in++), sizeof(*out));
	return true;
}
