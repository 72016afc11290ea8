/* blk_guest.h: a frontend that uses all of the protocol, by a test's word, for tests of blkback.
 *
 * Connects guest 1's disk with as many rings, as large and in whichever layout the test says, and puts any
 * kind of request on any of them. Unlike the rogue (blk_rogue.h) it keeps the rules; unlike blkfront it has
 * no opinion. Calls blk_world.h and host.h.
 */
#ifndef TESTS_BLK_GUEST_H
#define TESTS_BLK_GUEST_H

#include <amphi/blkif.h>
#include <amphi/ring.h>

#include "blk_world.h"

#define GUEST_DATA 300u /* pages of data, each granted read-write */

struct guest_plan {
	unsigned n_queues; /* 0: does not know of queues, has one ring */
	unsigned order;
	const char *protocol; /* NULL: says none */
	bool persistent, large_sectors;
	bool old_names;   /* num-ring-pages and not ring-page-order */
	bool order_named; /* ring-page-order = 0 and ring-ref0 */
};

struct guest_queue {
	struct ring ring;
	uint8_t *pages;
	gref_t refs[BLKIF_RING_PAGES_MAX];
	port_t port;
	unsigned events;
};

struct guest {
	struct guest_plan plan;
	const struct blkif_layout *layout;
	unsigned n_queues;
	struct guest_queue queues[BLKIF_QUEUES_MAX];
	uint8_t *data; /* GUEST_DATA pages */
	gref_t refs[GUEST_DATA];
	uint8_t *list; /* pages for indirect lists, one a request, used in turns */
	gref_t list_refs[16];
	unsigned next_list;
};

/* The nodes of a toolstack are there (world_attach); offers everything and is connected, or refused. */
void guest_connect(struct guest *g, const struct guest_plan *plan);
/* Says Closed and takes its memory back, which blkback has let go of. */
void guest_disconnect(struct guest *g);
/* Its nodes go too. */
void guest_end(struct guest *g);

/* What a request asks; data lies in whole pages of the guest's from page on unless sectors say else. */
struct guest_request {
	uint8_t op, flags;
	uint64_t id, sector;
	unsigned page, n_segments;
	uint64_t n_sectors;  /* of a discard */
	uint8_t first, last; /* in every segment's page; 0, 0: the whole page */
	bool indirect;       /* also when it would fit the slot */
};
void guest_put(struct guest *g, unsigned queue, const struct guest_request *r);
/* Publishes what was put, tells blkback when it wants that, and lets everybody run. */
void guest_push(struct guest *g, unsigned queue);
/* The next response of a queue; false: there is none. */
bool guest_answer(struct guest *g, unsigned queue, struct blkif_response *out);
/* Both, for one request: its status; 99 when there is no answer. */
int guest_ask(struct guest *g, unsigned queue, const struct guest_request *r);

#endif
