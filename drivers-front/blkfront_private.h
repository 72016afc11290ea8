/* blkfront_private.h: what the files of blkfront share.
 *
 * blkfront.c: disks come and go. blkfront_offer.c: the rings they are offered with. blkfront_connect.c:
 * what the backend says of the disk. blkfront_queue.c: requests that wait, and their order. blkfront_ring.c:
 * requests out, responses in. blkfront_data.c: how a segment's memory reaches the backend;
 * blkfront_lent.c: memory that is granted once; blkfront_want.c: when there is none; blkfront_straight.h: the plain ones. Nobody else includes this. All in the worker context, so
 * nothing is locked.
 *
 *    block_request --- parts ---> slots of a queue's ring --- indirect: a page with more segments
 *          |                         | held: grants of the request, pages of ours
 *          '- waits in disk->waiting (no backend) or in queue->waiting (no slot, no memory)
 */
#ifndef DRIVERS_FRONT_BLKFRONT_PRIVATE_H
#define DRIVERS_FRONT_BLKFRONT_PRIVATE_H

#include <amphi/blkfront.h>
#include <amphi/blkif.h>
#include <amphi/ring.h>
#include <amphi/xenbus.h>

#define FRONT_ORDER_MAX 4u /* of ring pages: 16, in which there is room for 512 requests */
#define FRONT_QUEUES_MAX                                                                           \
	BLKIF_QUEUES_MAX /* more would be memory without use: one worker serves them all */
#define FRONT_LENT_MAX     8u
#define FRONT_INDIRECT_MAX 64u /* requests of a disk with more than BLKIF_SEGMENTS in flight */
#define FRONT_HOLD_NS      30000000000ull /* how long requests wait for a backend to come back */
#define FRONT_DRAIN_NS     2000000000ull /* how long a backend that is leaving may take to answer */
#define FRONT_SWEEP_NS     20000000000ull /* between two looks for standing grants without use */

/* A page of the driver's own that stays granted while connected. */
struct front_page {
	void *va;
	gref_t ref;
};

/* A grant that ends with its request: of the user's page, or of a page of ours that its data goes
 * through. A standing grant of lent memory is not among them. */
struct front_held {
	gref_t ref;
	uint32_t segment;
	void *bounce; /* NULL: the user's own page was granted */
};

/* What a request with more segments than fit a slot needs besides. The page is granted while connected;
 * the rest is ours alone. */
struct front_indirect {
	struct front_indirect *next; /* free ones */
	struct front_page page;
	struct front_held *held; /* a page of BLOCK_MAX_SEGMENTS */
};
_Static_assert(BLOCK_MAX_SEGMENTS * sizeof(struct front_held) == PAGE_SIZE, "a page of them");
_Static_assert(BLOCK_MAX_SEGMENTS * sizeof(struct blkif_request_segment) <= PAGE_SIZE,
	       "fit a page");

/* A part of a request that the backend has. Its index is the id on the ring. */
struct front_slot {
	struct block_request *req; /* NULL: the slot is free */
	struct front_indirect *indirect;
	uint8_t op;    /* that the answer has to name: an indirect request is a read or a write */
	uint8_t trace; /* 0: it is not traced */
	uint16_t next_free;
	uint16_t first, n_segments; /* of the request's */
	uint16_t n_held;
	uint32_t len_bytes;
	struct front_held held[BLKIF_SEGMENTS]; /* without indirect */
};

/* What is known of a request between submit and done, in its driver[]. A connection that takes fewer segments
 * than the one the request was made for gets it in parts. */
struct front_progress {
	uint64_t order;   /* of submission */
	uint64_t sector;  /* of what is not given yet */
	uint32_t given;   /* segments that slots have carried */
	uint32_t parts;   /* slots that carry some now */
	int32_t status;   /* the first error */
	uint8_t flushing; /* a write that is done but for its flush */
	/* when anything is traced; else what was there before */
	uint64_t submitted_ns;
};
_Static_assert(sizeof(struct front_progress) <= sizeof(((struct block_request *)0)->driver),
	       "there is room in a request");

static inline struct front_progress *front_progress(struct block_request *req)
{
	return (struct front_progress *)req->driver;
}

struct front_lent {
	uint8_t *va;
	size_t len_bytes; /* 0: free entry */
	bool held; /* a disk that is gone may have left a page with a backend: see grant_retiring */
};

/* Requests in the order of their submission. */
struct front_list {
	struct block_request *head, **tail;
	unsigned count;
};

/* One ring of a connection. */
struct front_queue {
	struct front_disk *disk;
	struct ring ring;
	gref_t refs[1u << FRONT_ORDER_MAX];
	port_t port;
	struct front_slot *slots; /* as many as the ring has, in whole pages */
	uint16_t first_free;
	bool found;        /* the last look at the ring found something, or was not made */
	bool in_responses; /* pushes wait for the end of the loop over responses */
	struct front_list waiting;
	struct host_work again;
};

/* Memory lent by the kernel, for all disks under all their backends. */
struct front_root {
	struct xenbus_class class; /* first, as is bus below: the xenbus engine allocates both */
	struct front_lent lent[FRONT_LENT_MAX];
};

struct front_disk {
	struct xenbus_device bus;
	struct block_device dev;
	struct blkfront_stats stats;
	unsigned vdev;
	bool registered;
	bool connected; /* requests may go out */
	bool listening; /* answers are looked at; without connected: only these are waited for */
	bool given_up;  /* held too long: requests fail until connected again */
	bool starved;   /* a queue waits for memory that answers on another one bring */
	bool untrusted; /* the toolstack's word (trusted=0): no page of a user's is ever granted */
	struct host_work hold, drained, sweep, want;
	unsigned want_tries; /* of what waits for memory while nothing is in flight */
	uint64_t next_order;
	struct front_list waiting; /* for a backend */

	/* the connection */
	bool persistent, flush_by_barrier, has_barrier;
	bool plain; /* what blkfront_straight.h is for: grants stand, nothing is copied or scaled */
	uint8_t unit_shift; /* a sector on the ring is 512 << unit_shift bytes */
	uint16_t max_segments;
	unsigned n_queues, order;         /* as offered; 0 queues: nothing is */
	unsigned kept_queues, kept_order; /* as the store has it, until it is written anew */
	struct front_queue *queues;

	/* data; a bit of lent_refs says that a grant is of a connection that is over */
	uint32_t *lent_refs[FRONT_LENT_MAX]; /* 0: not granted yet */
	unsigned n_lent;                     /* granted now */
	/* of the range that was used last: most requests are in it */
	const uint8_t *hot_va;
	size_t hot_len_bytes;
	const uint32_t *hot_refs;
	struct front_page *bounce; /* a stack of free pages, then the rest unused */
	unsigned n_bounce_free, n_bounce, max_bounce;
	unsigned bounce_low;             /* the fewest free since the last sweep */
	struct front_indirect *indirect; /* free ones */
	unsigned n_indirect;
};

extern struct xenbus_kind front_kind;
extern struct blkfront_limits front_limits;

static inline struct front_disk *front_disk_of(struct xenbus_device *bus)
{
	return container_of(bus, struct front_disk, bus);
}
static inline struct front_root *front_root_of(const struct xenbus_class *class)
{
	return container_of(class, struct front_root, class);
}

/* ---- blkfront_offer.c ---- */
/* Rings and event channels, and the keys that name them. What is left when it fails is for front_offer_end. */
int front_offer(struct front_disk *disk);
void front_offer_end(struct front_disk *disk);

/* ---- blkfront_connect.c ---- */
int front_connect(struct xenbus_device *bus);
/* The backend says that something of the disk changed while connected. */
void front_changed(struct xenbus_device *bus);

static inline void front_end_request(struct front_disk *disk, struct block_request *req, int status)
{
	if (status)
		disk->dev.stats.errors++;
	req->done(req, status);
}

/* ---- blkfront_queue.c ---- */
extern const struct block_ops front_block_ops, front_traced_ops;
void front_list_reset(struct front_list *list);
struct block_request *front_list_take(struct front_list *list);
void front_list_put(struct front_list *list, struct block_request *req);
void front_list_put_first(struct front_list *list, struct block_request *req);
/* Gives what waits for a backend to the queues of the new connection, which begins with it. */
void front_run_waiting(struct front_disk *disk);
/* Takes back what the backend had and what waited in the queues, in the order of submission. */
void front_requeue_all(struct front_disk *disk);
void front_fail_waiting(struct front_disk *disk, int status);
unsigned front_in_flight(const struct front_disk *disk);
unsigned front_queued(const struct front_disk *disk);

/* ---- blkfront_ring.c ---- */
void front_slots_reset(struct front_queue *queue);
void front_on_event(void *ctx);      /* the backend notified */
void front_run_responses(void *ctx); /* the same work, without a notification */
/* Puts what is left of a request on the ring, unpublished. False: the rest has to wait. */
bool front_start(struct front_queue *queue, struct block_request *req);
/* Starts what waits in a queue, as far as there are slots and memory. */
void front_start_queued(struct front_queue *queue);
/* That and front_publish for every queue: memory came back that any of them may wait for. */
void front_feed(struct front_disk *disk);
/* Publishes what was started, tells the backend if it wants to know, and asks to be told. */
void front_publish(struct front_queue *queue);

/* ---- blkfront_data.c ---- */
/* Grants a slot's segments, slot->first and slot->n_segments on, and writes them to segs, memory of the
 * peer's. Fewer than asked when nothing is in flight that could bring memory back: slot->n_segments says how
 * many. False: not now (nothing is held then). */
bool front_data_grant(struct front_disk *disk, struct front_slot *slot, peer_byte *segs);
/* Ends it; copies what was read to where the user wants it when copy. False: the backend answered
 * but has not let go of a page. */
bool front_data_release(struct front_disk *disk, struct front_slot *slot, bool copy);
/* A page for more segments than a slot has room for; NULL: not now. */
struct front_indirect *front_indirect_get(struct front_disk *disk);
void front_indirect_put(struct front_disk *disk, struct front_indirect *indirect);
int front_data_begin(struct front_disk *disk);
/* The connection is over: nothing stays granted for it that can be ended. */
void front_data_disconnect(struct front_disk *disk);
/* Work: gives back standing grants that nobody used for a while. */
void front_data_sweep(void *ctx);
/* Gives back all that the backend has let go of; nothing is in flight. */
void front_data_let_go(struct front_disk *disk);

/* ---- blkfront_trace.c ---- */
extern bool front_tracing;
/* slot's request is put on the ring now, and may be one that is looked at. */
void front_trace_begin(struct front_queue *queue, struct front_slot *slot, uint32_t number);
/* What was put is about to be published. */
void front_trace_tell(const struct front_queue *queue);
/* The answer to a slot with a trace is there; its user has been told, of this or of one that is not traced. Nothing else is
 * seen in between. */
void front_trace_seen(struct front_slot *slot, int status);
void front_trace_done(void);

/* ---- blkfront_want.c ---- */
/* Nothing is in flight, and what waits has no grants or no pages to go with. True: it will be tried again. */
bool front_want(struct front_disk *disk);
void front_want_work(void *ctx);
/* Every idle disk gives back the standing grants that its backend has let go of. */
void front_relieve(const struct xenbus_class *class);

/* ---- blkfront_lent.c ---- */
#define REF_STALE 0x80000000u /* of a connection that is over; the old backend still maps it */
#define REF_USED  0x40000000u /* since the last sweep */
#define REF_FLAGS (REF_STALE | REF_USED)

/* The standing reference of memory in a lent page; 0: it is not lent, or cannot be granted. */
uint32_t front_lent_find(struct front_disk *disk, const uint8_t *va);

/* The same at once, or 0, for a page that was used lately: this runs for every segment. */
static inline uint32_t front_lent_hot(const struct front_disk *disk, const void *va)
{
	/* Below the range the difference wraps to a great number, so one comparison does for both
	 * ends; without a range there is no length, and nothing is in it. */
	size_t offset = (size_t)((const uint8_t *)va - disk->hot_va);
	uint32_t ref;

	if (offset >= disk->hot_len_bytes)
		return 0;
	ref = disk->hot_refs[offset >> PAGE_SHIFT];
	return (ref & REF_FLAGS) == REF_USED ? ref & ~REF_FLAGS : 0;
}

void front_lent_disconnect(struct front_disk *disk);
/* Ends grants that were not used since the last sweep; whether any stands. */
bool front_lent_sweep(struct front_disk *disk);
/* The disk is gone. */
void front_lent_free(struct front_disk *disk);

#endif
