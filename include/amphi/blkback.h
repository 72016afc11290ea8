/* blkback.h: disks served to other domains, as the service domain starts and watches them.
 *
 * Caller: kernel/control (start, stats). Implemented by drivers-back/blkback*.c. A disk is served
 * for each directory under backend/vbd (written there by the toolstack); `params` names the device
 * (host_block_find), `mode` "r" refuses writes. Guests are hostile: a wrong request is answered
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
	uint64_t refused; /* requests answered with an error before the disk saw them */
	uint64_t errors;  /* and those that the disk failed */
	uint64_t notifications_sent, notifications_received;
	uint64_t grants_mapped;   /* map operations done, persistent or not */
	uint64_t persistent_hits; /* segments whose page was mapped already */
	unsigned persistent_held, in_flight;
};

/* Calls fn for each disk served: by whom, its virtual device number and name in the guest. */
struct blkback_info {
	domid_t guest;
	unsigned vdev;
	const char *name; /* "xvda" */
	bool connected;
	struct blkback_stats stats;
};
void blkback_for_each(void (*fn)(const struct blkback_info *info, void *ctx), void *ctx);

/* Drops every connection that has no request in a disk's hands and frees all; for host programs. */
void blkback_exit(void);

#endif
