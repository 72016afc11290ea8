/* blkback_private.h: what the files of blkback share.
 *
 * blkback.c: disks come, connect, are dropped and go. blkback_nodes.c: what the store says of them.
 * blkback_queues.c: rings are mapped and unmapped. blkback_ring.c: requests in, responses out.
 * blkback_request.c: one request checked in our copy of it; blkback_straight.h: the plain ones. blkback_submit.c: a checked request on its
 * way through the disk. blkback_flow.c: whose turn it is. blkback_count.c: what people see of it. blkback_pool.c: guest pages mapped for a request or kept. blkback_segments.c:
 * the memory for their lists. Nobody else includes this. Worker context, nothing is locked.
 */
#ifndef DRIVERS_BACK_BLKBACK_PRIVATE_H
#define DRIVERS_BACK_BLKBACK_PRIVATE_H

#include <amphi/blkback.h>
#include <amphi/blkif.h>
#include <amphi/ring.h>
#include <amphi/xenbus.h>

#include "blkback_share.h"
#include "told.h"

/* Segments in flight of one disk, whatever its rings: 8 MiB of data. In units of 4, because most requests
 * have few; 64 units, one word of free bits, are what the greatest request needs. */
#define BACK_SEGMENTS_UNIT 4u
#define BACK_SEGMENT_WORDS 8u
#define BACK_SEGMENTS_MAX  (BACK_SEGMENT_WORDS * 64u * BACK_SEGMENTS_UNIT)
_Static_assert(BLKIF_INDIRECT_SEGMENTS <= 64u * BACK_SEGMENTS_UNIT, "a request fits one word");

/* Segments in flight of all disks together, each of which may need a window to be mapped through; a disk's part
 * of them, which may not be less than one request. */
#define BACK_IN_FLIGHT_MAX 8192u
#define BACK_IN_FLIGHT_MIN BLKIF_INDIRECT_SEGMENTS

#define BACK_POOL_HASH 1024u
#define BACK_NONE      0xffffu
#define BACK_POOL_TOP  16384u /* pages kept for one disk, whatever is configured: below BACK_NONE */

/* A page of the guest that stays mapped between requests. */
struct back_kept {
	uint32_t ref, handle;
	uint8_t *page;   /* NULL: free entry */
	uint16_t in_use; /* by how many segments in flight */
	uint16_t next;   /* in its hash chain, or in the free list; BACK_NONE: the last */
	bool recent;     /* used since the hand of the clock passed */
	uint8_t age;     /* ticks since it was used */
};

/* One segment of a request in flight: a page kept, or one mapped for this request. */
struct back_segment {
	uint32_t ref, handle; /* handle: when kept is NULL */
	uint8_t *page;
	struct back_kept *kept; /* of the pool; NULL: mapped for this request */
	uint32_t offset;        /* in bytes within the page, checked; the length is the piece's */
};

struct back_request {
	struct block_request blk; /* first: what the disk gets, the first part or the only one */
	struct back_queue *queue;
	struct back_request *next; /* free, taken, or finished */
	struct block_device *dev;  /* who has it: from back_submit on */
	uint64_t id;               /* the guest's own: echoed, never looked at */
	uint64_t sector, n_sectors;
	struct back_segment *segs;
	struct block_segment *pieces; /* the same, as the disk is told of them */
	struct back_segment
	    one_seg; /* the lists of a request of one segment, which takes none of */
	struct block_segment one_piece; /* the arena's: it never waits */
	uint16_t n_segments, n_sent;    /* n_sent: given to the disk so far */
	uint16_t n_mapped;              /* segments that the pool did not have: some may be NULL */
	uint16_t n_parts;               /* with the disk now */
	int16_t status;
	uint8_t op;      /* what is done and answered: BLKIF_OP_READ for an indirect read */
	uint8_t flags;   /* BLOCK_SECURE */
	const char *why; /* it was refused */
	uint8_t step;    /* of a barrier */
	bool own_part_busy, sending;
	bool in_share; /* blkback_flow.c was asked, and is told of its end */
	struct share_item item;
	uint64_t taken_ns;
	uint32_t trace, trace_round; /* 0: it is not traced */
};

struct back_pool {
	struct back_kept *kept; /* n_kept of them, in whole pages; NULL: not persistent */
	uint16_t *hash;         /* BACK_POOL_HASH of them, behind kept */
	unsigned n_kept, n_pages;
	uint16_t first_free, hand;
	unsigned n_held;
};

struct back_queue {
	struct back_disk *disk;
	unsigned index;
	struct ring ring;
	void *ring_va;
	unsigned ring_pages;
	port_t port;
	struct back_request *requests; /* one for each slot, in whole pages */
	struct back_request *free, *finished;
	struct back_request *barrier; /* nothing is taken off the ring until it is done */
	unsigned n_with_disk;         /* between back_submit and its end */
	unsigned in_flight;           /* those and the ones that wait in finished */
	bool in_drain;                /* the loop over requests ends with a push of its own */
	bool found;      /* the last look at the ring found something, or was not made */
	uint64_t now_ns; /* of the batch that is being taken */
	struct blkback_queue_stats stats;
	bool starved; /* the next request of the ring waits for segments */
	struct host_work finish, again;
};

struct back_disk {
	struct xenbus_device bus;  /* first, as is class below: the xenbus engine allocates both */
	struct block_device *disk; /* NULL: gone, or no medium */
	struct blkback_stats stats;
	unsigned align_mask; /* of sectors: 0 on a disk of 512 bytes, 7 on one of 4096 */
	unsigned unit_shift; /* the guest's sectors in ours: 0, or 3 where its are of 4096 bytes */
	/* the toolstack's words */
	bool mode_readonly, discard_enabled, flush_enabled, persistent_enabled;
	bool readonly, cdrom, removable, discard;
	bool gone;        /* the disk went while it was served */
	bool awaits;      /* a disk whose server has not answered yet */
	struct told told; /* why requests were refused */
	char name[16];
	char params[STORE_PATH_MAX];
	struct host_work news; /* the disk changed: the store is told */

	/* the connection */
	struct share_member member; /* of real's */
	struct back_real *real;     /* NULL: not connected */
	struct share_limit limit;   /* as the toolstack wrote it */
	bool connected, persistent;
	bool answers; /* what is in flight is answered, also when it is connected no more */
	bool counted; /* in the root's n_connected */
	const struct blkif_layout *layout;
	unsigned n_queues;
	struct back_queue *queues; /* n_queues of them, in whole pages */
	struct back_queue *first_starved;
	struct back_pool pool;
	struct host_work age;
	unsigned n_segments, share;                 /* in flight now; and at most */
	uint64_t segments_free[BACK_SEGMENT_WORDS]; /* a bit a unit */
	struct back_segment *segs;                  /* BACK_SEGMENTS_MAX of each, in whole pages */
	struct block_segment *pieces;
	struct block_request *spares; /* for the parts of a request beyond the first */
	void *spare_page;
	uint64_t *indirect_page; /* where a guest's list is copied to, a segment a word */
};

struct back_root {
	struct xenbus_class class;
	unsigned n_connected;
	struct host_block_watch watch;
};

static inline struct back_disk *back_disk_of(struct xenbus_device *bus)
{
	return container_of(bus, struct back_disk, bus);
}
static inline struct back_root *back_root_of(const struct back_disk *disk)
{
	return container_of(disk->bus.class, struct back_root, class);
}

#define BACK_SEG_PAGES   PAGES_FOR(BACK_SEGMENTS_MAX * sizeof(struct back_segment))
#define BACK_PIECE_PAGES PAGES_FOR(BACK_SEGMENTS_MAX * sizeof(struct block_segment))
#define BACK_SPARES      (PAGE_SIZE / sizeof(struct block_request))

/* ---- blkback_nodes.c ---- */
/* Finds the disk and what the toolstack says of it. */
int back_read_nodes(struct back_disk *disk);
/* Everything that the guest may read, in one transaction. */
int back_write_nodes(struct back_disk *disk);
/* The units that the guest counts in are known now. */
int back_read_units(struct back_disk *disk);
/* host_block.h's word that a disk changed; the toolstack's that `params` did. */
void back_on_block_change(void *ctx, struct block_device *dev);
void back_on_params(struct xenbus_device *bus);
void back_news(void *ctx);

/* ---- blkback_queues.c ---- */
/* Reads what the guest wrote about its rings and maps them. What is done by the time it fails is undone by
 * back_queues_drop. */
int back_queues_connect(struct back_disk *disk);
void back_queues_close(struct back_disk *disk); /* nobody comes in from here on */
void back_queues_drop(struct back_disk *disk);  /* nothing is in flight */
unsigned back_in_flight(const struct back_disk *disk);
unsigned back_ring_pages(const struct back_disk *disk);

/* ---- blkback_ring.c ---- */
void back_requests_reset(struct back_queue *q);
void back_on_event(void *ctx);
void back_run_requests(void *ctx);
void back_finish(void *ctx);
/* blkback.c's: the last request in flight is done and the connection is over. */
void back_idle(struct back_disk *disk);

/* blkback.c's: counts a request that is not done, and says why, each reason once in a while. */
void back_refused(struct back_disk *disk, const struct back_request *req);

/* ---- blkback_request.c ---- */
#define BACK_WAIT     1 /* leave it on the ring */
#define BACK_STRAIGHT 2
/* For blkback_straight.h: the rest of a request whose head was fetched; a segment that is wrong, which is given back. */
int16_t back_read_any(struct back_queue *q, struct back_request *req, uint32_t head,
		      const peer_byte *tail);
int16_t back_wrong_data(struct back_request *req);
uint64_t back_scaled(uint64_t n, unsigned shift);

/* ---- blkback_submit.c: the seam between a checked request and the disk ---- */
/* Every request that passed its checks and has its pages comes through here once, in the order of its ring, and
 * ends in back_finished. */
void back_submit(struct back_request *req);
void back_whole_done(struct block_request *blk, int status);
/* What had to wait: its turn has come; it will not. */
void back_submit_next(struct back_request *req);
void back_submit_drop(struct back_request *req);

/* ---- blkback_count.c ---- */
extern bool back_tracing;
void back_trace_begin(struct back_request *req);
void back_trace_step(struct back_request *req, enum blkback_step step);

/* One of a batch of answers, which mostly were taken at one moment. */
static inline void back_count_latency(struct back_queue *q, const struct back_request *req,
				      uint64_t now_ns)
{
	unsigned kind = MIN((unsigned)req->op, (unsigned)BLKBACK_OTHER);
	uint64_t ns = now_ns - req->taken_ns;
	unsigned n = (unsigned)__builtin_clzll(ns | 1) ^ 63u;

	_Static_assert((unsigned)BLKBACK_READ == BLKIF_OP_READ &&
			   (unsigned)BLKBACK_WRITE == BLKIF_OP_WRITE,
		       "kind");
	q->stats.latency[kind][MIN(n, BLKBACK_LATENCIES - 1)]++;
}

static inline void back_trace_at(struct back_request *req, enum blkback_step step)
{
	if (__builtin_expect(req->trace != 0, 0))
		back_trace_step(req, step);
}

/* ---- blkback_flow.c ---- */
/* For a connection: of the disk that is there when it begins. part: nothing is in flight, and nothing if it did
 * not join. */
int back_flow_join(struct back_disk *disk);
void back_flow_part(struct back_disk *disk);
void back_flow_changed(struct back_disk *disk);
/* Everything that waits ends with an error. */
void back_flow_drop(struct back_disk *disk);
/* Requests are given to the disk that will be kicked behind them. */
bool back_flow_kicks(const struct back_disk *disk);
bool back_flow_ask(struct back_request *req);
void back_flow_tell(struct back_request *req);

/* Whether it may go now; else back_submit_next comes. Then back_flow_leave when it is back. */
static inline bool back_flow_enter(struct back_request *req)
{
	req->in_share = !req->queue->disk->member.passes;
	return !req->in_share || back_flow_ask(req);
}

static inline void back_flow_leave(struct back_request *req)
{
	if (req->in_share)
		back_flow_tell(req);
}

/* ---- blkback_segments.c ---- */
void back_segments_reset(struct back_disk *disk);
/* n (1 .. BLKIF_INDIRECT_SEGMENTS) segments for a request; false: not now, and the queue will be run again. */
bool back_segments_take_many(struct back_queue *q, struct back_request *req, unsigned n);
static inline bool back_segments_take(struct back_queue *q, struct back_request *req, unsigned n)
{
	req->segs = &req->one_seg;
	req->pieces = &req->one_piece;
	if (n > 1 || q->disk->n_segments >= q->disk->share)
		return back_segments_take_many(q, req, n);
	q->disk->n_segments++;
	return true;
}
/* The queue does not wait any more. */
void back_segments_leave(struct back_queue *q);
void back_segments_give_many(struct back_request *req);
static inline void back_segments_give(struct back_request *req)
{
	req->queue->disk->n_segments -= req->n_segments;
	if (req->n_segments > 1)
		back_segments_give_many(req);
}
/* A disk was connected or has gone: what each may have in flight is another part of the whole. */
void back_segments_share(struct back_root *root);
/* After some were given back: who waits is run. */
void back_segments_wake(struct back_disk *disk);

/* ---- blkback_pool.c ---- */
/* Segments to map, or to unmap, together. */
struct back_batch {
	unsigned count;
	struct host_grant_map maps[HOST_GRANT_BATCH];
	struct back_segment *segs[HOST_GRANT_BATCH];
};
int back_pool_alloc(struct back_disk *disk);
void back_pool_free(struct back_disk *disk); /* nothing is in use */
/* Finds a request's pages in the pool, or puts them into the batch, which is mapped when it is full. */
void back_pool_collect(struct back_disk *disk, struct back_request *req, struct back_batch *batch);
/* Maps the batch; a segment whose page stays NULL was refused. */
void back_pool_map(struct back_disk *disk, struct back_batch *batch);
/* Puts a finished request's pages back, those to unmap into the batch, which is unmapped when it is full. */
void back_pool_release_all(struct back_request *req, struct back_batch *batch);
static inline void back_pool_release(struct back_request *req, struct back_batch *batch)
{
	if (req->n_segments == 1 && req->segs->kept)
		req->segs->kept->in_use--;
	else
		back_pool_release_all(req, batch);
}
void back_pool_unmap(struct back_batch *batch);
/* Copies len bytes from the start of the guest's page into indirect_page, each once. */
bool back_pool_copy_in(struct back_disk *disk, gref_t ref, unsigned len);

#endif
