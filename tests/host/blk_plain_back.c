/* blk_plain_back.c: the backend of blk_plain_back.h: takes requests off its rings, moves bytes, answers.
 *
 * Called by tests; calls the mock world as domain 0, and ring.h. It checks what a frontend promises:
 * fields within their ranges, nothing in the holes, references that can be mapped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blk_plain_back.h"

/* ---- the store ---- */

static void put_number(const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	world_put_back(1, XVDA, key, text);
}

static void remove_node(const char *key)
{
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "/local/domain/0/backend/vbd/1/%u/%s", XVDA, key);
	mock_store_remove(path);
}

static unsigned unit_of(const struct plain_back *b)
{
	return b->large_units ? b->sector_size : 512;
}

static void put_if(const char *key, uint64_t value)
{
	if (value)
		put_number(key, value);
	else
		remove_node(key);
}

void plain_offer(struct plain_back *b, bool attach)
{
	if (attach)
		world_attach(1, XVDA, "none", "w");
	put_if("max-ring-page-order", b->order);
	put_if("max-ring-pages", b->old_pages);
	put_if("multi-queue-max-queues", b->queues);
	put_if("feature-max-indirect-segments", b->indirect);
	put_if("feature-persistent", b->persistent);
	put_if("feature-flush-cache", b->flush);
	put_if("feature-barrier", b->barrier);
	put_if("feature-discard", b->discard);
	put_if("discard-secure", b->secure);
	put_if("sector-size", b->sector_size);
	put_number("sectors", b->sectors / (unit_of(b) / 512));
	put_number("info", b->info);
	b->keeps = b->persistent;
	world_put_back(1, XVDA, "state", "2");
	mock_run();
}

static unsigned front_number(const char *prefix, const char *key, int index, unsigned otherwise)
{
	char path[64];
	const char *text;

	snprintf(path, sizeof(path), index < 0 ? "%s%s" : "%s%s%d", prefix, key, index);
	text = world_front(1, XVDA, path);
	return *text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* ---- one request ---- */

static uint8_t *map_ref(struct plain_back *b, uint32_t ref, bool readonly,
			struct host_grant_map *out)
{
	for (unsigned i = 0; i < b->n_kept; i++)
		if (b->kept[i].ref.v == ref)
			return b->kept[i].page;
	*out = (struct host_grant_map){.owner = 1, .ref = {ref}, .readonly = readonly && !b->keeps};
	if (host_grants_map(out, 1) || out->status != GNTST_okay)
		mock_bug("reference %u cannot be mapped", ref);
	b->pages_mapped++;
	if (b->keeps)
		b->kept[b->n_kept++] = *out;
	return out->page;
}

static void unmap_ref(struct plain_back *b, struct host_grant_map *map)
{
	if (!b->keeps)
		host_grants_unmap(map, 1);
}

static uint64_t move(struct plain_back *b, const struct blkif_request_segment *segs, unsigned n,
		     bool write, uint64_t sector)
{
	unsigned unit = unit_of(b);

	for (unsigned i = 0; i < n; i++) {
		unsigned count = segs[i].last_sect - segs[i].first_sect + 1u;
		struct host_grant_map map;
		uint8_t *page = map_ref(b, segs[i].gref, write, &map);
		uint8_t *at = b->data + sector * unit, *in_page = page + segs[i].first_sect * unit;

		if (segs[i].last_sect >= PAGE_SIZE / unit || segs[i].last_sect < segs[i].first_sect)
			mock_bug("segment of sectors %u to %u", segs[i].first_sect,
				 segs[i].last_sect);
		if ((sector + count) * unit > b->sectors * 512)
			mock_bug("sector %llu is behind the end", (unsigned long long)sector);
		if (write)
			memcpy(at, in_page, count * unit);
		else
			memcpy(in_page, at, count * unit);
		unmap_ref(b, &map);
		sector += count;
	}
	return sector;
}

static void move_indirect(struct plain_back *b, const struct blkif_request_indirect *req)
{
	struct blkif_request_segment segs[BLKIF_INDIRECT_SEGMENTS];
	struct host_grant_map map;

	if (req->nr_segments == 0 || req->nr_segments > b->indirect)
		mock_bug("an indirect request of %u segments", req->nr_segments);
	memcpy(segs, map_ref(b, req->indirect_grefs[0], true, &map),
	       req->nr_segments * sizeof(segs[0]));
	unmap_ref(b, &map);
	move(b, segs, req->nr_segments, req->indirect_op == BLKIF_OP_WRITE, req->sector_number);
}

static void discard(struct plain_back *b, const struct blkif_request_discard *req)
{
	unsigned unit = unit_of(b);

	if (!b->discard || (req->flag && !b->secure))
		mock_bug("a discard that was not offered");
	if ((req->sector_number + req->nr_sectors) * unit > b->sectors * 512)
		mock_bug("a discard behind the end");
	memset(b->data + req->sector_number * unit, req->flag ? 0xdd : 0xd0,
	       req->nr_sectors * unit);
}

static int16_t carry_out(struct plain_back *b, const struct plain_request *r, uint8_t op)
{
	if (b->unsupported && op == b->unsupported)
		return BLKIF_RSP_EOPNOTSUPP;
	if (r->direct.operation == BLKIF_OP_INDIRECT)
		move_indirect(b, &r->indirect);
	else if (op == BLKIF_OP_DISCARD)
		discard(b, &r->discard);
	else if (op == BLKIF_OP_FLUSH_DISKCACHE ? !b->flush
						: op == BLKIF_OP_WRITE_BARRIER && !b->barrier)
		mock_bug("operation %u was not offered", op);
	else
		move(b, r->direct.seg, r->direct.nr_segments, op != BLKIF_OP_READ,
		     r->direct.sector_number);
	return BLKIF_RSP_OKAY;
}

static void answer(struct plain_back *b, const struct plain_request *r)
{
	struct plain_queue *q = &b->q[r->queue];
	bool indirect = r->direct.operation == BLKIF_OP_INDIRECT;
	struct blkif_response rsp;

	memset(&rsp, 0, sizeof(rsp));
	rsp.operation = indirect ? r->indirect.indirect_op : r->direct.operation;
	rsp.id = r->direct.id;
	_Static_assert(offsetof(struct blkif_request, id) ==
			   offsetof(struct blkif_request_indirect, id),
		       "one place");
	rsp.status = carry_out(b, r, rsp.operation);
	peer_copy_out(ring_slot(&q->ring, q->ring.out), &rsp, sizeof(rsp));
	q->ring.out++;
	if (ring_back_push(&q->ring))
		host_event_notify(q->port);
}

/* ---- rings ---- */

static void see(struct plain_back *b, const struct plain_request *r)
{
	bool indirect = r->direct.operation == BLKIF_OP_INDIRECT;

	b->ops[(indirect ? r->indirect.indirect_op : r->direct.operation) % 8]++;
	b->per_queue[r->queue]++;
	b->indirect_seen += indirect;
	if (b->n_seen < PLAIN_HELD)
		b->first_sectors[b->n_seen++] = r->direct.sector_number;
	if ((indirect ? r->indirect.handle : r->direct.handle) != XVDA)
		mock_bug("a request for device %u", r->direct.handle);
}

static void take_all(struct plain_queue *q, int n)
{
	struct plain_back *b = q->back;

	while (n-- > 0) {
		struct plain_request r = {.queue = (unsigned)(q - b->q)};

		peer_copy_in(&r.direct, ring_slot(&q->ring, q->ring.in), sizeof(r.direct));
		q->ring.in++;
		see(b, &r);
		if (b->hold)
			b->held[b->n_held++] = r;
		else
			answer(b, &r);
	}
}

static void on_event(void *ctx)
{
	struct plain_queue *q = ctx;
	int n = q->back->passive ? 0 : ring_back_fetch(&q->ring);

	for (; n > 0; n = ring_back_arm(&q->ring, 1))
		take_all(q, n);
	if (n < 0)
		mock_bug("more requests than the ring has room for");
}

void plain_release(struct plain_back *b, unsigned n)
{
	mock_enter(0);
	for (; n && b->n_held; n--) {
		unsigned at = b->backwards ? b->n_held - 1 : 0;
		struct plain_request r = b->held[at];

		memmove(&b->held[at], &b->held[at + 1], (b->n_held - at - 1) * sizeof(r));
		b->n_held--;
		answer(b, &r);
	}
	mock_run();
}

static bool take_ring(struct plain_back *b, unsigned index, const char *prefix)
{
	struct plain_queue *q = &b->q[index];
	gref_t refs[16];
	unsigned port = front_number(prefix, "event-channel", -1, 0);

	q->back = b;
	for (unsigned i = 0; i < b->n_pages; i++)
		refs[i].v = b->n_pages == 1 ? front_number(prefix, "ring-ref", -1, 0)
					    : front_number(prefix, "ring-ref", (int)i, 0);
	if (host_ring_map(1, refs, b->n_pages, &q->va))
		return false;
	ring_init(&q->ring, q->va, b->n_pages, BLKIF_SLOT_BYTES);
	if (host_event_bind(1, port, on_event, q, &q->port) == 0)
		return true;
	host_ring_unmap(q->va, b->n_pages);
	return false;
}

bool plain_try(struct plain_back *b)
{
	unsigned n = front_number("", "multi-queue-num-queues", -1, 1);
	char prefix[24];

	mock_enter(0);
	b->n_pages = b->old_keys ? front_number("", "num-ring-pages", -1, 1)
				 : 1u << front_number("", "ring-page-order", -1, 0);
	if (b->large_units && front_number("", "feature-large-sector-size", -1, 0) != 1)
		mock_bug("the frontend does not count in large sectors");
	if (n > PLAIN_QUEUES || b->n_pages > 16)
		return false;
	for (b->n_queues = 0; b->n_queues < n; b->n_queues++) {
		snprintf(prefix, sizeof(prefix), "queue-%u/", b->n_queues);
		if (!take_ring(b, b->n_queues, n == 1 ? "" : prefix)) {
			plain_drop(b);
			return false;
		}
	}
	world_put_back(1, XVDA, "state", "4");
	mock_run();
	return true;
}

void plain_connect(struct plain_back *b)
{
	unsigned most = MAX(1u << b->order, b->old_pages);

	if (!plain_try(b))
		mock_bug("the frontend offered no rings");
	if (b->n_queues > MAX(b->queues, 1u) || b->n_pages > most)
		mock_bug("%u rings of %u pages were not offered", b->n_queues, b->n_pages);
	if (front_number("", "num-ring-pages", -1, 1) != b->n_pages)
		mock_bug("two sizes of a ring");
}

struct block_device *plain_begin(struct plain_back *b)
{
	struct block_device *dev;

	world_begin(8);
	b->sectors = b->sectors ? b->sectors : WORLD_SECTORS;
	b->data = calloc(b->sectors, 512);
	world_start_front(1);
	plain_offer(b, true);
	plain_connect(b);
	dev = mock_find_registered(1, "xvda");
	if (!dev)
		mock_bug("no xvda in domain 1");
	return dev;
}

void plain_drop(struct plain_back *b)
{
	mock_enter(0);
	for (unsigned i = 0; i < b->n_kept; i++)
		host_grants_unmap(&b->kept[i], 1);
	for (unsigned i = 0; i < b->n_queues; i++) {
		host_event_close(b->q[i].port);
		host_ring_unmap(b->q[i].va, b->n_pages);
	}
	b->n_kept = b->n_queues = b->n_held = 0;
}

bool plain_end(struct plain_back *b)
{
	plain_drop(b);
	mock_store_remove("/local/domain/0/backend/vbd/1/51712");
	mock_run();
	world_detach_end(1, XVDA);
	free(b->data);
	return world_end();
}
