/* blkback.h: disks served to other domains, as the service domain starts and watches them.
 *
 * Callers: kernel/service.c, `serve` (start), the commands of control/ and the shell (stats, traces). Implemented by drivers-back/blkback*.c. A disk is served
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
	uint64_t merged;  /* segments that came in one request with another before them */
	uint64_t parts;   /* that the disk had to be asked for besides: too big for one */
	uint64_t starved; /* times that a ring waited for the memory of requests in flight */
	uint64_t refused; /* requests answered with an error before the disk saw them */
	uint64_t errors;  /* and those that the disk failed */
	uint64_t notifications_sent, notifications_received;
	uint64_t grants_mapped;       /* map operations done, persistent or not */
	uint64_t persistent_hits;     /* segments whose page was mapped already */
	uint64_t persistent_released; /* pages let go of because nobody used them */
	uint64_t persistent_evicted;  /* and for others, when there were as many as there may be */
	unsigned persistent_held, in_flight;
	uint64_t waited; /* requests that waited for their turn at the disk, or for a limit */
	uint64_t held;   /* times that a limit was in the way */
	unsigned waiting;
	uint64_t secure; /* of the discards: those that nobody may undo */
};

enum blkback_kind { BLKBACK_READ, BLKBACK_WRITE, BLKBACK_OTHER, BLKBACK_KINDS };
#define BLKBACK_LATENCIES 40u

/* Of one ring, since it was connected. latency[kind][n] counts answers that came 2^n to 2^(n+1) ns (the last: or
 * more) after their requests were taken off the ring; both moments are those of a batch. */
struct blkback_queue_stats {
	uint64_t bytes_read, bytes_written, segments, merged;
	uint64_t notifications_sent, notifications_received;
	uint32_t latency[BLKBACK_KINDS][BLKBACK_LATENCIES];
	unsigned in_flight;
};

/* Calls fn for each disk served: by whom, its virtual device number and name in the guest. */
struct blkback_info {
	domid_t guest;
	unsigned vdev;
	const char *name; /* "xvda" */
	bool connected;
	unsigned n_queues, ring_pages; /* of each queue; 0 when not connected */
	unsigned unit_bytes;           /* in which this guest counts: 512, or a large sector */
	const char *protocol;          /* "x86_64-abi"; "" when not connected */
	struct blkback_stats stats;
	void *disk; /* for blkback_queue */
};
void blkback_for_each(void (*fn)(const struct blkback_info *info, void *ctx), void *ctx);

/* One of its rings; NULL: none of that number. Only during the call of fn. */
const struct blkback_queue_stats *blkback_queue(const struct blkback_info *info, unsigned number);

/* ---- one request looked at ---- */

enum blkback_step {
	BLKBACK_TAKEN,    /* off the ring, and checked */
	BLKBACK_MAPPED,   /* its pages are there */
	BLKBACK_GIVEN,    /* to the disk: it was its turn */
	BLKBACK_DONE,     /* by the disk */
	BLKBACK_ANSWERED, /* on the ring */
	BLKBACK_STEPS
};

struct blkback_trace {
	domid_t guest;
	unsigned vdev, queue;
	uint32_t number; /* of the requests on this ring, from 0; the frontend counts the same */
	uint8_t op;      /* BLKIF_OP_... */
	int16_t status;
	uint64_t sector, bytes;
	uint64_t at_ns[BLKBACK_STEPS]; /* 0: it did not come there */
};
#define BLKBACK_TRACES 16u

/* From now on every request whose number is a multiple of every is traced, of this guest's disk or (DOMID_INVALID) of
 * any; 0: none any more. The last BLKBACK_TRACES that have been answered are kept until tracing begins anew. */
void blkback_trace(domid_t guest, unsigned vdev, unsigned every);
/* Calls fn for each, oldest first. */
void blkback_trace_for_each(void (*fn)(const struct blkback_trace *trace, void *ctx), void *ctx);

/* Pages of guests that may stay mapped between requests: for each queue of a disk, and for all disks together,
 * which share that number evenly. Holds for connections made later. Default 1056 and 12288; 0 is none. */
void blkback_persistent_limits(unsigned pages_per_queue, unsigned pages_in_all);

/* Drops every connection that has no request in a disk's hands and frees all; for host programs. */
void blkback_exit(void);

#endif
