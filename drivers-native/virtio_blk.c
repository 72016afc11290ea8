/* virtio_blk.c: the data path of virtio block devices: block requests to chains of descriptors and back.
 *
 * What does not fit into a queue waits in order. A discard that is longer than the device takes at once goes
 * in pieces, one after another in the same slot. In block_request.driver[]: [0] sectors discarded so far. All in the
 * worker context. Set up by virtio_blk_init.c, used through struct block_ops.
 */
#include "virtio_blk.h"

#include <amphi/host.h>
#include <amphi/string.h>

#include "disk_error.h"
#include "disk_map.h"

enum { REQ_DISCARDED };

/* ---- to the device ------------------------------------------------------------------------------- */

static uint32_t request_type(const struct block_request *req)
{
	static const uint32_t type[] = {[BLOCK_READ] = VBLK_IN,
					[BLOCK_WRITE] = VBLK_OUT,
					[BLOCK_FLUSH] = VBLK_FLUSH,
					[BLOCK_DISCARD] = VBLK_DISCARD};

	return type[req->op];
}

static struct virtq_piece shared_piece(const struct vblk_slot *slot, size_t offset, uint32_t len,
				       bool device_writes)
{
	return (struct virtq_piece){{slot->at.v + offset}, len, device_writes};
}

static void set_range(const struct vblk *v, struct vblk_slot *slot)
{
	const struct block_request *req = slot->req;
	uint64_t left = req->n_sectors - req->driver[REQ_DISCARDED];

	slot->shared->range_sector = req->sector + req->driver[REQ_DISCARDED];
	slot->shared->range_sectors = (uint32_t)MIN(left, v->max_discard);
	slot->shared->range_flags = 0;
}

static int map_segments(const struct vblk *v, struct vblk_slot *slot, struct virtq_piece *pieces)
{
	const struct block_request *req = slot->req;
	const struct dma_piece *mapped;
	int err = disk_map(&v->pci.dma, &slot->maps, req, 0, req->n_segments, &mapped);

	for (unsigned i = 0; i < req->n_segments && !err; i++)
		pieces[i] =
		    (struct virtq_piece){mapped[i].at, mapped[i].len, req->op == BLOCK_READ};
	return err;
}

/* Header, data, status: what the device gets of one request. Readable pieces before those that the
 * device writes, as section 2.6.4.2 demands. The sector is in units of 512 whatever blk_size says
 * (5.2.6). A status that no device may answer stands there until the device writes its own, so that
 * one that returns a request undone does not pass for good. */
static int make_pieces(struct vblk *v, struct vblk_slot *slot, struct virtq_piece *pieces,
		       unsigned *out_n)
{
	const struct block_request *req = slot->req;
	bool has_data = req->op <= BLOCK_WRITE;
	unsigned n = 0;
	int err = 0;

	slot->shared->type = request_type(req);
	slot->shared->reserved = 0;
	slot->shared->sector = has_data ? req->sector : 0;
	slot->shared->status = VBLK_UNWRITTEN;
	pieces[n++] = shared_piece(slot, 0, 16, false);
	if (has_data) {
		err = map_segments(v, slot, pieces + n);
		n += req->n_segments;
	} else if (req->op == BLOCK_DISCARD) {
		set_range(v, slot);
		pieces[n++] =
		    shared_piece(slot, offsetof(struct vblk_shared, range_sector), 16, false);
	}
	pieces[n++] = shared_piece(slot, offsetof(struct vblk_shared, status), 1, true);
	*out_n = n;
	return err;
}

/* A table is taken when the chain is long, and given back by finish. */
static bool add(struct vblk_queue *queue, struct vblk_slot *slot, const struct virtq_piece *pieces,
		unsigned n)
{
	struct vblk *v = queue->disk;
	struct vblk_table *table = slot->table ? slot->table : v->free_table;

	if (n <= VBLK_DIRECT + 2 || !(v->features & VIRTIO_FEATURE_INDIRECT))
		return virtq_add(&queue->vq.q, pieces, n, slot);
	if (!table || !virtq_add_indirect(&queue->vq.q, table->desc, table->at, pieces, n, slot))
		return false;
	if (!slot->table)
		v->free_table = table->next;
	slot->table = table;
	return true;
}

/* -XEN_EBUSY: no room in the queue. There may be slots without room in the queue, since a
 * request of many segments needs many descriptors. The pieces are nobody's when this returns: one array serves
 * all disks, as all are in one context. */
static int put(struct vblk_queue *queue, struct vblk_slot *slot)
{
	static struct virtq_piece pieces[VBLK_SEGMENTS + 2];
	unsigned n;
	int err;

	dma_group_unmap(&queue->disk->pci.dma, &slot->maps); /* of a request that is sent again */
	err = make_pieces(queue->disk, slot, pieces, &n);
	if (!err && !add(queue, slot, pieces, n))
		err = -XEN_EBUSY;
	if (err) {
		dma_group_unmap(&queue->disk->pci.dma, &slot->maps);
		return err;
	}
	queue->disk->added |= 1u << queue->vq.index;
	return 0;
}

bool vblk_send(struct vblk_queue *queue, struct vblk_slot *slot)
{
	return put(queue, slot) == 0;
}

/* -XEN_EBUSY: it waits; any other error is the request's. A slot is taken only when the queue has taken the request: until then
 * nothing has to be undone. */
static int start(struct vblk_queue *queue, struct block_request *req)
{
	struct vblk_slot *slot = queue->free;
	int err;

	if (!slot)
		return -XEN_EBUSY;
	slot->req = req;
	slot->age = (struct disk_age){0};
	err = put(queue, slot);
	if (!err) {
		queue->free = slot->next_free;
		return 0;
	}
	slot->req = NULL;
	/* No room for its maps: there will be when one of those in flight is back, or others give some. */
	return dma_is_full(err) && disk_watch_room(&queue->disk->watch) ? -XEN_EBUSY : err;
}

static void end_request(struct vblk *v, struct block_request *req, int status)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; req->op <= BLOCK_WRITE && i < req->n_segments; i++)
		bytes += req->segments[i].len_bytes;
	block_count(&v->disk.stats, req, bytes);
	req->done(req, status);
}

static void pump(struct vblk_queue *queue)
{
	while (queue->waiting.first && !queue->disk->holds) {
		struct block_request *req = queue->waiting.first;
		int err = start(queue, req);

		if (err == -XEN_EBUSY)
			return;
		/* Off the list before done() can come: it may submit again, which runs this loop
		 * again. */
		disk_waiting_drop(&queue->waiting);
		if (err)
			end_request(queue->disk, req, err);
	}
}

static void submit(struct block_device *disk, struct block_request *req)
{
	struct vblk *v = disk->driver;
	struct vblk_queue *queue =
	    v->queues[req->queue < v->n_queues ? req->queue : req->queue % v->n_queues];

	req->driver[REQ_DISCARDED] = 0;
	disk_waiting_add(&queue->waiting, req);
	disk->stats.requests++;
	pump(queue);
}

/* Nothing added, nothing to tell; and a device that is busy with the queue says that it need not be
 * told (used.flags), which spares an exit. */
void vblk_kick(struct block_device *disk)
{
	struct vblk *v = disk->driver;

	while (v->added) {
		struct vblk_queue *queue = v->queues[__builtin_ctz(v->added)];

		v->added &= v->added - 1;
		disk_watch(&v->watch);
		if (!virtq_publish(&queue->vq.q))
			continue;
		disk->stats.notifications_out++;
		virtio_pci_notify(&v->pci, &queue->vq);
	}
}

const struct block_ops vblk_ops = {.submit = submit, .kick = vblk_kick};

/* ---- from the device -------------------------------------------------------------------------------- */

void vblk_slot_end(struct vblk_queue *queue, struct vblk_slot *slot, int status)
{
	struct vblk *v = queue->disk;
	struct block_request *req = slot->req;

	dma_group_unmap(&v->pci.dma, &slot->maps);
	if (slot->table) {
		slot->table->next = v->free_table;
		v->free_table = slot->table;
		slot->table = NULL;
	}
	slot->req = NULL;
	slot->next_free = queue->free;
	queue->free = slot;
	if (req)
		end_request(v, req, status);
}

static int status_of(struct vblk *v, const struct vblk_slot *slot)
{
	/* The device's word, read once. */
	uint8_t said = *(volatile uint8_t *)&slot->shared->status;

	if (said == VBLK_OK || !slot->req)
		return 0;
	if (said == VBLK_UNSUPPORTED && slot->req->op == BLOCK_DISCARD)
		return -XEN_EOPNOTSUPP;
	disk_error(&v->disk, slot->req, "status", said);
	return -XEN_EIO;
}

static bool has_more_to_discard(struct vblk_slot *slot)
{
	struct block_request *req = slot->req;

	if (!req || req->op != BLOCK_DISCARD)
		return false;
	req->driver[REQ_DISCARDED] += slot->shared->range_sectors;
	return req->driver[REQ_DISCARDED] < req->n_sectors;
}

/* A slot without a request is read_serial's, which had stopped waiting. What is left of a discard finds room, as the
 * descriptors of the piece before it have just become free. */
static void finish(struct vblk_queue *queue, struct vblk_slot *slot)
{
	int status = status_of(queue->disk, slot);

	if (!status && has_more_to_discard(slot)) {
		if (vblk_send(queue, slot))
			return;
		status = -XEN_EIO;
	}
	vblk_slot_end(queue, slot, status);
}

void vblk_go_on(struct vblk_queue *queue)
{
	struct vblk *v = queue->disk;
	bool bad = false;

	for (unsigned n = 0; n < 2 * VIRTQ_MAX; n++) { /* more cannot be in flight at once */
		struct vblk_slot *slot = virtq_take(&queue->vq.q, &bad);

		/* The queue has refused it and stays whole; what the device still owes us may come
		 * yet. */
		if (bad)
			host_log(HOST_LOG_WARN,
				 "%s: the device returned a request it does not have",
				 v->disk.name);
		else if (!slot)
			break;
		else
			finish(queue, slot);
	}
	if (queue->waiting.first)
		pump(queue);
	vblk_kick(&v->disk);
}

void vblk_interrupt(void *ctx)
{
	struct vblk_queue *queue = ctx;

	if (queue->disk->watch.phase != DISK_RUNNING)
		return; /* one from before the reset */
	queue->disk->disk.stats.notifications_in++;
	vblk_go_on(queue);
}
