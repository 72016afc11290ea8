/* blk_back_fixture.h: what the tests of blkback's parts begin and end with; a part of each (tests/host/blk_back*_test.c).
 *
 * One guest, played by blk_guest.c, whose xvda is the RAM disk "ram0" of domain 0, filled with the pattern of seed 3. Included
 * once, behind <cmocka.h>. Calls blk_world.h, blk_guest.h.
 */
#ifndef TESTS_BLK_BACK_FIXTURE_H
#define TESTS_BLK_BACK_FIXTURE_H

#include <string.h>

#include "blk_guest.h"

static struct guest guest;
static struct mock_disk *ram;

static inline void begin(void)
{
	ram = world_begin(WORLD_SECTORS);
	world_fill(ram->data, WORLD_SECTORS * 512, 3);
	world_start_back();
}

static inline void attach(const struct guest_plan *plan)
{
	world_attach(1, XVDA, "ram0", "w");
	guest_connect(&guest, plan);
	if (strcmp(world_back(1, XVDA, "state"), "4") != 0)
		mock_bug("no connection");
}

static inline void end(void)
{
	guest_end(&guest);
	if (!world_end())
		mock_bug("something is left");
}

static inline struct guest_request rw(uint8_t op, uint64_t sector, unsigned page, unsigned n)
{
	return (struct guest_request){
	    .op = op, .id = sector * 3 + 1, .sector = sector, .page = page, .n_segments = n};
}

static inline int ask(unsigned queue, struct guest_request r)
{
	return guest_ask(&guest, queue, &r);
}

static inline uint8_t *page(unsigned n)
{
	return guest.data + n * PAGE_SIZE;
}

/* The disk's last requests, in turn. */
static inline struct block_request *asked(unsigned n)
{
	return &ram->last[n % ARRAY_SIZE(ram->last)];
}

#endif
