/* blkback_nodes.c: what the store says of a disk: the toolstack's words read, ours written.
 *
 * Called by blkback.c when a disk is opened, by the xenbus engine when the toolstack changed something, and
 * by the registry of disks when a disk changed or went. Calls xenbus.h and host_block.h. The guest's own keys
 * are blkback_queues.c's.
 *
 * Everything is written before InitWait: frontends differ in when they read what, and none reads earlier.
 * Later only the size changes, told as the stock backend does: the key, and our state once more, which is
 * what the frontend watches.
 */
#include <amphi/printf.h>
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "blkback_private.h"

/* ---- read ---------------------------------------------------------------------------- */

/* The toolstack's word ("r", "w", and "w!" of those who mean it) and the disk's own: read-only if
 * either says so. It is checked at each request and not only told to the guest. */
static int read_mode(struct back_disk *disk)
{
	char mode[8];
	int len = xenbus_read_text(HOST_TX_NONE, disk->bus.path, "mode", mode, sizeof(mode));

	if (len < 0)
		return len == -XEN_E2BIG ? -XEN_EINVAL : len;
	if (mode[0] != 'r' && mode[0] != 'w')
		return -XEN_EINVAL;
	disk->mode_readonly = mode[0] == 'r';
	return 0;
}

/* What kind of device the toolstack gives the guest, and what of it; a missing key is a disk, and everything. The
 * keys are not those that tell the guest (feature-...), which are ours to write: what we said at the last opening, of
 * another disk perhaps, would be read for the toolstack's word at the next. */
static int read_type(struct back_disk *disk)
{
	enum { REMOVABLE, DISCARD, FLUSH, PERSISTENT, N_KEYS };
	static const struct xenbus_number keys[N_KEYS] = {
	    [REMOVABLE] = {"removable", 0, 1, 0, false},
	    [DISCARD] = {"discard-enable", 0, 1, 1, false},
	    [FLUSH] = {"flush-cache-enable", 0, 1, 1, false},
	    [PERSISTENT] = {"persistent-enable", 0, 1, 1, false},
	};
	uint64_t values[N_KEYS];
	char type[16] = "";
	int err = xenbus_read_numbers(HOST_TX_NONE, disk->bus.path, keys, N_KEYS, values);

	(void)xenbus_read_text(HOST_TX_NONE, disk->bus.path, "device-type", type, sizeof(type));
	disk->cdrom = strcmp(type, "cdrom") == 0;
	disk->removable = values[REMOVABLE];
	disk->discard_enabled = values[DISCARD];
	disk->flush_enabled = values[FLUSH];
	disk->persistent_enabled = values[PERSISTENT];
	return err;
}

/* Requests count in sectors of 512 (blkif.h), the disk may take only whole blocks of its own: what is
 * not aligned to them is refused rather than read, changed and written. */
static void take_disk(struct back_disk *disk, struct block_device *dev)
{
	if (disk->disk != dev)
		back_flow_drop(disk); /* they were checked against the other */
	disk->disk = dev;
	disk->gone = false;
	disk->readonly = disk->mode_readonly || (dev && dev->readonly);
	if (!dev)
		return;
	disk->align_mask = dev->sector_size / SECTOR_SIZE - 1;
	disk->discard = dev->has_discard && disk->discard_enabled;
}

/* A CD-ROM may be without a medium, which the toolstack says by an empty text. */
static int find_disk(struct back_disk *disk)
{
	struct block_device *dev = host_block_find(disk->params);

	if (!dev && !(disk->cdrom && disk->params[0] == '\0')) {
		host_log(HOST_LOG_ERROR, "%s: no disk '%s' here", disk->bus.path, disk->params);
		return -XEN_ENODEV;
	}
	disk->awaits = dev && dev->coming;
	if (disk->awaits)
		return -XEN_EAGAIN; /* its size is the first thing a guest reads */
	take_disk(disk, dev);
	return 0;
}

/* The disk is looked for at each opening and not once: after a guest's reboot `params` may name
 * another, and a disk that was away may be back. The keys are trusted, being the toolstack's. */
int back_read_nodes(struct back_disk *disk)
{
	int err = xenbus_read_text(HOST_TX_NONE, disk->bus.path, "params", disk->params,
				   sizeof(disk->params));

	if (err >= 0)
		err = read_type(disk);
	if (!err)
		err = read_mode(disk);
	return err ? err : find_disk(disk);
}

/* A frontend that says feature-large-sector-size counts in sectors of sector-size, and wants to read the
 * disk's length so; Linux's, which does not know the key, counts in 512 on any disk. */
int back_read_units(struct back_disk *disk)
{
	static const struct xenbus_number key = {"feature-large-sector-size", 0, 1, 0, false};
	uint64_t large;
	int err = xenbus_read_numbers(HOST_TX_NONE, disk->bus.peer_path, &key, 1, &large);

	disk->unit_shift = 0;
	if (!err && large && disk->disk)
		disk->unit_shift = (unsigned)__builtin_ctz(disk->disk->sector_size / SECTOR_SIZE);
	return err;
}

/* ---- written ------------------------------------------------------------------------- */

struct node {
	const char *key;
	uint64_t value;
	bool wanted;
};

static int write_nodes(uint32_t tx, const struct back_disk *disk, const struct node *nodes,
		       unsigned count)
{
	int err = 0;

	for (unsigned i = 0; i < count && !err; i++)
		if (nodes[i].wanted)
			err = xenbus_write_number(tx, disk->bus.path, nodes[i].key, nodes[i].value);
	return err;
}

/* What does not change while a guest is connected, whatever happens to the disk. */
static int put_features(uint32_t tx, const struct back_disk *disk)
{
	const struct node nodes[] = {
	    {"max-ring-page-order", BLKIF_RING_ORDER_MAX, true},
	    {"max-ring-pages", BLKIF_RING_PAGES_MAX, true},
	    {"multi-queue-max-queues", BLKIF_QUEUES_MAX, true},
	    {"feature-persistent", disk->persistent_enabled, true},
	    {"feature-max-indirect-segments", BLKIF_INDIRECT_SEGMENTS, true},
	};

	return write_nodes(tx, disk, nodes, ARRAY_SIZE(nodes));
}

/* A disk that cannot flush has no cache, and a frontend that is told so does not ask. One that is not there is
 * one of no sectors. */
static int put_disk(uint32_t tx, const struct back_disk *disk)
{
	static const struct block_device none = {.sector_size = SECTOR_SIZE, .removable = true};
	const struct block_device *dev = disk->disk ? disk->disk : &none;
	uint64_t info = (disk->cdrom || dev->cdrom ? VDISK_CDROM : 0) |
			(disk->removable || dev->removable ? VDISK_REMOVABLE : 0) |
			(disk->readonly ? VDISK_READONLY : 0);
	const struct node nodes[] = {
	    {"sectors", dev->sectors >> disk->unit_shift, true},
	    {"info", info, true},
	    {"sector-size", dev->sector_size, true},
	    {"physical-sector-size", MAX(dev->physical_sector_size, dev->sector_size), true},
	    {"feature-flush-cache", dev->has_flush && disk->flush_enabled, true},
	    {"feature-barrier", dev->has_flush, true},
	    {"feature-discard", disk->discard, true},
	    {"discard-granularity", MAX(dev->discard_granularity, dev->sector_size), disk->discard},
	    {"discard-alignment", dev->discard_alignment, disk->discard},
	    {"discard-secure", dev->discard_secure, disk->discard},
	};

	return write_nodes(tx, disk, nodes, ARRAY_SIZE(nodes));
}

static int put_all(uint32_t tx, void *ctx)
{
	int err = put_features(tx, ctx);

	return err ? err : put_disk(tx, ctx);
}

int back_write_nodes(struct back_disk *disk)
{
	return xenbus_transaction(put_all, disk);
}

/* ---- changes ------------------------------------------------------------------------- */

static int put_news(uint32_t tx, void *ctx)
{
	struct back_disk *disk = ctx;
	int err = put_disk(tx, disk);

	/* A frontend that is connected looks at the size when it sees the state written. */
	if (!err && disk->bus.state == XenbusStateConnected)
		err = xenbus_write_number(tx, disk->bus.path, "state", disk->bus.state);
	return err;
}

/* A disk that went takes its vbd with it: Closing, so that the guest's frontend ends it in order; what it
 * still asks is answered with an error until then. */
void back_news(void *ctx)
{
	struct back_disk *disk = ctx;
	int err;

	if (disk->bus.removed ||
	    (disk->bus.state != XenbusStateInitWait && disk->bus.state != XenbusStateConnected))
		return;
	if (disk->gone && !disk->cdrom) {
		host_log(HOST_LOG_WARN, "%s: the disk is gone", disk->bus.path);
		xenbus_close(&disk->bus);
		return;
	}
	err = xenbus_transaction(put_news, disk);
	if (err)
		host_log(HOST_LOG_WARN, "%s: the store was not told of a change (%d)",
			 disk->bus.path, err);
	else
		host_log(HOST_LOG_INFO, "%s: %llu sectors now", disk->bus.path,
			 (unsigned long long)(disk->disk ? disk->disk->sectors : 0));
}

/* Inside a driver: what takes the store's time is left to a work item. Of a disk that goes nothing may be
 * remembered when this returns; it has no request in flight then. */
void back_on_block_change(void *ctx, struct block_device *dev)
{
	const struct xenbus_class *class = ctx;

	for (struct xenbus_device *bus = class->devices; bus; bus = bus->next) {
		struct back_disk *disk = back_disk_of(bus);

		if (disk->awaits && !dev->coming && !find_disk(disk)) { /* perhaps this one */
			xenbus_again(bus);
			host_work_soon(&disk->news);
		}
		if (disk->disk != dev)
			continue;
		take_disk(disk, dev->gone ? NULL : dev);
		disk->gone = dev->gone;
		host_work_soon(&disk->news);
	}
}

/* The toolstack changes a medium by writing `params`. Our own writes come here too, so only a new text
 * counts. Requests in flight end with the medium that they began with. */
void back_on_params(struct xenbus_device *bus)
{
	struct back_disk *disk = back_disk_of(bus);
	char params[STORE_PATH_MAX];

	if (!disk->cdrom ||
	    xenbus_read_text(HOST_TX_NONE, bus->path, "params", params, sizeof(params)) < 0 ||
	    strcmp(params, disk->params) == 0)
		return;
	memcpy(disk->params, params, sizeof(params));
	if (find_disk(disk))
		take_disk(disk, NULL); /* a medium that is not here is none */
	host_work_soon(&disk->news);
}
