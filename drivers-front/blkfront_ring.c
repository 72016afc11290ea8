/* blkfront_ring.c: parts of requests go out on a queue's ring and their responses come in.
 *
 * Called by blkfront_queue.c and by the backend's notifications; calls blkfront_data.c
 * for memory and ring.h for the ring. Not here: connecting, and the order of what waits.
 *
 * Notifications are held back on both ways: requests are published once per kick, or at the end of
 * a loop over responses; and the backend is asked to wake us only when three quarters of what it
 * has are answered. That wake-up always comes, because everything it has is answered in the end.
 */
#include "blkfront_straight.h"

#define MAX_ROUNDS                                                                                 \
	8 /* over the ring in one event, so that a fast backend does not hold the worker */

/* The id on the ring is the slot's index: what a backend answers is checked against a table of ours
 * and never used as a pointer. */
void front_slots_reset(struct front_queue *queue)
{
	for (unsigned i = 0; i < queue->ring.n_slots; i++)
		queue->slots[i] = (struct front_slot){.next_free = (uint16_t)(i + 1)};
	queue->first_free = 0;
}

/* What the backend did is not what a backend may do. Nothing more is read from it. These two go
 * first: the loops over responses end by them, while the disconnect itself comes later from the
 * engine. The requests stay in their slots until then and are replayed. */
static void front_broken(struct front_disk *disk, const char *why)
{
	disk->connected = disk->listening = false;
	xenbus_fail(&disk->bus, why);
}

/* ---- requests out -------------------------------------------------------------------- */

/* A flush is a cache flush and not a barrier, which would order requests that the block layer does not
 * ask to have ordered; but a backend may know nothing else, and an empty barrier flushes as well. For the
 * same reason a write that is to be on the medium goes as a barrier where there are any: what it orders
 * besides is the price. */
static uint8_t wire_op(const struct front_disk *disk, struct block_request *req)
{
	if (req->op == BLOCK_READ)
		return BLKIF_OP_READ;
	if (req->op == BLOCK_DISCARD)
		return BLKIF_OP_DISCARD;
	if (req->op == BLOCK_FLUSH || front_progress(req)->flushing)
		return disk->flush_by_barrier ? BLKIF_OP_WRITE_BARRIER : BLKIF_OP_FLUSH_DISKCACHE;
	return req->flags & BLOCK_FUA && disk->has_barrier ? BLKIF_OP_WRITE_BARRIER
							   : BLKIF_OP_WRITE;
}

/* The holes of the layouts go to the peer too: these are zeroed first, or they would carry our stack. */
static void put_indirect(struct front_disk *disk, const struct front_slot *slot, uint64_t id,
			 peer_byte *to)
{
	struct blkif_request_indirect out;

	__builtin_memset(&out, 0, sizeof(out));
	out.operation = BLKIF_OP_INDIRECT;
	out.indirect_op = slot->op;
	out.nr_segments = slot->n_segments;
	out.handle = (blkif_vdev_t)disk->bus.id;
	out.id = id;
	out.sector_number = front_progress(slot->req)->sector >> disk->unit_shift;
	out.indirect_grefs[0] = slot->indirect->page.ref.v;
	peer_copy_out(to, &out, sizeof(out));
	disk->stats.indirect++;
	disk->stats.longest = MAX(disk->stats.longest, (unsigned)slot->n_segments);
}

static void put_discard(struct front_disk *disk, const struct front_slot *slot, uint64_t id,
			peer_byte *to)
{
	struct blkif_request_discard out;

	__builtin_memset(&out, 0, sizeof(out));
	out.operation = BLKIF_OP_DISCARD;
	out.flag = slot->req->flags & BLOCK_SECURE ? BLKIF_DISCARD_SECURE : 0;
	out.handle = (blkif_vdev_t)disk->bus.id;
	out.id = id;
	out.sector_number = slot->req->sector >> disk->unit_shift;
	out.nr_sectors = slot->req->n_sectors >> disk->unit_shift;
	peer_copy_out(to, &out, sizeof(out));
	disk->stats.discards++;
	disk->stats.secure += out.flag != 0;
}

/* How many segments this part carries, of those that it is to carry, and in which form. A barrier has no
 * indirect one: blkif.h has it for reads and writes alone. */
static void choose_size(struct front_disk *disk, struct front_slot *slot)
{
	if (slot->op == BLKIF_OP_WRITE_BARRIER)
		disk->stats.barriers++;
	else if (MIN(slot->n_segments, disk->max_segments) > BLKIF_SEGMENTS)
		slot->indirect = front_indirect_get(disk);
	slot->n_segments =
	    (uint16_t)MIN(slot->n_segments, slot->indirect ? disk->max_segments : BLKIF_SEGMENTS);
}

/* What of the request this part carries, and the memory for it. Nothing is taken when it fails: the slot
 * is still the first free one. Most parts are whole requests that fit a slot. */
static inline bool prepare(struct front_disk *disk, struct front_slot *slot, peer_byte *segs)
{
	struct block_request *req = slot->req;
	uint32_t given = front_progress(req)->given;

	slot->op = wire_op(disk, req);
	slot->first = (uint16_t)given;
	slot->n_segments = (uint16_t)(req->n_segments - given);
	if (slot->n_segments > BLKIF_SEGMENTS || slot->op == BLKIF_OP_WRITE_BARRIER)
		choose_size(disk, slot);
	if (slot->indirect)
		segs = (peer_byte *)slot->indirect->page.va;
	if (front_data_grant(disk, slot, segs))
		return true;
	if (slot->indirect)
		front_indirect_put(disk, slot->indirect);
	slot->indirect = NULL;
	slot->req = NULL;
	return false;
}

static void put(struct front_disk *disk, const struct front_slot *slot, uint64_t id, peer_byte *to)
{
	if (slot->indirect)
		put_indirect(disk, slot, id, to);
	else if (slot->op == BLKIF_OP_DISCARD)
		put_discard(disk, slot, id, to);
	else
		front_put_head(to, slot->op, slot->n_segments, disk->bus.id, id,
			       front_progress(slot->req)->sector >> disk->unit_shift);
}

/* Puts one part of a request on the ring, unpublished. False: its memory cannot be granted now. */
static bool start_part(struct front_queue *queue, struct block_request *req)
{
	struct front_disk *disk = queue->disk;
	struct front_progress *p = front_progress(req);
	unsigned id = queue->first_free;
	struct front_slot *slot = &queue->slots[id];
	peer_byte *to = ring_slot(&queue->ring, queue->ring.out);

	slot->req = req;
	if (!prepare(disk, slot, to + BLKIF_HEAD_BYTES))
		return false;
	queue->first_free = slot->next_free;
	put(disk, slot, id, to);
	if (__builtin_expect(front_tracing, 0))
		front_trace_begin(queue, slot, queue->ring.out);
	queue->ring.out++;
	disk->stats.segments += slot->n_segments;
	p->parts++;
	p->given += slot->n_segments;
	if (p->given < req->n_segments) {
		p->sector += slot->len_bytes / SECTOR_SIZE;
		disk->stats.split++;
	}
	return true;
}

bool front_start(struct front_queue *queue, struct block_request *req)
{
	do {
		if (!ring_front_free(&queue->ring) || !start_part(queue, req))
			return false;
	} while (front_progress(req)->given < req->n_segments);
	return true;
}

/* The backend says by req_event whether it is asleep; while it works on the ring it needs no event,
 * and under load that is most of the time. */
static void push(struct front_queue *queue)
{
	struct blkfront_stats *stats = &queue->disk->stats;

	if (__builtin_expect(front_tracing, 0))
		front_trace_tell(queue);
	if (ring_front_push(&queue->ring)) {
		host_event_notify(queue->port);
		stats->deepest = MAX(stats->deepest, ring_front_in_flight(&queue->ring));
		queue->disk->dev.stats.notifications_out++;
	}
}

/* Starts what is queued. Memory that cannot be granted comes back with responses; when there are
 * none to come on any queue, it is sought with other disks, for a while. Bounded by the slots of the ring. A
 * request is taken off the queue only after it has started, so that one that cannot stays where it was. */
void front_start_queued(struct front_queue *queue)
{
	struct front_disk *disk = queue->disk;

	while (queue->waiting.head && ring_front_free(&queue->ring)) {
		if (front_start(queue, queue->waiting.head)) {
			front_list_take(&queue->waiting);
			continue;
		}
		if (ring_front_in_flight(&queue->ring))
			break;
		disk->starved = front_in_flight(disk) != 0;
		if (disk->starved || front_want(disk))
			break;
		front_end_request(disk, front_list_take(&queue->waiting), -XEN_ENOMEM);
	}
}

/* ---- responses in -------------------------------------------------------------------- */

static void slot_free(struct front_queue *queue, struct front_slot *slot, unsigned id)
{
	if (slot->indirect)
		front_indirect_put(queue->disk, slot->indirect);
	slot->indirect = NULL;
	slot->req = NULL;
	slot->next_free = queue->first_free;
	queue->first_free = (uint16_t)id;
}

/* By the operation we sent; a failed request moves no bytes. */
static void count_done(struct block_stats *stats, const struct front_slot *slot)
{
	if (slot->op == BLKIF_OP_READ)
		stats->bytes_read += slot->len_bytes;
	else if (slot->len_bytes)
		stats->bytes_written += slot->len_bytes;
	else if (slot->op != BLKIF_OP_DISCARD)
		stats->flushes++;
}

/* A backend may offer an operation and then find that its disk has none (blkif.h, EOPNOTSUPP): the user of
 * this request learns it by the error, later ones get their answer without the backend. */
static void forget_op(struct front_disk *disk, uint8_t op)
{
	struct block_device *dev = &disk->dev;

	if (op == BLKIF_OP_DISCARD)
		dev->has_discard = dev->discard_secure = false;
	else if (op == BLKIF_OP_WRITE_BARRIER)
		dev->has_fua = disk->has_barrier = false;
	if (op == BLKIF_OP_FLUSH_DISKCACHE ||
	    (op == BLKIF_OP_WRITE_BARRIER && disk->flush_by_barrier))
		dev->has_flush = false;
	host_block_changed(dev);
}

/* Reads and writes are no operation that a disk may lack, whatever a backend says of them. */
static int status_of(struct front_disk *disk, uint8_t op, int16_t status)
{
	if (status == BLKIF_RSP_OKAY)
		return 0;
	if (status != BLKIF_RSP_EOPNOTSUPP || op == BLKIF_OP_READ || op == BLKIF_OP_WRITE)
		return -XEN_EIO;
	forget_op(disk, op);
	return -XEN_EOPNOTSUPP;
}

/* A write that had to be on the medium is done, but the backend has no barriers: a flush follows. It goes
 * before all that waits, since its user has waited longest. */
static bool flush_follows(struct front_queue *queue, struct block_request *req)
{
	struct front_progress *p = front_progress(req);

	if (req->op != BLOCK_WRITE || p->status || p->flushing || queue->disk->has_barrier ||
	    !queue->disk->dev.has_flush)
		return false;
	p->flushing = 1;
	front_list_put_first(&queue->waiting, req);
	return true;
}

/* One part of a request has ended. */
static void part_ended(struct front_queue *queue, struct block_request *req, int status)
{
	struct front_progress *p = front_progress(req);

	if (status && !p->status)
		p->status = status;
	if (--p->parts || p->given < req->n_segments)
		return;
	if (req->flags & BLOCK_FUA && flush_follows(queue, req))
		return;
	front_end_request(queue->disk, req, p->status);
}

/* An indirect request is answered by the operation inside (Linux's blkback) or by its own (blkif.h: "copied
 * from request"). */
static bool answers(const struct front_slot *slot, uint8_t op)
{
	return op == slot->op || (slot->indirect && op == BLKIF_OP_INDIRECT);
}

/* One response. False: it is none that a backend may give. Id and operation must be those of a slot
 * of ours, the status is the peer's word, and memory is counted as ours only when its grant has
 * ended. A backend that answers first and unmaps later could still write into a page that the user
 * thinks is his: that ends the connection, and this request fails, since its data may change. */
static bool consume(struct front_queue *queue)
{
	struct front_disk *disk = queue->disk;
	const peer_byte *at = ring_slot(&queue->ring, queue->ring.in);
	uint64_t id = peer_fetch64(at), second = peer_fetch64(at + 8);
	struct block_request *req;
	struct front_slot *slot;
	int status;

	/* One copy of each word, checked here: an id of ours, in flight, and the operation that was
	 * asked. All that follows goes by the slot's own op, never by this copy's. */
	_Static_assert(offsetof(struct blkif_response, operation) == 8, "the second word");
	_Static_assert(offsetof(struct blkif_response, status) == 10, "the second word");
	if (id >= queue->ring.n_slots)
		return false;
	slot = &queue->slots[id];
	if (!slot->req || !answers(slot, (uint8_t)second))
		return false;
	req = slot->req;
	queue->ring.in++;
	status = status_of(disk, slot->op, (int16_t)(second >> 16));
	if (__builtin_expect(slot->trace, 0))
		front_trace_seen(slot, status);
	if (slot->n_held && !front_data_release(disk, slot, status == 0)) {
		front_broken(disk, "answered a request whose memory it still has mapped");
		status = -XEN_EIO;
	}
	if (status == 0)
		count_done(&disk->dev.stats, slot);
	/* Before done(): the callback may submit the next request into this very slot. */
	slot_free(queue, slot, (unsigned)id);
	part_ended(queue, req, status);
	if (__builtin_expect(front_tracing, 0))
		front_trace_done();
	return true;
}

/* The waiting ones, at most n (<= the ring's slots, by ring_front_fetch). */
static void consume_all(struct front_queue *queue, int n)
{
	while (n-- > 0 && queue->disk->listening)
		if (!consume(queue))
			front_broken(queue->disk, "response to a request that was not made");
}

/* How many more answers to sleep through. Every wake-up costs the guest an interrupt and the
 * backend a hypercall. All of it would leave the ring idle while we wake; a quarter is what is left
 * to work on. One alone is waited for at once. */
static uint32_t patience(const struct front_queue *queue)
{
	return MAX(ring_front_in_flight(&queue->ring) * 3 / 4, 1u);
}

/* More is in flight than when the last wake-up was asked for. Answers that came in between may have
 * sent theirs already or not, so they are looked at. */
static void rearm(struct front_queue *queue)
{
	uint32_t after = patience(queue);

	if (after > 1 && ring_front_arm(&queue->ring, after) != 0)
		host_work_soon(&queue->again);
}

/* Inside the loop over responses the loop's own push does it, once for all that their callbacks submit. */
void front_publish(struct front_queue *queue)
{
	if (queue->in_responses || queue->ring.out == queue->ring.out_pushed)
		return;
	push(queue);
	rearm(queue);
}

void front_feed(struct front_disk *disk)
{
	disk->starved = false;
	for (unsigned i = 0; i < disk->n_queues; i++) {
		front_start_queued(&disk->queues[i]);
		front_publish(&disk->queues[i]);
	}
}

/* What is to be done when answers were looked at, n being what ring_front_arm found at last. */
static void after_responses(struct front_queue *queue, int n)
{
	struct front_disk *disk = queue->disk;

	/* The rounds are used up but the ring is not empty: the rest in another turn of the worker,
	 * since no event is promised for what is there already. */
	if (n < 0)
		front_broken(disk, "more responses than requests");
	else if (n > 0 && disk->listening)
		host_work_soon(&queue->again);
	if (disk->connected && disk->starved)
		front_feed(disk);
	/* A disconnect waits for the last answer; not from here, where its queue is still in use. */
	if (disk->listening && !disk->connected && front_in_flight(disk) == 0) {
		host_work_cancel(&disk->drained);
		host_work_soon(&disk->drained);
	}
}

void front_run_responses(void *ctx)
{
	struct front_queue *queue = ctx;
	struct front_disk *disk = queue->disk;
	int n;

	if (!disk->listening)
		return;
	queue->in_responses = true;
	/* Two sides that may both go to sleep, and the look that keeps them from it:
	 *
	 *    front                                     back
	 *    consume what is there                     put a response, rsp_prod++
	 *    start what waited, push                   rsp_event passed? notify
	 *    rsp_event = in + patience
	 *    look again (ring_front_arm) -- a response that came between the last look and the
	 *                                  new rsp_event sent no event: it is found by this look */
	n = ring_front_fetch(&queue->ring);
	queue->found = n != 0;
	for (int round = 0; n > 0 && round < MAX_ROUNDS; round++) {
		consume_all(queue, n);
		if (!disk->listening)
			break;
		if (disk->connected)
			front_start_queued(queue);
		push(queue);
		n = ring_front_arm(&queue->ring, patience(queue));
	}
	queue->in_responses = false;
	after_responses(queue, n);
}

/* Counted apart, so that the figures tell wake-ups from turns that we asked for ourselves. */
void front_on_event(void *ctx)
{
	struct front_queue *queue = ctx;

	queue->disk->dev.stats.notifications_in++;
	queue->found = true;
	front_run_responses(queue);
	if (!queue->found)
		host_event_spurious(queue->port);
}
