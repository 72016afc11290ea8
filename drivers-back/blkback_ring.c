/* blkback_ring.c: a guest's requests come in from its ring and their responses go out.
 *
 * Called by the guest's notifications and by the disk's completions; calls blkback_request.c to
 * check, blkback_pool.c for pages, and the disk. Not here: connecting (blkback.c).
 *
 * Work goes in batches: requests are taken as long as the pages they need fit one map operation,
 * given to the disk together with one kick; finished ones are gathered, unmapped together,
 * answered, and published together. A disk that completes inside submit so costs one notification
 * per ring.
 */
#include "blkback_private.h"

#define MAX_ROUNDS 8 /* over the ring in one event; then others have a turn */

/* Work areas of drain_batch and finish_batch: too big for a small stack, used from the worker
 * alone, and neither is alive across a call that could come back here. */
static struct back_batch map_batch, unmap_batch;

static void request_free(struct back_disk *disk, struct back_request *req)
{
	req->next = disk->free;
	disk->free = req;
}

void back_requests_reset(struct back_disk *disk)
{
	disk->free = disk->finished = NULL;
	disk->in_flight = 0;
	for (unsigned i = 0; i < BACK_SLOTS; i++) {
		disk->requests[i].disk = disk;
		request_free(disk, &disk->requests[i]);
	}
}

/* The ring is not read any more from here; requests that the disk has come back, and their pages
 * go, but nobody is answered (finish_batch asks for connected). */
static void back_broken(struct back_disk *disk, const char *why)
{
	disk->connected = false;
	xenbus_fail(&disk->bus, why);
}

/* ---- responses out ------------------------------------------------------------------- */

/* There is always room: a response takes the slot of a request that was taken off the ring, and no
 * request has two. The slot is the oldest free one, not the request's own (xen/io/ring.h). */
static void respond(struct back_disk *disk, uint64_t id, uint8_t op, int16_t status)
{
	struct blkif_response rsp;

	__builtin_memset(&rsp, 0, sizeof(rsp)); /* its padding goes to the peer */
	rsp.id = id;
	rsp.operation = op;
	rsp.status = status;
	peer_copy_out(ring_slot(&disk->ring, disk->ring.out), &rsp, sizeof(rsp));
	disk->ring.out++;
}

/* Whether the guest wants to be told is in rsp_event, which it may set to nonsense: then it misses
 * its own wake-up or has too many. */
static void push(struct back_disk *disk)
{
	if (ring_back_push(&disk->ring)) {
		host_event_notify(disk->port);
		disk->stats.notifications_sent++;
	}
}

static void count_done(struct back_disk *disk, const struct back_request *req)
{
	uint64_t bytes = req->n_sectors * SECTOR_SIZE;

	if (req->status != BLKIF_RSP_OKAY) {
		disk->stats.errors++;
		return;
	}
	if (req->op == BLKIF_OP_READ)
		disk->stats.bytes_read += bytes;
	else if (req->op == BLKIF_OP_WRITE)
		disk->stats.bytes_written += bytes;
	else
		disk->stats.flushes++;
}

/* Takes finished requests whose pages fit one unmap operation, and answers them when there still is
 * somebody to answer. A page is unmapped before the answer: then the guest may reuse it. */
static void finish_batch(struct back_disk *disk)
{
	struct back_request *batch_head = disk->finished, *req;

	unmap_batch.count = 0;
	for (req = batch_head; req && unmap_batch.count + BLKIF_SEGMENTS <= HOST_GRANT_BATCH;
	     req = req->next)
		back_pool_release(disk, req, &unmap_batch);
	/* One hypercall for the requests gathered; only then are their answers written. */
	back_pool_unmap(&unmap_batch);
	for (disk->finished = req; batch_head != req;) {
		struct back_request *done = batch_head;

		batch_head = done->next;
		if (disk->connected) {
			count_done(disk, done);
			respond(disk, done->id, done->op, done->status);
		}
		/* Freed before the guest can see the answer (push comes later): the slot that it
		 * then may fill finds a free request here. */
		disk->in_flight--;
		request_free(disk, done);
	}
}

/* The one place from which answers go out, whether the disk was asynchronous (by work item) or
 * answered within submit (from drain). */
void back_finish(void *ctx)
{
	struct back_disk *disk = ctx;

	while (disk->finished) /* at most BACK_SLOTS */
		finish_batch(disk);
	if (disk->connected)
		push(disk);
	else if (disk->in_flight == 0)
		back_idle(disk);
}

/* ---- the disk ------------------------------------------------------------------------ */

static void finished(struct back_request *req)
{
	struct back_disk *disk = req->disk;

	req->next = disk->finished;
	disk->finished = req;
	/* Gathered: many completions of one interrupt make one work item, one unmap, one push. */
	if (!disk->in_drain)
		host_work_soon(&disk->finish);
}

/* A request without a further part is one that never had any (a flush has one). */
static void run_part(struct back_request *req)
{
	struct block_device *disk = req->disk->disk;

	if (back_request_next_part(req))
		disk->ops->submit(disk, &req->blk);
	else
		finished(req);
}

/* A part is done; the next one needs a kick of its own, because nobody gathers it with others. */
static void part_done(struct block_request *blk, int status)
{
	struct back_request *req = blk->ctx;
	struct block_device *disk = req->disk->disk;

	if (status)
		req->status = status == -XEN_EOPNOTSUPP ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR;
	/* An error ends the request: parts that were not begun stay undone, and the guest, told of
	 * an error, knows nothing about any sector of it. */
	if (status || req->n_done >= req->n_segments) {
		finished(req);
		return;
	}
	run_part(req);
	disk->ops->kick(disk);
}

/* Refused are: a reference that was never given, one given to another domain, or read-only where
 * writing is needed. The hypervisor has said so by page NULL. */
static bool all_mapped(const struct back_request *req)
{
	for (unsigned i = 0; i < req->n_segments; i++)
		if (!req->segs[i].page)
			return false;
	return true;
}

static void submit(struct back_request *req)
{
	req->blk.done = part_done;
	req->blk.ctx = req;
	if (all_mapped(req)) {
		run_part(req);
		return;
	}
	/* By way of finished(), so that the segments that were mapped are unmapped like any. */
	req->status = BLKIF_RSP_ERROR;
	req->disk->stats.refused++;
	finished(req);
}

/* ---- requests in --------------------------------------------------------------------- */

/* Takes the next request off the ring. NULL: it was answered at once. */
static struct back_request *take(struct back_disk *disk)
{
	struct back_request *req = disk->free;
	int16_t status;

	HOST_ASSERT(req); /* as many as the ring has slots, and ring_back_fetch counted those */
	status = back_request_read(disk, req, ring_slot(&disk->ring, disk->ring.in));
	disk->ring.in++;
	disk->stats.requests++;
	if (status != BLKIF_RSP_OKAY) {
		disk->stats.refused++;
		respond(disk, req->id, req->op, status);
		return NULL;
	}
	disk->stats.segments += req->n_segments;
	disk->free = req->next;
	disk->in_flight++;
	return req;
}

/* Requests whose pages fit one map operation, of n (<= BACK_SLOTS) that wait. How many were taken.
 */
static int drain_batch(struct back_disk *disk, int n)
{
	struct back_request *taken[BACK_SLOTS];
	int count = 0, looked = 0;

	/* Three steps, so that each is one operation for many requests:
	 *
	 *    take, take, take ...   until the pages might not fit one map operation
	 *    map                    one hypercall for all of them
	 *    submit, submit ...     one kick for all, in drain() */
	map_batch.count = 0;
	for (; looked < n && map_batch.count + BLKIF_SEGMENTS <= HOST_GRANT_BATCH; looked++) {
		struct back_request *req = take(disk);

		if (!req)
			continue;
		back_pool_collect(disk, req, &map_batch);
		taken[count++] = req;
	}
	back_pool_map(disk, &map_batch); /* pages that are not there are seen by submit */
	for (int i = 0; i < count; i++)
		submit(taken[i]);
	return looked;
}

/* The requests that wait now, and the kick and the answers that come of them. */
static void drain(struct back_disk *disk, int n)
{
	disk->in_drain = true;
	/* n was fetched once and is at most the ring's size; what the guest adds meanwhile is for
	 * the next round. */
	while (n > 0)
		n -= drain_batch(disk, n);
	disk->disk->ops->kick(disk->disk);
	disk->in_drain = false;
	back_finish(disk);
}

/* ring_back_arm asks for an event at the very next request and looks again: a request that came
 * between has sent no event and is found by this look. Rounds are bounded, so that a guest that
 * fills its ring as fast as it is emptied waits for its turn like the others. */
void back_run_requests(void *ctx)
{
	struct back_disk *disk = ctx;
	int n;

	if (!disk->connected)
		return;
	n = ring_back_fetch(&disk->ring);
	for (int round = 0; n > 0 && round < MAX_ROUNDS; round++) {
		drain(disk, n);
		n = ring_back_arm(&disk->ring, 1);
	}
	if (n < 0)
		back_broken(disk, "more requests than its ring holds");
	else if (n > 0)
		host_work_soon(&disk->again);
}

void back_on_event(void *ctx)
{
	struct back_disk *disk = ctx;

	disk->stats.notifications_received++;
	back_run_requests(disk);
}
