/* blkback_request.c: one request of a guest, copied in once and checked in the copy.
 *
 * Reads a slot of the ring into our own struct, judges every number in it against the disk, and
 * later cuts it into parts that the disk takes. A wrong request is answered, as the stock backend
 * does; it does not cost the guest its connection. Called by blkback_ring.c; touches no page of
 * data.
 */
#include "blkback_private.h"

/* The x86_64-abi's request as it lies in the slot; the head is fetched first, because it says how
 * much more there is to fetch. */
struct wire {
	uint8_t op, n_segments;
	uint16_t handle;
	uint32_t padding;
	uint64_t id, sector;
};
/* No bitfields and no holes, so that the copy is the slot. */
_Static_assert(sizeof(struct wire) == BLKIF_HEAD_BYTES, "x86_64-abi");

/* A segment lies within its page and is whole sectors of the disk. last_sect + 1u cannot overflow,
 * being an unsigned of 8 bits widened. With the page's end included, a segment never reaches a
 * neighbouring page, which is not mapped or is another guest's. */
static bool segment_fits(const struct blkif_request_segment *seg, unsigned align_mask)
{
	return seg->first_sect <= seg->last_sect && seg->last_sect < BLKIF_PAGE_SECTORS &&
	       ((seg->first_sect | (seg->last_sect + 1u)) & align_mask) == 0;
}

/* Fetches n (<= BLKIF_SEGMENTS) segments and takes them over. The sectors they cover, 0: one is
 * wrong. */
static unsigned read_segments(struct back_disk *disk, struct back_request *req,
			      const peer_byte *from, unsigned n)
{
	struct blkif_request_segment segs[BLKIF_SEGMENTS];
	unsigned sectors = 0;

	peer_copy_in(segs, from, n * sizeof(segs[0]));
	for (unsigned i = 0; i < n; i++) {
		if (!segment_fits(&segs[i], disk->align_mask))
			return 0;
		req->segs[i].ref = segs[i].gref; /* the rest of it is the pool's to fill in */
		req->segs[i].first = segs[i].first_sect;
		req->segs[i].last = segs[i].last_sect;
		sectors += segs[i].last_sect - segs[i].first_sect + 1u;
	}
	return sectors;
}

/* No sum that a guest's 64-bit sector could make overflow: count first, then the difference. */
static bool in_disk(const struct back_disk *disk, uint64_t sector, unsigned count)
{
	uint64_t size = disk->disk->sectors;

	return count <= size && sector <= size - count && (sector & disk->align_mask) == 0;
}

int16_t back_request_read(struct back_disk *disk, struct back_request *req, const peer_byte *slot)
{
	struct wire wire;
	unsigned sectors;

	peer_copy_in(&wire, slot, sizeof(wire));
	req->id = wire.id;
	req->op = wire.op;
	req->sector = wire.sector;
	req->n_segments = req->n_done = 0;
	req->n_sectors = 0;
	/* Set before any check: an answer to a refused request echoes id and op, which are the
	 * guest's own and are looked at no more. */
	req->status = BLKIF_RSP_OKAY;
	if (wire.op == BLKIF_OP_FLUSH_DISKCACHE)
		return wire.n_segments ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY;
	if (wire.op != BLKIF_OP_READ && wire.op != BLKIF_OP_WRITE)
		return BLKIF_RSP_EOPNOTSUPP;
	/* A frontend that has read `info` does not send it; one that does gets this answer and
	 * keeps its connection. */
	if (wire.op == BLKIF_OP_WRITE && disk->readonly)
		return BLKIF_RSP_ERROR;
	if (wire.n_segments == 0 || wire.n_segments > BLKIF_SEGMENTS)
		return BLKIF_RSP_ERROR;
	sectors = read_segments(disk, req, slot + sizeof(wire), wire.n_segments);
	if (sectors == 0 || !in_disk(disk, wire.sector, sectors))
		return BLKIF_RSP_ERROR;
	req->n_segments = wire.n_segments;
	req->n_sectors = (uint16_t)sectors;
	return BLKIF_RSP_OKAY;
}

static enum block_op block_op(uint8_t op)
{
	static const uint8_t ops[] = {
	    [BLKIF_OP_READ] = BLOCK_READ,
	    [BLKIF_OP_WRITE] = BLOCK_WRITE,
	    [BLKIF_OP_FLUSH_DISKCACHE] = BLOCK_FLUSH,
	};

	return ops[op];
}

/* A part is as many segments as the disk takes at once. The sector moves on with them; n_done says
 * where the next begins. Part after part and not at once, since a request has one block_request to
 * lend. */
bool back_request_next_part(struct back_request *req)
{
	struct block_request *blk = &req->blk;
	unsigned n = MIN((unsigned)req->n_segments - req->n_done, req->disk->disk->max_segments);

	if (n == 0 && (req->op != BLKIF_OP_FLUSH_DISKCACHE || req->n_done))
		return false;
	blk->op = block_op(req->op);
	blk->sector = req->sector;
	blk->n_segments = n;
	blk->segments = req->part;
	for (unsigned i = 0; i < n; i++) {
		const struct back_segment *seg = &req->segs[req->n_done + i];
		unsigned sectors = seg->last - seg->first + 1u;

		req->part[i].va = seg->page + seg->first * SECTOR_SIZE;
		req->part[i].len_bytes = sectors * SECTOR_SIZE;
		req->sector += sectors;
	}
	req->n_done = (uint8_t)(req->n_done + MAX(n, 1u)); /* a flush has one part and no segment */
	return true;
}
