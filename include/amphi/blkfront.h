/* blkfront.h: disks that another domain serves, as this domain's kernel starts and watches them.
 *
 * Caller: kernel (start, memory lent to backends, stats). Implemented by drivers-front/blkfront*.c.
 * Each disk found under device/vbd is registered by host_block_register once it is connected; it
 * stays registered while its backend is away, holding its requests, and is sent them again when
 * the backend is back. Worker context. Errors: negative XEN_Exxx.
 */
#ifndef AMPHI_BLKFRONT_H
#define AMPHI_BLKFRONT_H

#include <amphi/host_block.h>
#include <amphi/host.h>

/* What the kernel can afford for each disk; backends may take less. Until it is said: one ring of a page. */
struct blkfront_limits {
	unsigned queues;     /* rings; one per vCPU is as many as make sense */
	unsigned ring_order; /* a ring is 2^ring_order pages, 32 requests each; 0 .. 4 */
	unsigned
	    segments; /* of one request, 11 .. BLOCK_MAX_SEGMENTS: an indirect page, and 4 KiB, each
				request in flight with more than 11 */
	unsigned copy_pages; /* for data that is copied, at most */
	unsigned depth;      /* queue_depth, at most; 0: what the rings hold */
	/* For backends that want it; both are off unless who runs this domain says so. old_keys: a ring's size is told
	 * by num-ring-pages alone, as frontends did before there was ring-page-order. large_sectors: we say
	 * feature-large-sector-size, and everything is counted in sectors of sector-size (QEMU's backend before 9.2
	 * has no disk of larger ones without it; Linux's counts in 512 all the same, so not for that one). */
	bool old_keys, large_sectors;
};

/* For connections made after it. */
void blkfront_limit(const struct blkfront_limits *limits);

/* Begins to watch device/vbd; disks appear as their backends answer. Needs the store. */
int blkfront_init(void);

/* [waits] After a suspend, in a new world (kernel/suspend.h): all disks are connected anew, under whatever
 * backend the store names now, and what was in flight is sent again. The store works, and no port or grant
 * of before exists. */
void blkfront_resume(void);

/* Memory for data that is used again and again (page aligned, zeroed or not, from
 * host_pages_alloc): a backend that keeps grants persistently then moves data in it without a copy.
 * Data elsewhere is copied through pages of the driver's own, which is slower and never wrong. At
 * most 8 ranges: -XEN_ENOSPC. */
int blkfront_lend(void *pages, unsigned count);

/* Before such memory is used for anything else or freed. No request may use it. -XEN_EBUSY: some
 * backend still has a page mapped; the memory stays lent, must be kept, and may be asked for again.
 */
int blkfront_reclaim(void *pages, unsigned count);

struct blkfront_stats {
	uint64_t requests, segments, bytes_read, bytes_written, flushes, errors, replayed;
	uint64_t notifications_sent, notifications_received;
	uint64_t grants_offered;  /* one per segment without persistence */
	uint64_t persistent_hits; /* segments that used a standing grant */
	uint64_t copied_bytes;    /* through pages of the driver's own */
	uint64_t grants_released; /* standing ones that nobody used for a while */
	uint64_t indirect;        /* requests with more segments than fit the ring's slot */
	uint64_t discards, barriers;
	uint64_t split;   /* parts beyond the first of a request */
	uint64_t changes; /* of size or medium while connected */
	uint64_t
	    wanted; /* looks for memory while nothing was in flight and something waited for it */
	unsigned longest; /* segments of one request */
	unsigned deepest; /* requests in flight on one ring when its backend was told */
	unsigned in_flight, queued;
	/* of the connection */
	unsigned queues, queues_used, ring_pages, max_segments;
	unsigned standing; /* data pages granted now for longer than a request */
	bool persistent, untrusted;
	uint64_t secure;     /* of the discards: those that nobody may undo */
	unsigned unit_bytes; /* in which this connection counts: 512, or a large sector */
};

/* Calls fn for each disk, connected or not. */
void blkfront_for_each(void (*fn)(const struct block_device *dev,
				  const struct blkfront_stats *stats, void *ctx),
		       void *ctx);

/* ---- one request looked at ---- */

enum blkfront_step {
	BLKFRONT_SUBMITTED, /* by its user */
	BLKFRONT_PUT,       /* on the ring, its memory granted */
	BLKFRONT_TOLD,      /* published; the backend is notified if it sleeps */
	BLKFRONT_SEEN,      /* the answer */
	BLKFRONT_DONE,      /* its user has been told, and has done what he does then */
	BLKFRONT_STEPS
};

struct blkfront_trace {
	unsigned vdev, queue;
	uint32_t number; /* of the requests on this ring, from 0; the backend counts the same */
	uint8_t op;      /* BLKIF_OP_... */
	int status;
	uint64_t sector, bytes;
	uint64_t at_ns[BLKFRONT_STEPS];
};
#define BLKFRONT_TRACES 32u
#define BLKFRONT_ANY    0xffffffffu

/* From now on every request whose number is a multiple of every is traced, of this disk (its directory's number) or
 * BLKFRONT_ANY; 0: none any more. The last BLKFRONT_TRACES that have ended are kept until tracing begins anew. */
void blkfront_trace(unsigned vdev, unsigned every);
/* Calls fn for each, oldest first. */
void blkfront_trace_for_each(void (*fn)(const struct blkfront_trace *trace, void *ctx), void *ctx);

/* Drops every connection and frees all; for host programs. Disks in use are ended with -XEN_EIO. */
void blkfront_exit(void);

#endif
