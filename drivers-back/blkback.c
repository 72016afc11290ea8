/* blkback.c: disks served to guests come, connect, are dropped and go.
 *
 * Called by the service domain (blkback.h) and by the xenbus engine, whose steps it fills in; calls
 * blkback_ring.c and blkback_pool.c, and host_block.h to find what a disk is made of. Worker
 * context.
 *
 * A guest may end its connection, or its life, while the disk works on its requests: the disk holds
 * mapped pages then, so the connection is taken down only when the last request is back.
 * Room is left for rings of more pages (ring-page-order in front_keys, host_ring_map) and for more
 * rings (what is under "the connection" in struct back_disk).
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "blkback_private.h"

/* A list only because host tests run several backends in one program. */
static struct back_root *back_roots;

static struct back_disk *disk_of(struct xenbus_device *bus)
{
	return container_of(bus, struct back_disk, bus);
}

/* ---- open: what the guest may know before it begins ----------------------------------- */

/* The toolstack's word ("r", "w", and "w!" of those who mean it) and the disk's own: read-only if
 * either says so. It is checked at each request (back_request_read) and not only told to the
 * guest. */
static int read_mode(struct back_disk *disk)
{
	char mode[8];
	int len = xenbus_read_text(HOST_TX_NONE, disk->bus.path, "mode", mode, sizeof(mode));

	if (len < 0)
		return len == -XEN_E2BIG ? -XEN_EINVAL : len;
	if (mode[0] != 'r' && mode[0] != 'w')
		return -XEN_EINVAL;
	disk->readonly = mode[0] == 'r' || disk->disk->readonly;
	return 0;
}

/* The disk is looked for at each opening and not once: after a guest's reboot `params` may name
 * another, and a disk that was away may be back. The keys are trusted, being the toolstack's. */
static int back_open(struct xenbus_device *bus)
{
	struct back_disk *disk = disk_of(bus);
	char params[STORE_PATH_MAX];
	int len = xenbus_read_text(HOST_TX_NONE, bus->path, "params", params, sizeof(params));

	if (len < 0)
		return len;
	disk->disk = host_block_find(params);
	if (!disk->disk) {
		host_log(HOST_LOG_ERROR, "%s: no disk '%s' here", bus->path, params);
		return -XEN_ENODEV;
	}
	/* Requests count in sectors of 512 (blkif.h), the disk may take only whole blocks of its
	 * own: what is not aligned to them is refused rather than read, changed and written. */
	disk->align_mask = disk->disk->sector_size / SECTOR_SIZE - 1;
	return read_mode(disk);
}

/* ---- connect ------------------------------------------------------------------------- */

/* What the frontend wrote before it said Initialised. All of it is the guest's: numbers in range or
 * no connection. A ring of more pages is refused by its order, since "max-ring-page-order" was not
 * written. */
enum { K_RING, K_PORT, K_ORDER, K_PERSISTENT, K_COUNT };
static const struct xenbus_number front_keys[K_COUNT] = {
    [K_RING] = {"ring-ref", 0, UINT32_MAX, 0, true},
    [K_PORT] = {"event-channel", 1, UINT32_MAX, 0, true},
    [K_ORDER] = {"ring-page-order", 0, 0, 0, false}, /* more was not offered */
    [K_PERSISTENT] = {"feature-persistent", 0, UINT32_MAX, 0, false},
};

/* The layout of the ring. An absent key means the backend's own. Slots of the 32-bit layouts have
 * another size: read as ours, every second request would be made of two. So another protocol is
 * refused before the ring is touched. */
static int check_protocol(struct back_disk *disk)
{
	char text[24];
	int len =
	    xenbus_read_text(HOST_TX_NONE, disk->bus.peer_path, "protocol", text, sizeof(text));

	if (len == -XEN_ENOENT || (len > 0 && strcmp(text, XEN_IO_PROTO_ABI_X86_64) == 0))
		return 0;
	host_log(HOST_LOG_ERROR, "%s: domain %u wants a ring that is not %s", disk->bus.path,
		 disk->bus.peer, XEN_IO_PROTO_ABI_X86_64);
	return -XEN_EINVAL;
}

/* "sectors" is in 512 bytes whatever "sector-size" says: so does Linux's blkback, and its frontends
 * read it so. feature-flush-cache always: a disk that cannot flush answers EOPNOTSUPP to the
 * request, which blkif.h allows at any time. No feature-barrier: it would order what we let
 * overtake. */
static int put_keys(uint32_t tx, void *ctx)
{
	struct back_disk *disk = ctx;
	struct {
		const char *key;
		uint64_t value;
	} keys[] = {
	    {"feature-flush-cache", 1},
	    {"feature-persistent", 1},
	    {"sectors", disk->disk->sectors},
	    {"info", disk->readonly ? VDISK_READONLY : 0},
	    {"sector-size", disk->disk->sector_size},
	    {"physical-sector-size", disk->disk->sector_size},
	};
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(keys) && !err; i++)
		err = xenbus_write_number(tx, disk->bus.path, keys[i].key, keys[i].value);
	return err;
}

/* A request of ours for each slot of the ring, taken in advance: no request can be refused for want
 * of memory but that of its pages. */
static int alloc_tables(struct back_disk *disk)
{
	disk->requests = host_pages_alloc(BACK_REQUEST_PAGES);
	disk->pool.kept = host_pages_alloc(BACK_POOL_PAGES);
	if (!disk->requests || !disk->pool.kept)
		return -XEN_ENOMEM;
	back_requests_reset(disk);
	back_pool_reset(&disk->pool);
	return 0;
}

/* What is done when a later step fails is undone by back_disconnect. Maps the guest's page; from
 * then on every look at it goes through peer.h. The port is the guest's number, bound with the
 * guest as the other end: it cannot name a port of anybody else. */
static int map_ring(struct back_disk *disk, const uint64_t *keys)
{
	gref_t ref = {(uint32_t)keys[K_RING]};
	int err = host_ring_map(disk->bus.peer, &ref, 1, &disk->ring_va);

	if (err) {
		disk->ring_va = NULL;
		return err;
	}
	ring_init(&disk->ring, disk->ring_va, 1, BLKIF_SLOT_BYTES);
	HOST_ASSERT(disk->ring.n_slots == BACK_SLOTS);
	return host_event_bind(disk->bus.peer, (uint32_t)keys[K_PORT], back_on_event, disk,
			       &disk->port);
}

static int back_connect(struct xenbus_device *bus)
{
	struct back_disk *disk = disk_of(bus);
	uint64_t keys[K_COUNT];
	int err = xenbus_read_numbers(HOST_TX_NONE, bus->peer_path, front_keys, K_COUNT, keys);

	if (!err)
		err = check_protocol(disk);
	if (!err)
		err = alloc_tables(disk);
	if (!err)
		err = map_ring(disk, keys);
	if (!err)
		err = xenbus_transaction(put_keys, disk);
	if (err)
		return err;
	disk->persistent = keys[K_PERSISTENT] != 0;
	/* Persistence takes both halves (blkif.h): we always offer it, so the guest's key
	 * decides. */
	disk->connected = true;
	host_log(HOST_LOG_INFO, "%s: %s for domain %u from %s%s%s", bus->path, disk->name,
		 bus->peer, disk->disk->name, disk->readonly ? ", read-only" : "",
		 disk->persistent ? ", persistent grants" : "");
	host_work_soon(&disk->again); /* requests may be there already */
	return 0;
}

/* ---- disconnect, gone ---------------------------------------------------------------- */

/* Nothing is in flight. Pages before tables, tables before the ring: each is known only by the
 * next. A connection that failed half way has less of these, hence the questions. */
static void take_down(struct back_disk *disk)
{
	if (disk->pool.kept) {
		if (disk->requests)
			back_pool_drop_all(disk);
		host_pages_free(disk->pool.kept, BACK_POOL_PAGES);
	}
	if (disk->requests)
		host_pages_free(disk->requests, BACK_REQUEST_PAGES);
	if (disk->ring_va)
		host_ring_unmap(disk->ring_va, 1);
	disk->pool.kept = NULL;
	disk->requests = NULL;
	disk->ring_va = NULL;
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
 * would let it write into whoever gets the frames next. */
static bool back_disconnect(struct xenbus_device *bus)
{
	struct back_disk *disk = disk_of(bus);

	disk->connected = false;
	host_work_cancel(&disk->again);
	if (disk->port.v)
		host_event_close(disk->port);
	disk->port = PORT_NONE;
	if (disk->requests && disk->in_flight)
		return false; /* back_idle goes on */
	take_down(disk);
	return true;
}

/* Called when the last request is back. The engine may not have asked for the end yet (a ring was
 * found broken a moment ago); then it will, and nothing is in flight. */
void back_idle(struct back_disk *disk)
{
	if (!disk->bus.dropping)
		return;
	take_down(disk);
	xenbus_disconnected(&disk->bus);
}

static void back_gone(struct xenbus_device *bus)
{
	struct back_disk *disk = disk_of(bus), **link = &disk->root->disks;

	/* After a disconnect none is in flight, but the work may still be queued from the last
	 * one. */
	host_work_cancel(&disk->finish);
	while (*link != disk)
		link = &(*link)->next;
	*link = disk->next;
	host_free(disk, sizeof(*disk));
}

static const struct xenbus_ops back_ops = {
    .open = back_open,
    .connect = back_connect,
    .disconnect = back_disconnect,
    .gone = back_gone,
};

/* ---- the class ----------------------------------------------------------------------- */

/* Nothing of the guest's is looked at before open(): a domain that has only a directory costs this
 * struct and a watch. */
static struct xenbus_device *back_create(struct xenbus_class *class,
					 const struct xenbus_device *found)
{
	struct back_root *root = container_of(class, struct back_root, class);
	struct back_disk *disk = host_alloc(sizeof(*disk));

	if (!disk) {
		host_log(HOST_LOG_ERROR, "%s: no memory", found->path);
		return NULL;
	}
	disk->bus = *found;
	disk->bus.ops = &back_ops;
	disk->root = root;
	disk->finish = (struct host_work){.fn = back_finish, .ctx = disk};
	disk->again = (struct host_work){.fn = back_run_requests, .ctx = disk};
	/* For the log and the counters only. A number that names no disk still gets a text. */
	blkif_vdev_name(found->id, disk->name, sizeof(disk->name));
	disk->next = root->disks;
	root->disks = disk;
	return &disk->bus;
}

static const struct xenbus_class_ops back_class_ops = {.create = back_create};

/* False: a connection waits for its disk, and the root with it. */
static bool root_stop(struct back_root *root)
{
	struct back_root **link = &back_roots;

	xenbus_class_stop(&root->class);
	if (root->disks)
		return false;
	while (*link != root)
		link = &(*link)->next;
	*link = root->next;
	host_free(root, sizeof(*root));
	return true;
}

int blkback_init(void)
{
	struct back_root *root = host_alloc(sizeof(*root));
	int err;

	if (!root)
		return -XEN_ENOMEM;
	root->class.side = XENBUS_BACK;
	root->class.root = "backend/vbd";
	root->class.ops = &back_class_ops;
	root->next = back_roots;
	back_roots = root;
	err = xenbus_class_start(&root->class);
	if (err)
		root_stop(root);
	return err;
}

void blkback_exit(void)
{
	for (struct back_root *root = back_roots, *next; root; root = next) {
		next = root->next;
		root_stop(root);
	}
}

void blkback_for_each(void (*fn)(const struct blkback_info *info, void *ctx), void *ctx)
{
	for (struct back_root *root = back_roots; root; root = root->next)
		for (struct back_disk *d = root->disks; d; d = d->next) {
			/* The pool is of a connection: after one its count is a leftover. */
			struct blkback_info info = {
			    .guest = d->bus.peer,
			    .vdev = d->bus.id,
			    .name = d->name,
			    .connected = d->connected,
			    .stats = d->stats,
			};

			info.stats.persistent_held = d->connected ? d->pool.n_held : 0;
			info.stats.in_flight = d->in_flight;
			fn(&info, ctx);
		}
}
