/* blkback_submit.c: a checked request of a guest on its way through the disk.
 *
 * The seam between the protocol and the disk: blkback_ring.c hands every request that passed its checks and
 * has its pages to back_submit, in the order of the ring, and gets it back by back_finished. Limits, fair
 * shares, clocks and traces belong here, and nothing of the ring's layout or of grants does. Calls the disk
 * (block.h).
 *
 *    back_submit --> start ----------> proceed: parts side by side --> disk
 *                     |  ^                                              |
 *                     |  '--- a barrier's next step <--- ended <--- part_done
 *                     '--- a barrier waits for those before it          '---> back_finished
 */
#include "blkback_straight.h"

/* ---- parts ---------------------------------------------------------------------------- */

/* A request may be more than its disk takes at once; its parts go side by side as long as there are
 * block_requests to lend. Its own is always there for one of them, so no request waits for another's. */
static struct block_request *part_get(struct back_request *req)
{
	struct back_disk *disk = req->queue->disk;
	struct block_request *blk = disk->spares;

	if (!req->own_part_busy) {
		req->own_part_busy = true;
		return &req->blk;
	}
	if (blk)
		disk->spares = blk->next;
	return blk;
}

static void part_put(struct back_request *req, struct block_request *blk)
{
	struct back_disk *disk = req->queue->disk;

	if (blk == &req->blk) {
		req->own_part_busy = false;
		return;
	}
	blk->next = disk->spares;
	disk->spares = blk;
}

static int16_t answer_to(int status)
{
	return status == -XEN_EOPNOTSUPP ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR;
}

static void part_done(struct block_request *blk, int status);

/* The next segments, as many as the disk takes: the limit may be another one by now. */
static void part_of_data(struct back_request *req, struct block_request *blk, enum block_op op)
{
	unsigned n = MIN((unsigned)req->n_segments - req->n_sent, req->dev->max_segments);

	blk->op = op;
	blk->flags = req->flags;
	blk->sector = req->sector;
	blk->n_segments = n;
	blk->segments = req->pieces + req->n_sent;
	for (unsigned i = 0; i < n; i++)
		req->sector += blk->segments[i].len_bytes / SECTOR_SIZE;
	req->n_sent = (uint16_t)(req->n_sent + n);
}

/* Where a flush is to happen is whatever the guest wrote there: it was not checked, and says nothing to a disk. */
static void part_without_data(struct back_request *req, struct block_request *blk, enum block_op op)
{
	bool discard = op == BLOCK_DISCARD;

	blk->op = op;
	blk->flags = discard ? req->flags : 0;
	blk->sector = discard ? req->sector : 0;
	blk->n_sectors = discard ? req->n_sectors : 0;
	blk->n_segments = 0;
	blk->segments = NULL;
}

static void give(struct back_request *req, struct block_request *blk)
{
	blk->queue = req->queue->index;
	blk->done = part_done;
	blk->ctx = req;
	req->n_parts++;
	req->queue->disk->stats.parts += blk != &req->blk;
	req->dev->ops->submit(req->dev, blk);
}

static void ended(struct back_request *req);

static bool has_data(enum block_op op)
{
	return op == BLOCK_READ || op == BLOCK_WRITE;
}

static bool more(const struct back_request *req, enum block_op op)
{
	return has_data(op) && req->n_sent < req->n_segments && !req->status;
}

/* Gives the disk what there is to give of one step. It may be done with a part before submit returns: then
 * this loop goes on, and part_done does not. In the loop over a ring one kick serves all. */
static void send(struct back_request *req, enum block_op op)
{
	struct block_device *dev = req->dev;
	bool kick = !req->queue->in_drain && !back_flow_kicks(req->queue->disk);
	struct block_request *blk;

	req->sending = true;
	if (!has_data(op)) {
		blk = part_get(req);
		part_without_data(req, blk, op);
		give(req, blk);
	}
	while (more(req, op) && (blk = part_get(req))) {
		part_of_data(req, blk, op);
		give(req, blk);
	}
	req->sending = false;
	if (!req->n_parts)
		ended(req);
	if (kick) /* last, because it may end the request too */
		dev->ops->kick(dev);
}

/* An error ends the request when its parts are back: those not begun stay undone, and the guest, told of an
 * error, knows nothing about any sector of it. */
static void part_done(struct block_request *blk, int status)
{
	struct back_request *req = blk->ctx;
	enum block_op op = blk->op;

	if (status && !req->status)
		req->status = answer_to(status);
	req->n_parts--;
	part_put(req, blk);
	if (req->sending)
		return;
	if (more(req, op))
		send(req, op);
	else if (!req->n_parts)
		ended(req);
}

/* ---- steps ---------------------------------------------------------------------------- */

/* A barrier is done in steps, each when the one before has ended; a step that its disk or its data does not
 * need is passed over. Until it has ended nothing more is taken off its ring (blkback_ring.c), so that what
 * follows it in the ring follows it on the disk. Other rings of the disk go on: blkif.h orders one ring.
 *
 *    WAIT      what was taken before it comes back from the disk
 *    BEFORE    a flush: all that was answered until now is on the medium
 *    WRITE     its data, written through where the disk can
 *    AFTER     a flush, where it cannot
 */
enum step { NO_BARRIER, WAIT, BEFORE, WRITE, AFTER, N_STEPS };

static bool has_cache(const struct back_request *req)
{
	return req->dev->has_flush;
}

static bool has_segments(const struct back_request *req)
{
	return req->n_segments != 0;
}

static bool is_in_cache(const struct back_request *req)
{
	return req->n_segments && req->dev->has_flush && !req->dev->has_fua;
}

static const struct {
	bool (*needed)(const struct back_request *req);
	enum block_op op;
} steps[N_STEPS] = {
    [BEFORE] = {has_cache, BLOCK_FLUSH},
    [WRITE] = {has_segments, BLOCK_WRITE},
    [AFTER] = {is_in_cache, BLOCK_FLUSH},
};

/* False: there is none left. */
static bool next_step(struct back_request *req)
{
	while (++req->step < N_STEPS) {
		if (!steps[req->step].needed(req))
			continue;
		if (steps[req->step].op == BLOCK_WRITE && req->dev->has_fua)
			req->flags |= BLOCK_FUA;
		send(req, steps[req->step].op);
		return true;
	}
	return false;
}

static void barrier_over(struct back_queue *q)
{
	q->barrier = NULL;
	if (!q->in_drain)
		host_work_soon(&q->again); /* what waits behind it on the ring */
}

static inline void over(struct back_request *req)
{
	back_trace_at(req, BLKBACK_DONE);
	back_flow_leave(req);
	back_finished(req);
}

static void barrier_begin(struct back_request *req)
{
	back_trace_at(req, BLKBACK_GIVEN);
	if (!next_step(req)) {
		barrier_over(req->queue);
		over(req);
	}
}

/* It is asked about when it could begin, so that those before it do not wait for each other. */
static void barrier_run(struct back_queue *q)
{
	struct back_request *req = q->barrier;

	if (req && req->step == WAIT && q->n_with_disk == 0 && back_flow_enter(req))
		barrier_begin(req);
}

static void ended(struct back_request *req)
{
	struct back_queue *q = req->queue;

	if (req->step) {
		if (!req->status && next_step(req))
			return;
		barrier_over(q);
		over(req);
		return;
	}
	q->n_with_disk--;
	over(req);
	if (q->barrier)
		barrier_run(q);
}

/* ---- in ------------------------------------------------------------------------------- */

/* Most requests are one part, and have no step and no other part to think of. */
void back_whole_done(struct block_request *blk, int status)
{
	struct back_request *req = blk->ctx;
	struct back_queue *q = req->queue;

	if (status)
		req->status = answer_to(status);
	q->n_with_disk--;
	over(req);
	if (q->barrier)
		barrier_run(q);
}

/* Where the data is, now that its pages are mapped; of those that the pool had it is known. Refused are: a
 * reference that was never given, one given to another domain, or read-only where writing is needed. The hypervisor
 * has said so by page NULL. */
static bool find_data(struct back_request *req)
{
	if (!req->n_mapped)
		return true;
	for (unsigned i = 0; i < req->n_segments; i++) {
		if (!req->segs[i].page)
			return false;
		req->pieces[i].va = req->segs[i].page + req->segs[i].offset;
	}
	return true;
}

/* By way of back_finished, so that the segments that were mapped are unmapped like any. */
static void refuse(struct back_request *req)
{
	struct back_queue *q = req->queue;

	req->status = BLKIF_RSP_ERROR;
	req->why = req->dev ? "a page of it is not granted" : "the disk is gone, or has no medium";
	back_refused(q->disk, req);
	if (q->barrier == req)
		q->barrier = NULL;
	back_finished(req);
}

static const uint8_t block_ops[] = {
    [BLKIF_OP_READ] = BLOCK_READ,
    [BLKIF_OP_WRITE] = BLOCK_WRITE,
    [BLKIF_OP_FLUSH_DISKCACHE] = BLOCK_FLUSH,
    [BLKIF_OP_DISCARD] = BLOCK_DISCARD,
};

static inline void go(struct back_request *req)
{
	enum block_op op = block_ops[req->op];

	back_trace_at(req, BLKBACK_GIVEN);
	if (has_data(op) && req->n_segments <= req->dev->max_segments)
		back_submit_whole(req, op);
	else
		send(req, op);
}

void back_submit(struct back_request *req)
{
	struct back_queue *q = req->queue;

	req->dev = q->disk->disk;
	req->step = NO_BARRIER;
	if (!req->dev || !find_data(req)) {
		refuse(req);
		return;
	}
	back_trace_at(req, BLKBACK_MAPPED);
	if (req->op == BLKIF_OP_WRITE_BARRIER) {
		req->step = WAIT;
		barrier_run(q);
		return;
	}
	q->n_with_disk++;
	if (back_flow_enter(req))
		go(req);
}

/* ---- those that waited for their turn --------------------------------------------------- */

/* A barrier behind it could begin now, at a disk that may be about to go: it ends as well. */
void back_submit_drop(struct back_request *req)
{
	struct back_queue *q = req->queue;

	req->status = BLKIF_RSP_ERROR;
	if (req->step)
		barrier_over(q);
	else
		q->n_with_disk--;
	back_finished(req);
	if (q->barrier && q->barrier->step == WAIT && q->n_with_disk == 0)
		back_submit_drop(q->barrier); /* none is behind that one */
}

/* The disk may have become smaller since the request was checked. */
static bool still_fits(const struct back_request *req)
{
	uint64_t sectors = req->dev->sectors;

	return !req->n_sectors ||
	       (req->n_sectors <= sectors && req->sector <= sectors - req->n_sectors);
}

void back_submit_next(struct back_request *req)
{
	if (!still_fits(req)) {
		req->status = BLKIF_RSP_ERROR;
		ended(req);
	} else if (req->step) {
		barrier_begin(req);
	} else {
		go(req);
	}
}
