/* blk_rogue.h: halves of a disk that do what a test says, not what they should.
 *
 * A rogue front in guest 1 against blkback, a rogue back in domain 0 against blkfront: each goes
 * through the handshake like a good one and then has the ring's page in its hands, raw. Used by the
 * tests of hostile peers and by the fuzzers. Calls blk_world.h and host.h.
 */
#ifndef TESTS_BLK_ROGUE_H
#define TESTS_BLK_ROGUE_H

#include <amphi/blkif.h>
#include <amphi/ring.h>

#include "blk_world.h"

#define ROGUE_PAGES 16u

struct rogue {
	struct ring_page *page; /* the ring, as this half sees it */
	gref_t ref;
	port_t port;
	unsigned events; /* notifications received */
	/* front only: data pages and their grants; odd ones are read-only */
	uint8_t *data[ROGUE_PAGES];
	gref_t grants[ROGUE_PAGES];
};

/* Guest 1's xvda on "ram0", offered by a rogue front; connected when blkback agrees. */
void rogue_front_begin(struct rogue *r, const char *mode, bool persistent);
/* Its nodes go, and what blkback lets go of is freed. */
void rogue_front_end(struct rogue *r);
/* A request into the slot of a running index. */
void rogue_request(struct rogue *r, uint32_t index, const struct blkif_request *req);
/* The response in the slot of a running index. */
struct blkif_response rogue_response(struct rogue *r, uint32_t index);
/* Publishes requests up to an index, notifies, lets everybody run. */
void rogue_publish(struct rogue *r, uint32_t req_prod);
/* One good request of one sector of data page n. */
struct blkif_request rogue_good(struct rogue *r, uint8_t op, unsigned n, uint64_t sector);

/* Guest 1's xvda, served by a rogue back in domain 0; *out_dev is NULL when blkfront refused. */
void rogue_back_begin(struct rogue *r, const char *sectors, bool persistent,
		      struct block_device **out_dev);
/* Closes, and serves the frontend's next ring. */
void rogue_back_again(struct rogue *r);
void rogue_back_end(struct rogue *r);
/* A response into the slot of a running index; publish and notify as above. */
void rogue_answer(struct rogue *r, uint32_t index, uint64_t id, uint8_t op, int16_t status);
void rogue_publish_answers(struct rogue *r, uint32_t rsp_prod);
/* The request in a slot, as the back half sees it. */
struct blkif_request rogue_asked(struct rogue *r, uint32_t index);

#endif
