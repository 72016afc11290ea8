/* blk_straight_test: the straight way of blkfront (blkfront_straight.h) is taken by who may take it, and by nobody else.
 *
 * Shows, with memory that stands granted and requests of one segment: data arrives from any place of a page; a write to a disk that is
 * read-only, and one that is to be on the medium, are no plain requests; a ring takes what it has room for; a request that comes
 * while another waits, be it from inside a completion, goes behind it. Why: the general way checks all that as well, but
 * nearly no request goes there. The back half's way is tested with hostile guests (blk_hostile_front_test.c).
 *
 * links: tests/host/blk_world.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 * links: protocol/xenbus.c protocol/xenbus_class.c protocol/xenbus_keys.c
 * links: protocol/grant_retire.c protocol/blkif_names.c
 * links: drivers-front/blkfront*.c drivers-back/blkback*.c
 * links: lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "blk_world.h"

#define MANY 700u

static struct mock_disk *ram;
static struct block_device *dev;
static uint8_t *lent;
static struct block_segment segments[MANY];
static struct block_request requests[MANY];
static unsigned done;
static int last_status;

static void count_done(struct block_request *req, int status)
{
	done++;
	last_status = status;
}

static struct block_request *plain(unsigned i, enum block_op op, uint64_t sector)
{
	segments[i] = (struct block_segment){lent, 512};
	requests[i] = (struct block_request){.op = op,
					     .sector = sector,
					     .n_segments = 1,
					     .segments = &segments[i],
					     .done = count_done};
	return &requests[i];
}

static int run(struct block_request *req)
{
	unsigned before = done;

	mock_enter(1);
	dev->ops->submit(dev, req);
	dev->ops->kick(dev);
	mock_run();
	assert_int_equal(done, before + 1);
	return last_status;
}

/* One request that was before makes the page's grant stand. */
static void begin_with(const char *mode, unsigned sector_size)
{
	ram = world_begin(WORLD_SECTORS);
	ram->dev.sector_size = sector_size;
	ram->dev.has_flush = ram->dev.has_fua = true;
	world_start_back();
	world_put_back(1, XVDA, "flush-cache-enable", "0"); /* barriers are all there is then */
	world_start_front(1);
	world_attach(1, XVDA, "ram0", mode);
	dev = mock_find_registered(1, "xvda");
	assert_non_null(dev);
	done = 0;
	mock_enter(1);
	lent = host_pages_alloc(1);
	assert_int_equal(blkfront_lend(lent, 1), 0);
	plain(0, BLOCK_READ, 0);
	segments[0].len_bytes = sector_size;
	assert_int_equal(run(&requests[0]), 0);
	assert_int_equal(world_front_stats().standing, 1);
}

static void begin(const char *mode)
{
	begin_with(mode, 512);
}

static void end(void)
{
	world_detach_begin(1, XVDA);
	mock_run();
	mock_enter(1);
	assert_int_equal(blkfront_reclaim(lent, 1), 0);
	host_pages_free(lent, 1);
	assert_true(world_end());
}

/* A connection that counts in large sectors never goes straight, at whichever end. */
static void test_large_units(void **state)
{
	static const struct blkfront_limits large = {
	    .queues = 1, .segments = 64, .copy_pages = 128, .depth = 32, .large_sectors = true};
	static const struct blkfront_limits plain_ones = {
	    .queues = 1, .segments = 64, .copy_pages = 128, .depth = 32};

	blkfront_limit(&large);
	begin_with("w", 4096);
	for (unsigned i = 0; i < 20; i++) {
		struct block_request *req =
		    plain(0, i & 1 ? BLOCK_READ : BLOCK_WRITE, 24 + i / 2 * 8);

		segments[0].len_bytes = PAGE_SIZE;
		world_fill(lent, PAGE_SIZE, i);
		assert_int_equal(run(req), 0);
		assert_memory_equal(ram->data + req->sector * 512, lent, PAGE_SIZE);
	}
	assert_int_equal(world_front_stats().copied_bytes, 0);
	assert_int_equal(world_front_stats().unit_bytes, 4096);
	end();
	blkfront_limit(&plain_ones);
}

static void test_places_in_a_page(void **state)
{
	begin("w");
	for (unsigned at = 0; at < PAGE_SIZE; at += 512)
		for (unsigned len = 512; at + len <= PAGE_SIZE; len += 512) {
			struct block_request *req = plain(0, BLOCK_WRITE, at + len / 512);

			segments[0] = (struct block_segment){lent + at, len};
			world_fill(lent, PAGE_SIZE, at * 3 + len);
			assert_int_equal(run(req), 0);
			assert_memory_equal(ram->data + req->sector * 512, lent + at, len);
			memset(lent, 0, PAGE_SIZE);
			req->op = BLOCK_READ;
			assert_int_equal(run(req), 0);
			assert_memory_equal(ram->data + req->sector * 512, lent + at, len);
		}
	assert_int_equal(world_front_stats().persistent_hits, world_front_stats().segments);
	assert_int_equal(world_front_stats().copied_bytes, 0);
	end();
}

static void test_readonly(void **state)
{
	begin("r");
	assert_int_equal(run(plain(0, BLOCK_WRITE, 8)), -XEN_EROFS);
	assert_int_equal(world_back_stats().requests, 1);
	end();
}

static void test_to_the_medium(void **state)
{
	begin("w");
	assert_true(dev->has_fua);
	plain(0, BLOCK_WRITE, 8)->flags = BLOCK_FUA;
	assert_int_equal(run(&requests[0]), 0);
	assert_int_equal(world_back_stats().barriers, 1);
	end();
}

/* Nothing is published before the kick, so the ring is full whatever the backend does. */
static void test_full_ring(void **state)
{
	unsigned slots;

	begin("w");
	ram->hold = true;
	mock_enter(1);
	for (unsigned i = 0; i < MANY; i++)
		dev->ops->submit(dev, plain(i, BLOCK_READ, i));
	slots = world_front_stats().in_flight;
	assert_in_range(slots, 32, MANY - 1);
	assert_int_equal(world_front_stats().queued, MANY - slots);
	dev->ops->kick(dev);
	mock_run();
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(mock_disk_release(ram, 1), 1);
		mock_run();
	}
	assert_int_equal(done, 1 + MANY);
	assert_int_equal(last_status, 0);
	end();
}

static void submit_another(struct block_request *req, int status)
{
	count_done(req, status);
	dev->ops->submit(dev, plain(MANY - 1, BLOCK_READ, 5000));
}

/* The slot that it could have is the one of the request that ends. */
static void test_behind_who_waits(void **state)
{
	unsigned slots;

	begin("w");
	ram->hold = true;
	mock_enter(1);
	dev->ops->submit(dev, plain(0, BLOCK_READ, 0));
	requests[0].done = submit_another;
	for (slots = 1; !world_front_stats().queued; slots++) {
		mock_enter(1);
		dev->ops->submit(dev, plain(slots, BLOCK_READ, slots));
	}
	dev->ops->kick(dev);
	mock_run();
	mock_disk_release(ram, slots - 1);
	mock_run();
	assert_int_equal(ram->submits, 1 + slots + 1);
	assert_int_equal(ram->last[slots % 16].sector, slots - 1);
	assert_int_equal(ram->last[(slots + 1) % 16].sector, 5000);
	mock_disk_release(ram, 2);
	mock_run();
	assert_int_equal(done, 1 + slots + 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_places_in_a_page), cmocka_unit_test(test_large_units),
	    cmocka_unit_test(test_readonly),         cmocka_unit_test(test_to_the_medium),
	    cmocka_unit_test(test_full_ring),        cmocka_unit_test(test_behind_who_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
