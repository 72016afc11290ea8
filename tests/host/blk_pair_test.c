/* blk_pair_test: data through blkfront and blkback, each in a domain of its own, in one process.
 *
 * Shows that every byte arrives whatever the shape of a request, that many requests are in flight
 * with few notifications, that pages are granted and mapped once when both halves keep them, and
 * that shortage anywhere is survived. Why: this is the whole driver but for hypercalls, under ASan.
 * Expected: data equal, counters as stated, nothing left in the mock world at the end.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blk_world.h"

static void end(void)
{
	assert_true(world_end());
}

/* ---- data ---- */

/* Requests of every length from a sector to 11 segments, at every alignment in the page. */
static void test_every_shape(void **state)
{
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);

	for (unsigned shift = 0; shift < PAGE_SIZE; shift += 512)
		for (unsigned sectors = 1; sectors <= 88 - shift / 512; sectors += 3) {
			struct world_request w;
			uint64_t at = (shift + sectors * 7u) % (WORLD_SECTORS - 88);

			world_prepare(&w, 1, BLOCK_WRITE, at, sectors * 512, shift);
			world_fill(w.data, w.len_bytes, sectors + shift);
			world_submit(&w, 1, dev);
			world_kick(1, dev);
			mock_run();
			assert_true(w.done);
			assert_int_equal(w.status, 0);
			assert_memory_equal(ram->data + at * 512, w.data, w.len_bytes);
			memset(w.data, 0, w.len_bytes);
			w.done = false;
			w.req.op = BLOCK_READ;
			world_submit(&w, 1, dev);
			world_kick(1, dev);
			mock_run();
			assert_true(w.done && w.status == 0);
			assert_memory_equal(ram->data + at * 512, w.data, w.len_bytes);
			world_release(&w, 1);
		}
	end();
}

static void test_flush(void **state)
{
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);

	assert_int_equal(world_io(1, dev, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(ram->flushes, 1);
	assert_int_equal(dev->stats.flushes, 1);
	end();
}

static void test_readonly(void **state)
{
	struct block_device *dev;
	uint8_t data[512] = {1};

	world_connected("r", &dev);
	assert_true(dev->readonly);
	assert_int_equal(world_io(1, dev, BLOCK_WRITE, 0, data, 512), -XEN_EROFS);
	assert_int_equal(world_io(1, dev, BLOCK_READ, 0, data, 512), 0);
	assert_int_equal(data[0], 0);
	end();
}

static void test_disk_errors(void **state)
{
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);
	uint8_t data[512];

	ram->fail_status = -XEN_EIO;
	assert_int_equal(world_io(1, dev, BLOCK_READ, 0, data, 512), -XEN_EIO);
	ram->fail_status = -XEN_EOPNOTSUPP;
	assert_int_equal(world_io(1, dev, BLOCK_FLUSH, 0, NULL, 0), -XEN_EOPNOTSUPP);
	assert_false(dev->has_flush); /* it will not be asked again */
	ram->fail_status = 0;
	assert_int_equal(world_io(1, dev, BLOCK_READ, WORLD_SECTORS, data, 512), -XEN_EIO);
	assert_int_equal(world_io(1, dev, BLOCK_READ, ~0ull, data, 512), -XEN_EIO);
	assert_int_equal(world_back_stats().refused, 2);
	end();
}

/* A disk that takes fewer segments than a request has gets it in parts. */
static void test_parts(void **state)
{
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);
	uint8_t in[11 * 4096], out[11 * 4096];

	ram->dev.max_segments = 4;
	world_fill(in, sizeof(in), 5);
	assert_int_equal(world_io(1, dev, BLOCK_WRITE, 8, in, sizeof(in)), 0);
	assert_memory_equal(ram->data + 8 * 512, in, sizeof(in));
	assert_int_equal(ram->submits, 3);
	assert_int_equal(world_io(1, dev, BLOCK_READ, 8, out, sizeof(out)), 0);
	assert_memory_equal(in, out, sizeof(in));
	end();
}

/* More segments than fit a slot of the ring: they go through a page of their own. */
static void test_long_requests(void **state)
{
	static const struct blkfront_limits wide = {
	    .queues = 1, .segments = 256, .copy_pages = 300};
	static uint8_t in[256 * 4096], out[256 * 4096];
	struct block_device *dev;
	struct mock_disk *ram;
	unsigned pages = 12;

	blkfront_limit(&wide);
	ram = world_connected("w", &dev);
	assert_int_equal(dev->max_segments, 256);
	for (unsigned n = 0; pages <= 256; n++, pages = pages * 2 + n % 2) {
		world_fill(in, pages * 4096, pages);
		assert_int_equal(world_io(1, dev, BLOCK_WRITE, 8, in, pages * 4096), 0);
		assert_memory_equal(ram->data + 8 * 512, in, pages * 4096);
		assert_int_equal(world_io(1, dev, BLOCK_READ, 8, out, pages * 4096), 0);
		assert_memory_equal(in, out, pages * 4096);
		assert_int_equal(world_front_stats().indirect, 2 * n + 2);
		assert_int_equal(world_back_stats().indirect, 2 * n + 2);
	}
	assert_int_equal(world_front_stats().split, 0);
	end();
}

/* ---- many at once ---- */

#define DEPTH 100u /* more than the ring holds: some wait */

static void test_many_in_flight(void **state)
{
	static struct world_request w[DEPTH];
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);

	ram->hold = true;
	for (unsigned i = 0; i < DEPTH; i++) {
		world_prepare(&w[i], 1, BLOCK_WRITE, i * 8, 4096, 0);
		world_fill(w[i].data, 4096, i);
		world_submit(&w[i], 1, dev);
	}
	world_kick(1, dev);
	mock_run();
	assert_int_equal(world_front_stats().in_flight, 32);
	assert_int_equal(world_front_stats().queued, DEPTH - 32);
	assert_int_equal(world_back_stats().in_flight, 32);
	for (unsigned left = DEPTH; left;) {
		left -= mock_disk_release(ram, 5);
		mock_run();
	}
	for (unsigned i = 0; i < DEPTH; i++) {
		assert_true(w[i].done && w[i].status == 0);
		assert_memory_equal(ram->data + i * 4096, w[i].data, 4096);
		world_release(&w[i], 1);
	}
	end();
}

/* A user that keeps 32 requests going: each completion starts the next. */
static struct {
	struct block_device *dev;
	unsigned left;
} stream;

static void stream_done(struct block_request *req, int status)
{
	assert_int_equal(status, 0);
	if (!stream.left)
		return;
	stream.left--;
	req->sector = (req->sector + 256) % WORLD_SECTORS;
	stream.dev->ops->submit(stream.dev, req);
	stream.dev->ops->kick(stream.dev);
}

static uint8_t *run_stream(unsigned count, bool lend)
{
	static struct block_request reqs[32];
	static struct block_segment segments[32];
	uint8_t *pages;

	mock_enter(1);
	pages = host_pages_alloc(32);
	if (lend)
		assert_int_equal(blkfront_lend(pages, 32), 0);
	stream.left = count - 32;
	for (unsigned i = 0; i < 32; i++) {
		reqs[i] = (struct block_request){.op = BLOCK_READ,
						 .sector = i * 8,
						 .n_segments = 1,
						 .segments = &segments[i],
						 .done = stream_done};
		segments[i] = (struct block_segment){pages + i * 4096, 4096};
		stream.dev->ops->submit(stream.dev, &reqs[i]);
	}
	stream.dev->ops->kick(stream.dev);
	mock_run();
	assert_int_equal(stream.left, 0);
	return pages;
}

/* The pages of a stream: lent until the backend has let go of them. */
static void end_stream(uint8_t *pages, bool lent)
{
	mock_enter(1);
	if (lent)
		assert_int_equal(blkfront_reclaim(pages, 32), 0);
	host_pages_free(pages, 32);
	end();
}

/* At depth 32 a notification serves many requests, and pages are mapped once and used again. */
static void test_stream(void **state)
{
	struct mock_calls before;
	struct blkfront_stats stats;
	uint8_t *pages;

	world_connected("w", &stream.dev);
	before = mock_calls;
	pages = run_stream(10000, true);
	stats = world_front_stats();
	assert_int_equal(stats.requests, 10000);
	assert_int_equal(stats.bytes_read, 10000 * 4096);
	assert_int_equal(stats.copied_bytes, 0);
	assert_true(mock_calls.notifies - before.notifies <= 1000); /* 0.1 each */
	assert_int_equal(mock_calls.works_run,
			 before.works_run); /* the disk answers inside the loop */
	assert_int_equal(mock_calls.mapped - before.mapped, 32);
	assert_int_equal(world_back_stats().persistent_hits, 10000 - 32);
	assert_int_equal(world_back_stats().persistent_held, 32);
	world_detach_begin(1, XVDA);
	end_stream(pages, true);
}

/* The same when the disk answers one request at a time, as with an interrupt each. */
static void test_stream_one_by_one(void **state)
{
	static struct world_request w[32];
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);
	uint64_t before;

	ram->hold = true;
	for (unsigned i = 0; i < 32; i++) {
		world_prepare(&w[i], 1, BLOCK_READ, i * 8, 4096, 0);
		w[i].req.done = stream_done;
		world_submit(&w[i], 1, dev);
	}
	stream.dev = dev;
	stream.left = 3200 - 32;
	before = mock_calls.notifies;
	world_kick(1, dev);
	mock_run();
	while (mock_disk_release(ram, 1))
		mock_run();
	assert_int_equal(dev->stats.bytes_read, 3200 * 4096);
	assert_true(mock_calls.notifies - before <= 320);
	for (unsigned i = 0; i < 32; i++)
		world_release(&w[i], 1);
	end();
}

/* ---- without persistence, with shortage ---- */

/* Both halves without feature-persistent, as an old peer would be: a grant for each segment. */
static void test_without_persistence(void **state)
{
	struct blkfront_stats stats;
	uint8_t *pages;

	world_begin(WORLD_SECTORS);
	world_start_back();
	world_start_front(1);
	mock_store_hide("feature-persistent");
	world_attach(1, XVDA, "ram0", "w");
	stream.dev = mock_find_registered(1, "xvda");
	pages = run_stream(1000, false);
	stats = world_front_stats();
	assert_int_equal(stats.grants_offered, 1000);
	assert_int_equal(stats.copied_bytes + stats.persistent_hits, 0);
	assert_int_equal(world_back_stats().grants_mapped, 1000);
	assert_int_equal(world_back_stats().persistent_held, 0);
	assert_int_equal(mock_left(0).maps, 1); /* the ring */
	assert_true(mock_calls.map_calls <= 70 && mock_calls.unmap_calls <= 70);
	end_stream(pages, false);
}

static void test_shortage(void **state)
{
	uint8_t data[11 * 4096];

	for (int n = 1; n < 120; n++) {
		struct block_device *dev;

		world_begin(WORLD_SECTORS);
		mock_fail_after(n);
		world_start_back();
		world_start_front(1);
		world_attach(1, XVDA, "ram0", "w");
		dev = mock_find_registered(1, "xvda");
		if (dev)
			world_io(1, dev, BLOCK_READ, 0, data, sizeof(data));
		mock_fail_after(-1);
		end();
	}
}

/* Memory that was lent stays so while a backend has it, and comes back when it has gone. */
static void test_lent_memory_comes_back(void **state)
{
	uint8_t *pages;

	world_connected("w", &stream.dev);
	pages = run_stream(64, true);
	mock_enter(1);
	assert_int_equal(blkfront_reclaim(pages, 32), -XEN_EBUSY);
	assert_int_equal(blkfront_reclaim(pages, 31), -XEN_ENOENT);
	world_detach_begin(1, XVDA);
	end_stream(pages, true);
}

/* The same after the frontend's disk is gone, before the backend noticed. */
static void test_lent_memory_outlives_the_disk(void **state)
{
	uint8_t *pages;

	world_connected("w", &stream.dev);
	pages = run_stream(64, true);
	mock_freeze(0, true);
	world_detach_end(1, XVDA);
	mock_enter(1);
	assert_int_equal(blkfront_reclaim(pages, 32), -XEN_EBUSY);
	mock_freeze(0, false);
	mock_run();
	mock_advance(2000000000ull);
	end_stream(pages, true);
}

/* With an argument: only the tests whose names it matches. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_shape),
	    cmocka_unit_test(test_flush),
	    cmocka_unit_test(test_readonly),
	    cmocka_unit_test(test_disk_errors),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_long_requests),
	    cmocka_unit_test(test_many_in_flight),
	    cmocka_unit_test(test_stream),
	    cmocka_unit_test(test_stream_one_by_one),
	    cmocka_unit_test(test_without_persistence),
	    cmocka_unit_test(test_shortage),
	    cmocka_unit_test(test_lent_memory_comes_back),
	    cmocka_unit_test(test_lent_memory_outlives_the_disk),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
