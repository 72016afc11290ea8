/* blkback.c: disks served to guests come, connect, are dropped and go.
 *
 * Called by the service domain (blkback.h) and by the xenbus engine, whose steps it fills in; calls
 * blkback_nodes.c for the store, blkback_queues.c for the rings, and host_block.h to hear of disks. Worker
 * context.
 *
 * A guest may end its connection, or its life, while the disk works on its requests: the disk holds
 * mapped pages then, so the connection is taken down only when the last request is back.
 */
#include <xen/io/xenbus.h>

#include "blkback_private.h"

/* ---- open, connect ------------------------------------------------------------------- */

static int back_open(struct xenbus_device *bus)
{
	struct back_disk *disk = back_disk_of(bus);
	int err = back_read_nodes(disk);

	disk->unit_shift = 0;
	return err ? err : back_write_nodes(disk);
}

static void log_connected(const struct back_disk *disk)
{
	host_log(HOST_LOG_INFO, "%s: %s for domain %u from %s%s, %u queue%s of %u slots, %s%s",
		 disk->bus.path, disk->name, disk->bus.peer,
		 disk->disk ? disk->disk->name : "nothing", disk->readonly ? ", read-only" : "",
		 disk->n_queues, disk->n_queues == 1 ? "" : "s", disk->queues[0].ring.n_slots,
		 disk->layout->protocol, disk->persistent ? ", persistent grants" : "");
}

/* What is done when a later step fails is undone by back_disconnect. Only a guest that counts in large
 * sectors needs to be told the size again. */
static int back_connect(struct xenbus_device *bus)
{
	struct back_disk *disk = back_disk_of(bus);
	int err = back_read_units(disk);

	if (!err && disk->unit_shift)
		err = back_write_nodes(disk);
	if (!err)
		err = back_queues_connect(disk);
	if (!err)
		err = back_flow_join(disk);
	if (err)
		return err;
	disk->connected = disk->answers = true;
	disk->counted = true;
	back_root_of(disk)->n_connected++;
	back_segments_share(back_root_of(disk));
	log_connected(disk);
	for (unsigned i = 0; i < disk->n_queues; i++) /* requests may be there already */
		host_work_soon(&disk->queues[i].again);
	return 0;
}

/* ---- disconnect, gone ---------------------------------------------------------------- */

/* Nothing is in flight. */
static void take_down(struct back_disk *disk)
{
	if (disk->counted) {
		back_root_of(disk)->n_connected--;
		back_segments_share(back_root_of(disk));
	}
	disk->counted = false;
	back_flow_part(disk);
	back_queues_drop(disk);
}

/* A connection that ends under load:
 *
 *    guest            engine                  blkback                      disk
 *    Closing  --->    drop()  ------------>   back_disconnect
 *                                             in flight? false              |
 *                     (waits, dropping)       back_finish <---- part_done --'
 *                                             last one: back_idle
 *                     Closed  <------------   xenbus_disconnected
 *
 * The disk cannot be told to stop, and it writes into the guest's pages: unmapping them under it
 * would let it write into whoever gets the frames next. What comes back meanwhile is answered: a frontend that was told to
 * close may wait for it, and Linux's, whose disk was taken from it, does so for ever. Not one that has begun anew,
 * or is no more: its ring is no ring any longer. */
static bool back_disconnect(struct xenbus_device *bus)
{
	struct back_disk *disk = back_disk_of(bus);

	disk->connected = false;
	if (bus->peer_state <= XenbusStateInitialising)
		disk->answers = false;
	back_queues_close(disk);
	back_flow_drop(disk);
	if (back_in_flight(disk))
		return false; /* back_idle goes on */
	take_down(disk);
	return true;
}

/* Called when a queue's last request is back. The engine may not have asked for the end yet (a ring was
 * found broken a moment ago); then it will, and nothing is in flight. */
void back_idle(struct back_disk *disk)
{
	if (!disk->bus.dropping || back_in_flight(disk))
		return;
	take_down(disk);
	xenbus_disconnected(&disk->bus);
}

static void back_changed(struct xenbus_device *bus)
{
	back_on_params(bus);
	back_flow_changed(back_disk_of(bus));
}

static void back_gone(struct xenbus_device *bus)
{
	host_work_cancel(&back_disk_of(bus)->news);
}

/* Nothing of the guest's is looked at before open(): a domain that has only a directory costs this
 * struct and a watch. */
static void back_created(struct xenbus_device *bus)
{
	struct back_disk *disk = back_disk_of(bus);

	disk->news = (struct host_work){.fn = back_news, .ctx = disk};
	/* For the log and the counters only. A number that names no disk still gets a text. */
	blkif_vdev_name(bus->id, disk->name, sizeof(disk->name));
}

static const struct xenbus_ops back_ops = {
    .created = back_created,
    .open = back_open,
    .connect = back_connect,
    .disconnect = back_disconnect,
    .changed = back_changed,
    .gone = back_gone,
};

/* ---- what is refused ------------------------------------------------------------------ */

void back_refused(struct back_disk *disk, const struct back_request *req)
{
	disk->stats.refused++;
	if (!told_already(&disk->told, req->why))
		host_log(HOST_LOG_WARN, "%s: domain %u: request refused: %s", disk->bus.path,
			 disk->bus.peer, req->why);
}

/* ---- the kind ------------------------------------------------------------------------ */

static void back_stopped(struct xenbus_class *class)
{
	host_block_unwatch(&container_of(class, struct back_root, class)->watch);
}

static struct xenbus_kind back_kind = {
    .side = XENBUS_BACK,
    .root = "backend/vbd",
    .device_bytes = sizeof(struct back_disk),
    .class_bytes = sizeof(struct back_root),
    .ops = &back_ops,
    .stopped = back_stopped,
};

int blkback_init(void)
{
	struct xenbus_class *class = xenbus_class_new(&back_kind);
	struct back_root *root = container_of(class, struct back_root, class);

	if (!class)
		return -XEN_ENOMEM;
	root->watch = (struct host_block_watch){.fn = back_on_block_change, .ctx = class};
	host_block_watch(&root->watch);
	return xenbus_class_start(class);
}

/* Who ends so abruptly is as good as dead: another does again what was not answered. */
void blkback_exit(void)
{
	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&back_kind, bus));)
		back_disk_of(bus)->answers = false;
	xenbus_kind_stop(&back_kind);
}

void blkback_for_each(void (*fn)(const struct blkback_info *info, void *ctx), void *ctx)
{
	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&back_kind, bus));) {
		struct back_disk *d = back_disk_of(bus);
		/* The pool is of a connection: after one its count is a leftover. */
		struct blkback_info info = {
		    .guest = bus->peer,
		    .vdev = bus->id,
		    .name = d->name,
		    .connected = d->connected,
		    .n_queues = d->n_queues,
		    .ring_pages = back_ring_pages(d),
		    .unit_bytes = SECTOR_SIZE << d->unit_shift,
		    .protocol = d->n_queues ? d->layout->protocol : "",
		    .stats = d->stats,
		    .disk = d,
		};

		info.stats.persistent_held = d->connected ? d->pool.n_held : 0;
		info.stats.in_flight = back_in_flight(d);
		info.stats.waited = d->member.n_waited;
		info.stats.held = d->member.n_held;
		info.stats.waiting = d->member.n_waiting;
		fn(&info, ctx);
	}
}
