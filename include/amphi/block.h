/* block.h: a block device as its user and its driver see it.
 *
 * Users: the kernel's block layer (kernel/block.c), the shell, drivers-back/blkback.c. Drivers:
 * drivers-native (NVMe, virtio-blk), drivers-front/blkfront.c, RAM disks, test devices.
 * All calls and callbacks are made in the worker context of host.h, so nobody locks.
 *
 * Error rule: a request that was submitted always ends with exactly one call of done, with 0 or
 * a negative XEN_Exxx. submit itself cannot fail. Not promised: the order of completion; a flush
 * covers the writes that were completed before it was submitted.
 */
#ifndef AMPHI_BLOCK_H
#define AMPHI_BLOCK_H

#include <amphi/types.h>

#define BLOCK_MAX_SEGMENTS 32u /* in one request, whatever the driver's own limit above it */

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };

/* Memory that does not cross a page: a multiple of 512 bytes long, aligned to 512. It must stay valid,
 * and for host_virt_to_maddr() known, until done. */
struct block_segment {
	void *va;
	uint32_t len_bytes;
};

struct block_request {
	/* IN: the user's, unchanged until done */
	enum block_op op;
	uint64_t
	    sector; /* in units of 512 bytes, whatever the device's sector size; the driver may change it */
	unsigned n_segments;
	struct block_segment segments[BLOCK_MAX_SEGMENTS];
	void (*done)(struct block_request *req, int status);
	void *ctx;
	/* the driver's, from submit to done */
	struct block_request *next;
	uint64_t driver[4];
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

/* Made by the driver, found by the user through the registry of the kernel (kernel/block.h). */
struct block_device {
	const struct block_ops *ops;
	char name[16];        /* "nvme0n1", "vda", "xvda" */
	char serial[32];      /* as the device tells it; "" when it has none */
	uint64_t sectors;     /* of 512 bytes */
	uint32_t sector_size; /* 512 or 4096: requests are aligned to it */
	bool readonly, has_flush;
	unsigned max_segments; /* 1 .. BLOCK_MAX_SEGMENTS, of one request */
	unsigned queue_depth;  /* requests worth having in flight */
	struct block_stats stats;
	void *driver;
};

#endif
