/* block.h: a block device as its user and its driver see it.
 *
 * Users: the kernel's block layer (kernel/block.c), the shell, drivers-back/blkback.c. Drivers:
 * drivers-native (NVMe, virtio-blk, AHCI), drivers-front/blkfront.c, RAM disks, test devices.
 * All calls and callbacks are made in the worker context of host.h, so nobody locks.
 *
 * Error rule: a request that was submitted always ends with exactly one call of done, with 0 or
 * a negative XEN_Exxx. submit itself cannot fail. Not promised: the order of completion; a flush
 * covers the writes that were completed before it was submitted.
 */
#ifndef AMPHI_BLOCK_H
#define AMPHI_BLOCK_H

#include <amphi/types.h>

#define BLOCK_MAX_SEGMENTS 256u /* in one request, whatever the driver's own limit above it */

/* DISCARD: what is in n_sectors from sector is not needed any more; what they read as afterwards is not
 * promised, unless BLOCK_SECURE: then nobody reads it again. */
enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD };

#define BLOCK_FUA    1u /* of a write: done means on the medium; only where has_fua */
#define BLOCK_SECURE 2u /* of a discard; only where discard_secure */

/* Memory that does not cross a page: a multiple of 512 bytes long, aligned to 512. It must stay valid,
 * and for host_virt_to_maddr() known, until done. */
struct block_segment {
	void *va;
	uint32_t len_bytes;
};

struct block_request {
	/* IN: the user's, unchanged until done */
	enum block_op op;
	uint32_t flags;
	/* In units of 512 bytes, whatever the device's sector size; 0 of a flush. The driver may change it. */
	uint64_t sector;
	uint64_t n_sectors; /* of 512 bytes, of a discard; of others it is what the segments hold */
	unsigned queue;     /* a hint: which of the device's queues, modulo n_queues */
	unsigned n_segments; /* 0 for a flush and a discard */
	struct block_segment *segments;
	void (*done)(struct block_request *req, int status);
	void *ctx;
	/* the driver's, from submit to done */
	struct block_request *next;
	uint64_t driver[5];
};

struct block_device;

struct block_ops {
	/* Takes the request; it may stay in the driver's own queue until kick or longer. */
	void (*submit)(struct block_device *dev, struct block_request *req);
	/* Tells the device of everything submitted since the last kick: one doorbell. */
	void (*kick)(struct block_device *dev);
};

struct block_stats {
	uint64_t requests, bytes_read, bytes_written, flushes, errors;
	uint64_t notifications_out,
	    notifications_in; /* doorbells or events; interrupts or upcalls */
};

/* For drivers: a request has ended that moved so many bytes; those of a flush or discard are not counted. */
static inline void block_count(struct block_stats *stats, const struct block_request *req,
			       uint64_t bytes)
{
	stats->flushes += req->op == BLOCK_FLUSH;
	if (req->op == BLOCK_WRITE)
		stats->bytes_written += bytes;
	else if (req->op == BLOCK_READ)
		stats->bytes_read += bytes;
}

/* Made by the driver, found by the user through the registry of the kernel (kernel/block.h). */
struct block_device {
	const struct block_ops *ops;
	char name[16];        /* "nvme0n1", "vda", "xvda" */
	char serial[32];      /* as the device tells it; "" when it has none */
	char partuuid[37];    /* of a partition, as PARTUUID= names it; else "" */
	char partlabel[37];   /* of a partition of a GPT; else "" */
	uint64_t sectors;     /* of 512 bytes */
	uint32_t sector_size; /* 512 or 4096: requests are aligned to it */
	uint32_t
	    physical_sector_size; /* what the medium writes at once; >= sector_size, or 0: the same */
	bool readonly, has_flush, has_fua;
	bool cdrom, removable;
	bool gone; /* being unregistered (host_block_watch) */
	bool
	    coming; /* not registered yet: a server has not told its size; host_block_changed says when */
	/* Partitions were looked for, or are nobody's to look for here: by the driver where who serves the disk has, else by the kernel. */
	bool searched;
	bool has_discard, discard_secure;
	/* In bytes: what is discarded is a multiple of granularity, counted from alignment; 0: of a sector. */
	uint32_t discard_granularity, discard_alignment;
	unsigned max_segments; /* 1 .. BLOCK_MAX_SEGMENTS, of one request */
	unsigned queue_depth;  /* requests worth having in flight, in all queues together */
	unsigned n_queues;     /* 0 counts as 1 */
	struct block_stats stats;
	struct block_device *whole; /* of a window: the disk that it is one of; else NULL */
	uint16_t
	    pci; /* the function of the machine that it is on, as pci.h names it; 0: none (that is the host bridge) */
	void *driver;
	void *layer; /* the registry's, from register to unregister */
};

#endif
