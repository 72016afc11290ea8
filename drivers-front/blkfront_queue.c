/* blkfront_queue.c: requests come from the block layer, wait, and go back to the head of the line.
 *
 * Called by the block layer (block_ops) and by blkfront.c around a connection's begin and end; calls
 * blkfront_ring.c for what can go out. A request waits in its queue for a slot or for memory, or with the
 * disk for a backend. Whatever happens between, what goes out of one queue goes out in the order of its
 * submission: when a connection ends, its requests are put in that order again before the next gets them.
 */
#include "blkfront_straight.h"

/* ---- lists --------------------------------------------------------------------------- */

void front_list_reset(struct front_list *list)
{
	*list = (struct front_list){.tail = &list->head};
}

struct block_request *front_list_take(struct front_list *list)
{
	struct block_request *req = list->head;

	list->head = req->next;
	if (!list->head)
		list->tail = &list->head;
	list->count--;
	return req;
}

void front_list_put(struct front_list *list, struct block_request *req)
{
	req->next = NULL;
	*list->tail = req;
	list->tail = &req->next;
	list->count++;
}

void front_list_put_first(struct front_list *list, struct block_request *req)
{
	req->next = list->head;
	if (!list->head)
		list->tail = &req->next;
	list->head = req;
	list->count++;
}

/* a and b, each in order of submission, in one. Numbers do not wrap: there are 2^64. */
static struct front_list merged(struct front_list *a, struct front_list *b)
{
	struct front_list out;

	out.head = NULL;
	out.tail = &out.head;
	out.count = 0;
	while (a->head || b->head) {
		bool first = !b->head || (a->head && front_progress(a->head)->order <
							 front_progress(b->head)->order);

		front_list_put(&out, front_list_take(first ? a : b));
	}
	return out;
}

/* The tail of an empty list lies in the list itself. */
static void list_move(struct front_list *to, struct front_list *from)
{
	*to = *from;
	if (!to->head)
		to->tail = &to->head;
}

#define RUNS 16u /* runs[i] is empty or 2^i long: more requests than memory holds */

/* Merge sort from below: a request is a run of one, two runs of a size make one of the next. Slots are in
 * no order, and there may be thousands. */
static void list_sort(struct front_list *list)
{
	struct front_list runs[RUNS], run, next;
	unsigned i;

	for (i = 0; i < RUNS; i++)
		front_list_reset(&runs[i]);
	while (list->head) {
		front_list_reset(&run);
		front_list_put(&run, front_list_take(list));
		for (i = 0; i < RUNS - 1 && runs[i].head; i++) {
			next = merged(&runs[i], &run);
			list_move(&run, &next);
			front_list_reset(&runs[i]);
		}
		next = merged(&runs[i], &run);
		list_move(&runs[i], &next);
	}
	for (i = 0; i < RUNS; i++) {
		next = merged(list, &runs[i]);
		list_move(list, &next);
	}
}

/* ---- in from the block layer --------------------------------------------------------- */

static int discard_refusal(const struct block_device *dev, const struct block_request *req)
{
	if (!dev->has_discard || (req->flags & BLOCK_SECURE && !dev->discard_secure))
		return -XEN_EOPNOTSUPP;
	if (req->n_segments || !req->n_sectors)
		return -XEN_EINVAL;
	return dev->readonly ? -XEN_EROFS : 0;
}

/* What no connection could change, or what this one has not. */
static int refusal(const struct front_disk *disk, const struct block_request *req)
{
	const struct block_device *dev = &disk->dev;

	if (disk->given_up)
		return -XEN_EIO;
	if (req->op == BLOCK_FLUSH)
		return 0;
	if (req->op == BLOCK_DISCARD)
		return discard_refusal(dev, req);
	if (req->n_segments == 0 || req->n_segments > BLOCK_MAX_SEGMENTS)
		return -XEN_EINVAL;
	return req->op == BLOCK_WRITE && dev->readonly ? -XEN_EROFS : 0;
}

/* Without going out: an error, or a flush where nothing could hold data back. */
static inline bool answer_now(struct front_disk *disk, struct block_request *req)
{
	int status = refusal(disk, req);

	if (!status && (req->op != BLOCK_FLUSH || disk->dev.has_flush))
		return false;
	front_end_request(disk, req, status);
	return true;
}

/* All but when it was submitted. */
static void progress_reset(struct block_request *req, uint64_t order)
{
	struct front_progress *p = front_progress(req);

	p->order = order;
	p->sector = req->sector;
	p->given = p->parts = 0;
	p->status = 0;
	p->flushing = 0;
}

/* Past the queue only when it is empty, so that requests go out in the order they came. Nothing is
 * published before the kick. */
static void submit_to(struct front_queue *queue, struct block_request *req)
{
	if (!queue->waiting.head && front_start(queue, req))
		return;
	front_list_put(&queue->waiting, req);
	/* No response will come to start it, so the queue is run here; what cannot be granted even
	 * on an idle ring fails there. */
	if (ring_front_in_flight(&queue->ring) == 0)
		front_start_queued(queue);
}

static struct front_queue *queue_of(struct front_disk *disk, const struct block_request *req)
{
	return &disk->queues[req->queue % disk->n_queues];
}

static void submit_any(struct front_disk *disk, struct block_request *req)
{
	if (answer_now(disk, req))
		return;
	progress_reset(req, disk->next_order++);
	if (disk->connected)
		submit_to(queue_of(disk, req), req);
	else
		front_list_put(&disk->waiting, req);
}

static void front_submit(struct block_device *dev, struct block_request *req)
{
	struct front_disk *disk = dev->driver;

	dev->stats.requests++;
	if (front_is_straight(disk, req) &&
	    front_go_straight(queue_of(disk, req), req, disk->next_order))
		disk->next_order++;
	else
		submit_any(disk, req);
}

/* In place of front_submit while anything is traced: the straight way is not looked at. */
static void traced_submit(struct block_device *dev, struct block_request *req)
{
	front_progress(req)->submitted_ns = host_time_ns();
	dev->stats.requests++;
	submit_any(dev->driver, req);
}

static void front_kick(struct block_device *dev)
{
	struct front_disk *disk = dev->driver;

	if (!disk->connected)
		return;
	for (unsigned i = 0; i < disk->n_queues; i++)
		front_publish(&disk->queues[i]);
}

const struct block_ops front_block_ops = {.submit = front_submit, .kick = front_kick};
const struct block_ops front_traced_ops = {.submit = traced_submit, .kick = front_kick};

/* ---- around a connection ------------------------------------------------------------- */

/* All of it is given out before the first is started and before connected is said: an answer may come from
 * inside, and what its user submits then stands behind all that waited. */
void front_run_waiting(struct front_disk *disk)
{
	while (disk->waiting.head) {
		struct block_request *req = front_list_take(&disk->waiting);

		if (!answer_now(disk, req))
			front_list_put(&queue_of(disk, req)->waiting, req);
	}
	disk->connected = disk->listening = true;
	for (unsigned i = 0; i < disk->n_queues; i++) {
		front_start_queued(&disk->queues[i]);
		front_publish(&disk->queues[i]);
	}
}

/* Of a request in several parts the last slot to go puts it on the list; one that was not wholly given is on
 * its queue's list already. No data is copied: what the old backend wrote is worth nothing, since the
 * request is done again as a whole. */
static void collect_slot(struct front_disk *disk, struct front_slot *slot, struct front_list *list)
{
	struct block_request *req = slot->req;
	struct front_progress *p = front_progress(req);

	front_data_release(disk, slot, false);
	if (slot->indirect)
		front_indirect_put(disk, slot->indirect);
	slot->indirect = NULL;
	slot->req = NULL;
	if (--p->parts)
		return;
	disk->stats.replayed++;
	if (p->given == req->n_segments)
		front_list_put(list, req);
}

static void collect_queue(struct front_disk *disk, struct front_queue *queue,
			  struct front_list *list)
{
	for (unsigned i = 0; i < queue->ring.n_slots; i++)
		if (queue->slots[i].req)
			collect_slot(disk, &queue->slots[i], list);
	while (queue->waiting.head)
		front_list_put(list, front_list_take(&queue->waiting));
}

void front_requeue_all(struct front_disk *disk)
{
	struct front_list list;

	front_list_reset(&list);
	for (unsigned i = 0; i < disk->n_queues; i++)
		collect_queue(disk, &disk->queues[i], &list);
	/* Those that came since the connection broke are the youngest, and wait there already. */
	while (disk->waiting.head)
		front_list_put(&list, front_list_take(&disk->waiting));
	list_sort(&list);
	while (list.head) {
		struct block_request *req = front_list_take(&list);

		progress_reset(req, front_progress(req)->order);
		front_list_put(&disk->waiting, req);
	}
}

void front_fail_waiting(struct front_disk *disk, int status)
{
	while (disk->waiting.head)
		front_end_request(disk, front_list_take(&disk->waiting), status);
}

unsigned front_in_flight(const struct front_disk *disk)
{
	unsigned n = 0;

	for (unsigned i = 0; i < disk->n_queues; i++)
		n += ring_front_in_flight(&disk->queues[i].ring);
	return n;
}

unsigned front_queued(const struct front_disk *disk)
{
	unsigned n = disk->waiting.count;

	for (unsigned i = 0; i < disk->n_queues; i++)
		n += disk->queues[i].waiting.count;
	return n;
}
