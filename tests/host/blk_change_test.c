/* blk_change_test: what a disk's users see when its backend, its size or its medium changes under them.
 *
 * Shows that requests in flight are made again in the order of their submission, on a backend with other
 * features too, in parts where it takes less; that a backend that is asked to leave may answer first; that
 * sizes and media that change are told; and that the kernel's pause and a new world fit any moment of it. Why:
 * order is what a file system's journal counts on, and a disk that grows is of use only if somebody hears it.
 * Expected: as stated in each test; every request ends once; nothing left.
 *
 * links: tests/host/blk_plain_back.c tests/host/blk_world.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c protocol/xenbus*.c protocol/grant_retire.c
 * links: protocol/blkif*.c drivers-front/blkfront*.c drivers-back/blkback*.c
 * links: lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blk_plain_back.h"

static struct plain_back b;
static struct block_device *dev;

static void begin(struct plain_back offer)
{
	static const struct blkfront_limits all = {
	    .queues = 4, .ring_order = 4, .segments = 256, .copy_pages = 300};

	b = offer;
	blkfront_limit(&all);
	dev = plain_begin(&b);
}

static void end(void)
{
	assert_true(plain_end(&b));
}

#define MANY 600u
static struct world_request many[MANY];

/* Request i writes its pages at sector i * 16: what a backend sees tells which it is. */
static void submit(unsigned i, unsigned pages, unsigned queue)
{
	world_prepare(&many[i], 1, BLOCK_WRITE, i * 16, pages * 4096, 0);
	world_fill(many[i].data, pages * 4096, i);
	many[i].req.queue = queue;
	world_submit(&many[i], 1, dev);
}

static void kick(void)
{
	world_kick(1, dev);
	mock_run();
}

static void expect_done(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_true(many[i].done && many[i].status == 0);
		world_release(&many[i], 1);
	}
}

/* The old backend lets go, and one that offers what is given now takes its place. */
static void other_backend(struct plain_back offer)
{
	uint8_t *data = b.data;

	plain_drop(&b);
	world_put_back(1, XVDA, "state", "6");
	mock_run();
	offer.sectors = WORLD_SECTORS;
	offer.data = data;
	b = offer;
	plain_offer(&b, false);
	plain_connect(&b);
}

/* ---- in order ---- */

/* Slots were freed and taken in a wild order, so their numbers say nothing; more wait than are in flight. */
static void test_replay_in_order(void **state)
{
	begin((struct plain_back){.order = 2, .hold = true});
	b.backwards = true;
	for (unsigned i = 0; i < 100; i++)
		submit(i, 1, 0);
	kick();
	plain_release(&b, 37); /* the last 37 */
	for (unsigned i = 100; i < 300; i++)
		submit(i, 1, 0);
	kick();
	assert_int_equal(world_front_stats().in_flight, 128);
	other_backend((struct plain_back){.order = 1});
	assert_int_equal(b.n_seen, 300 - 37);
	for (unsigned i = 1; i < b.n_seen; i++)
		assert_true(b.first_sectors[i - 1] < b.first_sectors[i]);
	assert_int_equal(world_front_stats().replayed, 128);
	expect_done(300);
	end();
}

/* From four queues to one and back to three: whatever comes out of one queue comes in order. */
static void test_replay_over_queues(void **state)
{
	begin((struct plain_back){.queues = 4, .hold = true});
	for (unsigned i = 0; i < 200; i++)
		submit(i, 1, i * 7);
	kick();
	assert_int_equal(world_front_stats().in_flight, 128);
	other_backend((struct plain_back){.hold = true});
	assert_int_equal(b.n_seen, 32);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(b.first_sectors[i], i * 16);
	other_backend((struct plain_back){.queues = 3, .order = 2});
	assert_int_equal(b.n_seen, 200);
	assert_int_equal(b.per_queue[0] + b.per_queue[1] + b.per_queue[2], 200);
	expect_done(200);
	end();
}

/* Requests of some 100 segments, made when indirect ones were offered, to a backend that takes 11 at once, with
 * some still waiting; then half way through to one that takes 64. */
static void test_replay_in_parts(void **state)
{
	begin((struct plain_back){.indirect = 256, .hold = true});
	for (unsigned i = 0; i < 8; i++)
		submit(i, 100 - i, 0);
	kick();
	assert_int_equal(b.n_held, 8);
	other_backend((struct plain_back){.hold = true});
	assert_int_equal(b.n_held,
			 32); /* the ring is full: 10, 9 and 9 parts, and 4 of the fourth */
	assert_int_equal(b.first_sectors[0], 0);
	assert_int_equal(b.first_sectors[1], 88);
	assert_int_equal(b.first_sectors[10], 16);
	assert_int_equal(dev->max_segments, 11);
	plain_release(&b, 30);
	assert_true(many[2].done && many[2].status == 0);
	assert_false(many[3].done);
	other_backend((struct plain_back){.indirect = 64});
	assert_int_equal(b.first_sectors[0], 3 * 16); /* the fourth, from its beginning */
	for (unsigned i = 0; i < 8; i++)
		assert_true(many[i].done && many[i].status == 0);
	assert_memory_equal(b.data + 7 * 16 * 512, many[7].data, many[7].len_bytes);
	expect_done(8);
	end();
}

/* All parts that were given are answered, and more are to come: the request has not ended. */
static void test_half_given(void **state)
{
	begin((struct plain_back){.hold = true});
	for (unsigned i = 0; i < 4; i++)
		submit(i, 100, 0);
	kick();
	assert_int_equal(b.n_held, 32); /* 10 parts each; of the last one two */
	plain_release(&b, 32);
	assert_true(many[2].done);
	assert_false(many[3].done);
	assert_int_equal(b.n_held, 8);
	plain_release(&b, 8);
	assert_memory_equal(b.data + 3 * 16 * 512, many[3].data, many[3].len_bytes);
	expect_done(4);
	end();
}

/* A part that fails fails the request, once, when the others are back. */
static void test_part_fails(void **state)
{
	begin((struct plain_back){.hold = true});
	submit(0, 30, 0);
	kick();
	assert_int_equal(b.n_held, 3);
	plain_release(&b, 1);
	b.unsupported = BLKIF_OP_WRITE;
	plain_release(&b, 1);
	b.unsupported = 0;
	assert_false(many[0].done);
	plain_release(&b, 1);
	assert_true(many[0].done);
	assert_int_equal(many[0].status, -XEN_EIO);
	world_release(&many[0], 1);
	end();
}

/* A write to the medium between its two steps, and what a new backend has not. */
static void test_replay_without_the_feature(void **state)
{
	struct world_request *fua = &many[0], *discard = &many[1], *flush = &many[2];

	begin((struct plain_back){.barrier = true, .discard = true, .hold = true});
	world_prepare(fua, 1, BLOCK_WRITE, 0, 4096, 0);
	fua->req.flags = BLOCK_FUA;
	world_prepare(discard, 1, BLOCK_DISCARD, 8, 0, 0);
	discard->req.n_sectors = 8;
	world_prepare(flush, 1, BLOCK_FLUSH, 0, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		world_submit(&many[i], 1, dev);
	kick();
	assert_int_equal(b.ops[BLKIF_OP_WRITE_BARRIER], 2);
	other_backend((struct plain_back){.flush = true, .hold = true});
	assert_true(discard->done && discard->status == -XEN_EOPNOTSUPP);
	plain_release(&b, 1); /* the write; its flush follows */
	assert_false(fua->done);
	assert_int_equal(b.n_held, 2);
	other_backend((struct plain_back){.hold = true}); /* no flush at all */
	assert_true(flush->done && flush->status == 0);
	assert_int_equal(b.n_held, 1);
	plain_release(&b, 1);
	assert_true(fua->done && fua->status == 0);
	for (unsigned i = 0; i < 3; i++)
		world_release(&many[i], 1);
	end();
}

/* Requests made from inside the answers to others, while what waited is given out. */
static unsigned follow_ups;

static void again(struct block_request *req, int status)
{
	struct world_request *w = req->ctx;

	w->done = true;
	w->status = status;
	if (follow_ups) {
		unsigned i = 500 + --follow_ups;

		submit(i, 1, 0);
		dev->ops->kick(dev);
	}
}

static void test_submits_from_inside(void **state)
{
	begin((struct plain_back){.discard = true, .hold = true});
	follow_ups = 8;
	for (unsigned i = 0; i < 20; i++) {
		if (i % 2) {
			submit(i, 1, 0);
			continue;
		}
		world_prepare(&many[i], 1, BLOCK_DISCARD, 8, 0, 0);
		many[i].req.n_sectors = 8;
		many[i].req.done = again;
		world_submit(&many[i], 1, dev);
	}
	kick();
	other_backend((struct plain_back){.hold = true});
	assert_int_equal(b.n_held, 18);
	for (unsigned i = 0; i < 10; i++) /* those that waited first */
		assert_int_equal(b.first_sectors[i], (2 * i + 1) * 16);
	plain_release(&b, 100);
	for (unsigned i = 0; i < 20; i++)
		world_release(&many[i], 1);
	for (unsigned i = 500; i < 508; i++) {
		assert_true(many[i].done);
		world_release(&many[i], 1);
	}
	end();
}

/* ---- a backend that leaves ---- */

/* Orderly: what it has it answers, and nothing has to be done twice. */
static void test_answers_before_it_leaves(void **state)
{
	begin((struct plain_back){.queues = 2, .hold = true});
	for (unsigned i = 0; i < 10; i++)
		submit(i, 1, i);
	kick();
	world_put_back(1, XVDA, "state", "5");
	mock_run();
	assert_string_equal(world_front(1, XVDA, "state"), "4");
	submit(10, 1, 0); /* for the next one */
	kick();
	plain_release(&b, 9);
	assert_string_equal(world_front(1, XVDA, "state"), "4");
	plain_release(&b, 1);
	assert_string_equal(world_front(1, XVDA, "state"), "6");
	assert_int_equal(b.n_seen, 10);
	assert_int_equal(world_front_stats().replayed, 0);
	assert_false(many[10].done);
	other_backend((struct plain_back){0});
	assert_int_equal(b.n_seen, 1);
	expect_done(11);
	end();
}

/* One that does not answer is waited for a moment only. */
static void test_leaves_without_an_answer(void **state)
{
	begin((struct plain_back){.hold = true});
	submit(0, 1, 0);
	kick();
	world_put_back(1, XVDA, "state", "5");
	mock_run();
	assert_string_equal(world_front(1, XVDA, "state"), "4");
	mock_advance(3000000000ull);
	assert_string_equal(world_front(1, XVDA, "state"), "6");
	other_backend((struct plain_back){0});
	assert_int_equal(world_front_stats().replayed, 1);
	expect_done(1);
	end();
}

/* The directory goes, or the world ends, while it is waited for. */
static void test_ends_while_it_leaves(void **state)
{
	for (int how = 0; how < 2; how++) {
		begin((struct plain_back){.hold = true});
		submit(0, 1, 0);
		kick();
		world_put_back(1, XVDA, "state", "5");
		mock_run();
		if (how == 0) {
			world_detach_end(1, XVDA);
			mock_advance(3000000000ull);
			assert_int_equal(mock_registered(1), 0);
		} else {
			plain_drop(&b);
			mock_new_world(1);
			mock_enter(1);
			blkfront_resume();
			mock_run();
			mock_advance(31000000000ull);
		}
		assert_true(many[0].done && many[0].status == -XEN_EIO);
		world_release(&many[0], 1);
		end();
	}
}

/* Surprise: its directory is gone, and with it all its word. */
static void test_vanishes(void **state)
{
	begin((struct plain_back){.hold = true});
	submit(0, 1, 0);
	kick();
	mock_store_remove("/local/domain/0/backend/vbd/1/51712");
	mock_run();
	assert_string_equal(world_front(1, XVDA, "state"), "6");
	assert_false(many[0].done);
	mock_advance(31000000000ull);
	assert_true(many[0].done && many[0].status == -XEN_EIO);
	world_release(&many[0], 1);
	end();
}

/* ---- sizes and media ---- */

static unsigned told;
static uint64_t told_sectors;

static void on_change(void *ctx, struct block_device *changed)
{
	if (changed != dev)
		return;
	told++;
	told_sectors = changed->sectors;
}

static struct host_block_watch watch = {.fn = on_change};

/* As Linux's backend tells it: the key, then its state once more. */
static void set_sectors(const char *sectors)
{
	world_put_back(1, XVDA, "sectors", sectors);
	world_put_back(1, XVDA, "state", "4");
	mock_run();
}

static void test_size_changes(void **state)
{
	begin((struct plain_back){.hold = true});
	host_block_watch(&watch);
	told = 0;
	submit(0, 1, 0);
	kick();
	world_put_back(1, XVDA, "state", "4"); /* nothing new */
	mock_run();
	assert_int_equal(told, 0);
	set_sectors("16384");
	assert_int_equal(told, 1);
	assert_int_equal(told_sectors, 16384);
	set_sectors("4096");
	assert_int_equal(told, 2);
	assert_int_equal(dev->sectors, 4096);
	set_sectors("0"); /* a disk without a sector is none */
	set_sectors("nonsense");
	assert_int_equal(told, 2);
	assert_int_equal(dev->sectors, 4096);
	assert_int_equal(world_front_stats().changes, 2);
	assert_string_equal(world_front(1, XVDA, "state"), "4");
	plain_release(&b, 1); /* what was in flight is not disturbed */
	expect_done(1);
	host_block_unwatch(&watch);
	end();
}

/* A drive begins empty, gets a medium, loses it, gets another. */
static void test_media(void **state)
{
	uint8_t data[512];

	world_begin(8);
	b = (struct plain_back){.sectors = 0,
				.info = VDISK_CDROM | VDISK_REMOVABLE | VDISK_READONLY};
	b.data = calloc(WORLD_SECTORS, 512);
	world_start_front(1);
	plain_offer(&b, true);
	plain_connect(&b);
	dev = mock_find_registered(1, "xvda");
	assert_non_null(dev);
	assert_true(dev->cdrom && dev->removable && dev->readonly);
	assert_int_equal(dev->sectors, 0);
	host_block_watch(&watch);
	told = 0;
	b.sectors = WORLD_SECTORS;
	set_sectors("8192");
	assert_int_equal(dev->sectors, 8192);
	assert_int_equal(world_io(1, dev, BLOCK_READ, 0, data, 512), 0);
	set_sectors("0");
	assert_int_equal(dev->sectors, 0);
	set_sectors("100");
	assert_int_equal(dev->sectors, 100);
	assert_int_equal(told, 3);
	other_backend((struct plain_back){.info = VDISK_CDROM | VDISK_READONLY});
	assert_int_equal(told, 4); /* connected anew */
	host_block_unwatch(&watch);
	end();
}

static void test_becomes_readonly(void **state)
{
	begin((struct plain_back){0});
	world_put_back(1, XVDA, "info", "4");
	world_put_back(1, XVDA, "state", "4");
	mock_run();
	assert_true(dev->readonly);
	submit(0, 1, 0);
	assert_true(many[0].done && many[0].status == -XEN_EROFS);
	world_release(&many[0], 1);
	end();
}

/* What the nodes say of the disk, and hints that are none. */
static const struct {
	const char *key, *value;
	unsigned physical, granularity, alignment;
} hints[] = {
    {"physical-sector-size", "16384", 16384, 0, 0}, {"physical-sector-size", "5000", 0, 0, 0},
    {"physical-sector-size", "512", 0, 0, 0},       {"discard-granularity", "65536", 0, 65536, 0},
    {"discard-granularity", "1000", 0, 0, 0},       {"discard-alignment", "100", 0, 0, 0},
};

static void test_hints(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(hints); i++) {
		begin((struct plain_back){.sector_size = 4096, .discard = true});
		assert_int_equal(dev->sector_size, 4096);
		world_put_back(1, XVDA, hints[i].key, hints[i].value);
		other_backend((struct plain_back){.sector_size = 4096, .discard = true});
		assert_int_equal(dev->physical_sector_size, hints[i].physical);
		assert_int_equal(dev->discard_granularity, hints[i].granularity);
		assert_int_equal(dev->discard_alignment, hints[i].alignment);
		end();
	}
}

/* With an argument: only the tests whose names it matches. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_replay_in_order),
	    cmocka_unit_test(test_replay_over_queues),
	    cmocka_unit_test(test_replay_in_parts),
	    cmocka_unit_test(test_half_given),
	    cmocka_unit_test(test_part_fails),
	    cmocka_unit_test(test_replay_without_the_feature),
	    cmocka_unit_test(test_submits_from_inside),
	    cmocka_unit_test(test_answers_before_it_leaves),
	    cmocka_unit_test(test_leaves_without_an_answer),
	    cmocka_unit_test(test_ends_while_it_leaves),
	    cmocka_unit_test(test_vanishes),
	    cmocka_unit_test(test_size_changes),
	    cmocka_unit_test(test_media),
	    cmocka_unit_test(test_becomes_readonly),
	    cmocka_unit_test(test_hints),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
