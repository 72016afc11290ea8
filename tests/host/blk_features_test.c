/* blk_features_test: blkfront under every mixture of features that a backend may offer.
 *
 * Shows what is chosen of rings, queues, long requests, standing grants and trust, and that data arrives
 * under each; discards, flushes and writes to the medium in each form they can take; and that what is not
 * offered is not asked. Why: a frontend meets backends of twenty years. The backend here is
 * blk_plain_back.c, written from blkif.h. Expected: data equal, the chosen as stated, nothing left.
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

static const struct blkfront_limits all = {
    .queues = 4, .ring_order = 4, .segments = 256, .copy_pages = 300};

/* A frontend that may use everything, and a backend that offers what is given. */
static struct block_device *begin(struct plain_back offer)
{
	b = offer;
	blkfront_limit(&all);
	return plain_begin(&b);
}

static void end(void)
{
	assert_true(plain_end(&b));
}

static int special(struct block_device *dev, enum block_op op, unsigned flags, uint64_t n_sectors);

/* One request on a queue, to its end; its status. */
static int io(struct block_device *dev, enum block_op op, unsigned queue, uint64_t sector,
	      uint8_t *data, unsigned len)
{
	static struct world_request w;

	world_prepare(&w, 1, op, sector, len, 0);
	w.req.queue = queue;
	if (op == BLOCK_WRITE)
		memcpy(w.data, data, len);
	world_submit(&w, 1, dev);
	world_kick(1, dev);
	mock_run();
	assert_true(w.done);
	if (op == BLOCK_READ)
		memcpy(data, w.data, len);
	world_release(&w, 1);
	return w.status;
}

/* Requests of many lengths on every queue, one more queue than there are, written and read back. */
static unsigned move_data(struct block_device *dev)
{
	static const unsigned pages[] = {1, 11, 12, 40, 256};
	static uint8_t in[256 * 4096], out[256 * 4096];
	unsigned bytes = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(pages) * 5; i++) {
		unsigned n = MIN(pages[i / 5], dev->max_segments), len = n * 4096;
		uint64_t at = i * 8;

		world_fill(in, len, i);
		assert_int_equal(io(dev, BLOCK_WRITE, i % 5, at, in, len), 0);
		assert_memory_equal(b.data + at * 512, in, len);
		assert_int_equal(io(dev, BLOCK_READ, i % 5, at, out, len), 0);
		assert_memory_equal(in, out, len);
		bytes += 2 * len;
	}
	assert_int_equal(dev->stats.bytes_read + dev->stats.bytes_written, bytes);
	return bytes;
}

/* ---- what is chosen ---- */

static const struct {
	unsigned order, old_pages, queues, indirect; /* offered */
	unsigned out_pages, out_queues, out_segments;
} layouts[] = {
    {0, 0, 0, 0, 1, 1, 11},      /* nothing: as twenty years ago */
    {0, 0, 1, 11, 1, 1, 11},     /* an indirect request that would carry no more */
    {1, 0, 2, 32, 2, 2, 32},     /* as Linux by default, smaller */
    {4, 16, 4, 256, 16, 4, 256}, /* both spellings */
    {0, 8, 0, 0, 8, 1, 11},      /* the older one alone */
    {1, 9, 3, 12, 8, 3, 12},     /* not a power of two: what fits */
    {9, 0, 99, 4096, 16, 4, 256} /* more than we take */
};

static void one_layout(unsigned i, bool persistent, bool trusted)
{
	struct block_device *dev;
	struct blkfront_stats s;
	unsigned bytes;

	world_begin(8);
	b = (struct plain_back){.order = layouts[i].order,
				.old_pages = layouts[i].old_pages,
				.queues = layouts[i].queues,
				.indirect = layouts[i].indirect,
				.persistent = persistent,
				.sectors = WORLD_SECTORS};
	blkfront_limit(&all);
	b.data = calloc(b.sectors, 512);
	world_attach(1, XVDA, "none", "w");
	world_put_front(1, XVDA, "trusted", trusted ? "1" : "0");
	world_start_front(1);
	plain_offer(&b, false);
	plain_connect(&b);
	dev = mock_find_registered(1, "xvda");
	s = world_front_stats();
	assert_int_equal(s.ring_pages, layouts[i].out_pages);
	assert_int_equal(s.queues, layouts[i].out_queues);
	assert_int_equal(dev->n_queues, layouts[i].out_queues);
	assert_int_equal(dev->max_segments, layouts[i].out_segments);
	bytes = move_data(dev);
	s = world_front_stats();
	assert_int_equal(s.queues_used, layouts[i].out_queues);
	assert_int_equal(s.indirect != 0, layouts[i].out_segments > 11);
	assert_int_equal(b.indirect_seen, s.indirect);
	assert_int_equal(s.split, 0);
	/* Copies are for pages that must not be granted, or whose grants have to stand. */
	assert_int_equal(s.copied_bytes, persistent || !trusted ? bytes : 0);
	assert_int_equal(s.untrusted, !trusted);
	end();
}

static void test_layouts(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++)
		for (unsigned how = 0; how < 4; how++)
			one_layout(i, how & 1, how & 2);
}

/* What the kernel allows counts as much as what the backend offers. */
static void test_kernel_limits(void **state)
{
	static const struct blkfront_limits few = {
	    .queues = 2, .ring_order = 1, .segments = 20, .copy_pages = 40, .depth = 10};
	struct block_device *dev;

	b = (struct plain_back){.order = 4, .queues = 4, .indirect = 256};
	blkfront_limit(&few);
	dev = plain_begin(&b);
	assert_int_equal(world_front_stats().ring_pages, 2);
	assert_int_equal(dev->n_queues, 2);
	assert_int_equal(dev->max_segments, 20);
	assert_int_equal(dev->queue_depth, 10);
	end();
}

/* As frontends told a ring's size before there was an order: with that alone, and the same rings. */
static void test_old_keys_alone(void **state)
{
	struct blkfront_limits old = all;

	old.old_keys = true;
	for (unsigned queues = 1; queues <= 4; queues += 3) {
		b = (struct plain_back){.old_pages = 8, .queues = queues, .old_keys = true};
		blkfront_limit(&old);
		move_data(plain_begin(&b));
		assert_int_equal(b.n_pages, 8);
		assert_string_equal(world_front(1, XVDA, "num-ring-pages"), "8");
		assert_string_equal(world_front(1, XVDA, "ring-page-order"), "");
		end();
	}
	begin((struct plain_back){.old_pages = 8});
	assert_string_equal(world_front(1, XVDA, "num-ring-pages"), "8");
	assert_string_equal(world_front(1, XVDA, "ring-page-order"), "3");
	end();
}

/* ---- sectors of 4096 ---- */

/* A backend that counts in them, in requests short and long, copied and not; and one that has small ones after all. */
static void test_large_units(void **state)
{
	struct blkfront_limits large = all;
	struct block_device *dev;

	large.large_sectors = true;
	for (unsigned how = 0; how < 4; how++) {
		b = (struct plain_back){.indirect = how & 1 ? 256 : 0,
					.persistent = how & 2,
					.sector_size = 4096,
					.large_units = true,
					.discard = true,
					.secure = true};
		blkfront_limit(&large);
		dev = plain_begin(&b);
		assert_int_equal(dev->sectors, WORLD_SECTORS);
		assert_int_equal(dev->sector_size, 4096);
		assert_int_equal(world_front_stats().unit_bytes, 4096);
		move_data(dev);
		assert_int_equal(special(dev, BLOCK_DISCARD, BLOCK_SECURE, 16), 0);
		assert_int_equal(b.data[64 * 512], 0xdd);
		assert_int_equal(b.data[80 * 512 - 1], 0xdd);
		assert_int_equal(world_front_stats().secure, 1);
		world_put_back(1, XVDA, "sectors",
			       "2048"); /* it grows, and says so in its own units */
		world_put_back(1, XVDA, "state", "4");
		mock_run();
		assert_int_equal(dev->sectors, 2 * WORLD_SECTORS);
		end();
	}
	b = (struct plain_back){.sector_size = 512};
	blkfront_limit(&large);
	dev = plain_begin(&b);
	assert_int_equal(world_front_stats().unit_bytes, 512);
	move_data(dev);
	end();
}

/* A disk of more bytes than there are numbers for is none, in whatever it counts. */
static void test_no_disk_beyond_all_numbers(void **state)
{
	struct blkfront_limits large = all;

	large.large_sectors = true;
	for (unsigned shift = 0; shift < 4; shift += 3) {
		char sectors[24];

		world_begin(8);
		blkfront_limit(&large);
		snprintf(sectors, sizeof(sectors), "%llu", (UINT64_MAX >> 9 >> shift) + 1ull);
		world_attach(1, XVDA, "none", "w");
		world_start_front(1);
		b = (struct plain_back){.sectors = 8, .sector_size = 512u << shift};
		b.data = calloc(8, 512);
		plain_offer(&b, false);
		world_put_back(1, XVDA, "sectors", sectors);
		plain_try(&b);
		assert_null(mock_find_registered(1, "xvda"));
		end();
	}
}

/* The keys of a connection with another layout do not stay beside those of this one. */
static void test_other_layout_next(void **state)
{
	static const char *const gone[] = {"multi-queue-num-queues", "ring-page-order",
					   "num-ring-pages",         "queue-0/ring-ref0",
					   "queue-3/event-channel",  "ring-ref0"};
	struct block_device *dev = begin((struct plain_back){.order = 2, .queues = 4});

	assert_string_equal(world_front(1, XVDA, "ring-ref"), "");
	assert_string_equal(world_front(1, XVDA, "event-channel"), "");
	for (int round = 0; round < 3; round++) {
		plain_drop(&b);
		world_put_back(1, XVDA, "state", "6");
		mock_run();
		b.order = round == 1 ? 3 : 0;
		b.queues = round == 1 ? 1 : 0;
		plain_offer(&b, false);
		plain_connect(&b);
		move_data(dev);
		memset(&dev->stats, 0, sizeof(dev->stats));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(gone); i++)
		assert_string_equal(world_front(1, XVDA, gone[i]), "");
	end();
}

/* ---- many at once ---- */

static struct world_request many[600];

static void submit_many(struct block_device *dev, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		world_prepare(&many[i], 1, BLOCK_WRITE, i, 512, 0);
		world_fill(many[i].data, 512, i);
		many[i].req.queue = i;
		world_submit(&many[i], 1, dev);
	}
	world_kick(1, dev);
	mock_run();
}

static void expect_many(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_true(many[i].done && many[i].status == 0);
		assert_memory_equal(b.data + i * 512, many[i].data, 512);
		world_release(&many[i], 1);
	}
}

/* Long rings hold what they have room for; answers from the last to the first free the right slots. */
static void test_full_rings(void **state)
{
	struct block_device *dev =
	    begin((struct plain_back){.order = 2, .queues = 4, .hold = true});

	b.backwards = true;
	submit_many(dev, 600);
	assert_int_equal(world_front_stats().in_flight, 4 * 128);
	assert_int_equal(world_front_stats().queued, 600 - 4 * 128);
	while (b.n_held)
		plain_release(&b, 7);
	expect_many(600);
	for (unsigned q = 0; q < 4; q++)
		assert_int_equal(b.per_queue[q], 150);
	end();
}

/* Less memory for copies than one request wants, and two queues that want it: parts, one after another. */
static void test_few_pages_to_copy(void **state)
{
	static const struct blkfront_limits poor = {.queues = 2, .segments = 256, .copy_pages = 5};
	static struct world_request w[6];
	struct block_device *dev;

	b = (struct plain_back){.queues = 2, .indirect = 256, .persistent = true};
	blkfront_limit(&poor);
	dev = plain_begin(&b);
	for (unsigned i = 0; i < 6; i++) {
		world_prepare(&w[i], 1, BLOCK_WRITE, i * 128, 64 * 1024, 0);
		world_fill(w[i].data, 64 * 1024, i);
		w[i].req.queue = i;
		world_submit(&w[i], 1, dev);
	}
	world_kick(1, dev);
	mock_run();
	for (unsigned i = 0; i < 6; i++) {
		assert_true(w[i].done && w[i].status == 0);
		assert_memory_equal(b.data + i * 128 * 512, w[i].data, 64 * 1024);
		world_release(&w[i], 1);
	}
	assert_true(world_front_stats().split >= 6 * 3);
	assert_true(b.n_kept <= 5 + 6);
	end();
}

/* ---- operations ---- */

static int special(struct block_device *dev, enum block_op op, unsigned flags, uint64_t n_sectors)
{
	static struct world_request w;

	world_prepare(&w, 1, op, 64, op == BLOCK_WRITE ? 4096 : 0, 0);
	w.req.flags = flags;
	w.req.n_sectors = n_sectors;
	if (op == BLOCK_WRITE)
		memset(w.data, 0x77, 4096);
	world_submit(&w, 1, dev);
	world_kick(1, dev);
	mock_run();
	assert_true(w.done);
	world_release(&w, 1);
	return w.status;
}

static void test_discard(void **state)
{
	struct block_device *dev = begin((struct plain_back){.discard = true, .secure = true});

	assert_true(dev->has_discard && dev->discard_secure);
	assert_int_equal(special(dev, BLOCK_DISCARD, 0, 8), 0);
	assert_int_equal(b.data[64 * 512], 0xd0);
	assert_int_equal(b.data[72 * 512], 0);
	assert_int_equal(special(dev, BLOCK_DISCARD, BLOCK_SECURE, 4), 0);
	assert_int_equal(b.data[64 * 512], 0xdd);
	assert_int_equal(b.data[68 * 512], 0xd0);
	assert_int_equal(special(dev, BLOCK_DISCARD, 0, 0), -XEN_EINVAL);
	assert_int_equal(world_front_stats().discards, 2);
	assert_int_equal(world_front_stats().secure, 1);
	b.unsupported = BLKIF_OP_DISCARD;
	assert_int_equal(special(dev, BLOCK_DISCARD, 0, 8), -XEN_EOPNOTSUPP);
	assert_false(dev->has_discard || dev->discard_secure);
	assert_int_equal(special(dev, BLOCK_DISCARD, 0, 8), -XEN_EOPNOTSUPP);
	assert_int_equal(b.ops[BLKIF_OP_DISCARD], 3);
	end();
}

static void test_discard_not_offered(void **state)
{
	struct block_device *dev = begin((struct plain_back){.discard = true});

	assert_int_equal(special(dev, BLOCK_DISCARD, BLOCK_SECURE, 8), -XEN_EOPNOTSUPP);
	end();
	dev = begin((struct plain_back){.secure = true});
	assert_false(dev->has_discard || dev->discard_secure);
	assert_int_equal(special(dev, BLOCK_DISCARD, 0, 8), -XEN_EOPNOTSUPP);
	assert_int_equal(b.ops[BLKIF_OP_DISCARD], 0);
	end();
}

/* What a flush, and a write that has to be on the medium, become. */
static const struct {
	bool flush, barrier, has_flush, has_fua;
	unsigned flushes[3], fua[3]; /* WRITE, WRITE_BARRIER, FLUSH_DISKCACHE on the ring */
} forms[] = {
    {false, false, false, false, {0, 0, 0}, {1, 0, 0}}, /* nothing holds data back */
    {true, false, true, false, {0, 0, 1}, {1, 0, 1}},
    {false, true, true, true, {0, 1, 0}, {0, 1, 0}},
    {true, true, true, false, {0, 0, 1}, {0, 1, 0}},
};

static void test_flush_and_fua(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		struct block_device *dev = begin(
		    (struct plain_back){.flush = forms[i].flush, .barrier = forms[i].barrier});

		assert_int_equal(dev->has_flush, forms[i].has_flush);
		assert_int_equal(dev->has_fua, forms[i].has_fua);
		assert_int_equal(special(dev, BLOCK_FLUSH, 0, 0), 0);
		assert_memory_equal(&b.ops[1], forms[i].flushes, sizeof(forms[i].flushes));
		memset(b.ops, 0, sizeof(b.ops));
		assert_int_equal(special(dev, BLOCK_WRITE, BLOCK_FUA, 0), 0);
		assert_memory_equal(&b.ops[1], forms[i].fua, sizeof(forms[i].fua));
		assert_int_equal(b.data[64 * 512], 0x77);
		end();
	}
}

/* A backend that offered barriers and has none. */
static void test_barrier_unsupported(void **state)
{
	struct block_device *dev = begin((struct plain_back){.barrier = true});

	b.unsupported = BLKIF_OP_WRITE_BARRIER;
	assert_int_equal(special(dev, BLOCK_WRITE, BLOCK_FUA, 0), -XEN_EOPNOTSUPP);
	assert_false(dev->has_fua || dev->has_flush);
	assert_int_equal(special(dev, BLOCK_WRITE, 0, 0), 0);
	assert_int_equal(special(dev, BLOCK_FLUSH, 0, 0), 0);
	end();
}

/* The operation of a read or a write is none that a disk may lack. */
static void test_write_unsupported(void **state)
{
	struct block_device *dev = begin((struct plain_back){.flush = true});

	b.unsupported = BLKIF_OP_WRITE;
	assert_int_equal(special(dev, BLOCK_WRITE, 0, 0), -XEN_EIO);
	assert_true(dev->has_flush);
	end();
}

/* ---- standing grants ---- */

/* Nobody uses the pages, the backend has let go of them: they are given back, and the disk goes on. */
static void test_idle_grants_go(void **state)
{
	struct block_device *dev = begin((struct plain_back){.persistent = true});
	static struct world_request lent;
	uint8_t data[8 * 4096];

	world_prepare(&lent, 1, BLOCK_READ, 0, 4 * 4096, 0);
	assert_int_equal(blkfront_lend(lent.data, 4), 0);
	for (int round = 0; round < 2; round++) {
		lent.done = false;
		world_submit(&lent, 1, dev);
		world_kick(1, dev);
		assert_int_equal(io(dev, BLOCK_READ, 0, 0, data, sizeof(data)), 0);
		assert_true(lent.done && lent.status == 0);
		assert_int_equal(world_front_stats().standing, 12);
		mock_advance(100000000000ull);
		mock_advance(100000000000ull);
		assert_int_equal(world_front_stats().standing,
				 12); /* the backend has them mapped */
		mock_enter(0);
		for (unsigned i = 0; i < b.n_kept; i++)
			host_grants_unmap(&b.kept[i], 1);
		b.n_kept = 0;
		for (int i = 0; i < 4; i++)
			mock_advance(25000000000ull);
		assert_int_equal(world_front_stats().standing, 0);
		assert_int_equal(world_front_stats().grants_released, 12 * (round + 1));
		assert_int_equal(mock_left(1).works, 0);
	}
	mock_enter(1);
	assert_int_equal(blkfront_reclaim(lent.data, 4), 0);
	world_release(&lent, 1);
	end();
}

/* Memory or grants or ports that are missing at any moment: smaller rings, fewer, an error, no loss. */
static void test_shortage(void **state)
{
	static uint8_t data[64 * 4096];

	for (int n = 1; n < 260; n += n < 90 ? 1 : 3) {
		struct block_device *dev;

		world_begin(8);
		b = (struct plain_back){.order = 2,
					.queues = 3,
					.indirect = 64,
					.persistent = n & 1,
					.sectors = WORLD_SECTORS};
		b.data = calloc(b.sectors, 512);
		blkfront_limit(&all);
		world_attach(1, XVDA, "none", "w");
		plain_offer(&b, false);
		mock_fail_after(n);
		world_start_front(1);
		mock_fail_after(n < 60 ? -1 : mock_fail_left());
		if (world_front(1, XVDA, "state")[0] == '3') {
			int left = mock_fail_left();

			mock_fail_after(-1);
			plain_connect(&b);
			mock_fail_after(left);
		}
		dev = mock_find_registered(1, "xvda");
		if (dev) {
			static struct world_request w;

			world_prepare(&w, 1, BLOCK_READ, 0, sizeof(data), 0);
			mock_freeze(0, true);
			world_submit(&w, 1, dev);
			world_kick(1, dev);
			mock_fail_after(-1);
			mock_freeze(0, false);
			mock_run();
			assert_true(w.done);
			world_release(&w, 1);
		}
		mock_fail_after(-1);
		end();
	}
}

/* With an argument: only the tests whose names it matches. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_layouts),
	    cmocka_unit_test(test_kernel_limits),
	    cmocka_unit_test(test_other_layout_next),
	    cmocka_unit_test(test_old_keys_alone),
	    cmocka_unit_test(test_large_units),
	    cmocka_unit_test(test_no_disk_beyond_all_numbers),
	    cmocka_unit_test(test_full_rings),
	    cmocka_unit_test(test_few_pages_to_copy),
	    cmocka_unit_test(test_discard),
	    cmocka_unit_test(test_discard_not_offered),
	    cmocka_unit_test(test_flush_and_fua),
	    cmocka_unit_test(test_barrier_unsupported),
	    cmocka_unit_test(test_write_unsupported),
	    cmocka_unit_test(test_idle_grants_go),
	    cmocka_unit_test(test_shortage),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
