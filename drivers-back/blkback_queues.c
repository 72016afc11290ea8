/* blkback_queues.c: a guest's rings: what it says of them, mapped, with the memory to serve them.
 *
 * Called by blkback.c when a guest connects and when it has gone; calls host.h for pages, mappings and
 * ports, and the tables' owners (blkback_ring.c, blkback_pool.c, blkback_segments.c) to make them fresh.
 *
 * All that is read here is the guest's: numbers in range or no connection. All that is taken is bounded by
 * what was offered: 8 rings of 16 pages, a request for each slot, one arena and one pool for all.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "blkback_private.h"

#define QUEUE_PAGES(n) PAGES_FOR((n) * sizeof(struct back_queue))

/* ---- what the guest says ------------------------------------------------------------- */

enum { K_QUEUES, K_ORDER, K_PAGES, K_PERSISTENT, K_COUNT };
static const struct xenbus_number front_keys[K_COUNT] = {
    [K_QUEUES] = {"multi-queue-num-queues", 1, BLKIF_QUEUES_MAX, 1, false},
    [K_ORDER] = {"ring-page-order", 0, BLKIF_RING_ORDER_MAX, 0, false},
    [K_PAGES] = {"num-ring-pages", 1, BLKIF_RING_PAGES_MAX, 0, false},
    [K_PERSISTENT] = {"feature-persistent", 0, UINT32_MAX, 0, false},
};

/* Read as another layout every second request would be made of two. So one that is not known is refused
 * before a ring is touched. */
static int read_layout(struct back_disk *disk)
{
	char text[24] = "";
	int len =
	    xenbus_read_text(HOST_TX_NONE, disk->bus.peer_path, "protocol", text, sizeof(text));

	disk->layout = len >= 0 || len == -XEN_ENOENT ? blkif_layout(text) : NULL;
	if (disk->layout && (len > 0 || len == -XEN_ENOENT))
		return 0;
	host_log(HOST_LOG_ERROR, "%s: domain %u wants a ring that is neither %s nor %s",
		 disk->bus.path, disk->bus.peer, XEN_IO_PROTO_ABI_X86_64, XEN_IO_PROTO_ABI_X86_32);
	return -XEN_EINVAL;
}

/* Two spellings of one number (blkif.h, notes 1 to 3); who writes both means the same by them. */
static int pages_of(const uint64_t *keys, unsigned *out)
{
	unsigned old = (unsigned)keys[K_PAGES], new = 1u << keys[K_ORDER];

	*out = old ? old : new;
	if ((old & (old - 1)) || (old && keys[K_ORDER] && old != new))
		return -XEN_EINVAL;
	return 0;
}

static bool read_number(const char *dir, const char *key, uint64_t *out)
{
	const struct xenbus_number number = {key, 0, UINT32_MAX, UINT64_MAX, false};

	return xenbus_read_numbers(HOST_TX_NONE, dir, &number, 1, out) == 0 && *out != UINT64_MAX;
}

/* One page goes under "ring-ref", several under "ring-ref0" and so on. A frontend that wrote
 * ring-page-order = 0 may use either name: stock backends want the second then. */
static int read_refs(const struct back_queue *q, const char *dir, gref_t *refs)
{
	uint64_t ref;

	if (q->ring_pages == 1 && read_number(dir, "ring-ref", &ref)) {
		refs[0].v = (uint32_t)ref;
		return 0;
	}
	for (unsigned i = 0; i < q->ring_pages; i++) {
		char key[16];

		fmt_text(key, sizeof(key), "ring-ref%u", i);
		if (!read_number(dir, key, &ref)) {
			host_log(HOST_LOG_WARN, "%s/%s: not a number", dir, key);
			return -XEN_EINVAL;
		}
		refs[i].v = (uint32_t)ref;
	}
	return 0;
}

/* ---- one queue ----------------------------------------------------------------------- */

static unsigned request_pages(const struct back_queue *q)
{
	return PAGES_FOR(ring_slots(q->ring_pages, q->disk->layout->slot_bytes) *
			 sizeof(struct back_request));
}

/* Maps the guest's pages; from then on every look at them goes through peer.h. The port is the guest's
 * number, bound with the guest as the other end: it cannot name a port of anybody else. A request of ours for
 * each slot is taken in advance: none is refused for want of memory but that of its pages. */
static int connect_queue(struct back_queue *q, const char *dir)
{
	static const struct xenbus_number port_key = {"event-channel", 1, UINT32_MAX, 0, true};
	gref_t refs[BLKIF_RING_PAGES_MAX];
	uint64_t port;
	int err = xenbus_read_numbers(HOST_TX_NONE, dir, &port_key, 1, &port);

	if (!err)
		err = read_refs(q, dir, refs);
	if (err)
		return err;
	q->requests = host_pages_alloc(request_pages(q));
	if (!q->requests)
		return -XEN_ENOMEM;
	err = host_ring_map(q->disk->bus.peer, refs, q->ring_pages, &q->ring_va);
	if (err) {
		q->ring_va = NULL;
		return err;
	}
	ring_init(&q->ring, q->ring_va, q->ring_pages, q->disk->layout->slot_bytes);
	HOST_ASSERT(q->ring.n_slots <= BLKIF_RING_SLOTS_MAX);
	back_requests_reset(q);
	return host_event_bind(q->disk->bus.peer, (uint32_t)port, back_on_event, q, &q->port);
}

static void close_port(struct back_queue *q)
{
	host_event_close(q->port);
	q->port = PORT_NONE;
}

static void drop_queue(struct back_queue *q)
{
	host_work_cancel(&q->finish);
	host_work_cancel(&q->again);
	if (q->port.v)
		close_port(q);
	if (q->requests)
		host_pages_free(q->requests, request_pages(q));
	if (q->ring_va)
		host_ring_unmap(q->ring_va, q->ring_pages);
}

/* ---- all of them --------------------------------------------------------------------- */

static int connect_all(struct back_disk *disk)
{
	char dir[STORE_PATH_MAX];
	int err = 0;

	for (unsigned i = 0; i < disk->n_queues && !err; i++) {
		const char *fmt = disk->n_queues == 1 ? "%s" : "%s/queue-%u";

		fmt_text(dir, sizeof(dir), fmt, disk->bus.peer_path, i);
		err = connect_queue(&disk->queues[i], dir);
	}
	return err;
}

static int alloc_arena(struct back_disk *disk)
{
	struct block_request *spares;

	disk->segs = host_pages_alloc(BACK_SEG_PAGES);
	disk->pieces = host_pages_alloc(BACK_PIECE_PAGES);
	disk->indirect_page = host_pages_alloc(1);
	disk->spare_page = spares = host_pages_alloc(1);
	if (!disk->segs || !disk->pieces || !disk->indirect_page || !spares)
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < BACK_SPARES; i++)
		spares[i].next = i + 1 < BACK_SPARES ? &spares[i + 1] : NULL;
	disk->spares = spares;
	back_segments_reset(disk);
	return 0;
}

static int alloc_queues(struct back_disk *disk, unsigned n, unsigned ring_pages)
{
	disk->queues = host_pages_alloc(QUEUE_PAGES(n));
	if (!disk->queues)
		return -XEN_ENOMEM;
	disk->n_queues = n;
	for (unsigned i = 0; i < n; i++) {
		struct back_queue *q = &disk->queues[i];

		q->disk = disk;
		q->index = i;
		q->ring_pages = ring_pages;
		q->finish = (struct host_work){.fn = back_finish, .ctx = q};
		q->again = (struct host_work){.fn = back_run_requests, .ctx = q};
	}
	return 0;
}

int back_queues_connect(struct back_disk *disk)
{
	uint64_t keys[K_COUNT];
	unsigned pages;
	int err = xenbus_read_numbers(HOST_TX_NONE, disk->bus.peer_path, front_keys, K_COUNT, keys);

	if (!err)
		err = pages_of(keys, &pages);
	if (!err)
		err = read_layout(disk);
	if (!err)
		err = alloc_queues(disk, (unsigned)keys[K_QUEUES], pages);
	if (err)
		return err;
	/* Persistence takes both halves (blkif.h), and a guest may write the key unasked. */
	disk->persistent = disk->persistent_enabled && keys[K_PERSISTENT] != 0;
	err = alloc_arena(disk);
	if (!err)
		err = back_pool_alloc(disk);
	return err ? err : connect_all(disk);
}

void back_queues_close(struct back_disk *disk)
{
	for (unsigned i = 0; disk->queues && i < disk->n_queues; i++) {
		struct back_queue *q = &disk->queues[i];

		host_work_cancel(&q->again);
		if (q->port.v && !disk->answers)
			close_port(q);
	}
}

/* Pages before tables, tables before the rings: each is known only by the next. A connection that failed half
 * way has less of these, hence the questions. */
void back_queues_drop(struct back_disk *disk)
{
	if (!disk->queues)
		return;
	back_pool_free(disk);
	for (unsigned i = 0; i < disk->n_queues; i++)
		drop_queue(&disk->queues[i]);
	if (disk->segs)
		host_pages_free(disk->segs, BACK_SEG_PAGES);
	if (disk->pieces)
		host_pages_free(disk->pieces, BACK_PIECE_PAGES);
	if (disk->indirect_page)
		host_pages_free(disk->indirect_page, 1);
	if (disk->spare_page)
		host_pages_free(disk->spare_page, 1);
	host_pages_free(disk->queues, QUEUE_PAGES(disk->n_queues));
	disk->segs = NULL;
	disk->pieces = NULL;
	disk->indirect_page = NULL;
	disk->spare_page = NULL;
	disk->queues = NULL;
	disk->n_queues = 0;
}

unsigned back_in_flight(const struct back_disk *disk)
{
	unsigned n = 0;

	for (unsigned i = 0; i < disk->n_queues; i++)
		n += disk->queues[i].in_flight;
	return n;
}

unsigned back_ring_pages(const struct back_disk *disk)
{
	return disk->n_queues ? disk->queues[0].ring_pages : 0;
}
