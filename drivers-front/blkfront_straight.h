/* blkfront_straight.h: the straight way of nearly all requests, from the block layer to the ring and back without a call.
 *
 * A read or a write of one segment, whose memory stands granted, on a ring that is connected and has room while nobody waits: it
 * goes out in one go. Nothing of ours is changed before it is certain that it does; what does not apply takes the general way
 * (blkfront_queue.c, blkfront_ring.c, blkfront_data.c), to be looked at from the beginning. What both write to the ring is written here.
 * Included by those three. Not here: publishing (front_publish). Worker context.
 */
#ifndef DRIVERS_FRONT_BLKFRONT_STRAIGHT_H
#define DRIVERS_FRONT_BLKFRONT_STRAIGHT_H

#include "blkfront_private.h"

/* Sectors are counted within the page, in 512 bytes whatever the disk's sector is. */
static inline unsigned front_offset_of(const struct block_segment *seg)
{
	return (unsigned)((uintptr_t)seg->va & ~PAGE_MASK);
}

/* Two stores a segment: blkif.h's struct of a reference, two bytes of sectors, and two bytes of padding,
 * which go to the peer too and are zero. */
static inline void front_put_segment(volatile uint32_t *to, uint32_t ref,
				     const struct block_segment *seg, unsigned unit_shift)
{
	unsigned first = front_offset_of(seg) / SECTOR_SIZE;
	unsigned end = first + seg->len_bytes / SECTOR_SIZE;

	_Static_assert(sizeof(struct blkif_request_segment) == 8, "two words");
	peer_store32(&to[0], ref);
	peer_store32(&to[1], first >> unit_shift | ((end >> unit_shift) - 1) << 8);
}

/* The head of a request as three words: operation, count of segments and handle, with the hole behind them; id;
 * sector. */
static inline void front_put_head(peer_byte *to, uint64_t op, uint64_t n_segments, unsigned handle,
				  uint64_t id, uint64_t sector)
{
	volatile uint64_t *words = (volatile uint64_t *)(volatile void *)to;

	_Static_assert(offsetof(struct blkif_request, handle) == 2 && BLKIF_HEAD_BYTES == 24,
		       "the order of the words");
	peer_store64(&words[0], op | n_segments << 8 | (uint64_t)(blkif_vdev_t)handle << 16);
	peer_store64(&words[1], id);
	peer_store64(&words[2], sector);
}

/* Not for a write that is to be on the medium, whose operation depends on the backend. */
static inline bool front_is_straight(const struct front_disk *disk, const struct block_request *req)
{
	_Static_assert(BLOCK_READ == 0 && BLOCK_WRITE == 1, "the others are above");
	_Static_assert(BLKIF_OP_READ == 0 && BLKIF_OP_WRITE == 1, "the same on the ring");
	return req->op <= BLOCK_WRITE && !req->flags && req->n_segments == 1 &&
	       !(req->op == BLOCK_WRITE && disk->dev.readonly) && disk->connected && disk->plain;
}

/* False: nothing was changed. order: of submission. */
static inline bool front_go_straight(struct front_queue *queue, struct block_request *req,
				     uint64_t order)
{
	struct front_disk *disk = queue->disk;
	uint32_t ref = front_lent_hot(disk, req->segments->va);
	unsigned id = queue->first_free;
	struct front_slot *slot = &queue->slots[id];
	struct front_progress *p = front_progress(req);
	peer_byte *to;

	if (!ref || queue->waiting.head || !ring_front_free(&queue->ring))
		return false;
	p->order = order;
	p->sector = req->sector;
	p->given = p->parts = 1;
	p->status = 0;
	p->flushing = 0;
	slot->req = req;
	slot->op = (uint8_t)req->op;
	slot->first = 0;
	slot->n_segments = 1;
	slot->len_bytes = req->segments->len_bytes;
	queue->first_free = slot->next_free;
	to = ring_slot(&queue->ring, queue->ring.out++);
	front_put_head(to, req->op, 1, disk->bus.id, id, req->sector);
	front_put_segment((volatile uint32_t *)(volatile void *)(to + BLKIF_HEAD_BYTES), ref,
			  req->segments, 0);
	disk->stats.segments++;
	disk->stats.persistent_hits++;
	return true;
}

#endif
