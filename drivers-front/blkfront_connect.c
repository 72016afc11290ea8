/* blkfront_connect.c: what the backend says of its disk, when it connects and while it is connected.
 *
 * Reads the backend's keys, fills in the block_device, registers it the first time, and says
 * host_block_changed when something of it changed later: another size, another medium. Called by the
 * xenbus engine; calls xenbus.h for the keys and blkfront_queue.c to begin. Not here: rings
 * (blkfront_offer.c).
 */
#include "blkfront_private.h"

/* "sectors" is in units of 512 bytes whatever "sector-size" says, and so are sectors in requests: Linux's
 * blkback and frontends have it so, and the protocol's text came to say so too. By the older text
 * "feature-large-sector-size" in our directory asks for units of "sector-size"; backends that know the
 * key at all are those that take it so, and we write it when told to (blkfront_limits). The bound keeps the size in bytes within 64
 * bits. VDISK_READONLY in "info" is how both sides spell read-only; "mode" is the toolstack's word to the
 * backend. Two of a discard's keys default to a sector and to none (blkif.h, note 4). */
enum {
	K_SECTORS,
	K_SECTOR_SIZE,
	K_PHYSICAL,
	K_INFO,
	K_FLUSH,
	K_BARRIER,
	K_PERSISTENT,
	K_INDIRECT,
	K_DISCARD,
	K_GRANULARITY,
	K_ALIGNMENT,
	K_SECURE,
	K_COUNT
};
static const struct xenbus_number back_keys[K_COUNT] = {
    [K_SECTORS] = {"sectors", 0, UINT64_MAX >> 9, 0, true},
    [K_SECTOR_SIZE] = {"sector-size", 512, 4096, 512, false},
    [K_PHYSICAL] = {"physical-sector-size", 0, UINT32_MAX, 0, false},
    [K_INFO] = {"info", 0, UINT32_MAX, 0, false},
    [K_FLUSH] = {"feature-flush-cache", 0, UINT32_MAX, 0, false},
    [K_BARRIER] = {"feature-barrier", 0, UINT32_MAX, 0, false},
    [K_PERSISTENT] = {"feature-persistent", 0, UINT32_MAX, 0, false},
    [K_INDIRECT] = {"feature-max-indirect-segments", 0, UINT32_MAX, 0, false},
    [K_DISCARD] = {"feature-discard", 0, UINT32_MAX, 0, false},
    [K_GRANULARITY] = {"discard-granularity", 0, UINT32_MAX, 0, false},
    [K_ALIGNMENT] = {"discard-alignment", 0, UINT32_MAX, 0, false},
    [K_SECURE] = {"discard-secure", 0, UINT32_MAX, 0, false},
};

/* A drive may be without a medium; a disk without a sector is none. */
static bool may_be_empty(uint64_t info)
{
	return info & (VDISK_CDROM | VDISK_REMOVABLE);
}

/* sector_size is a power of two. */
static unsigned unit_shift(uint64_t sector_size)
{
	return front_limits.large_sectors ? (unsigned)__builtin_ctzll(sector_size / SECTOR_SIZE)
					  : 0;
}

/* The disk's length in sectors of 512, from what this connection counts in. */
static int scale_sectors(uint64_t *sectors, unsigned shift)
{
	if (*sectors > back_keys[K_SECTORS].max >> shift)
		return -XEN_EINVAL;
	*sectors <<= shift;
	return 0;
}

/* A disk that came back smaller is another disk than its users know, unless it is a medium that can be another. */
static int check(const struct front_disk *disk, const uint64_t *keys)
{
	const struct block_device *dev = &disk->dev;

	if (may_be_empty(keys[K_INFO]))
		return 0;
	if (!keys[K_SECTORS] || (disk->registered && keys[K_SECTORS] < dev->sectors))
		return -XEN_EINVAL;
	return disk->registered && keys[K_SECTOR_SIZE] > dev->sector_size ? -XEN_EINVAL : 0;
}

static void describe_info(struct block_device *dev, uint64_t info)
{
	dev->searched = true; /* its backend has, or nobody shall */
	dev->readonly = info & VDISK_READONLY;
	dev->cdrom = info & VDISK_CDROM;
	dev->removable = info & VDISK_REMOVABLE;
}

/* Hints of a device's inside: what is not a multiple of the sector is no hint we can pass on. */
static void describe_discard(struct block_device *dev, const uint64_t *keys)
{
	uint64_t granularity = keys[K_GRANULARITY];

	dev->has_discard = keys[K_DISCARD] != 0;
	dev->discard_secure = dev->has_discard && keys[K_SECURE] != 0;
	if (granularity % dev->sector_size)
		granularity = 0;
	dev->discard_granularity = (uint32_t)granularity;
	dev->discard_alignment = granularity ? (uint32_t)(keys[K_ALIGNMENT] % granularity) : 0;
}

static uint32_t physical_size(const uint64_t *keys)
{
	uint64_t size = keys[K_PHYSICAL];

	return size >= keys[K_SECTOR_SIZE] && !(size & (size - 1)) ? (uint32_t)size : 0;
}

/* What this connection is like. Indirect requests only where they carry more than direct ones. */
static void describe_connection(struct front_disk *disk, const uint64_t *keys)
{
	uint64_t most = MIN(keys[K_INDIRECT], MIN(front_limits.segments, BLOCK_MAX_SEGMENTS));

	disk->persistent = keys[K_PERSISTENT] != 0;
	disk->has_barrier = keys[K_BARRIER] != 0;
	disk->flush_by_barrier = disk->has_barrier && !keys[K_FLUSH];
	disk->max_segments = (uint16_t)MAX(most, BLKIF_SEGMENTS);
	disk->unit_shift = (uint8_t)unit_shift(keys[K_SECTOR_SIZE]);
	disk->plain = disk->persistent && !disk->untrusted && !disk->unit_shift;
}

static unsigned worth_in_flight(const struct front_disk *disk)
{
	unsigned slots = disk->n_queues * disk->queues[0].ring.n_slots;

	return front_limits.depth ? MIN(slots, front_limits.depth) : slots;
}

/* A disk that comes back keeps its name and ops: its users hold a pointer to it. What may change with the
 * backend is taken over; with a flush of its own a backend's barriers are left alone, since they order what
 * nobody asked to have ordered. */
static void describe(struct front_disk *disk, const uint64_t *keys)
{
	struct block_device *dev = &disk->dev;

	dev->sectors = keys[K_SECTORS];
	dev->sector_size = (uint32_t)keys[K_SECTOR_SIZE];
	dev->physical_sector_size = physical_size(keys);
	describe_info(dev, keys[K_INFO]);
	describe_connection(disk, keys);
	describe_discard(dev, keys);
	dev->has_flush = keys[K_FLUSH] || disk->has_barrier;
	dev->has_fua = disk->flush_by_barrier;
	dev->max_segments = disk->max_segments;
	dev->n_queues = disk->n_queues;
	if (disk->registered)
		return;
	blkif_vdev_name(disk->vdev, dev->name, sizeof(dev->name));
	dev->ops = front_tracing ? &front_traced_ops : &front_block_ops;
	dev->driver = disk;
	dev->queue_depth = worth_in_flight(disk);
}

static void say_connected(const struct front_disk *disk)
{
	const struct block_device *dev = &disk->dev;

	host_log(HOST_LOG_INFO,
		 "%s: %llu sectors of %u from domain %u, %u queues of %u pages, %u segments%s%s%s",
		 dev->name, (unsigned long long)dev->sectors, dev->sector_size, disk->bus.peer,
		 disk->n_queues, 1u << disk->order, disk->max_segments,
		 dev->readonly ? ", read-only" : "", disk->persistent ? ", persistent grants" : "",
		 disk->untrusted ? ", not trusted" : "");
}

/* Users divide and mask by the sector's size; blkif.h asks for a power of two. */
static int read_keys(const struct xenbus_device *bus, uint64_t *keys)
{
	int err = xenbus_read_numbers(HOST_TX_NONE, bus->peer_path, back_keys, K_COUNT, keys);

	if (err)
		return err;
	if (keys[K_SECTOR_SIZE] & (keys[K_SECTOR_SIZE] - 1))
		return -XEN_EINVAL;
	return scale_sectors(&keys[K_SECTORS], unit_shift(keys[K_SECTOR_SIZE]));
}

int front_connect(struct xenbus_device *bus)
{
	struct front_disk *disk = container_of(bus, struct front_disk, bus);
	uint64_t keys[K_COUNT];
	int err = read_keys(bus, keys);
	bool again = disk->registered;

	if (!err)
		err = check(disk, keys);
	if (err)
		return err;
	describe(disk, keys);
	disk->given_up = false;
	/* The backend is back in time: what waited goes out below. */
	host_work_cancel(&disk->hold);
	say_connected(disk);
	disk->registered = true;
	/* Users learn of the new limits before what they submitted under the old ones goes out. */
	if (again)
		host_block_changed(&disk->dev);
	else
		host_block_register(&disk->dev);
	front_run_waiting(disk);
	return 0;
}

/* A disk that grows (its backend writes "sectors", and Connected once more), a drive whose medium is taken
 * out or put in, a disk that becomes read-only. A disk that shrinks is the backend's word too: what lies
 * behind its new end is refused there in any case. */
void front_changed(struct xenbus_device *bus)
{
	static const struct xenbus_number *const now = back_keys;
	struct front_disk *disk = container_of(bus, struct front_disk, bus);
	struct block_device *dev = &disk->dev;
	uint64_t sectors, info;

	if (!disk->connected ||
	    xenbus_read_numbers(HOST_TX_NONE, bus->peer_path, &now[K_SECTORS], 1, &sectors) ||
	    xenbus_read_numbers(HOST_TX_NONE, bus->peer_path, &now[K_INFO], 1, &info) ||
	    scale_sectors(&sectors, disk->unit_shift))
		return;
	if (!sectors && !may_be_empty(info))
		return;
	if (sectors == dev->sectors && !(info & VDISK_READONLY) == !dev->readonly)
		return;
	host_log(HOST_LOG_INFO, "%s: now %llu sectors%s", dev->name, (unsigned long long)sectors,
		 info & VDISK_READONLY ? ", read-only" : "");
	dev->sectors = sectors;
	describe_info(dev, info);
	disk->stats.changes++;
	host_block_changed(dev);
}
