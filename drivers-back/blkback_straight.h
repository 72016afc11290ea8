/* blkback_straight.h: the straight way of nearly all requests, from the ring to the disk without a call.
 *
 * A read or a write of one segment, on a disk that is there, whose page the pool keeps, while nobody traces: it is decoded, checked, found
 * its page and given to the disk in one go. Each step that does not apply hands over to the general one, with what was fetched
 * from the ring already: blkback_request.c (back_read_any), blkback_pool.c, blkback_submit.c. The checks are here once, for
 * both. Included by blkback_ring.c, which goes this way, blkback_request.c, blkback_pool.c and blkback_submit.c. Worker context.
 */
#ifndef DRIVERS_BACK_BLKBACK_STRAIGHT_H
#define DRIVERS_BACK_BLKBACK_STRAIGHT_H

#include "blkback_private.h"

/* ---- checks --------------------------------------------------------------------------- */

/* Takes over one segment, eight bytes as they lie in every layout: its reference, and from bit 32 its first and
 * its last sector. How many sectors it has, 0: it is wrong. It lies within its page and is whole sectors of the
 * disk; nothing here can overflow, being unsigned of 8 bits widened. With the page's end included, a segment
 * never reaches a neighbouring page, which is not mapped or is another guest's. */
static inline unsigned back_take_segment(const struct back_disk *disk, struct back_segment *seg,
					 struct block_segment *piece, uint64_t word)
{
	unsigned first = (uint8_t)(word >> 32), end = (uint8_t)(word >> 40) + 1u;

	first <<= disk->unit_shift;
	end <<= disk->unit_shift;
	if (first >= end || end > BLKIF_PAGE_SECTORS || ((first | end) & disk->align_mask))
		return 0;
	seg->ref = (uint32_t)word; /* the rest of it is the pool's to fill in */
	seg->offset = first * SECTOR_SIZE;
	piece->len_bytes = (end - first) * SECTOR_SIZE;
	return end - first;
}

/* No sum that a guest's 64-bit sector could make overflow: count first, then the difference. */
static inline bool back_in_disk(const struct back_disk *disk, uint64_t sector, uint64_t count)
{
	uint64_t size = disk->disk->sectors;

	return count <= size && sector <= size - count &&
	       ((sector | count) & disk->align_mask) == 0;
}

/* ---- from the ring -------------------------------------------------------------------- */

/* The first four bytes of a slot: operation; segments, a discard's flags, or what an indirect request is; the handle, or an indirect
 * request's segments. One segment, read or written, is nearly all there is. */
static inline bool back_is_straight(const struct back_disk *disk, uint32_t head)
{
	_Static_assert(BLKIF_OP_READ == 0 && BLKIF_OP_WRITE == 1, "one bit tells them");
	return ((head & 0xffff) | BLKIF_OP_WRITE) == (1u << 8 | BLKIF_OP_WRITE) && disk->disk &&
	       !(head & BLKIF_OP_WRITE && disk->readonly) && disk->n_segments < disk->share;
}

/* Copies one request in, each word of it once, and checks it; takes its segments. BLKIF_RSP_OKAY, what to answer
 * it with at once, or BACK_WAIT: leave it on the ring, there are no segments now; BACK_STRAIGHT: okay, and of one segment. Status, op and id are set before
 * any check: an answer to a refused request echoes the last two, which are the guest's own and are looked at no more. */
static inline int16_t back_request_read(struct back_queue *q, struct back_request *req,
					const peer_byte *slot)
{
	struct back_disk *disk = q->disk;
	const peer_byte *ids = slot + disk->layout->id_at, *tail = ids + 16;
	uint32_t head = peer_fetch32((const volatile uint32_t *)slot);
	uint64_t id = peer_fetch64(ids), sector = peer_fetch64(ids + 8);
	unsigned n;

	if (__builtin_expect(disk->unit_shift != 0, 0))
		sector = back_scaled(sector, disk->unit_shift);
	req->id = id;
	req->sector = sector;
	req->op = (uint8_t)head;
	req->flags = 0;
	if (!back_is_straight(disk, head))
		return back_read_any(q, req, head, tail);
	req->n_segments = 1;
	req->n_sent = req->n_parts = 0;
	req->status = BLKIF_RSP_OKAY;
	req->segs = &req->one_seg;
	req->pieces = &req->one_piece;
	disk->n_segments++;
	n = back_take_segment(disk, &req->one_seg, &req->one_piece, peer_fetch64(tail));
	req->n_sectors = n;
	if (n && back_in_disk(disk, sector, n))
		return BACK_STRAIGHT;
	return back_wrong_data(req);
}

/* ---- its page ------------------------------------------------------------------------- */

static inline unsigned back_hash_of(uint32_t ref)
{
	return ref % BACK_POOL_HASH; /* guests number their references from small ones up */
}

/* Chains are as long as a guest makes them: at most n_kept steps when all its references are
 * equal modulo the hash. That slows its own requests. */
static inline struct back_kept *back_pool_find(const struct back_pool *pool, uint32_t ref)
{
	struct back_kept *k;

	for (uint16_t i = pool->hash[back_hash_of(ref)]; i != BACK_NONE; i = k->next) {
		k = &pool->kept[i];
		if (k->ref == ref)
			return k;
	}
	return NULL;
}

/* in_use is counted per segment and at once: a page found here must not be evicted by the mapping
 * of another request in the same batch. */
static inline bool back_pool_hit(const struct back_pool *pool, struct back_segment *seg)
{
	struct back_kept *k = back_pool_find(pool, seg->ref);

	seg->kept = k;
	if (!k)
		return false;
	k->recent = true;
	k->age = 0;
	k->in_use++;
	seg->page = k->page;
	return true;
}

/* ---- to the disk ---------------------------------------------------------------------- */

/* One part, no step, and data whose place is known: straight or not, this is how most go. */
static inline void back_submit_whole(struct back_request *req, enum block_op op)
{
	struct block_request *blk = &req->blk;

	blk->op = op;
	blk->flags = 0;
	blk->sector = req->sector;
	blk->n_segments = req->n_segments;
	blk->segments = req->pieces;
	blk->done = back_whole_done;
	req->dev->ops->submit(req->dev, blk);
}

/* All of it behind the checks, for what was read as BACK_STRAIGHT. False: it goes the general way, from the pool on. In the order of the ring:
 * only when none before it waits for its page. */
static inline bool back_go_straight(struct back_queue *q, struct back_request *req)
{
	struct back_disk *disk = q->disk;

	if (!disk->persistent || !disk->disk || !back_pool_hit(&disk->pool, &req->one_seg))
		return false;
	disk->stats.persistent_hits++;
	req->step = 0;
	req->dev = disk->disk;
	req->one_piece.va = req->one_seg.page + req->one_seg.offset;
	q->n_with_disk++;
	req->in_share = !disk->member.passes;
	if (!req->in_share || back_flow_ask(req))
		back_submit_whole(req, req->op == BLKIF_OP_READ ? BLOCK_READ : BLOCK_WRITE);
	return true;
}

/* ---- its end -------------------------------------------------------------------------- */

/* Gathered: many completions of one interrupt make one work item, one unmap, one push. */
static inline void back_finished(struct back_request *req)
{
	struct back_queue *q = req->queue;

	req->next = q->finished;
	q->finished = req;
	if (!q->in_drain)
		host_work_soon(&q->finish);
}

#endif
