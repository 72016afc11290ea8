/* block_fixture.h: a disk of a host test under the real block layer: it keeps what it is given until the test answers.
 *
 * Included by the tests of kernel/block*.c; implemented by block_fixture.c, with the worker's list and the memory that
 * the layer asks its host for.
 */
#ifndef TESTS_HOST_BLOCK_FIXTURE_H
#define TESTS_HOST_BLOCK_FIXTURE_H

#include "kernel/block.h"

#define DISK_SECTORS 8192u
#define BUFFER_PAGES 600u /* and as many requests and pieces at most */

extern struct block_device fake; /* "fake0", 11 segments, 4 requests in flight */
extern uint8_t disk[DISK_SECTORS * SECTOR_SIZE];
extern uint8_t *buffer;

/* What the device has. */
extern struct block_request *held[BUFFER_PAGES];
extern unsigned n_held, kicks, most_held;
extern bool at_once; /* it answers inside the kick */

/* What the pieces came to: ends of all, of each by its number, and the last one's status. */
extern unsigned ends, ended[BUFFER_PAGES];
extern int last_status;

extern unsigned allocations, ramdisks_made;
extern bool no_memory;

void run_work(void);
/* held[i] ends, moved first; the last one held takes its place. */
void answer(unsigned i, int status);
void answer_all(void);
/* Piece n, which piece_done counts. */
struct block_piece piece_of(unsigned n, enum block_op op, uint64_t sector, void *va,
			    unsigned sectors);
/* Another device under the same name: what the layer keeps for it is by the limits at this moment. */
void register_again(unsigned segments, unsigned depth);

int setup(void **state);
int teardown(void **state); /* nothing is left: no work, no memory */

/* What nbd_find gives; NULL: no such server. */
extern struct block_device *fixture_nbd;
#endif
