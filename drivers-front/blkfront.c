/* blkfront.c: disks that another domain serves come, connect, are dropped and go.
 *
 * Called by the kernel (blkfront.h) and by the xenbus engine, whose steps it fills in; calls
 * blkfront_ring.c and blkfront_data.c, and host_block.h to register disks. Worker context.
 *
 * A connection that ends does not end requests: they go back to the queue and out again on the
 * next connection (reads and writes may be done twice and come to the same), for FRONT_HOLD_NS.
 * Room is left for rings of more pages (open) and for more rings (a disk would have several
 * of what is under "the connection" in its struct).
 */
#include <amphi/printf.h>

#include "blkfront_private.h"

/* A list only because host tests run several frontends in one program. */
struct front_root *front_roots;

static struct front_disk *disk_of(struct xenbus_device *bus)
{
	return container_of(bus, struct front_disk, bus);
}

/* ---- open: what the backend is offered ----------------------------------------------- */

/* All keys in one transaction, so that a backend never reads a ring without its event channel. The
 * protocol is named although it is the default of a 64-bit domain: the backend then need not guess
 * which of the layouts our slots have. The number of a single ring's page goes under "ring-ref";
 * "ring-page-order" and "ring-ref%u" are for more pages, which is why they are not here. */
static int put_keys(uint32_t tx, void *ctx)
{
	struct front_disk *disk = ctx;
	const char *dir = disk->bus.path;
	int err = xenbus_write_number(tx, dir, "ring-ref", disk->ring_ref.v);

	if (!err)
		err = xenbus_write_number(tx, dir, "event-channel", disk->port.v);
	if (!err)
		err = xenbus_write_text(tx, dir, "protocol", XEN_IO_PROTO_ABI_X86_64);
	return err ? err : xenbus_write_number(tx, dir, "feature-persistent", 1);
}

/* Taken for a connection and not for a disk: without a backend a disk holds no memory but its
 * queue. */
static int alloc_tables(struct front_disk *disk)
{
	disk->slots = host_pages_alloc(FRONT_SLOT_PAGES);
	disk->bounce = host_pages_alloc(FRONT_BOUNCE_PAGES);
	return disk->slots && disk->bounce ? 0 : -XEN_ENOMEM;
}

static int offer_ring(struct front_disk *disk)
{
	void *page = host_pages_alloc(1);
	int err;

	if (!page)
		return -XEN_ENOMEM;
	/* Before the grant: from then on the backend may read the page at any moment. */
	ring_init(&disk->ring, page, 1, BLKIF_SLOT_BYTES);
	ring_reset_shared(&disk->ring);
	HOST_ASSERT(disk->ring.n_slots == FRONT_SLOTS);
	err = host_grant_offer(disk->bus.peer, page, false, &disk->ring_ref);
	if (err)
		host_pages_free(page, 1);
	else
		disk->ring_page = page;
	return err;
}

/* What is done when a later step fails is undone by front_disconnect. */
static int front_open(struct xenbus_device *bus)
{
	static const struct xenbus_number vdev = {"virtual-device", 0, UINT32_MAX, 0, true};
	struct front_disk *disk = disk_of(bus);
	uint64_t number;
	int err = xenbus_read_numbers(HOST_TX_NONE, bus->path, &vdev, 1, &number);

	if (!err)
		err = alloc_tables(disk);
	if (!err)
		err = offer_ring(disk);
	if (!err)
		err = host_event_offer(bus->peer, front_on_event, disk, &disk->port);
	if (err)
		return err;
	front_slots_reset(disk);
	/* vdev names the disk for its users; the directory's own number (bus.id) is what requests
	 * carry. The two are the same with every toolstack known, and nothing says that they must
	 * be. */
	disk->vdev = (unsigned)number;
	return xenbus_transaction(put_keys, disk);
}

/* ---- connect: what the backend has --------------------------------------------------- */

/* "sectors" is in units of 512 bytes whatever "sector-size" says: so Linux's blkback writes it, and
 * a backend that goes by blkif.h may only say 512 to a frontend without feature-large-sector-size.
 * The bound keeps the size in bytes within 64 bits. VDISK_READONLY in "info" is how both sides
 * spell read-only; "mode" is the toolstack's word to the backend. */
enum { K_SECTORS, K_SECTOR_SIZE, K_INFO, K_FLUSH, K_PERSISTENT, K_COUNT };
static const struct xenbus_number back_keys[K_COUNT] = {
    [K_SECTORS] = {"sectors", 1, UINT64_MAX >> 9, 0, true},
    [K_SECTOR_SIZE] = {"sector-size", 512, 4096, 512, false},
    [K_INFO] = {"info", 0, UINT32_MAX, 0, false},
    [K_FLUSH] = {"feature-flush-cache", 0, UINT32_MAX, 0, false},
    [K_PERSISTENT] = {"feature-persistent", 0, UINT32_MAX, 0, false},
};

/* A disk that comes back keeps its name, limits and ops: its users hold a pointer to it. What may
 * change with the backend (flush, a size that grew) is taken over. */
static void describe(struct front_disk *disk, const uint64_t *keys)
{
	struct block_device *dev = &disk->dev;

	dev->sectors = keys[K_SECTORS];
	dev->sector_size = (uint32_t)keys[K_SECTOR_SIZE];
	dev->readonly = keys[K_INFO] & VDISK_READONLY;
	dev->has_flush = keys[K_FLUSH] != 0;
	if (disk->registered)
		return;
	blkif_vdev_name(disk->vdev, dev->name, sizeof(dev->name));
	dev->ops = &front_block_ops;
	dev->driver = disk;
	dev->max_segments = BLKIF_SEGMENTS;
	dev->queue_depth = FRONT_SLOTS;
}

static int front_connect(struct xenbus_device *bus)
{
	struct front_disk *disk = disk_of(bus);
	uint64_t keys[K_COUNT];
	int err = xenbus_read_numbers(HOST_TX_NONE, bus->peer_path, back_keys, K_COUNT, keys);

	if (err)
		return err;
	/* Users divide and mask by it. blkif.h asks for a power of two. */
	if (keys[K_SECTOR_SIZE] & (keys[K_SECTOR_SIZE] - 1))
		return -XEN_EINVAL;
	if (disk->registered && keys[K_SECTORS] < disk->dev.sectors)
		return -XEN_EINVAL; /* another disk than its users know */
	describe(disk, keys);
	disk->persistent = keys[K_PERSISTENT] != 0;
	disk->connected = true;
	disk->given_up = false;
	/* The backend is back in time: what waited goes out below, in front_run_queue. */
	host_work_cancel(&disk->hold);
	if (!disk->registered) {
		disk->registered = true;
		host_log(HOST_LOG_INFO, "%s: %llu sectors from domain %u%s%s", disk->dev.name,
			 (unsigned long long)disk->dev.sectors, bus->peer,
			 disk->dev.readonly ? ", read-only" : "",
			 disk->persistent ? ", persistent grants" : "");
		host_block_register(&disk->dev);
	}
	front_run_queue(disk);
	return 0;
}

/* ---- disconnect, gone ---------------------------------------------------------------- */

static void free_tables(struct front_disk *disk)
{
	if (disk->slots)
		host_pages_free(disk->slots, FRONT_SLOT_PAGES);
	if (disk->bounce)
		host_pages_free(disk->bounce, FRONT_BOUNCE_PAGES);
	disk->slots = NULL;
	disk->bounce = NULL;
}

/* The order matters. First nobody may come in (connected, again, port); then what is in flight
 * leaves the slots, which gives its grants and bounce pages back; then the standing grants; then
 * the ring itself; last the tables that all of these used. The old backend may still have any of
 * the pages mapped: grant_retire keeps those out of use, so this never waits and always answers
 * true. */
static bool front_disconnect(struct xenbus_device *bus)
{
	struct front_disk *disk = disk_of(bus);

	disk->connected = false;
	host_work_cancel(&disk->again);
	if (disk->port.v)
		host_event_close(disk->port);
	disk->port = PORT_NONE;
	if (disk->ring_page) {
		front_requeue_in_flight(disk);
		front_data_disconnect(disk);
		grant_retire(disk->ring_ref, disk->ring_page);
		disk->ring_page = NULL;
	}
	free_tables(disk);
	if (disk->registered && !disk->given_up)
		host_work_after(&disk->hold, FRONT_HOLD_NS);
	return true;
}

/* A disk whose backend stays away must not hold its users for ever. Until the next connection each
 * request fails at once (see refusal). */
static void give_up(void *ctx)
{
	struct front_disk *disk = ctx;

	if (disk->connected)
		return;
	disk->given_up = true;
	if (disk->queue)
		host_log(HOST_LOG_ERROR, "%s: no backend, %u requests failed", disk->dev.name,
			 disk->n_queued);
	front_fail_queue(disk, -XEN_EIO);
}

static void front_gone(struct xenbus_device *bus)
{
	struct front_disk *disk = disk_of(bus), **link = &disk->root->disks;

	host_work_cancel(&disk->hold);
	/* The last chance of its requests to end: after this the disk's memory is freed, and each
	 * was promised its done(). */
	give_up(disk);
	if (disk->registered)
		host_block_unregister(&disk->dev);
	front_data_free(disk);
	while (*link != disk)
		link = &(*link)->next;
	*link = disk->next;
	host_free(disk, sizeof(*disk));
}

static const struct xenbus_ops front_ops = {
    .open = front_open,
    .connect = front_connect,
    .disconnect = front_disconnect,
    .gone = front_gone,
};

/* ---- the class ----------------------------------------------------------------------- */

static struct xenbus_device *front_create(struct xenbus_class *class,
					  const struct xenbus_device *found)
{
	struct front_root *root = container_of(class, struct front_root, class);
	struct front_disk *disk = host_alloc(sizeof(*disk));

	if (!disk) {
		host_log(HOST_LOG_ERROR, "%s: no memory", found->path);
		return NULL;
	}
	disk->bus = *found;
	disk->bus.ops = &front_ops;
	disk->root = root;
	disk->queue_tail = &disk->queue;
	disk->hold = (struct host_work){.fn = give_up, .ctx = disk};
	disk->again = (struct host_work){.fn = front_run_responses, .ctx = disk};
	disk->next = root->disks;
	root->disks = disk;
	return &disk->bus;
}

static const struct xenbus_class_ops front_class_ops = {.create = front_create};

bool front_root_stop(struct front_root *root)
{
	struct front_root **link = &front_roots;

	xenbus_class_stop(&root->class);
	if (root->disks)
		return false;
	while (*link != root)
		link = &(*link)->next;
	*link = root->next;
	host_free(root, sizeof(*root));
	return true;
}

int blkfront_init(void)
{
	struct front_root *root = host_alloc(sizeof(*root));
	int err;

	if (!root)
		return -XEN_ENOMEM;
	root->class.side = XENBUS_FRONT;
	root->class.root = "device/vbd";
	root->class.ops = &front_class_ops;
	root->next = front_roots;
	front_roots = root;
	/* On the list before this, since front_root_stop, the way back, takes it off. */
	err = xenbus_class_start(&root->class);
	if (err)
		front_root_stop(root);
	return err;
}

void blkfront_exit(void)
{
	while (front_roots && front_root_stop(front_roots))
		;
}

/* All are dropped before the first begins again: an old port's number may be a new one's. */
void blkfront_resume(void)
{
	for (struct front_root *root = front_roots; root; root = root->next)
		xenbus_class_drop(&root->class);
	for (struct front_root *root = front_roots; root; root = root->next)
		xenbus_class_resume(&root->class);
}

void blkfront_for_each(void (*fn)(const struct block_device *dev,
				  const struct blkfront_stats *stats, void *ctx),
		       void *ctx)
{
	for (struct front_root *root = front_roots; root; root = root->next)
		for (struct front_disk *d = root->disks; d; d = d->next) {
			const struct block_stats *b = &d->dev.stats;

			d->stats.requests = b->requests;
			d->stats.bytes_read = b->bytes_read;
			d->stats.bytes_written = b->bytes_written;
			d->stats.flushes = b->flushes;
			d->stats.errors = b->errors;
			d->stats.notifications_sent = b->notifications_out;
			d->stats.notifications_received = b->notifications_in;
			d->stats.queued = d->n_queued;
			d->stats.in_flight = d->connected ? ring_front_in_flight(&d->ring) : 0;
			fn(&d->dev, &d->stats, ctx);
		}
}
