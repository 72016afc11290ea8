/* blkfront_private.h: what the files of blkfront share.
 *
 * blkfront.c: disks come, connect, are dropped and go. blkfront_ring.c: requests out, responses
 * in. blkfront_data.c: how a segment's memory reaches the backend. Nobody else includes this.
 * All in the worker context, so nothing is locked.
 */
#ifndef DRIVERS_FRONT_BLKFRONT_PRIVATE_H
#define DRIVERS_FRONT_BLKFRONT_PRIVATE_H

#include <amphi/blkfront.h>
#include <amphi/blkif.h>
#include <amphi/ring.h>
#include <amphi/xenbus.h>

#define FRONT_SLOTS    32u /* requests in one page of ring */
#define FRONT_LENT_MAX 8u
#define FRONT_BOUNCE_MAX                                                                           \
	128u /* pages of our own that a disk may hold: 512 KiB of a small guest                    \
	      */
#define FRONT_HOLD_NS 30000000000ull /* how long requests wait for a backend to come back */

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

/* One request the backend has. Its index is the id on the ring. */
struct front_slot {
	struct block_request *req; /* NULL: the slot is free */
	uint8_t op, n_segments, n_held;
	uint16_t next_free;
	uint32_t len_bytes;
	struct front_held held[BLKIF_SEGMENTS];
};

struct front_lent {
	uint8_t *va;
	size_t len_bytes; /* 0: free entry */
	bool held; /* a disk that is gone may have left a page with a backend: see grant_retiring */
};

/* All disks of this domain, and the memory lent to all their backends. */
struct front_root {
	struct xenbus_class class;
	struct front_root *next;
	struct front_disk *disks;
	struct front_lent lent[FRONT_LENT_MAX];
};

struct front_disk {
	struct xenbus_device bus; /* first: the xenbus engine's view of us */
	struct front_root *root;
	struct front_disk *next;
	struct block_device dev;
	struct blkfront_stats stats;
	unsigned vdev;
	bool registered, connected, persistent;
	bool in_responses; /* pushes wait for the end of the loop over responses */
	bool given_up;     /* held too long: requests fail until connected again */
	struct host_work hold, again;

	/* the connection */
	struct ring ring;
	void *ring_page;
	gref_t ring_ref;
	port_t port;
	struct front_slot *slots; /* FRONT_SLOTS of them, in whole pages */
	uint16_t first_free;

	/* waiting for a slot, or for a backend */
	struct block_request *queue, **queue_tail;
	unsigned n_queued;

	/* data; a bit of lent_refs says that a grant is of a connection that is over */
	uint32_t *lent_refs[FRONT_LENT_MAX]; /* 0: not granted yet */
	struct front_page *bounce;           /* a stack of free pages, then the rest unused */
	unsigned n_bounce_free, n_bounce;
};

#define FRONT_SLOT_PAGES   PAGES_FOR(FRONT_SLOTS * sizeof(struct front_slot))
#define FRONT_BOUNCE_PAGES PAGES_FOR(FRONT_BOUNCE_MAX * sizeof(struct front_page))

extern struct front_root *front_roots; /* in a kernel there is one; the newest is the first */

/* Drops a root's connections and frees it with its disks; false when one cannot go yet. */
bool front_root_stop(struct front_root *root);

/* ---- blkfront_ring.c ---- */
extern const struct block_ops front_block_ops;
void front_slots_reset(struct front_disk *disk);
void front_on_event(void *ctx);      /* the backend notified */
void front_run_responses(void *ctx); /* the same work, without a notification */
/* Puts queued requests on the ring and tells the backend. */
void front_run_queue(struct front_disk *disk);
/* Takes back what the backend had, to the head of the queue, for the next connection. */
void front_requeue_in_flight(struct front_disk *disk);
void front_fail_queue(struct front_disk *disk, int status);

/* ---- blkfront_data.c ---- */
/* Grants a request's segments and fills segs. False: not now (nothing is held then). */
bool front_data_grant(struct front_disk *disk, struct front_slot *slot,
		      struct blkif_request_segment *segs);
/* Ends it; copies what was read to where the user wants it when copy. False: the backend answered
 * but has not let go of a page. */
bool front_data_release(struct front_disk *disk, struct front_slot *slot, bool copy);
/* The connection is over: nothing stays granted for it that can be ended. */
void front_data_disconnect(struct front_disk *disk);
/* The disk is gone. */
void front_data_free(struct front_disk *disk);

#endif
