/* nbd_world.h: what nbd*.c asks of its host, in a test: memory, time, work, a registry of one disk.
 *
 * Implemented by nbd_world.c. The streams are elsewhere: sockets (host_tcp_sockets.c) or a script (fake_tcp.c). Time is the test's.
 */
#ifndef TESTS_NBD_WORLD_H
#define TESTS_NBD_WORLD_H

#include <amphi/nbd.h>

extern uint64_t world_now_ns;
extern unsigned world_registered, world_changed;
extern char world_log[512]; /* the last line */

void world_reset(void);
/* Runs what is due; world_advance lets time pass first. */
void world_run(void);
void world_advance(uint64_t ms);

/* A request with its memory, whose end is noted. */
struct world_request {
	struct block_request req;
	struct block_segment segments[BLOCK_MAX_SEGMENTS];
	uint8_t *memory;
	int status;
	unsigned ended;
};
/* len bytes in segments of at most a page; the first of them is shorter by skew, a multiple of 512. */
struct world_request *world_request(enum block_op op, uint64_t sector, uint32_t len, uint32_t skew);
void world_submit(struct block_device *dev, struct world_request *r);
void world_free(struct world_request *r);

#endif
