/* blkfront.c: disks that another domain serves come, connect, are dropped and go.
 *
 * Called by the kernel (blkfront.h) and by the xenbus engine, whose steps it fills in; calls
 * blkfront_offer.c, blkfront_connect.c and blkfront_queue.c for the steps, and host_block.h. Worker context.
 *
 * A connection that ends does not end requests: they go back to the queue and out again on the
 * next connection (reads and writes may be done twice and come to the same), for FRONT_HOLD_NS.
 */
#include <xen/io/xenbus.h>

#include "blkfront_private.h"

/* As much as the smallest guest can do with, until the kernel says what it has. */
struct blkfront_limits front_limits = {
    .queues = 1, .ring_order = 0, .segments = 64, .copy_pages = 128, .depth = 32};

void blkfront_limit(const struct blkfront_limits *limits)
{
	front_limits = *limits;
	front_limits.copy_pages = MAX(limits->copy_pages, 1u);
}

/* ---- open, disconnect, gone ---------------------------------------------------------- */

/* vdev names the disk for its users; the directory's own number (bus.id) is what requests carry. The two
 * are the same with every toolstack known, and nothing says that they must be. trusted is the toolstack's
 * word, in our own directory. */
static int front_open(struct xenbus_device *bus)
{
	static const struct xenbus_number keys[] = {
	    {"virtual-device", 0, UINT32_MAX, 0, true},
	    {"trusted", 0, 1, 1, false},
	};
	struct front_disk *disk = front_disk_of(bus);
	uint64_t values[ARRAY_SIZE(keys)];
	int err = xenbus_read_numbers(HOST_TX_NONE, bus->path, keys, ARRAY_SIZE(keys), values);

	if (err)
		return err;
	disk->vdev = (unsigned)values[0];
	disk->untrusted = !values[1];
	/* What is done when a later step fails is undone by front_disconnect. */
	err = front_data_begin(disk);
	return err ? err : front_offer(disk);
}

/* The order matters. What is in flight leaves the slots, which gives its grants and pages of ours back; then
 * the standing grants; then the rings. The old backend may still have any of the pages mapped:
 * grant_retire keeps those out of use. */
static void take_down(struct front_disk *disk)
{
	disk->connected = disk->listening = disk->starved = false;
	host_work_cancel(&disk->drained);
	host_work_cancel(&disk->sweep);
	host_work_cancel(&disk->want);
	disk->want_tries = 0;
	front_requeue_all(disk);
	front_data_disconnect(disk);
	front_offer_end(disk);
	if (disk->registered && !disk->given_up)
		host_work_after(&disk->hold, FRONT_HOLD_NS);
}

/* A backend that is asked to leave (Closing) still answers what it has, and goes only when we say Closed: so
 * its answers are waited for, and nothing has to be done twice; what comes meanwhile waits for another. Not
 * for long, and not at all when the backend is gone, or when we are asked a second time. */
static bool front_disconnect(struct xenbus_device *bus)
{
	struct front_disk *disk = front_disk_of(bus);

	if (disk->connected && bus->peer_state == XenbusStateClosing && !bus->removed &&
	    front_in_flight(disk)) {
		disk->connected = false;
		host_work_after(&disk->drained, FRONT_DRAIN_NS);
		return false;
	}
	take_down(disk);
	return true;
}

/* Work: the last answer is there, or will not be waited for. */
static void drained(void *ctx)
{
	struct front_disk *disk = ctx;

	if (!disk->bus.dropping)
		return;
	take_down(disk);
	xenbus_disconnected(&disk->bus);
}

/* A disk whose backend stays away must not hold its users for ever. Until the next connection each
 * request fails at once (see refusal). */
static void give_up(void *ctx)
{
	struct front_disk *disk = ctx;

	if (disk->connected)
		return;
	disk->given_up = true;
	if (disk->waiting.head)
		host_log(HOST_LOG_ERROR, "%s: no backend, %u requests failed", disk->dev.name,
			 disk->waiting.count);
	front_fail_waiting(disk, -XEN_EIO);
}

static void front_gone(struct xenbus_device *bus)
{
	struct front_disk *disk = front_disk_of(bus);

	host_work_cancel(&disk->hold);
	/* The last chance of its requests to end: after this the disk's memory is freed, and each
	 * was promised its done(). */
	give_up(disk);
	if (disk->registered)
		host_block_unregister(&disk->dev);
	front_lent_free(disk);
}

/* ---- the kind ------------------------------------------------------------------------ */

static void front_created(struct xenbus_device *bus)
{
	struct front_disk *disk = front_disk_of(bus);

	front_list_reset(&disk->waiting);
	disk->hold = (struct host_work){.fn = give_up, .ctx = disk};
	disk->drained = (struct host_work){.fn = drained, .ctx = disk};
	disk->sweep = (struct host_work){.fn = front_data_sweep, .ctx = disk};
	disk->want = (struct host_work){.fn = front_want_work, .ctx = disk};
}

static const struct xenbus_ops front_ops = {
    .created = front_created,
    .open = front_open,
    .connect = front_connect,
    .disconnect = front_disconnect,
    .gone = front_gone,
    .peer_changed = front_changed,
};

struct xenbus_kind front_kind = {
    .side = XENBUS_FRONT,
    .root = "device/vbd",
    .device_bytes = sizeof(struct front_disk),
    .class_bytes = sizeof(struct front_root),
    .ops = &front_ops,
};

int blkfront_init(void)
{
	return xenbus_class_start(xenbus_class_new(&front_kind));
}

void blkfront_exit(void)
{
	xenbus_kind_stop(&front_kind);
}

/* All are dropped before the first begins again: an old port's number may be a new one's. */
void blkfront_resume(void)
{
	for (struct xenbus_class *class = front_kind.classes; class; class = class->next)
		xenbus_class_drop(class);
	for (struct xenbus_class *class = front_kind.classes; class; class = class->next)
		xenbus_class_resume(class);
}

static void fill_in_stats(struct front_disk *disk)
{
	const struct block_stats *b = &disk->dev.stats;
	struct blkfront_stats *s = &disk->stats;

	s->requests = b->requests;
	s->bytes_read = b->bytes_read;
	s->bytes_written = b->bytes_written;
	s->flushes = b->flushes;
	s->errors = b->errors;
	s->notifications_sent = b->notifications_out;
	s->notifications_received = b->notifications_in;
	s->queued = front_queued(disk);
	s->in_flight = front_in_flight(disk);
	s->queues = disk->n_queues;
	s->queues_used = 0;
	for (unsigned i = 0; i < disk->n_queues; i++)
		s->queues_used += disk->queues[i].ring.out != 0;
	s->ring_pages = disk->n_queues ? 1u << disk->order : 0;
	s->max_segments = disk->max_segments;
	s->persistent = disk->persistent;
	s->untrusted = disk->untrusted;
	s->standing = disk->n_bounce + disk->n_lent;
	s->unit_bytes = SECTOR_SIZE << disk->unit_shift;
}

void blkfront_for_each(void (*fn)(const struct block_device *dev,
				  const struct blkfront_stats *stats, void *ctx),
		       void *ctx)
{
	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&front_kind, bus));) {
		struct front_disk *disk = front_disk_of(bus);

		fill_in_stats(disk);
		fn(&disk->dev, &disk->stats, ctx);
	}
}
