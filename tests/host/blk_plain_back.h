/* blk_plain_back.h: a backend that offers what a test says and does what it offered, against blkfront.
 *
 * The other half for tests of the front half alone: every feature of the protocol can be offered or not,
 * requests can be held and answered in any order, and what came is counted. Written from blkif.h, not from
 * drivers-back, so that a misunderstanding that both our halves share does not pass. Serves guest 1's xvda
 * from domain 0, over blk_world.h.
 */
#ifndef TESTS_BLK_PLAIN_BACK_H
#define TESTS_BLK_PLAIN_BACK_H

#include <amphi/blkif.h>
#include <amphi/ring.h>

#include "blk_world.h"

#define PLAIN_QUEUES 4u
#define PLAIN_HELD   1024u

/* A request as it was on the ring, and where. */
struct plain_request {
	unsigned queue;
	union {
		struct blkif_request direct;
		struct blkif_request_indirect indirect;
		struct blkif_request_discard discard;
	};
};

struct plain_back {
	/* what the store says; 0: no such node */
	unsigned order, old_pages, queues, indirect, sector_size, info;
	bool persistent, flush, barrier, discard, secure;
	bool
	    large_units; /* everything counts in sector_size; the frontend must have said that it does */
	bool old_keys; /* knows num-ring-pages alone */
	uint64_t sectors;
	/* how it behaves */
	bool passive;        /* never looks at its rings: the test has them in its hands */
	bool hold;           /* answers wait for plain_release */
	bool backwards;      /* and then the last come first */
	uint8_t unsupported; /* this operation is answered EOPNOTSUPP; 0 (read): none */
	bool keeps;          /* maps grants once and keeps them; follows persistent */
	/* what it saw */
	unsigned ops[8], per_queue[PLAIN_QUEUES], indirect_seen, pages_mapped;
	uint64_t first_sectors[PLAIN_HELD]; /* of all requests, in the order in which they came */
	unsigned n_seen;
	/* its own */
	uint8_t *data;
	unsigned n_queues, n_pages;
	struct plain_queue {
		struct plain_back *back;
		struct ring ring;
		void *va;
		port_t port;
	} q[PLAIN_QUEUES];
	struct plain_request held[PLAIN_HELD];
	unsigned n_held;
	struct host_grant_map kept[2048];
	unsigned n_kept;
};

/* The nodes and state InitWait; attach: the toolstack's part as well. */
void plain_offer(struct plain_back *b, bool attach);
/* Takes the rings that the frontend offered: Connected. Fails the test when there are none. */
void plain_connect(struct plain_back *b);
/* The same; false when there are none that can be taken, of as many as there may be. */
bool plain_try(struct plain_back *b);
/* All of it, with a frontend in guest 1, and its disk. */
struct block_device *plain_begin(struct plain_back *b);
/* Answers n of the held requests. */
void plain_release(struct plain_back *b, unsigned n);
/* Lets go of rings and pages; the state is the caller's to write. */
void plain_drop(struct plain_back *b);
/* The disk goes, and so do both halves; nothing may be left. */
bool plain_end(struct plain_back *b);

#endif
