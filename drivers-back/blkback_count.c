/* blkback_count.c: what people see of requests: how long they took, and one of them step by step.
 *
 * Called by blkback_ring.c for each answer, and by the steps of a request that is traced; a request that is not costs
 * a test of a pointer in each. Figures are the caller's to print (blkback.h). Worker context.
 */
#include "blkback_private.h"

/* ---- histograms ------------------------------------------------------------------------- */

const struct blkback_queue_stats *blkback_queue(const struct blkback_info *info, unsigned number)
{
	struct back_disk *disk = info->disk;

	if (number >= disk->n_queues)
		return NULL;
	disk->queues[number].stats.in_flight = disk->queues[number].in_flight;
	return &disk->queues[number].stats;
}

/* ---- traces ----------------------------------------------------------------------------- */

bool back_tracing;

/* A slot that a request in flight writes to is not given to another; one whose request never is answered (its guest
 * went) is free again with the next blkback_trace, which no pointer outlives: it counts up the round. */
static struct {
	domid_t guest;
	unsigned vdev, every;
	uint32_t round;
	unsigned written; /* so many slots were begun; the last BLKBACK_TRACES are there */
	struct blkback_trace slots[BLKBACK_TRACES];
} tracer;

void blkback_trace(domid_t guest, unsigned vdev, unsigned every)
{
	back_tracing = every != 0;
	if (!every)
		return;
	tracer.guest = guest;
	tracer.vdev = vdev;
	tracer.every = every;
	tracer.written = 0;
	tracer.round++;
	__builtin_memset(tracer.slots, 0, sizeof(tracer.slots));
}

/* By its number on the ring, which the frontend counts too: one of ours then looks at the same requests. */
void back_trace_begin(struct back_request *req)
{
	const struct back_queue *q = req->queue;
	const struct xenbus_device *bus = &q->disk->bus;
	uint32_t number = q->ring.in - 1;
	struct blkback_trace *t;

	if (tracer.guest != DOMID_INVALID && (tracer.guest != bus->peer || tracer.vdev != bus->id))
		return;
	if (number % tracer.every)
		return;
	t = &tracer.slots[tracer.written % BLKBACK_TRACES];
	*t = (struct blkback_trace){.guest = bus->peer,
				    .vdev = bus->id,
				    .queue = q->index,
				    .number = number,
				    .op = req->op,
				    .sector = req->sector,
				    .bytes = req->n_sectors * SECTOR_SIZE};
	tracer.written++;
	req->trace = tracer.written;
	req->trace_round = tracer.round;
	back_trace_step(req, BLKBACK_TAKEN);
}

/* Its slot may be another's by now. */
static struct blkback_trace *slot_of(const struct back_request *req)
{
	if (req->trace_round != tracer.round || tracer.written - req->trace >= BLKBACK_TRACES)
		return NULL;
	return &tracer.slots[(req->trace - 1) % BLKBACK_TRACES];
}

void back_trace_step(struct back_request *req, enum blkback_step step)
{
	struct blkback_trace *t = slot_of(req);

	if (!t)
		return;
	t->at_ns[step] = host_time_ns();
	t->status = req->status;
}

void blkback_trace_for_each(void (*fn)(const struct blkback_trace *trace, void *ctx), void *ctx)
{
	unsigned first = tracer.written > BLKBACK_TRACES ? tracer.written - BLKBACK_TRACES : 0;

	for (unsigned i = first; i < tracer.written; i++)
		if (tracer.slots[i % BLKBACK_TRACES].at_ns[BLKBACK_ANSWERED])
			fn(&tracer.slots[i % BLKBACK_TRACES], ctx);
}
