/* blkfront_trace.c: one request looked at, step by step, from its submission to its user's hearing of it.
 *
 * Which are looked at follows from their numbers on the ring, which the backend counts too: one that looks at every
 * seventh looks at the same ones, and the two halves' steps can be put side by side. Called by the other files of
 * blkfront while somebody wants it (front_tracing) and by the kernel (blkfront.h); a request that is not looked at costs
 * two tests. Worker context.
 */
#include "blkfront_private.h"

bool front_tracing;

/* owner: the slot whose request it still follows. Who remembers a record and is not its owner has lost it to another
 * request, or to another trace. */
struct record {
	struct blkfront_trace trace;
	struct front_slot *owner;
};

static struct {
	unsigned vdev, every;
	uint64_t since_ns;
	unsigned written; /* so many were begun; the last BLKFRONT_TRACES are there */
	struct record records[BLKFRONT_TRACES];
	struct record *ending; /* its user is being told, and may submit what takes its place */
} tracer;

static void set_ops(const struct block_ops *ops)
{
	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&front_kind, bus));)
		front_disk_of(bus)->dev.ops = ops;
}

void blkfront_trace(unsigned vdev, unsigned every)
{
	front_tracing = every != 0;
	set_ops(front_tracing ? &front_traced_ops : &front_block_ops);
	if (!every)
		return;
	tracer.vdev = vdev;
	tracer.every = every;
	tracer.since_ns = host_time_ns();
	tracer.written = 0;
	tracer.ending = NULL;
	__builtin_memset(tracer.records, 0, sizeof(tracer.records));
}

void blkfront_trace_for_each(void (*fn)(const struct blkfront_trace *trace, void *ctx), void *ctx)
{
	unsigned first = tracer.written > BLKFRONT_TRACES ? tracer.written - BLKFRONT_TRACES : 0;

	for (unsigned i = first; i < tracer.written; i++) {
		const struct record *r = &tracer.records[i % BLKFRONT_TRACES];

		if (r->trace.at_ns[BLKFRONT_DONE])
			fn(&r->trace, ctx);
	}
}

/* A request that was submitted before tracing began was not stamped: it begins when it is put. */
void front_trace_begin(struct front_queue *queue, struct front_slot *slot, uint32_t number)
{
	const struct front_disk *disk = queue->disk;
	struct front_progress *p = front_progress(slot->req);
	uint64_t now_ns = host_time_ns();
	struct record *r;

	if (number % tracer.every || (tracer.vdev != BLKFRONT_ANY && tracer.vdev != disk->bus.id))
		return;
	r = &tracer.records[tracer.written % BLKFRONT_TRACES];
	*r = (struct record){.owner = slot,
			     .trace = {.vdev = disk->bus.id,
				       .queue = (unsigned)(queue - disk->queues),
				       .number = number,
				       .op = slot->op,
				       .sector = p->sector,
				       .bytes = slot->len_bytes}};
	r->trace.at_ns[BLKFRONT_SUBMITTED] =
	    p->submitted_ns >= tracer.since_ns && p->submitted_ns <= now_ns ? p->submitted_ns
									    : now_ns;
	r->trace.at_ns[BLKFRONT_PUT] = now_ns;
	if (tracer.ending == r)
		tracer.ending = NULL;
	slot->trace = (uint8_t)(tracer.written % BLKFRONT_TRACES + 1);
	tracer.written++;
}

/* Before the ring's index moves: the backend may take a request at once. */
void front_trace_tell(const struct front_queue *queue)
{
	uint64_t now_ns = host_time_ns();

	for (unsigned i = 0; i < BLKFRONT_TRACES; i++) {
		struct record *r = &tracer.records[i];

		if (r->owner >= queue->slots && r->owner < queue->slots + queue->ring.n_slots &&
		    !r->trace.at_ns[BLKFRONT_TOLD])
			r->trace.at_ns[BLKFRONT_TOLD] = now_ns;
	}
}

void front_trace_seen(struct front_slot *slot, int status)
{
	struct record *r = &tracer.records[slot->trace - 1];

	slot->trace = 0;
	tracer.ending = r->owner == slot ? r : NULL;
	if (!tracer.ending)
		return;
	r->owner = NULL;
	r->trace.status = status;
	r->trace.at_ns[BLKFRONT_SEEN] = host_time_ns();
}

void front_trace_done(void)
{
	if (tracer.ending)
		tracer.ending->trace.at_ns[BLKFRONT_DONE] = host_time_ns();
	tracer.ending = NULL;
}
