/* blkback_request.c: one request of a guest, copied in once and checked in the copy.
 *
 * Reads a slot of the ring, in the layout the guest named, into our own struct, and judges every number in it
 * against the disk. A wrong request is answered, as the stock backend does; it does not cost the guest its
 * connection. Called by blkback_ring.c; touches no page of data.
 *
 * All kinds of request begin alike and differ in what follows the sector (struct blkif_layout). So the head
 * is fetched first: it says how much more there is.
 */
#include "blkback_private.h"

/* The first four bytes of a slot: what the second and third mean depends on the kind. */
struct wire {
	uint8_t op, second; /* segments; a discard's flags; what an indirect request is */
	uint16_t third;     /* handle; an indirect request's segments */
};

/* A segment lies within its page and is whole sectors of the disk; shift is the guest's unit in ours. Nothing
 * here can overflow, being unsigned of 8 bits widened. With the page's end included, a segment never reaches
 * a neighbouring page, which is not mapped or is another guest's. */
static bool segment_fits(const struct blkif_request_segment *seg, unsigned align_mask,
			 unsigned shift)
{
	unsigned first = (unsigned)seg->first_sect << shift;
	unsigned end = (seg->last_sect + 1u) << shift;

	return first < end && end <= BLKIF_PAGE_SECTORS && ((first | end) & align_mask) == 0;
}

/* Takes over n checked segments. The sectors they cover, 0: one is wrong. */
static unsigned take_over(struct back_disk *disk, struct back_request *req,
			  const struct blkif_request_segment *segs, unsigned n)
{
	unsigned shift = disk->unit_shift, sectors = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!segment_fits(&segs[i], disk->align_mask, shift))
			return 0;
		req->segs[i].ref = segs[i].gref; /* the rest of it is the pool's to fill in */
		req->segs[i].first = (uint8_t)(segs[i].first_sect << shift);
		req->segs[i].last = (uint8_t)(((segs[i].last_sect + 1u) << shift) - 1);
		sectors += req->segs[i].last - req->segs[i].first + 1u;
	}
	return sectors;
}

/* No sum that a guest's 64-bit sector could make overflow: count first, then the difference. */
static bool in_disk(const struct back_disk *disk, uint64_t sector, uint64_t count)
{
	uint64_t size = disk->disk->sectors;

	return count <= size && sector <= size - count &&
	       ((sector | count) & disk->align_mask) == 0;
}

/* The guest's sector, or count of them, in ours; what does not fit is beyond any disk. */
static uint64_t in_our_units(const struct back_disk *disk, uint64_t n)
{
	return n > (UINT64_MAX >> disk->unit_shift) ? UINT64_MAX : n << disk->unit_shift;
}

/* What both kinds of request with data have in common, once the list of n segments is in our memory. */
static int16_t take_data(struct back_queue *q, struct back_request *req,
			 const struct blkif_request_segment *segs, unsigned n)
{
	req->n_segments = (uint16_t)n;
	req->n_sectors = take_over(q->disk, req, segs, n);
	if (req->n_sectors && in_disk(q->disk, req->sector, req->n_sectors))
		return BLKIF_RSP_OKAY;
	back_segments_give(req);
	return BLKIF_RSP_ERROR;
}

/* Read, write, and the barrier, which may be without data. A frontend that has read `info` does not write
 * to a disk that cannot be written; one that does gets an answer and keeps its connection. */
static int16_t read_direct(struct back_queue *q, struct back_request *req, const struct wire *wire,
			   const peer_byte *tail)
{
	struct blkif_request_segment segs[BLKIF_SEGMENTS];
	unsigned n = wire->second;

	if (wire->op != BLKIF_OP_READ && q->disk->readonly)
		return BLKIF_RSP_ERROR;
	if (n == 0 && wire->op == BLKIF_OP_WRITE_BARRIER)
		return BLKIF_RSP_OKAY;
	if (n == 0 || n > BLKIF_SEGMENTS)
		return BLKIF_RSP_ERROR;
	if (!back_segments_take(q, req, n))
		return BACK_WAIT;
	peer_copy_in(segs, tail, n * sizeof(segs[0]));
	return take_data(q, req, segs, n);
}

static int16_t read_flush(struct back_queue *q, struct back_request *req, const struct wire *wire,
			  const peer_byte *tail)
{
	return wire->second ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY;
}

/* BLKIF_DISCARD_SECURE on a disk that cannot is refused, though blkif.h lets it be ignored: who asks for it
 * has something to hide. */
static int16_t read_discard(struct back_queue *q, struct back_request *req, const struct wire *wire,
			    const peer_byte *tail)
{
	struct back_disk *disk = q->disk;
	uint64_t count;

	if (!disk->discard)
		return BLKIF_RSP_EOPNOTSUPP;
	if (disk->readonly)
		return BLKIF_RSP_ERROR;
	if ((wire->second & BLKIF_DISCARD_SECURE) && !disk->disk->discard_secure)
		return BLKIF_RSP_EOPNOTSUPP;
	peer_copy_in(&count, tail, sizeof(count));
	req->n_sectors = in_our_units(disk, count);
	req->flags = wire->second & BLKIF_DISCARD_SECURE ? BLOCK_SECURE : 0;
	if (count == 0 || !in_disk(disk, req->sector, req->n_sectors))
		return BLKIF_RSP_ERROR;
	return BLKIF_RSP_OKAY;
}

/* The list lies in a page of its own, one being enough for as many segments as we take. Its reference is the
 * first behind the handle. */
static int16_t read_indirect(struct back_queue *q, struct back_request *req,
			     const struct wire *wire, const peer_byte *tail)
{
	struct back_disk *disk = q->disk;
	unsigned n = wire->third;
	gref_t list;

	req->op = wire->second;
	if (req->op != BLKIF_OP_READ && req->op != BLKIF_OP_WRITE)
		return BLKIF_RSP_EOPNOTSUPP;
	if (req->op == BLKIF_OP_WRITE && disk->readonly)
		return BLKIF_RSP_ERROR;
	if (n == 0 || n > BLKIF_INDIRECT_SEGMENTS)
		return BLKIF_RSP_ERROR;
	if (!back_segments_take(q, req, n))
		return BACK_WAIT;
	req->n_segments = (uint16_t)n;
	peer_copy_in(&list.v, tail + 4, sizeof(list.v));
	if (!back_pool_copy_in(disk, list, n * (unsigned)sizeof(struct blkif_request_segment))) {
		back_segments_give(req);
		return BLKIF_RSP_ERROR;
	}
	disk->stats.indirect++;
	return take_data(q, req, disk->indirect_page, n);
}

static int16_t (*const readers[])(struct back_queue *q, struct back_request *req,
				  const struct wire *wire, const peer_byte *tail) = {
    [BLKIF_OP_READ] = read_direct,          [BLKIF_OP_WRITE] = read_direct,
    [BLKIF_OP_WRITE_BARRIER] = read_direct, [BLKIF_OP_FLUSH_DISKCACHE] = read_flush,
    [BLKIF_OP_DISCARD] = read_discard,      [BLKIF_OP_INDIRECT] = read_indirect,
};

int16_t back_request_read(struct back_queue *q, struct back_request *req, const peer_byte *slot)
{
	unsigned id_at = q->disk->layout->id_at;
	uint32_t head = peer_fetch32((const volatile uint32_t *)slot);
	struct wire wire = {(uint8_t)head, (uint8_t)(head >> 8), (uint16_t)(head >> 16)};
	uint64_t words[2];

	peer_copy_in(words, slot + id_at, sizeof(words));
	req->id = words[0];
	req->wire_op = req->op = wire.op;
	req->sector = in_our_units(q->disk, words[1]);
	req->n_segments = 0;
	req->n_sectors = 0;
	req->flags = 0;
	/* Set before any check: an answer to a refused request echoes id and op, which are the
	 * guest's own and are looked at no more. */
	req->status = BLKIF_RSP_OKAY;
	if (wire.op >= ARRAY_SIZE(readers) || !readers[wire.op])
		return BLKIF_RSP_EOPNOTSUPP;
	if (!q->disk->disk)
		return BLKIF_RSP_ERROR; /* gone, or no medium */
	return readers[wire.op](q, req, &wire, slot + id_at + 16);
}
