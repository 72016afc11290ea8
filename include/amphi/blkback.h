/* blkback.h: disks served to other domains, as the service domain starts and watches them.
 *
 * Caller: kernel/control (start, stats). Implemented by drivers-back/blkback*.c. A disk is served
 * for each directory under backend/vbd (written there by the toolstack); `params` names the device
 * (host_block_find), `mode` "r" refuses writes, `device-type` "cdrom" may be without a medium. Guests are hostile: a wrong request is answered
 * with an error, a wrong ring ends that connection. Worker context. Errors: negative XEN_Exxx.
 */
#ifndef AMPHI_BLKBACK_H
#define AMPHI_BLKBACK_H

#include <amphi/host_block.h>
#include <amphi/host.h>

/* Begins to watch backend/vbd. Needs the store and the real disks. */
int blkback_init(void);

struct blkback_stats {
	uint64_t requests, segments, bytes_read, bytes_written, flushes;
	uint64_t indirect, barriers, discards; /* of requests */
	uint64_t parts;   /* that the disk had to be asked for besides: too big for one */
	uint64_t starved; /* times that a ring waited for the memory of requests in flight */
	uint64_t refused; /* requests answered with an error before the disk saw them */
	uint64_t errors;  /* and those that the disk failed */
	uint64_t notifications_sent, notifications_received;
	uint64_t grants_mapped;       /* map operations done, persistent or not */
	uint64_t persistent_hits;     /* segments whose page was mapped already */
	uint64_t persistent_released; /* pages let go of because nobody used them */
	unsigned persistent_held, in_flight;
};

/* Calls fn for each disk served: by whom, its virtual device number and name in the guest. */
struct blkback_info {
	domid_t guest;
	unsigned vdev;
	const char *name; /* "xvda" */
	bool connected;
	unsigned n_queues, ring_pages; /* of each queue; 0 when not connected */
	const char *protocol;          /* "x86_64-abi"; "" when not connected */
	struct blkback_stats stats;
};
void blkback_for_each(void (*fn)(const struct blkback_info *info, void *ctx), void *ctx);

/* Pages of guests that may stay mapped between requests: for each queue of a disk, and for all disks together,
 * which share that number evenly. Holds for connections made later. Default 1056 and 12288; 0 is none. */
void blkback_persistent_limits(unsigned pages_per_queue, unsigned pages_in_all);

/* Drops every connection that has no request in a disk's hands and frees all; for host programs. */
void blkback_exit(void);

#endif
