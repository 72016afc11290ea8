/* blk_count_test.c: what blkback tells people of its requests: latencies as a histogram, and a request step by step.
 *
 * Why: these are what somebody looks at when a guest says that its disk is slow; a step that is counted to the wrong one sends
 * him to the wrong place. The mock world's clock moves only when the test moves it, so each figure is exact.
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
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/blkif.h>

#include "blk_world.h"

static struct mock_disk *disk;
static struct block_device *dev;
static struct world_request w[24];

static void begin(void)
{
	disk = world_connected("w", &dev);
	disk->hold = true;
}

static void submit(unsigned i, enum block_op op)
{
	world_prepare(&w[i], 1, op, i * 8, op == BLOCK_FLUSH ? 0 : 4096, 0);
	world_submit(&w[i], 1, dev);
	world_kick(1, dev);
	mock_run();
}

static void answer(unsigned count)
{
	mock_disk_release(disk, count);
	mock_run();
}

static void end(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		world_release(&w[i], 1);
	assert_true(world_end());
}

/* ---- latencies --------------------------------------------------------------------------- */

static void take(const struct blkback_info *info, void *ctx)
{
	const struct blkback_queue_stats *q = blkback_queue(info, 0);

	assert_non_null(q);
	assert_null(blkback_queue(info, info->n_queues));
	*(struct blkback_queue_stats *)ctx = *q;
}

static struct blkback_queue_stats look(void)
{
	struct blkback_queue_stats stats = {0};

	blkback_for_each(take, &stats);
	return stats;
}

static void test_latencies(void **state)
{
	struct blkback_queue_stats q;

	(void)state;
	begin();
	submit(0, BLOCK_READ);
	mock_advance(5000);
	submit(1, BLOCK_WRITE);
	assert_int_equal(look().in_flight, 2);
	mock_advance(3000);
	answer(2);
	submit(2, BLOCK_FLUSH);
	answer(1);
	q = look();
	assert_int_equal(q.latency[BLKBACK_READ][12], 1);  /* 8000 */
	assert_int_equal(q.latency[BLKBACK_WRITE][11], 1); /* 3000 */
	assert_int_equal(q.latency[BLKBACK_OTHER][0], 1);  /* none that the clock knows */
	assert_int_equal(q.bytes_read, 4096);
	assert_int_equal(q.bytes_written, 4096);
	assert_int_equal(q.segments, 2);
	assert_int_equal(q.merged, 0);
	assert_int_equal(q.in_flight, 0);
	assert_true(q.notifications_sent > 0 && q.notifications_received > 0);
	end(3);
}

/* What the frontend joined: a request of five pages and one of two are five merged segments, on the ring and in all. */
static void test_merged(void **state)
{
	struct blkback_queue_stats q;

	begin();
	world_prepare(&w[0], 1, BLOCK_READ, 0, 5 * 4096, 0);
	world_prepare(&w[1], 1, BLOCK_WRITE, 0, 2 * 4096, 0);
	for (unsigned i = 0; i < 2; i++)
		world_submit(&w[i], 1, dev);
	world_kick(1, dev);
	mock_run();
	answer(2);
	q = look();
	assert_int_equal(q.segments, 7);
	assert_int_equal(q.merged, 5);
	assert_int_equal(q.bytes_read, 5 * 4096);
	assert_int_equal(q.bytes_written, 2 * 4096);
	assert_int_equal(world_back_stats().merged, 5);
	end(2);
}

/* Longer than the last step of the histogram: counted there. */
static void test_a_very_long_one(void **state)
{
	(void)state;
	begin();
	submit(0, BLOCK_READ);
	mock_advance(1ull << 50);
	answer(1);
	assert_int_equal(look().latency[BLKBACK_READ][BLKBACK_LATENCIES - 1], 1);
	end(1);
}

/* ---- traces ------------------------------------------------------------------------------ */

struct seen {
	unsigned count;
	struct blkback_trace last, first;
};

static void see(const struct blkback_trace *trace, void *ctx)
{
	struct seen *s = ctx;

	if (!s->count++)
		s->first = *trace;
	s->last = *trace;
}

static struct seen traces(void)
{
	struct seen s = {0};

	blkback_trace_for_each(see, &s);
	return s;
}

static uint64_t took(const struct blkback_trace *t, enum blkback_step step)
{
	assert_int_not_equal(t->at_ns[step], 0);
	return t->at_ns[step] - t->at_ns[step - 1];
}

/* The wait for a limit is the wait for its turn, and the disk's time is the disk's. */
static void test_a_trace(void **state)
{
	struct seen s;

	(void)state;
	begin();
	world_put_back(1, XVDA, "limit-burst-ms", "10");
	world_put_back(1, XVDA, "limit-iops", "10");
	mock_run();
	mock_advance(1000000000);
	submit(0, BLOCK_READ);
	answer(1);
	blkback_trace(1, XVDA, 1);
	submit(1, BLOCK_WRITE);
	assert_int_equal(traces().count, 0); /* only what was answered */
	mock_advance(90000000);              /* 100 ms, of which the burst has 10 */
	mock_advance(7000);
	answer(1);
	s = traces();
	assert_int_equal(s.count, 1);
	assert_int_equal(s.last.guest, 1);
	assert_int_equal(s.last.vdev, XVDA);
	assert_int_equal(s.last.op, BLKIF_OP_WRITE);
	assert_int_equal(s.last.sector, 8);
	assert_int_equal(s.last.bytes, 4096);
	assert_int_equal(s.last.status, 0);
	assert_int_equal(took(&s.last, BLKBACK_MAPPED), 0);
	assert_int_equal(took(&s.last, BLKBACK_GIVEN), 90000000);
	assert_int_equal(took(&s.last, BLKBACK_DONE), 7000);
	assert_int_equal(took(&s.last, BLKBACK_ANSWERED), 0);
	blkback_trace(DOMID_INVALID, 0, 0);
	end(2);
}

static void test_each_third_of_the_right_disk(void **state)
{
	struct seen s;

	(void)state;
	begin();
	disk->hold = false;
	blkback_trace(2, XVDA, 1);
	submit(0, BLOCK_READ);
	assert_int_equal(traces().count, 0);
	blkback_trace(DOMID_INVALID, 0, 3);
	for (unsigned i = 1; i < 8; i++)
		submit(i, BLOCK_READ);
	s = traces();
	assert_int_equal(s.count, 2); /* by their number on the ring, the first of which is 0 */
	assert_int_equal(s.first.number, 3);
	assert_int_equal(s.first.sector, 3 * 8);
	assert_int_equal(s.last.number, 6);
	assert_int_equal(s.last.sector, 6 * 8);
	blkback_trace(DOMID_INVALID, 0, 0);
	for (unsigned i = 8; i < 12; i++)
		submit(i, BLOCK_READ);
	assert_int_equal(traces().count, 2); /* kept until the next begin */
	blkback_trace(2, XVDA, 1);
	assert_int_equal(traces().count, 0);
	blkback_trace(DOMID_INVALID, 0, 0);
	end(12);
}

/* The slot of one that takes long is another's by the time it is done, and stays that one's. */
static void test_more_than_are_kept(void **state)
{
	struct seen s;

	(void)state;
	begin();
	blkback_trace(DOMID_INVALID, 0, 1);
	for (unsigned i = 0; i < 20; i++)
		submit(i, BLOCK_READ);
	answer(20);
	s = traces();
	assert_int_equal(s.count, BLKBACK_TRACES);
	assert_int_equal(s.first.sector, 4 * 8);
	assert_int_equal(s.last.sector, 19 * 8);
	submit(20, BLOCK_READ); /* and one that is done after tracing was ended */
	blkback_trace(DOMID_INVALID, 0, 0);
	assert_int_equal(traces().last.sector, 19 * 8);
	answer(1);
	assert_int_equal(traces().last.sector, 20 * 8);
	submit(21, BLOCK_READ); /* and after it was begun anew */
	blkback_trace(DOMID_INVALID, 0, 1);
	answer(1);
	assert_int_equal(traces().count, 0);
	blkback_trace(DOMID_INVALID, 0, 0);
	end(22);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_latencies),
	    cmocka_unit_test(test_merged),
	    cmocka_unit_test(test_a_very_long_one),
	    cmocka_unit_test(test_a_trace),
	    cmocka_unit_test(test_each_third_of_the_right_disk),
	    cmocka_unit_test(test_more_than_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
