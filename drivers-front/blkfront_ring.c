/* blkfront_ring.c: a disk's requests go out on the ring and their responses come in.
 *
 * Called by the block layer (block_ops) and by the backend's notifications; calls blkfront_data.c
 * for memory and ring.h for the ring. Not here: connecting (blkfront.c).
 *
 * Notifications are held back on both ways: requests are published once per kick, or at the end of
 * a loop over responses; and the backend is asked to wake us only when three quarters of what it
 * has are answered. That wake-up always comes, because everything it has is answered in the end.
 */
#include "blkfront_private.h"

#define MAX_ROUNDS                                                                                 \
	8 /* over the ring in one event, so that a fast backend does not hold the worker */

/* The id on the ring is the slot's index: what a backend answers is checked against a table of ours
 * and never used as a pointer. */
void front_slots_reset(struct front_disk *disk)
{
	for (unsigned i = 0; i < FRONT_SLOTS; i++)
		disk->slots[i] = (struct front_slot){.next_free = (uint16_t)(i + 1)};
	disk->first_free = 0;
}

/* What the backend did is not what a backend may do. Nothing more is read from it. connected goes
 * first: the loops over responses end by it, while the disconnect itself comes later from the
 * engine. The requests stay in their slots until then and are replayed. */
static void front_broken(struct front_disk *disk, const char *why)
{
	disk->connected = false;
	xenbus_fail(&disk->bus, why);
}

/* ---- requests out -------------------------------------------------------------------- */

/* BLOCK_FLUSH is a cache flush and not BLKIF_OP_WRITE_BARRIER, which would order requests that the
 * block layer does not ask to have ordered. */
static uint8_t ring_op(enum block_op op)
{
	static const uint8_t ops[] = {
	    [BLOCK_READ] = BLKIF_OP_READ,
	    [BLOCK_WRITE] = BLKIF_OP_WRITE,
	    [BLOCK_FLUSH] = BLKIF_OP_FLUSH_DISKCACHE,
	};

	return ops[op];
}

/* Puts one request on the ring, unpublished. False: its memory cannot be granted now. */
static bool start(struct front_disk *disk, struct block_request *req)
{
	uint16_t id = disk->first_free;
	struct front_slot *slot = &disk->slots[id];
	struct blkif_request out;

	slot->req = req;
	slot->op = ring_op(req->op);
	slot->n_segments = req->op == BLOCK_FLUSH ? 0 : (uint8_t)req->n_segments;
	/* The only step that can fail comes before anything is taken: the slot is still the first
	 * free one when it does. */
	if (!front_data_grant(disk, slot, out.seg)) {
		slot->req = NULL;
		return false;
	}
	disk->first_free = slot->next_free;
	disk->stats.segments += slot->n_segments;
	/* The holes of the layout go to the peer too: they are zeroed, or they would carry our
	 * stack. */
	__builtin_memset(&out, 0, BLKIF_HEAD_BYTES);
	out.operation = slot->op;
	out.nr_segments = slot->n_segments;
	out.handle = (blkif_vdev_t)disk->bus.id;
	out.id = id;
	out.sector_number = req->sector;
	peer_copy_out(ring_slot(&disk->ring, disk->ring.out), &out,
		      BLKIF_HEAD_BYTES + slot->n_segments * sizeof(out.seg[0]));
	disk->ring.out++;
	return true;
}

/* The backend says by req_event whether it is asleep; while it works on the ring it needs no event,
 * and under load that is most of the time. */
static void push(struct front_disk *disk)
{
	if (ring_front_push(&disk->ring)) {
		host_event_notify(disk->port);
		disk->dev.stats.notifications_out++;
	}
}

static struct block_request *queue_take(struct front_disk *disk)
{
	struct block_request *req = disk->queue;

	disk->queue = req->next;
	if (!disk->queue)
		disk->queue_tail = &disk->queue;
	disk->n_queued--;
	return req;
}

/* At the tail, while front_requeue_in_flight puts at the head: what was sent once goes first. */
static void queue_put(struct front_disk *disk, struct block_request *req)
{
	req->next = NULL;
	*disk->queue_tail = req;
	disk->queue_tail = &req->next;
	disk->n_queued++;
}

static void end_request(struct front_disk *disk, struct block_request *req, int status)
{
	if (status)
		disk->dev.stats.errors++;
	req->done(req, status);
}

/* Starts what is queued. Memory that cannot be granted comes back with responses; when there are
 * none to come, the request has to fail. Bounded by the slots of the ring. A request is taken off
 * the queue only after it has started, so that one that cannot stays where it was. */
static void start_queued(struct front_disk *disk)
{
	while (disk->queue && ring_front_free(&disk->ring)) {
		if (start(disk, disk->queue)) {
			queue_take(disk);
			continue;
		}
		if (ring_front_in_flight(&disk->ring))
			break;
		end_request(disk, queue_take(disk), -XEN_ENOMEM);
	}
}

void front_run_queue(struct front_disk *disk)
{
	start_queued(disk);
	if (!disk->in_responses)
		push(disk);
}

void front_fail_queue(struct front_disk *disk, int status)
{
	while (disk->queue)
		end_request(disk, queue_take(disk), status);
}

/* What no connection could change is answered at once; for the rest there may be a backend later,
 * so without one a request waits and is not refused. */
static int refusal(const struct front_disk *disk, const struct block_request *req)
{
	if (disk->given_up)
		return -XEN_EIO;
	if (req->op == BLOCK_FLUSH)
		return 0;
	if (req->n_segments == 0 || req->n_segments > BLKIF_SEGMENTS)
		return -XEN_EINVAL;
	return req->op == BLOCK_WRITE && disk->dev.readonly ? -XEN_EROFS : 0;
}

static void front_submit(struct block_device *dev, struct block_request *req)
{
	struct front_disk *disk = dev->driver;
	int status = refusal(disk, req);

	dev->stats.requests++;
	if (!status && req->op == BLOCK_FLUSH && !dev->has_flush) {
		req->done(req, 0); /* nothing there that could hold data back */
		return;
	}
	if (status) {
		end_request(disk, req, status);
		return;
	}
	/* Past the queue only when it is empty, so that requests go out in the order they came.
	 * Nothing is published before the kick. */
	if (!disk->queue && disk->connected && ring_front_free(&disk->ring) && start(disk, req))
		return;
	queue_put(disk, req);
	/* No response will come to start it, so the queue is run here; what cannot be granted even
	 * on an idle ring fails there. */
	if (disk->connected && ring_front_in_flight(&disk->ring) == 0)
		start_queued(disk);
}

/* How many more answers to sleep through. Every wake-up costs the guest an interrupt and the
 * backend a hypercall. All of it would leave the ring idle while we wake; a quarter is what is left
 * to work on. One alone is waited for at once. */
static uint32_t patience(const struct front_disk *disk)
{
	return MAX(ring_front_in_flight(&disk->ring) * 3 / 4, 1u);
}

/* More is in flight than when the last wake-up was asked for. Answers that came in between may have
 * sent theirs already or not, so they are looked at. */
static void rearm(struct front_disk *disk)
{
	uint32_t after = patience(disk);

	if (after > 1 && ring_front_arm(&disk->ring, after) != 0)
		host_work_soon(&disk->again);
}

static void front_kick(struct block_device *dev)
{
	struct front_disk *disk = dev->driver;

	/* Inside the loop over responses the loop's own push does it, once for all that their
	 * callbacks submit. */
	if (!disk->connected || disk->in_responses)
		return;
	push(disk);
	rearm(disk);
}

const struct block_ops front_block_ops = {.submit = front_submit, .kick = front_kick};

/* ---- responses in -------------------------------------------------------------------- */

static void slot_free(struct front_disk *disk, struct front_slot *slot)
{
	slot->req = NULL;
	slot->next_free = disk->first_free;
	disk->first_free = (uint16_t)(slot - disk->slots);
}

/* By the operation we sent; a failed request moves no bytes. */
static void count_done(struct block_stats *stats, const struct front_slot *slot)
{
	if (slot->op == BLKIF_OP_READ)
		stats->bytes_read += slot->len_bytes;
	else if (slot->op == BLKIF_OP_WRITE)
		stats->bytes_written += slot->len_bytes;
	else
		stats->flushes++;
}

/* A backend may offer flush and then find that its disk has none (blkif.h, feature-flush-cache):
 * the user of this request learns it by the error, later ones get their answer from
 * front_submit. */
static int status_of(struct front_disk *disk, uint8_t op, int16_t status)
{
	if (status == BLKIF_RSP_OKAY)
		return 0;
	if (status != BLKIF_RSP_EOPNOTSUPP)
		return -XEN_EIO;
	if (op == BLKIF_OP_FLUSH_DISKCACHE)
		disk->dev.has_flush = false;
	return -XEN_EOPNOTSUPP;
}

/* One response. False: it is none that a backend may give. Id and operation must be those of a slot
 * of ours, the status is the peer's word, and memory is counted as ours only when its grant has
 * ended. A backend that answers first and unmaps later could still write into a page that the user
 * thinks is his: that ends the connection, and this request fails, since its data may change. */
static bool consume(struct front_disk *disk)
{
	struct blkif_response rsp;
	struct block_request *req;
	struct front_slot *slot;
	int status;

	/* One copy, checked here: an id of ours, in flight, and the operation that was asked. All
	 * that follows goes by the slot's own op, never by this copy's. */
	peer_copy_in(&rsp, ring_slot(&disk->ring, disk->ring.in), sizeof(rsp));
	if (rsp.id >= FRONT_SLOTS || !disk->slots[rsp.id].req ||
	    disk->slots[rsp.id].op != rsp.operation)
		return false;
	slot = &disk->slots[rsp.id];
	req = slot->req;
	disk->ring.in++;
	status = status_of(disk, slot->op, rsp.status);
	if (!front_data_release(disk, slot, status == 0)) {
		front_broken(disk, "answered a request whose memory it still has mapped");
		status = -XEN_EIO;
	}
	if (status == 0)
		count_done(&disk->dev.stats, slot);
	/* Before done(): the callback may submit the next request into this very slot. */
	slot_free(disk, slot);
	end_request(disk, req, status);
	return true;
}

/* The waiting ones, at most n (<= FRONT_SLOTS, by ring_front_fetch). */
static void consume_all(struct front_disk *disk, int n)
{
	while (n-- > 0 && disk->connected)
		if (!consume(disk))
			front_broken(disk, "response to a request that was not made");
}

void front_run_responses(void *ctx)
{
	struct front_disk *disk = ctx;
	int n;

	if (!disk->connected)
		return;
	disk->in_responses = true;
	/* Two sides that may both go to sleep, and the look that keeps them from it:
	 *
	 *    front                                     back
	 *    consume what is there                     put a response, rsp_prod++
	 *    start what waited, push                   rsp_event passed? notify
	 *    rsp_event = in + patience
	 *    look again (ring_front_arm) -- a response that came between the last look and the
	 *                                  new rsp_event sent no event: it is found by this look */
	n = ring_front_fetch(&disk->ring);
	for (int round = 0; n > 0 && round < MAX_ROUNDS; round++) {
		consume_all(disk, n);
		if (!disk->connected)
			break;
		start_queued(disk);
		push(disk);
		n = ring_front_arm(&disk->ring, patience(disk));
	}
	disk->in_responses = false;
	/* The rounds are used up but the ring is not empty: the rest in another turn of the worker,
	 * since no event is promised for what is there already. */
	if (n < 0)
		front_broken(disk, "more responses than requests");
	else if (n > 0 && disk->connected)
		host_work_soon(&disk->again);
}

/* Counted apart, so that the figures tell wake-ups from turns that we asked for ourselves. */
void front_on_event(void *ctx)
{
	struct front_disk *disk = ctx;

	disk->dev.stats.notifications_in++;
	front_run_responses(disk);
}

/* Slots are taken in the order of ids, which is no order that anybody was promised. */
void front_requeue_in_flight(struct front_disk *disk)
{
	for (unsigned i = 0; i < FRONT_SLOTS; i++) {
		struct front_slot *slot = &disk->slots[i];

		if (!slot->req)
			continue;
		/* No copy: what the old backend wrote is worth nothing, since the request is done
		 * again as a whole. len_bytes and grants are made anew then. */
		front_data_release(disk, slot, false);
		slot->req->next = disk->queue;
		if (!disk->queue)
			disk->queue_tail = &slot->req->next;
		disk->queue = slot->req;
		disk->n_queued++;
		disk->stats.replayed++;
		slot->req = NULL;
	}
}
