/* blk_guest.c: keys, rings and requests of a frontend that does what a test's plan says.
 *
 * Called by tests of blkback; calls the mock world as a domain would its hypervisor. Requests are written as
 * bytes at the offsets of the layout, so that the test does not take them from the code it tests.
 */
#include <stdio.h>
#include <string.h>

#include "blk_guest.h"

static void on_event(void *ctx)
{
	((struct guest_queue *)ctx)->events++;
}

static void put(unsigned queue, bool several, const char *key, unsigned value)
{
	char name[48], text[16];

	snprintf(name, sizeof(name), several ? "queue-%u/%s" : "%.0u%s", several ? queue : 0, key);
	snprintf(text, sizeof(text), "%u", value);
	world_put_front(1, XVDA, name, text);
}

static void offer_queue(struct guest *g, unsigned n)
{
	struct guest_queue *q = &g->queues[n];
	unsigned pages = 1u << g->plan.order;
	bool several = g->n_queues > 1, named = pages > 1 || g->plan.order_named;

	mock_enter(1);
	q->pages = host_pages_alloc(pages);
	ring_init(&q->ring, q->pages, pages, g->layout->slot_bytes);
	ring_reset_shared(&q->ring);
	for (unsigned i = 0; i < pages; i++) {
		char key[16];

		mock_enter(1);
		host_grant_offer(0, q->pages + i * PAGE_SIZE, false, &q->refs[i]);
		snprintf(key, sizeof(key), named ? "ring-ref%u" : "ring-ref", i);
		put(n, several, key, q->refs[i].v);
	}
	mock_enter(1);
	host_event_offer(0, on_event, q, &q->port);
	put(n, several, "event-channel", q->port.v);
}

static void grant_pages(uint8_t *pages, unsigned n, gref_t *refs)
{
	for (unsigned i = 0; i < n; i++)
		host_grant_offer(0, pages + i * PAGE_SIZE, false, &refs[i]);
}

static void say(struct guest *g)
{
	const struct guest_plan *p = &g->plan;

	if (p->n_queues)
		put(0, false, "multi-queue-num-queues", p->n_queues);
	if (p->old_names)
		put(0, false, "num-ring-pages", 1u << p->order);
	else if (p->order || p->order_named)
		put(0, false, "ring-page-order", p->order);
	if (p->protocol)
		world_put_front(1, XVDA, "protocol", p->protocol);
	put(0, false, "feature-persistent", p->persistent);
	if (p->large_sectors)
		put(0, false, "feature-large-sector-size", 1);
}

void guest_connect(struct guest *g, const struct guest_plan *plan)
{
	memset(g, 0, sizeof(*g));
	g->plan = *plan;
	g->layout = blkif_layout(plan->protocol ? plan->protocol : "");
	g->n_queues = MAX(plan->n_queues, 1u);
	say(g);
	for (unsigned i = 0; i < g->n_queues; i++)
		offer_queue(g, i);
	mock_enter(1);
	g->data = host_pages_alloc(GUEST_DATA);
	grant_pages(g->data, GUEST_DATA, g->refs);
	g->list = host_pages_alloc(ARRAY_SIZE(g->list_refs));
	grant_pages(g->list, ARRAY_SIZE(g->list_refs), g->list_refs);
	world_put_front(1, XVDA, "state", "3");
	mock_run();
	world_put_front(1, XVDA, "state", "4");
	mock_run();
}

static void take_back(uint8_t *pages, unsigned n, const gref_t *refs)
{
	for (unsigned i = 0; i < n; i++)
		if (host_grant_end(refs[i]) != 0)
			mock_bug("page %u is still mapped", i);
	host_pages_free(pages, n);
}

static void take_all_back(struct guest *g)
{
	mock_enter(1);
	for (unsigned i = 0; i < g->n_queues; i++) {
		struct guest_queue *q = &g->queues[i];

		host_event_close(q->port);
		take_back(q->pages, 1u << g->plan.order, q->refs);
	}
	take_back(g->data, GUEST_DATA, g->refs);
	take_back(g->list, ARRAY_SIZE(g->list_refs), g->list_refs);
}

void guest_disconnect(struct guest *g)
{
	world_put_front(1, XVDA, "state", "5");
	mock_run();
	world_put_front(1, XVDA, "state", "6");
	mock_run();
	take_all_back(g);
}

void guest_end(struct guest *g)
{
	mock_store_remove("/local/domain/1/device/vbd/51712");
	world_detach_begin(1, XVDA);
	take_all_back(g);
}

/* ---- requests ---- */

static void put_segments(struct guest *g, const struct guest_request *r, uint8_t *to)
{
	uint8_t last = r->last ? r->last : (uint8_t)(g->plan.large_sectors ? 0 : 7);

	for (unsigned i = 0; i < r->n_segments; i++) {
		uint32_t ref = g->refs[(r->page + i) % GUEST_DATA].v;

		memcpy(to + i * 8, &ref, 4);
		to[i * 8 + 4] = r->first;
		to[i * 8 + 5] = last;
	}
}

void guest_put(struct guest *g, unsigned queue, const struct guest_request *r)
{
	struct ring *ring = &g->queues[queue].ring;
	uint8_t *slot = (uint8_t *)ring_slot(ring, ring->out), *tail = slot + g->layout->id_at + 16;
	bool indirect = r->indirect || r->n_segments > BLKIF_SEGMENTS;

	if (!ring_front_free(ring))
		mock_bug("the ring is full");
	memset(slot, 0xee, g->layout->slot_bytes); /* what is padding is anything */
	slot[0] = indirect ? BLKIF_OP_INDIRECT : r->op;
	slot[1] = indirect ? r->op : r->op == BLKIF_OP_DISCARD ? r->flags : (uint8_t)r->n_segments;
	memcpy(slot + g->layout->id_at, &r->id, 8);
	memcpy(slot + g->layout->id_at + 8, &r->sector, 8);
	if (r->op == BLKIF_OP_DISCARD) {
		memcpy(tail, &r->n_sectors, 8);
	} else if (indirect) {
		unsigned list = g->next_list++ % ARRAY_SIZE(g->list_refs);

		memcpy(slot + 2, &(uint16_t){(uint16_t)r->n_segments}, 2);
		memcpy(tail + 4, &g->list_refs[list].v, 4);
		put_segments(g, r, g->list + list * PAGE_SIZE);
	} else {
		put_segments(g, r, tail);
	}
	ring->out++;
}

void guest_push(struct guest *g, unsigned queue)
{
	mock_enter(1);
	if (ring_front_push(&g->queues[queue].ring))
		host_event_notify(g->queues[queue].port);
	mock_run();
}

bool guest_answer(struct guest *g, unsigned queue, struct blkif_response *out)
{
	struct ring *ring = &g->queues[queue].ring;
	uint8_t *slot = (uint8_t *)ring_slot(ring, ring->in);

	if (ring_front_arm(ring, 1) <= 0)
		return false;
	memcpy(&out->id, slot, 8);
	out->operation = slot[8];
	memcpy(&out->status, slot + 10, 2);
	for (unsigned i = 12; i < g->layout->response_bytes; i++)
		if (slot[i] || slot[9])
			mock_bug("padding of a response carries something");
	ring->in++;
	return true;
}

int guest_ask(struct guest *g, unsigned queue, const struct guest_request *r)
{
	struct blkif_response rsp;

	guest_put(g, queue, r);
	guest_push(g, queue);
	if (!guest_answer(g, queue, &rsp))
		return 99;
	if (rsp.id != r->id || rsp.operation != r->op)
		mock_bug("the answer is of another request");
	return rsp.status;
}
