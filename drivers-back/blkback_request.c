/* blkback_request.c: one request of a guest, copied in once and checked in the copy.
 *
 * Reads a slot of the ring, in the layout the guest named, into our own struct, and judges every number in it
 * against the disk. A wrong request is answered, as the stock backend does; it does not cost the guest its
 * connection. Called by blkback_ring.c (and its straight way); touches no page of data.
 *
 * All kinds of request begin alike and differ in what follows the sector (struct blkif_layout). So the head
 * is fetched first (blkback_straight.h, where a read or write of one segment is done): it says how much more there is.
 */
#include "blkback_straight.h"

/* The first four bytes of a slot: what the second and third mean depends on the kind. */
struct wire {
	uint8_t op, second; /* segments; a discard's flags; what an indirect request is */
	uint16_t third;     /* handle; an indirect request's segments */
};

static int16_t refused(struct back_request *req, int16_t status, const char *why)
{
	req->why = why;
	return status;
}

/* The guest's sector, or count of them, in ours; what does not fit is beyond any disk. Out of line, because hardly
 * any guest has other units. */
uint64_t back_scaled(uint64_t n, unsigned shift)
{
	return n > (UINT64_MAX >> shift) ? UINT64_MAX : n << shift;
}

static uint64_t in_our_units(const struct back_disk *disk, uint64_t n)
{
	return disk->unit_shift ? back_scaled(n, disk->unit_shift) : n;
}

int16_t back_wrong_data(struct back_request *req)
{
	back_segments_give(req);
	return refused(req, BLKIF_RSP_ERROR,
		       req->n_sectors ? "beyond the disk, or within a sector of it"
				      : "a segment is not whole sectors of a page");
}

/* A list of a guest's, which lies in our own page: how many sectors its n segments have, 0: one is wrong. Long requests
 * spend their time here, and nearly all of their segments are whole pages, which are whole sectors of any disk: sectors
 * 0 to 7, behind which two bytes of nothing may be anything. A guest that counts in larger sectors has none such. */
static unsigned take_list(const struct back_disk *disk, struct back_request *req, unsigned n)
{
	const unsigned whole_page = disk->unit_shift ? ~0u : (BLKIF_PAGE_SECTORS - 1) << 8;
	const uint64_t *word = disk->indirect_page;
	struct back_segment *seg = req->segs, *end = seg + n;
	struct block_segment *piece = req->pieces;
	unsigned sectors = 0;

	for (; seg < end; seg++, piece++, word++) {
		unsigned more = BLKIF_PAGE_SECTORS;

		if ((uint16_t)(*word >> 32) == whole_page) {
			seg->ref = (uint32_t)*word;
			seg->offset = 0;
			piece->len_bytes = PAGE_SIZE;
		} else {
			more = back_take_segment(disk, seg, piece, *word);
			if (!more)
				return 0;
		}
		sectors += more;
	}
	return sectors;
}

/* What both kinds of request with data end with: sectors is what their n segments have, 0: one is wrong. */
static int16_t data_taken(struct back_queue *q, struct back_request *req, unsigned n,
			  unsigned sectors)
{
	req->n_segments = (uint16_t)n;
	req->n_sectors = sectors;
	if (sectors && back_in_disk(q->disk, req->sector, sectors))
		return BLKIF_RSP_OKAY;
	return back_wrong_data(req);
}

/* Read, write, and the barrier, which may be without data. A frontend that has read `info` does not write
 * to a disk that cannot be written; one that does gets an answer and keeps its connection. */
static int16_t read_direct(struct back_queue *q, struct back_request *req, struct wire wire,
			   const peer_byte *tail)
{
	unsigned n = wire.second, sectors = 0, more;

	if (wire.op != BLKIF_OP_READ && q->disk->readonly)
		return refused(req, BLKIF_RSP_ERROR, "a write to a read-only disk");
	if (n == 0 && wire.op == BLKIF_OP_WRITE_BARRIER)
		return BLKIF_RSP_OKAY;
	if (n == 0 || n > BLKIF_SEGMENTS)
		return refused(req, BLKIF_RSP_ERROR, "no segments, or too many");
	if (!back_segments_take(q, req, n))
		return BACK_WAIT;
	for (unsigned i = 0; i < n; i++, sectors += more) {
		more = back_take_segment(q->disk, &req->segs[i], &req->pieces[i],
					 peer_fetch64(tail + i * 8));
		if (!more)
			return data_taken(q, req, n, 0);
	}
	return data_taken(q, req, n, sectors);
}

static int16_t read_flush(struct back_queue *q, struct back_request *req, struct wire wire,
			  const peer_byte *tail)
{
	return wire.second ? refused(req, BLKIF_RSP_ERROR, "a flush with data") : BLKIF_RSP_OKAY;
}

/* BLKIF_DISCARD_SECURE on a disk that cannot is refused, though blkif.h lets it be ignored: who asks for it
 * has something to hide. */
static int16_t read_discard(struct back_queue *q, struct back_request *req, struct wire wire,
			    const peer_byte *tail)
{
	struct back_disk *disk = q->disk;
	uint64_t count;

	if (!disk->discard)
		return refused(req, BLKIF_RSP_EOPNOTSUPP, "a discard, which was not offered");
	if (disk->readonly)
		return refused(req, BLKIF_RSP_ERROR, "a discard on a read-only disk");
	if ((wire.second & BLKIF_DISCARD_SECURE) && !disk->disk->discard_secure)
		return refused(req, BLKIF_RSP_EOPNOTSUPP,
			       "a secure discard, which was not offered");
	peer_copy_in(&count, tail, sizeof(count));
	req->n_sectors = in_our_units(disk, count);
	req->flags = wire.second & BLKIF_DISCARD_SECURE ? BLOCK_SECURE : 0;
	if (count == 0 || !back_in_disk(disk, req->sector, req->n_sectors))
		return refused(req, BLKIF_RSP_ERROR, "a discard of nothing, or beyond the disk");
	return BLKIF_RSP_OKAY;
}

/* The list lies in a page of its own, one being enough for as many segments as we take. Its reference is the
 * first behind the handle. */
static int16_t read_indirect(struct back_queue *q, struct back_request *req, struct wire wire,
			     const peer_byte *tail)
{
	struct back_disk *disk = q->disk;
	unsigned n = wire.third;
	gref_t list;

	/* The answer names it, and not how it came: so Linux and we want it. */
	req->op = wire.second;
	if (req->op != BLKIF_OP_READ && req->op != BLKIF_OP_WRITE)
		return refused(req, BLKIF_RSP_EOPNOTSUPP, "indirect, and neither read nor write");
	if (req->op == BLKIF_OP_WRITE && disk->readonly)
		return refused(req, BLKIF_RSP_ERROR, "a write to a read-only disk");
	if (n == 0 || n > BLKIF_INDIRECT_SEGMENTS)
		return refused(req, BLKIF_RSP_ERROR, "no segments, or too many");
	if (!back_segments_take(q, req, n))
		return BACK_WAIT;
	req->n_segments = (uint16_t)n;
	peer_copy_in(&list.v, tail + 4, sizeof(list.v));
	if (!back_pool_copy_in(disk, list, n * (unsigned)sizeof(struct blkif_request_segment))) {
		back_segments_give(req);
		return refused(req, BLKIF_RSP_ERROR, "the page of its segments is not granted");
	}
	disk->stats.indirect++;
	return data_taken(q, req, n, take_list(disk, req, n));
}

typedef int16_t reader(struct back_queue *q, struct back_request *req, struct wire wire,
		       const peer_byte *tail);

static reader *const readers[] = {
    [BLKIF_OP_READ] = read_direct,          [BLKIF_OP_WRITE] = read_direct,
    [BLKIF_OP_WRITE_BARRIER] = read_direct, [BLKIF_OP_FLUSH_DISKCACHE] = read_flush,
    [BLKIF_OP_DISCARD] = read_discard,      [BLKIF_OP_INDIRECT] = read_indirect,
};

int16_t back_read_any(struct back_queue *q, struct back_request *req, uint32_t head,
		      const peer_byte *tail)
{
	struct wire wire = {(uint8_t)head, (uint8_t)(head >> 8), (uint16_t)(head >> 16)};

	req->status = BLKIF_RSP_OKAY;
	req->n_segments = req->n_sent = req->n_parts = 0;
	req->n_sectors = 0;
	if (!q->disk->disk)
		return refused(req, BLKIF_RSP_ERROR, "the disk is gone, or has no medium");
	if (wire.op >= ARRAY_SIZE(readers) || !readers[wire.op])
		return refused(req, BLKIF_RSP_EOPNOTSUPP, "an operation that there is not");
	return readers[wire.op](q, req, wire, tail);
}
