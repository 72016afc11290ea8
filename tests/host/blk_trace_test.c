/* blk_trace_test: the frontend's steps of a request, beside the backend's of the same one, and how they are asked for.
 *
 * A guest with kernel/disk_trace.c, and a backend that traces by the same numbers. Why: two halves that look at different
 * requests, or by different clocks, tell nothing about the way of one. Expected: the same requests, each step in its
 * order and as long as the test makes it; nothing is written to the store before tracing is over; a request that was
 * on its way at either end loses nothing.
 *
 * links: tests/host/blk_world.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 * links: protocol/xenbus*.c protocol/grant_retire.c protocol/blkif*.c protocol/blktrace.c kernel/disk_trace.c
 * links: drivers-front/blkfront*.c drivers-back/blkback*.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/blkif.h>
#include <amphi/blktrace.h>

#include "blk_world.h"
#include "kernel/disk_trace.h"

#define MANY 120u

static struct mock_disk *disk;
static struct block_device *dev;
static struct world_request w[MANY];
static unsigned n_given;

static void begin(void)
{
	disk = world_connected("w", &dev);
	disk->hold = true;
	n_given = 0;
	mock_enter(1);
	assert_int_equal(disk_trace_start(), 0);
	mock_run();
}

static void end(void)
{
	for (unsigned i = 0; i < n_given; i++) {
		assert_true(w[i].done && w[i].status == 0);
		world_release(&w[i], 1);
	}
	mock_enter(1);
	blkfront_trace(BLKFRONT_ANY, 0);
	mock_enter(0);
	blkback_trace(DOMID_INVALID, 0, 0);
	(void)world_end(); /* the watch on what is asked stays for the kernel's life */
}

static void give(unsigned n)
{
	for (; n--; n_given++) {
		world_prepare(&w[n_given], 1, BLOCK_WRITE, n_given * 8, 4096, 0);
		world_submit(&w[n_given], 1, dev);
	}
}

static void kick(void)
{
	world_kick(1, dev);
	mock_run();
}

static void answer_all(void)
{
	do
		mock_run();
	while (mock_disk_release(disk, 100));
	mock_run();
}

static void ask(const char *what)
{
	mock_enter(0);
	assert_int_equal(host_store_write(HOST_TX_NONE, "/local/domain/1/" BLKTRACE_ASK, what), 0);
	mock_run();
}

/* ---- what was kept --------------------------------------------------------------------------- */

struct seen {
	unsigned count;
	struct blkfront_trace rows[BLKFRONT_TRACES];
};

static void see(const struct blkfront_trace *trace, void *ctx)
{
	struct seen *s = ctx;

	s->rows[s->count++] = *trace;
}

static struct seen fronts(void)
{
	struct seen s = {0};

	mock_enter(1);
	blkfront_trace_for_each(see, &s);
	return s;
}

/* As the service domain reads it. */
static struct seen told(void)
{
	struct seen s = {0};
	char path[64];

	for (; s.count < BLKFRONT_TRACES; s.count++) {
		const char *text;

		snprintf(path, sizeof(path), "/local/domain/1/" BLKTRACE_TOLD "/%u", s.count);
		text = mock_store_get(path);
		if (!text || !text[0])
			break;
		assert_true(blktrace_parse(text, &s.rows[s.count]));
	}
	return s;
}

static uint64_t took(const struct blkfront_trace *t, enum blkfront_step step)
{
	return t->at_ns[step] - t->at_ns[step - 1];
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_the_steps_of_one(void **state)
{
	struct blkfront_trace t;

	begin();
	mock_enter(1);
	blkfront_trace(XVDB, 1);
	give(1);
	kick();
	assert_int_equal(fronts().count, 0);
	blkfront_trace(XVDA, 1);
	give(1);
	mock_advance(500); /* on the ring, and nobody was told */
	kick();
	assert_int_equal(fronts().count, 0); /* only what has ended */
	mock_advance(7000);
	answer_all();
	assert_int_equal(fronts().count, 1);
	t = fronts().rows[0];
	assert_int_equal(t.vdev, XVDA);
	assert_int_equal(t.number, 1);
	assert_int_equal(t.op, BLKIF_OP_WRITE);
	assert_int_equal(t.sector, 8);
	assert_int_equal(t.bytes, 4096);
	assert_int_equal(t.status, 0);
	assert_int_equal(took(&t, BLKFRONT_PUT), 0);
	assert_int_equal(took(&t, BLKFRONT_TOLD), 500);
	assert_int_equal(took(&t, BLKFRONT_SEEN), 7000);
	assert_int_equal(took(&t, BLKFRONT_DONE), 0);
	end();
}

/* The 33rd finds the ring full: the time until it is put is its wait. */
static void test_a_wait_for_a_slot(void **state)
{
	struct seen s;

	begin();
	mock_enter(1);
	blkfront_trace(BLKFRONT_ANY, 32);
	give(33);
	kick();
	mock_advance(9000);
	answer_all();
	s = fronts();
	assert_int_equal(s.count, 2);
	assert_int_equal(took(&s.rows[0], BLKFRONT_PUT), 0);
	assert_int_equal(s.rows[1].number, 32);
	assert_int_equal(took(&s.rows[1], BLKFRONT_PUT), 9000);
	end();
}

static void same(const struct blkback_trace *back, void *ctx)
{
	struct seen *s = ctx;

	assert_true(s->count < BLKFRONT_TRACES);
	for (unsigned i = 0; i < BLKFRONT_TRACES; i++)
		if (s->rows[i].number == back->number) {
			assert_int_equal(s->rows[i].sector, back->sector);
			assert_int_equal(s->rows[i].op, back->op);
			assert_int_equal(s->rows[i].bytes, back->bytes);
			assert_true(s->rows[i].at_ns[BLKFRONT_TOLD] <= back->at_ns[BLKBACK_TAKEN]);
			assert_true(s->rows[i].at_ns[BLKFRONT_SEEN] >=
				    back->at_ns[BLKBACK_ANSWERED]);
			s->count++;
			return;
		}
	fail_msg("the frontend did not look at request %u", back->number);
}

static void test_both_halves_look_at_the_same(void **state)
{
	struct seen s;

	begin();
	give(5);
	kick();
	ask("7 51712");
	blkback_trace(1, XVDA, 7);
	for (unsigned i = 0; i < 10; i++) {
		give(11);
		mock_advance(100);
		kick();
		mock_advance(1000);
		answer_all();
	}
	assert_int_equal(told().count, 0); /* not while it goes on */
	give(4);
	kick();
	mock_enter(0);
	blkback_trace(DOMID_INVALID, 0, 0);
	ask("0");
	answer_all();
	mock_advance(1000000000);
	s = told();
	assert_int_equal(s.count, 16); /* 7, 14 .. 112 */
	s.count = 0;
	mock_enter(0);
	blkback_trace_for_each(same, &s);
	assert_int_equal(s.count, BLKBACK_TRACES);
	ask("nonsense");
	assert_true(mock_logged("what is \"nonsense\"?"));
	assert_int_equal(told().count, 16);
	ask("1");
	assert_int_equal(told().count, 0);
	end();
}

/* A record belongs to the request it was begun for, however slots and records are used again meanwhile. */
static void test_more_than_are_kept(void **state)
{
	struct seen s;

	begin();
	mock_enter(1);
	blkfront_trace(BLKFRONT_ANY, 1);
	give(32);
	kick();
	answer_all();
	give(20);
	kick();
	answer_all();
	s = fronts();
	assert_int_equal(s.count, BLKFRONT_TRACES);
	for (unsigned i = 0; i < s.count; i++)
		assert_int_equal(s.rows[i].number, 20 + i);
	give(3);
	kick();
	mock_enter(1);
	blkfront_trace(BLKFRONT_ANY, 1); /* what was on its way is of another trace */
	answer_all();
	assert_int_equal(fronts().count, 0);
	end();
}

static void test_words(void **state)
{
	static const char *const bad[] = {"",      " ",    "x",          "-1",           "1 ", " 1",
					  "1 2 3", "1  2", "4294967296", "1 4294967296", "1,2"};
	unsigned vdev, every;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(blktrace_asked(bad[i], &vdev, &every));
	assert_true(blktrace_asked("0", &vdev, &every));
	assert_true(every == 0 && vdev == BLKFRONT_ANY);
	assert_true(blktrace_asked("4294967295 51728", &vdev, &every));
	assert_true(every == 4294967295u && vdev == 51728);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_steps_of_one),
	    cmocka_unit_test(test_a_wait_for_a_slot),
	    cmocka_unit_test(test_both_halves_look_at_the_same),
	    cmocka_unit_test(test_more_than_are_kept),
	    cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
