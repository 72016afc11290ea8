/* blk_rogue.c: both rogue halves of a disk: good manners in the store, none on the ring.
 *
 * Called by the block tests and fuzzers; calls the mock world as a domain would its hypervisor.
 */
#include <stdio.h>
#include <string.h>

#include "blk_rogue.h"

static void on_event(void *ctx)
{
	((struct rogue *)ctx)->events++;
}

static void put_number(void (*put)(domid_t, unsigned, const char *, const char *), const char *key,
		       unsigned value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	put(1, XVDA, key, text);
}

/* ---- front ---- */

void rogue_front_begin(struct rogue *r, const char *mode, bool persistent)
{
	*r = (struct rogue){0};
	world_start_back();
	world_attach(1, XVDA, "ram0", mode);
	mock_enter(1);
	r->page = host_pages_alloc(1);
	host_grant_offer(0, r->page, false, &r->ref);
	host_event_offer(0, on_event, r, &r->port);
	for (unsigned i = 0; i < ROGUE_PAGES; i++) {
		r->data[i] = host_pages_alloc(1);
		host_grant_offer(0, r->data[i], i & 1, &r->grants[i]);
	}
	r->page->req_event = r->page->rsp_event = 1;
	put_number(world_put_front, "ring-ref", r->ref.v);
	put_number(world_put_front, "event-channel", r->port.v);
	world_put_front(1, XVDA, "protocol", "x86_64-abi");
	put_number(world_put_front, "feature-persistent", persistent);
	world_put_front(1, XVDA, "state", "3");
	mock_run();
	world_put_front(1, XVDA, "state", "4");
	mock_run();
}

void rogue_front_end(struct rogue *r)
{
	mock_store_remove("/local/domain/1/device/vbd/51712");
	world_detach_begin(1, XVDA);
	mock_enter(1);
	host_event_close(r->port);
	if (host_grant_end(r->ref) == 0)
		host_pages_free(r->page, 1);
	for (unsigned i = 0; i < ROGUE_PAGES; i++)
		if (!r->grants[i].v || host_grant_end(r->grants[i]) == 0)
			host_pages_free(r->data[i], 1);
}

static uint8_t *slot(struct rogue *r, uint32_t index)
{
	return (uint8_t *)r->page + 64 + (index % 32) * 112;
}

void rogue_request(struct rogue *r, uint32_t index, const struct blkif_request *req)
{
	memcpy(slot(r, index), req, sizeof(*req));
}

struct blkif_response rogue_response(struct rogue *r, uint32_t index)
{
	struct blkif_response rsp;

	memcpy(&rsp, slot(r, index), sizeof(rsp));
	return rsp;
}

void rogue_publish(struct rogue *r, uint32_t req_prod)
{
	mock_enter(1);
	r->page->req_prod = req_prod;
	host_event_notify(r->port);
	mock_run();
}

struct blkif_request rogue_good(struct rogue *r, uint8_t op, unsigned n, uint64_t sector)
{
	struct blkif_request req;

	memset(&req, 0, sizeof(req));
	req.operation = op;
	req.nr_segments = 1;
	req.id = 0x1122334455667788ull + n;
	req.sector_number = sector;
	req.seg[0].gref = r->grants[n].v;
	return req;
}

/* ---- back ---- */

/* Takes the ring that the frontend offers, and is connected. */
static void take_ring(struct rogue *r)
{
	unsigned ref = 0, port = 0;
	void *va;

	sscanf(world_front(1, XVDA, "ring-ref"), "%u", &ref);
	sscanf(world_front(1, XVDA, "event-channel"), "%u", &port);
	mock_enter(0);
	if (host_ring_map(1, &(gref_t){ref}, 1, &va) ||
	    host_event_bind(1, port, on_event, r, &r->port))
		mock_bug("the frontend offered no ring");
	r->page = va;
	world_put_back(1, XVDA, "state", "4");
	mock_run();
}

void rogue_back_begin(struct rogue *r, const char *sectors, bool persistent,
		      struct block_device **out_dev)
{
	*r = (struct rogue){0};
	world_attach(1, XVDA, "none", "w");
	world_put_back(1, XVDA, "state", "2");
	world_start_front(1);
	world_put_back(1, XVDA, "sectors", sectors);
	world_put_back(1, XVDA, "feature-flush-cache", "1");
	put_number(world_put_back, "feature-persistent", persistent);
	take_ring(r);
	*out_dev = mock_find_registered(1, "xvda");
}

static void drop_ring(struct rogue *r)
{
	mock_enter(0);
	if (r->port.v)
		host_event_close(r->port);
	if (r->page)
		host_ring_unmap(r->page, 1);
}

void rogue_back_again(struct rogue *r)
{
	drop_ring(r);
	world_put_back(1, XVDA, "state", "6");
	mock_run();
	world_put_back(1, XVDA, "state", "2");
	mock_run();
	take_ring(r);
}

void rogue_back_end(struct rogue *r)
{
	drop_ring(r);
	mock_store_remove("/local/domain/0/backend/vbd/1/51712");
	mock_run();
	world_detach_end(1, XVDA);
}

void rogue_answer(struct rogue *r, uint32_t index, uint64_t id, uint8_t op, int16_t status)
{
	struct blkif_response rsp = {.id = id, .operation = op, .status = status};

	memcpy(slot(r, index), &rsp, sizeof(rsp));
}

void rogue_publish_answers(struct rogue *r, uint32_t rsp_prod)
{
	mock_enter(0);
	r->page->rsp_prod = rsp_prod;
	host_event_notify(r->port);
	mock_run();
}

struct blkif_request rogue_asked(struct rogue *r, uint32_t index)
{
	struct blkif_request req;

	memcpy(&req, slot(r, index), sizeof(req));
	return req;
}
