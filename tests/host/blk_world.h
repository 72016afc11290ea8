/* blk_world.h: a toolstack and users of disks, for tests and fuzzers of blkfront and blkback.
 *
 * Over mock_host.h: writes and removes the nodes of a virtual disk as libxl does, starts the halves
 * in their domains, and moves data through a disk. Domain 0 serves, domains 1.. are guests.
 */
#ifndef TESTS_BLK_WORLD_H
#define TESTS_BLK_WORLD_H

#include <amphi/blkback.h>
#include <amphi/blkfront.h>

#include "mock_host.h"

#define XVDA          51712u
#define XVDB          51728u
#define WORLD_SECTORS 8192u /* 4 MiB */

/* A fresh world with a RAM disk "ram0" in domain 0. */
struct mock_disk *world_begin(uint64_t sectors);
/* The same, and guest 1 is connected to it as xvda. */
struct mock_disk *world_connected(const char *mode, struct block_device **out_dev);
/* Bytes that follow from a seed. */
void world_fill(uint8_t *p, size_t len, uint32_t seed);
/* Both halves go; fails the program when either leaves anything behind. */
bool world_end(void);

void world_start_back(void);
void world_start_front(domid_t guest);

/* As libxl: backend/vbd/GUEST/VDEV of domain 0 and device/vbd/VDEV of the guest. */
void world_attach(domid_t guest, unsigned vdev, const char *params, const char *mode);
void world_detach_begin(domid_t guest, unsigned vdev); /* online = 0, state = 5 */
void world_detach_end(domid_t guest, unsigned vdev);   /* and the frontend's nodes go */

/* The value of a half's key, "" when there is none. */
const char *world_front(domid_t guest, unsigned vdev, const char *key);
const char *world_back(domid_t guest, unsigned vdev, const char *key);
void world_put_front(domid_t guest, unsigned vdev, const char *key, const char *value);
void world_put_back(domid_t guest, unsigned vdev, const char *key, const char *value);

/* One request in flight, or done. */
struct world_request {
	struct block_request req;
	struct block_segment segments[BLOCK_MAX_SEGMENTS];
	bool done;
	int status;
	uint8_t *data; /* pages of the guest's, of len_bytes */
	unsigned len_bytes, shift;
};
/* Fills req with len_bytes at sector, in fresh pages, starting shift bytes into the first. */
void world_prepare(struct world_request *w, domid_t guest, enum block_op op, uint64_t sector,
		   unsigned len_bytes, unsigned shift);
void world_release(struct world_request *w, domid_t guest);
void world_submit(struct world_request *w, domid_t guest, struct block_device *dev);
void world_kick(domid_t guest, struct block_device *dev);
/* All of that, and mock_run, for one request; its status. Waits out a backend that is away. */
int world_io(domid_t guest, struct block_device *dev, enum block_op op, uint64_t sector, void *data,
	     unsigned len_bytes);

/* Counters of the only (first) disk of each half. */
struct blkfront_stats world_front_stats(void);
struct blkback_stats world_back_stats(void);
unsigned world_back_count(void);
void *world_front_ring(void); /* the frontend's own view of its first ring */
void *world_front_queue_ring(unsigned queue);

#endif
