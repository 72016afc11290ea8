/* blkfront_offer.c: the rings and event channels that a disk's backend is offered.
 *
 * How many rings and how long is the least of what the backend says it takes, what the kernel allows
 * (blkfront_limit), and what memory there is; with a single ring the store has the keys of old, which
 * every backend reads. Called by blkfront.c when the xenbus engine opens or drops a connection; calls host.h.
 * Not here: what the backend says of the disk itself (blkfront_connect.c).
 */
#include <amphi/printf.h>

#include "blkfront_private.h"

#define KEY_MAX 32u /* "queue-15/ring-ref15" */

/* ---- how much ------------------------------------------------------------------------ */

/* Both spellings of a ring's size: the order, and the count of pages of an older scheme (blkif.h, notes 1
 * to 3), whatever is greater. A backend without any takes one page, in one ring. */
enum { K_ORDER, K_PAGES, K_QUEUES, K_COUNT };
static const struct xenbus_number transport[K_COUNT] = {
    [K_ORDER] = {"max-ring-page-order", 0, UINT32_MAX, 0, false},
    [K_PAGES] = {"max-ring-pages", 0, UINT32_MAX, 1, false},
    [K_QUEUES] = {"multi-queue-max-queues", 0, UINT32_MAX, 1, false},
};

static unsigned log2_of(uint64_t pages)
{
	return pages ? 63u - (unsigned)__builtin_clzll(pages) : 0;
}

static int choose_layout(struct front_disk *disk)
{
	uint64_t keys[K_COUNT];
	int err = xenbus_read_numbers(HOST_TX_NONE, disk->bus.peer_path, transport, K_COUNT, keys);

	if (err)
		return err;
	disk->order = (unsigned)MIN(MAX(keys[K_ORDER], log2_of(keys[K_PAGES])),
				    MIN(front_limits.ring_order, FRONT_ORDER_MAX));
	disk->n_queues =
	    (unsigned)MIN(MAX(keys[K_QUEUES], 1u), MIN(front_limits.queues, FRONT_QUEUES_MAX));
	disk->n_queues = MAX(disk->n_queues, 1u);
	return 0;
}

/* ---- one ring ------------------------------------------------------------------------ */

static unsigned ring_pages(const struct front_disk *disk)
{
	return 1u << disk->order;
}

static unsigned slot_pages(const struct front_disk *disk)
{
	return PAGES_FOR(ring_slots(ring_pages(disk), BLKIF_SLOT_BYTES) *
			 sizeof(struct front_slot));
}

/* Pages first n of a ring end; the backend may still map them, so each retires by itself. */
static void retire_ring(struct front_queue *queue, unsigned granted, unsigned pages)
{
	uint8_t *va = (uint8_t *)queue->ring.shared;

	for (unsigned i = 0; i < granted; i++)
		grant_retire(queue->refs[i], va + i * PAGE_SIZE);
	if (granted < pages)
		host_pages_free(va + granted * PAGE_SIZE, pages - granted);
	queue->ring.shared = NULL;
}

static int offer_ring(struct front_disk *disk, struct front_queue *queue)
{
	unsigned pages = ring_pages(disk);
	void *va = host_pages_alloc(pages);

	if (!va)
		return -XEN_ENOMEM;
	/* Before the grant: from then on the backend may read the page at any moment. */
	ring_init(&queue->ring, va, pages, BLKIF_SLOT_BYTES);
	ring_reset_shared(&queue->ring);
	for (unsigned i = 0; i < pages; i++) {
		int err = host_grant_offer(disk->bus.peer, (uint8_t *)va + i * PAGE_SIZE, false,
					   &queue->refs[i]);

		if (err) {
			retire_ring(queue, i, pages);
			return err;
		}
	}
	return 0;
}

static void queue_end(struct front_disk *disk, struct front_queue *queue)
{
	host_work_cancel(&queue->again);
	if (queue->port.v)
		host_event_close(queue->port);
	if (queue->ring.shared)
		retire_ring(queue, ring_pages(disk), ring_pages(disk));
	if (queue->slots)
		host_pages_free(queue->slots, slot_pages(disk));
}

static int queue_begin(struct front_disk *disk, struct front_queue *queue)
{
	int err;

	queue->disk = disk;
	queue->again = (struct host_work){.fn = front_run_responses, .ctx = queue};
	front_list_reset(&queue->waiting);
	queue->slots = host_pages_alloc(slot_pages(disk));
	if (!queue->slots)
		return -XEN_ENOMEM;
	err = offer_ring(disk, queue);
	if (!err)
		err = host_event_offer(disk->bus.peer, front_on_event, queue, &queue->port);
	if (!err)
		front_slots_reset(queue);
	return err;
}

/* ---- all of them --------------------------------------------------------------------- */

static void queues_end(struct front_disk *disk)
{
	for (unsigned i = 0; i < disk->n_queues; i++)
		queue_end(disk, &disk->queues[i]);
	host_free(disk->queues, disk->n_queues * sizeof(*disk->queues));
	disk->queues = NULL;
}

static int queues_begin(struct front_disk *disk)
{
	int err = 0;

	disk->queues = host_alloc(disk->n_queues * sizeof(*disk->queues));
	if (!disk->queues)
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < disk->n_queues && !err; i++)
		err = queue_begin(disk, &disk->queues[i]);
	if (err)
		queues_end(disk); /* those that were not begun are empty */
	return err;
}

/* A small guest, or one whose memory is in pieces, has shorter rings, then fewer, rather than no disk. */
static int queues_that_fit(struct front_disk *disk)
{
	int err = queues_begin(disk);

	if (err) {
		front_relieve(disk->bus.class);
		err = queues_begin(disk);
	}
	while (err && (disk->order || disk->n_queues > 1)) {
		if (disk->order)
			disk->order--;
		else
			disk->n_queues /= 2;
		err = queues_begin(disk);
	}
	if (err)
		disk->n_queues = 0;
	return err;
}

/* ---- in the store -------------------------------------------------------------------- */

/* "ring-ref" when it is the only page, else "ring-ref0" and so on (blkif.h, note 6). */
static int put_queue(uint32_t tx, const struct front_disk *disk, const struct front_queue *queue,
		     const char *prefix)
{
	const char *dir = disk->bus.path;
	char key[KEY_MAX];
	int err;

	fmt_text(key, sizeof(key), "%sevent-channel", prefix);
	err = xenbus_write_number(tx, dir, key, queue->port.v);
	for (unsigned i = 0; i < ring_pages(disk) && !err; i++) {
		if (disk->order)
			fmt_text(key, sizeof(key), "%sring-ref%u", prefix, i);
		else
			fmt_text(key, sizeof(key), "%sring-ref", prefix);
		err = xenbus_write_number(tx, dir, key, queue->refs[i].v);
	}
	return err;
}

static int put_queues(uint32_t tx, const struct front_disk *disk)
{
	char prefix[KEY_MAX];
	int err;

	if (disk->n_queues == 1)
		return put_queue(tx, disk, &disk->queues[0], "");
	err = xenbus_write_number(tx, disk->bus.path, "multi-queue-num-queues", disk->n_queues);
	for (unsigned i = 0; i < disk->n_queues && !err; i++) {
		fmt_text(prefix, sizeof(prefix), "queue-%u/", i);
		err = put_queue(tx, disk, &disk->queues[i], prefix);
	}
	return err;
}

/* What an earlier connection of another layout wrote would be read with what this one writes. */
static void remove_old(uint32_t tx, const struct front_disk *disk)
{
	const char *dir = disk->bus.path;
	char key[KEY_MAX];

	if (disk->kept_queues == disk->n_queues && disk->kept_order == disk->order)
		return;
	for (unsigned i = 0; disk->kept_queues > 1 && i < disk->kept_queues; i++) {
		fmt_text(key, sizeof(key), "queue-%u", i);
		xenbus_remove_key(tx, dir, key);
	}
	for (unsigned i = 0; disk->kept_queues == 1 && i < 1u << disk->kept_order; i++) {
		fmt_text(key, sizeof(key), "ring-ref%u", i);
		xenbus_remove_key(tx, dir, key);
	}
	xenbus_remove_key(tx, dir, "ring-ref");
	xenbus_remove_key(tx, dir, "event-channel");
	xenbus_remove_key(tx, dir, "multi-queue-num-queues");
	xenbus_remove_key(tx, dir, "ring-page-order");
	xenbus_remove_key(tx, dir, "num-ring-pages");
}

/* All keys in one transaction, so that a backend never reads a ring without its event channel. The
 * protocol is named although it is the default of a 64-bit domain: the backend then need not guess
 * which of the layouts our slots have. */
static int put_keys(uint32_t tx, void *ctx)
{
	struct front_disk *disk = ctx;
	const char *dir = disk->bus.path;
	int err;

	if (disk->kept_queues)
		remove_old(tx, disk);
	err = put_queues(tx, disk);
	if (!err && disk->order && !front_limits.old_keys)
		err = xenbus_write_number(tx, dir, "ring-page-order", disk->order);
	if (!err && disk->order)
		err = xenbus_write_number(tx, dir, "num-ring-pages", ring_pages(disk));
	if (!err)
		err = xenbus_write_text(tx, dir, "protocol", XEN_IO_PROTO_ABI_X86_64);
	if (!err && front_limits.large_sectors)
		err = xenbus_write_number(tx, dir, "feature-large-sector-size", 1);
	return err ? err : xenbus_write_number(tx, dir, "feature-persistent", 1);
}

int front_offer(struct front_disk *disk)
{
	int err = choose_layout(disk);

	if (!err)
		err = queues_that_fit(disk);
	if (err) {
		disk->n_queues = 0;
		return err;
	}
	err = xenbus_transaction(put_keys, disk);
	if (!err) {
		disk->kept_queues = disk->n_queues;
		disk->kept_order = disk->order;
	}
	return err;
}

/* After front_requeue_all and front_data_disconnect, which take out what the slots hold. */
void front_offer_end(struct front_disk *disk)
{
	if (disk->n_queues)
		queues_end(disk);
	disk->n_queues = 0;
}
