/* nvme_card.h: an NVMe controller played by a test: registers, an admin queue that answers, I/O queues that the test answers for.
 *
 * For nvme_test and nvme_full_test: addresses of the controller are our own. Two namespaces of 2048 blocks: 1, of 512 bytes,
 * and 5, of 4096. One controller at a time; those of tests before are still there, and not looked at.
 */
#ifndef TESTS_NVME_CARD_H
#define TESTS_NVME_CARD_H

#include "drivers-native/nvme.h"

extern uint8_t registers[0x2000];
uint32_t get32(unsigned at);
void put32(unsigned at, uint32_t v);

/* The driver's, after nvme_card_setup: a controller, its first queue, its disks. */
int nvme_card_setup(void **state);
extern struct nvme *n;
extern struct nvme_io *io;
extern struct block_device *disks[8];

extern bool completes_for_ever, is_silent; /* the controller */
extern unsigned lines_logged, n_registered, n_unregistered, masters_off, creations, unmapped;
/* Takes what is new in the admin queue. */
void play_admin(void);

/* Completions of the first queue, in the first round of its entries: enough for a test. told: how many there are. */
extern unsigned told;
void complete(uint16_t id, unsigned code);
void complete_two(void); /* of the first two commands */

/* A done that counts, the last status. */
extern unsigned ended;
extern int ended_with;
void done(struct block_request *req, int status);
/* Pages 1, 2, ... of the address space: never touched, as the controller is played. */
struct block_segment segment(unsigned page, unsigned offset, unsigned len);
/* A write that is two commands; sets ended to 0. */
struct block_request five_segments(void);
/* To the first disk, and kicks. */
void submit(struct block_request *req);

/* The worker's timer, as often as it takes, or a hundred thousand times. */
void pass_time(bool (*until)(void));

#endif
