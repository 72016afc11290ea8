/* blkback_private.h: what the files of blkback share.
 *
 * blkback.c: disks come, connect, are dropped and go. blkback_ring.c: requests in, responses out.
 * blkback_request.c: one request checked in our copy of it. blkback_pool.c: guest pages mapped for
 * a request or kept. Nobody else includes this. Worker context, nothing is locked.
 */
#ifndef DRIVERS_BACK_BLKBACK_PRIVATE_H
#define DRIVERS_BACK_BLKBACK_PRIVATE_H

#include <amphi/blkback.h>
#include <amphi/blkif.h>
#include <amphi/ring.h>
#include <amphi/xenbus.h>

#define BACK_SLOTS 32u /* requests in one page of ring */
#define BACK_POOL_MAX                                                                              \
	384u /* pages kept mapped for one guest disk: a ring full of whole requests, and some */
#define BACK_POOL_HASH 256u

/* A page of the guest that stays mapped between requests. */
struct back_kept {
	uint32_t ref, handle;
	uint8_t *page;   /* NULL: free entry */
	uint16_t in_use; /* by how many segments in flight */
	uint16_t next;   /* in its hash chain, or in the free list; BACK_NONE: the last */
	bool recent;     /* used since the hand of the clock passed */
};
#define BACK_NONE 0xffffu

/* One segment of a request in flight: a page kept, or one mapped for this request. */
struct back_segment {
	uint32_t ref;
	uint16_t kept;       /* index into the pool, or BACK_NONE */
	uint8_t first, last; /* sectors within the page, checked */
	uint32_t handle;     /* when kept is BACK_NONE */
	uint8_t *page;
};

struct back_request {
	struct block_request
	    blk; /* first: the disk's view; carries one part of the segments at a time */
	struct back_disk *disk;
	struct back_request *next; /* free, or finished */
	uint64_t id;               /* the guest's own: echoed, never looked at */
	uint64_t sector;           /* of the part after this one */
	uint8_t op, n_segments, n_done;
	int16_t status;
	uint16_t n_sectors; /* in all segments */
	struct back_segment segs[BLKIF_SEGMENTS];
	struct block_segment part[BLKIF_SEGMENTS]; /* blk's segments */
};

struct back_pool {
	struct back_kept *kept; /* BACK_POOL_MAX, in whole pages */
	uint16_t hash[BACK_POOL_HASH];
	uint16_t first_free, hand;
	unsigned n_held;
};

struct back_disk {
	struct xenbus_device bus; /* first: the xenbus engine's view of us */
	struct back_root *root;
	struct back_disk *next;
	struct block_device *disk;
	struct blkback_stats stats;
	unsigned align_mask; /* of sectors: 0 on a disk of 512 bytes, 7 on one of 4096 */
	bool readonly;
	char name[16];

	/* the connection */
	bool connected, persistent;
	bool in_drain; /* the loop over requests ends with a push of its own */
	struct ring ring;
	void *ring_va;
	port_t port;
	struct back_request *requests; /* BACK_SLOTS of them, in whole pages */
	struct back_request *free, *finished;
	unsigned in_flight; /* requests that the disk has or that wait in finished */
	struct back_pool pool;
	struct host_work finish, again;
};

struct back_root {
	struct xenbus_class class;
	struct back_root *next;
	struct back_disk *disks;
};

#define BACK_REQUEST_PAGES PAGES_FOR(BACK_SLOTS * sizeof(struct back_request))
#define BACK_POOL_PAGES    PAGES_FOR(BACK_POOL_MAX * sizeof(struct back_kept))

/* ---- blkback_ring.c ---- */
void back_requests_reset(struct back_disk *disk);
void back_on_event(void *ctx);
void back_run_requests(void *ctx);
void back_finish(void *ctx);
/* blkback.c's: the last request in flight is done and the connection is over. */
void back_idle(struct back_disk *disk);

/* ---- blkback_request.c ---- */
/* Copies one request in and checks it. BLKIF_RSP_OKAY, or what to answer it with at once. */
int16_t back_request_read(struct back_disk *disk, struct back_request *req, const peer_byte *slot);
/* Sets up the next part of a request for the disk; false when all parts are done. */
bool back_request_next_part(struct back_request *req);

/* ---- blkback_pool.c ---- */
/* Segments to map, or to unmap, together. One more request always fits when there is room for
 * BLKIF_SEGMENTS. */
struct back_batch {
	unsigned count;
	struct host_grant_map maps[HOST_GRANT_BATCH];
	struct back_segment *segs[HOST_GRANT_BATCH];
};
void back_pool_reset(struct back_pool *pool);
/* Finds a request's pages in the pool, or puts them into the batch (room for BLKIF_SEGMENTS). */
void back_pool_collect(struct back_disk *disk, struct back_request *req, struct back_batch *batch);
/* Maps the batch; a segment whose page stays NULL was refused. False: no memory, none is mapped. */
bool back_pool_map(struct back_disk *disk, struct back_batch *batch);
/* Puts a finished request's pages back, those to unmap into the batch. */
void back_pool_release(struct back_disk *disk, struct back_request *req, struct back_batch *batch);
void back_pool_unmap(struct back_batch *batch);
void back_pool_drop_all(struct back_disk *disk);

#endif
