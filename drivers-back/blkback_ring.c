/* blkback_ring.c: a guest's requests come in from its rings and their responses go out.
 *
 * Called by the guest's notifications and by the disk's completions; calls blkback_request.c to check,
 * blkback_pool.c for pages, blkback_submit.c for the rest. Not here: connecting (blkback_queues.c).
 *
 * Work goes in batches: requests are taken, the pages they need are mapped together, then they are submitted
 * with one kick; finished ones are gathered, unmapped together, answered, and published together. A disk
 * that completes inside submit so costs one notification per ring.
 */
#include "blkback_straight.h"

#define MAX_ROUNDS 8 /* over the ring in one event; then others have a turn */
#define AT_ONCE    64u /* requests between two kicks: the disk begins while others are still checked */

/* Work areas of drain_batch and answer_all: too big for a small stack, used from the worker
 * alone, and neither is alive across a call that could come back here. */
static struct back_batch map_batch, unmap_batch;

static void request_free(struct back_queue *q, struct back_request *req)
{
	req->next = q->free;
	q->free = req;
}

void back_requests_reset(struct back_queue *q)
{
	q->free = q->finished = q->barrier = NULL;
	q->in_flight = q->n_with_disk = 0;
	for (unsigned i = 0; i < q->ring.n_slots; i++) {
		q->requests[i].queue = q;
		q->requests[i].blk.queue = q->index;
		q->requests[i].blk.ctx = &q->requests[i];
		request_free(q, &q->requests[i]);
	}
}

/* No ring of the disk is read any more from here; requests that the disk has come back, and their pages
 * go, but nobody is answered. */
static void back_broken(struct back_disk *disk, const char *why)
{
	disk->connected = disk->answers = false;
	xenbus_fail(&disk->bus, why);
}

/* ---- responses out ------------------------------------------------------------------- */

/* The layouts differ in the padding behind, which goes to the peer as zero, and in what an answer is aligned to. */
static __attribute__((noinline)) void respond_short(const struct back_queue *q, peer_byte *slot,
						    uint64_t id, uint64_t op_and_status)
{
	uint64_t words[2] = {id, op_and_status};

	_Static_assert(offsetof(struct blkif_response, status) == 10, "both layouts");
	peer_copy_out(slot, words, q->disk->layout->response_bytes);
}

/* There is always room: a response takes the slot of a request that was taken off the ring, and no
 * request has two. The slot is the oldest free one, not the request's own (xen/io/ring.h). */
static inline void respond(struct back_queue *q, const struct back_request *req, int16_t status)
{
	uint64_t op_and_status = req->op | (uint64_t)(uint16_t)status << 16;
	peer_byte *slot = ring_slot(&q->ring, q->ring.out++);

	if (q->disk->layout->response_bytes != sizeof(struct blkif_response)) {
		respond_short(q, slot, req->id, op_and_status);
		return;
	}
	peer_store64((volatile uint64_t *)slot, req->id);
	peer_store64((volatile uint64_t *)slot + 1, op_and_status);
}

/* Whether the guest wants to be told is in rsp_event, which it may set to nonsense: then it misses
 * its own wake-up or has too many. */
static void push(struct back_queue *q)
{
	if (ring_back_push(&q->ring)) {
		host_event_notify(q->port);
		q->disk->stats.notifications_sent++;
		q->stats.notifications_sent++;
	}
}

/* What a batch of answers adds to the counters, gathered in registers: of reads and writes that went well, which are nearly all. A batch
 * mostly was taken at one moment, so its latencies are in one class. */
struct tally {
	uint64_t bytes[2]; /* by BLKIF_OP_READ, BLKIF_OP_WRITE */
	unsigned n_segments, merged, n;
};

static void tally_end(struct back_queue *q, const struct tally *t)
{
	struct blkback_stats *stats = &q->disk->stats;

	stats->bytes_read += t->bytes[BLKIF_OP_READ];
	stats->bytes_written += t->bytes[BLKIF_OP_WRITE];
	stats->merged += t->merged;
	q->stats.bytes_read += t->bytes[BLKIF_OP_READ];
	q->stats.bytes_written += t->bytes[BLKIF_OP_WRITE];
	q->stats.segments += t->n_segments;
	q->stats.merged += t->merged;
	q->disk->n_segments -= t->n_segments;
	q->in_flight -= t->n;
}

static void count_other(struct back_queue *q, const struct back_request *req)
{
	struct blkback_stats *stats = &q->disk->stats;
	uint64_t bytes = req->op == BLKIF_OP_DISCARD ? 0 : req->n_sectors * SECTOR_SIZE;

	if (req->status != BLKIF_RSP_OKAY)
		stats->errors++;
	else if (req->op == BLKIF_OP_WRITE_BARRIER) {
		stats->bytes_written += bytes;
		q->stats.bytes_written += bytes;
	}
	stats->flushes += req->op == BLKIF_OP_FLUSH_DISKCACHE;
	stats->discards += req->op == BLKIF_OP_DISCARD;
	stats->secure += req->op == BLKIF_OP_DISCARD && req->flags & BLOCK_SECURE;
	stats->barriers += req->op == BLKIF_OP_WRITE_BARRIER;
}

static inline void answer(struct back_queue *q, struct back_request *req, struct tally *t,
			  uint64_t now)
{
	if (req->op <= BLKIF_OP_WRITE && req->status == BLKIF_RSP_OKAY)
		t->bytes[req->op] += req->n_sectors * SECTOR_SIZE;
	else
		count_other(q, req);
	respond(q, req, req->status);
	back_count_latency(q, req, now);
	back_trace_at(req, BLKBACK_ANSWERED);
}

/* Answers the finished requests, when there still is somebody to answer. Pages are unmapped before the first
 * answer is written: then the guest may reuse them. Requests are freed before the guest can see the answer (push
 * comes later): the slot that it then may fill finds a free request here. */
static void answer_all(struct back_queue *q)
{
	struct back_request *list = q->finished, *req;
	bool answers = q->disk->answers;
	uint64_t now = host_time_ns();
	struct tally t = {0};

	q->finished = NULL;
	unmap_batch.count = 0;
	for (req = list; req; req = req->next)
		back_pool_release(req, &unmap_batch);
	back_pool_unmap(&unmap_batch);
	while ((req = list)) {
		list = req->next;
		if (answers)
			answer(q, req, &t, now);
		t.n++;
		t.n_segments += req->n_segments;
		if (req->n_segments > 1) {
			t.merged += req->n_segments - 1u;
			back_segments_give_many(req);
		}
		request_free(q, req);
	}
	tally_end(q, &t);
	back_segments_wake(q->disk);
}

/* The one place from which answers go out, whether the disk was asynchronous (by work item) or
 * answered within submit (from drain). */
void back_finish(void *ctx)
{
	struct back_queue *q = ctx;

	if (q->finished)
		answer_all(q);
	if (q->disk->answers)
		push(q);
	if (!q->disk->connected && q->in_flight == 0)
		back_idle(q->disk);
}

/* ---- requests in --------------------------------------------------------------------- */

/* Takes the next request off the ring: BLKIF_RSP_OKAY or BACK_STRAIGHT, it is *out and goes to the disk; BACK_WAIT, it
 * stays there for now; negative, it was answered with that at once. One that is looked at goes the long way. */
static inline int16_t take(struct back_queue *q, struct back_request **out)
{
	struct back_request *req = q->free;
	int16_t status;

	HOST_ASSERT(req); /* as many as the ring has slots, and ring_back_fetch counted those */
	status = back_request_read(q, req, ring_slot(&q->ring, q->ring.in));
	if (status == BACK_WAIT)
		return BACK_WAIT;
	q->ring.in++;
	q->disk->stats.requests++;
	if (status < 0) {
		back_refused(q->disk, req);
		respond(q, req, status);
		return status;
	}
	q->disk->stats.segments += req->n_segments;
	q->free = req->next;
	q->in_flight++;
	req->taken_ns = q->now_ns;
	req->trace = 0;
	*out = req;
	if (status == BACK_STRAIGHT && __builtin_expect(!back_tracing, 1))
		return BACK_STRAIGHT;
	if (back_tracing)
		back_trace_begin(req);
	if (req->op == BLKIF_OP_WRITE_BARRIER)
		q->barrier = req;
	return BLKIF_RSP_OKAY;
}

/* Whether the next request has to stay on the ring: who ends that state runs the queue again. */
static bool held_up(const struct back_queue *q)
{
	return q->barrier || q->starved;
}

/* Up to n requests. How many were taken.
 *
 *    take, take, take ...   none behind a barrier; one whose page is kept is submitted at once, unless one before
 *                           it has to be mapped
 *    map                    one hypercall for HOST_GRANT_BATCH pages
 *    submit, submit ...     one kick for all */
static int drain_batch(struct back_queue *q, int n)
{
	struct back_disk *disk = q->disk;
	struct back_request *first = NULL, **last = &first, *req;
	int looked = 0;
	int16_t status;

	map_batch.count = 0;
	q->now_ns = host_time_ns();
	for (; looked < n && !q->barrier && (status = take(q, &req)) != BACK_WAIT; looked++) {
		if (status < 0 || (status == BACK_STRAIGHT && !first && back_go_straight(q, req)))
			continue;
		back_pool_collect(disk, req, &map_batch);
		if (!map_batch.count) { /* so nobody waits: who does has a page in it */
			back_submit(req);
			continue;
		}
		*last = req;
		last = &req->next;
	}
	*last = NULL;
	back_pool_map(disk, &map_batch); /* pages that are not there are seen by back_submit */
	while ((req = first)) {
		first = req->next; /* the submitted one may be in another list already */
		back_submit(req);
	}
	if (disk->disk)
		disk->disk->ops->kick(disk->disk);
	return looked;
}

/* The requests that wait now, and the answers that come of them. */
static void drain(struct back_queue *q, int n)
{
	q->in_drain = true;
	/* n was fetched once and is at most the ring's size; what the guest adds meanwhile is for
	 * the next round. A batch that takes none is held up. */
	do {
		q->starved = false;
		n -= drain_batch(q, MIN(n, (int)AT_ONCE));
	} while (n > 0 && !held_up(q));
	q->in_drain = false;
	if (!q->starved)
		back_segments_leave(q);
	back_finish(q);
}

/* ring_back_arm asks for an event at the very next request and looks again: a request that came
 * between has sent no event and is found by this look. Rounds are bounded, so that a guest that
 * fills its ring as fast as it is emptied waits for its turn like the others. */
void back_run_requests(void *ctx)
{
	struct back_queue *q = ctx;
	int n;

	if (!q->disk->connected || q->barrier)
		return;
	n = ring_back_fetch(&q->ring);
	q->found = n != 0;
	/* Who comes from a barrier has not asked for an event yet: it was the last on the ring then. */
	if (n == 0)
		n = ring_back_arm(&q->ring, 1);
	for (int round = 0; n > 0 && round < MAX_ROUNDS; round++) {
		drain(q, n);
		if (held_up(q))
			return;
		n = ring_back_arm(&q->ring, 1);
	}
	if (n < 0)
		back_broken(q->disk, "more requests than its ring holds");
	else if (n > 0)
		host_work_soon(&q->again);
}

void back_on_event(void *ctx)
{
	struct back_queue *q = ctx;

	q->disk->stats.notifications_received++;
	q->found = true;
	q->stats.notifications_received++;
	back_run_requests(q);
	if (!q->found)
		host_event_spurious(q->port);
}
