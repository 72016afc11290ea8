/* blk_hostile_back_test: blkfront against a backend that means ill, or is broken.
 *
 * Shows that a response that answers nothing costs the connection and no memory, that keys out of
 * range are refused, that a backend that keeps a page mapped does not get it reused under it, and
 * that no byte of a response is fetched twice. Why: a guest must survive its service domain.
 * Expected: requests end with an error or are made again, never twice done; nothing left at the
 * end.
 *
 * links: tests/host/blk_world.c tests/host/blk_rogue.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c
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

#include <amphi/xenbus.h>

#include "blk_rogue.h"
#include "peer_recorder.h"

static struct rogue rogue;
static struct block_device *dev;
static struct world_request w[4];

/* Connected, with some requests in flight. */
static void begin(bool persistent, unsigned n_requests)
{
	world_begin(WORLD_SECTORS);
	rogue_back_begin(&rogue, "8192", persistent, &dev);
	assert_non_null(dev);
	for (unsigned i = 0; i < n_requests; i++) {
		world_prepare(&w[i], 1, i & 1 ? BLOCK_WRITE : BLOCK_READ, i * 8, 4096, 0);
		world_submit(&w[i], 1, dev);
	}
	world_kick(1, dev);
	mock_run();
	assert_int_equal(rogue.page->req_prod, n_requests);
}

static void end(unsigned n_requests)
{
	rogue_back_end(&rogue);
	for (unsigned i = 0; i < n_requests; i++) {
		assert_true(w[i].done);
		world_release(&w[i], 1);
	}
	assert_true(world_end());
}

static void expect_closed(const char *why)
{
	assert_string_equal(world_front(1, XVDA, "state"), "6");
	assert_true(mock_logged(why));
}

/* ---- good manners, so that the rest means something ---- */

static void test_good_backend(void **state)
{
	for (int persistent = 0; persistent < 2; persistent++) {
		begin(persistent, 2);
		assert_int_equal(rogue.events, 2); /* one of them at binding */
		assert_int_equal(rogue_asked(&rogue, 0).handle, XVDA);
		assert_int_equal(rogue_asked(&rogue, 1).seg[0].last_sect, 7);
		rogue_answer(&rogue, 0, rogue_asked(&rogue, 0).id, BLKIF_OP_READ, BLKIF_RSP_OKAY);
		rogue_answer(&rogue, 1, rogue_asked(&rogue, 1).id, BLKIF_OP_WRITE, BLKIF_RSP_ERROR);
		rogue_publish_answers(&rogue, 2);
		assert_true(w[0].done && w[1].done);
		assert_int_equal(w[0].status, 0);
		assert_int_equal(w[1].status, -XEN_EIO);
		end(2);
	}
}

/* Leaves something on the stack for the next call to find. */
static __attribute__((noinline)) void scribble(void)
{
	volatile uint8_t stack[4096];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0xa5;
}

/* What goes out carries none of our stack between its fields. */
static void test_padding_is_zero(void **state)
{
	struct blkif_request req;

	begin(true, 0);
	world_prepare(&w[0], 1, BLOCK_READ, 0, 4096, 0);
	mock_enter(1);
	scribble();
	dev->ops->submit(dev, &w[0].req);
	world_kick(1, dev);
	req = rogue_asked(&rogue, 0);
	for (int i = 4; i < 8; i++)
		assert_int_equal(((uint8_t *)&req)[i], 0);
	for (int i = 30; i < 32; i++)
		assert_int_equal(((uint8_t *)&req)[i], 0);
	end(1);
}

/* ---- responses to nothing ---- */

static void test_wrong_responses(void **state)
{
	static const struct {
		uint64_t id;
		uint8_t op;
	} wrong[] = {{7, BLKIF_OP_READ},          {32, BLKIF_OP_READ}, {~0ull, BLKIF_OP_READ},
		     {1ull << 32, BLKIF_OP_READ}, {0, BLKIF_OP_WRITE}, {0, 99}};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin(true, 2);
		rogue_answer(&rogue, 0, wrong[i].id, wrong[i].op, BLKIF_RSP_OKAY);
		rogue_publish_answers(&rogue, 1);
		assert_false(w[0].done);
		expect_closed("domain 0: response to a request that was not made");
		end(2);
	}
}

static void test_answered_twice(void **state)
{
	begin(true, 2);
	rogue_answer(&rogue, 0, rogue_asked(&rogue, 0).id, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	rogue_answer(&rogue, 1, rogue_asked(&rogue, 0).id, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	rogue_publish_answers(&rogue, 2);
	assert_true(w[0].done);
	assert_false(w[1].done);
	expect_closed("response to a request that was not made");
	end(2);
}

static void test_too_many_responses(void **state)
{
	static const uint32_t prods[] = {3, 32, 33, 0x80000000u, 0xffffffffu};

	for (unsigned i = 0; i < ARRAY_SIZE(prods); i++) {
		begin(true, 2);
		rogue_publish_answers(&rogue, prods[i]);
		expect_closed("domain 0: more responses than requests");
		end(2);
	}
}

/* ---- pages that the backend keeps ---- */

static void test_keeps_a_page(void **state)
{
	struct host_grant_map map = {.owner = 1, .readonly = false};

	begin(false, 1);
	map.ref.v = rogue_asked(&rogue, 0).seg[0].gref;
	mock_enter(0);
	host_grants_map(&map, 1);
	assert_int_equal(map.status, GNTST_okay);
	rogue_answer(&rogue, 0, 0, BLKIF_OP_READ, BLKIF_RSP_OKAY);
	rogue_publish_answers(&rogue, 1);
	assert_int_equal(w[0].status, -XEN_EIO);
	expect_closed("whose memory it still has mapped");
	assert_int_equal(grant_retiring(), 2); /* that page and the ring */
	mock_enter(0);
	host_grants_unmap(&map, 1);
	end(1);
}

/* Pages of the driver's own wait for the backend to let go before they are freed. */
static void test_keeps_bounce_pages(void **state)
{
	struct host_grant_map map = {.owner = 1};

	begin(true, 2);
	map.ref.v = rogue_asked(&rogue, 0).seg[0].gref;
	mock_enter(0);
	host_grants_map(&map, 1);
	rogue_back_end(&rogue);
	assert_int_equal(mock_left(1).pages, 2 + 1); /* the user's, and the bounce page it keeps */
	mock_advance(3000000000ull);
	assert_int_equal(mock_left(1).pages, 2 + 1);
	memset(map.page, 1, 4096);
	mock_enter(0);
	host_grants_unmap(&map, 1);
	mock_advance(3000000000ull);
	assert_int_equal(mock_left(1).pages, 2);
	for (int i = 0; i < 2; i++) {
		assert_true(w[i].done);
		world_release(&w[i], 1);
	}
	assert_true(world_end());
}

/* A backend that writes into a page it was given to read from does not change the user's memory. */
static void test_scribbles_into_a_write(void **state)
{
	struct host_grant_map map = {.owner = 1};

	begin(true, 2);
	memset(w[1].data, 0x11, 4096);
	map.ref.v = rogue_asked(&rogue, 1).seg[0].gref;
	mock_enter(0);
	host_grants_map(&map, 1);
	memset(map.page, 0xee, 4096);
	host_grants_unmap(&map, 1);
	rogue_answer(&rogue, 0, 1, BLKIF_OP_WRITE, BLKIF_RSP_OKAY);
	rogue_publish_answers(&rogue, 1);
	assert_true(w[1].done && w[1].status == 0);
	assert_int_equal(w[1].data[0], 0x11);
	end(2);
}

/* Lent memory that a backend did not let go of is not offered to the next one under the old grant.
 */
static void test_stale_lent_page(void **state)
{
	struct host_grant_map map = {.owner = 1};
	unsigned old;

	begin(true, 0);
	world_prepare(&w[0], 1, BLOCK_READ, 0, 4096, 0);
	assert_int_equal(blkfront_lend(w[0].data, 1), 0);
	world_submit(&w[0], 1, dev);
	world_kick(1, dev);
	mock_run();
	map.ref.v = old = rogue_asked(&rogue, 0).seg[0].gref;
	mock_enter(0);
	host_grants_map(&map, 1);
	assert_int_equal(map.status, GNTST_okay);
	rogue_back_again(&rogue);
	mock_run();
	assert_int_equal(rogue.page->req_prod, 1);
	assert_int_not_equal(rogue_asked(&rogue, 0).seg[0].gref,
			     old); /* through a page of the driver's */
	mock_enter(1);
	assert_int_equal(blkfront_reclaim(w[0].data, 1), -XEN_EBUSY);
	mock_enter(0);
	host_grants_unmap(&map, 1);
	mock_enter(1);
	assert_int_equal(blkfront_reclaim(w[0].data, 1), 0);
	end(1);
}

/* ---- fetched once, keys ---- */

static void test_nothing_is_fetched_twice(void **state)
{
	begin(true, 4);
	for (unsigned i = 0; i < 4; i++)
		rogue_answer(&rogue, i, i, i & 1 ? BLKIF_OP_WRITE : BLKIF_OP_READ, BLKIF_RSP_OKAY);
	peer_recorder_begin((uint8_t *)world_front_ring() + 64, 32 * 112, true);
	rogue_publish_answers(&rogue, 4);
	assert_int_equal(peer_recorder_fetched(), 4 * 16);
	assert_int_equal(peer_recorder_doubles(), 0);
	peer_recorder_end();
	end(4);
}

static void test_wrong_keys(void **state)
{
	static const struct {
		const char *key, *value;
	} wrong[] = {
	    {"sectors", "0"},
	    {"sectors", "-5"},
	    {"sectors", "99999999999999999999"},
	    {"sectors", "0x1000"},
	    {"sector-size", "0"},
	    {"sector-size", "511"},
	    {"sector-size", "513"},
	    {"sector-size", "8192"},
	    {"info", "x"},
	    {"feature-flush-cache", ""},
	    {"sectors", "18446744073709551615"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		world_begin(WORLD_SECTORS);
		world_attach(1, XVDA, "none", "w");
		world_put_back(1, XVDA, "sectors", "100");
		world_put_back(1, XVDA, wrong[i].key, wrong[i].value);
		world_start_front(1);
		world_put_back(1, XVDA, "state", "2");
		mock_run();
		world_put_back(1, XVDA, "state", "4");
		mock_run();
		assert_string_equal(world_front(1, XVDA, "state"), "6");
		assert_int_equal(mock_registered(1), 0);
		assert_int_equal(mock_left(1).grants + mock_left(1).ports, 0);
		assert_true(world_end());
	}
}

/* A backend that comes back with a smaller disk is not the same disk. */
static void test_shrunk(void **state)
{
	begin(true, 0);
	world_put_back(1, XVDA, "state", "6");
	mock_run();
	world_put_back(1, XVDA, "state", "2");
	mock_run();
	assert_string_equal(world_front(1, XVDA, "state"), "3");
	world_put_back(1, XVDA, "sectors", "8191");
	world_put_back(1, XVDA, "state", "4");
	mock_run();
	assert_string_equal(world_front(1, XVDA, "state"), "6");
	end(0);
}

/* States out of any order, nonsense among them: never a crash, at the end nothing is left. */
static void test_states_at_random(void **state)
{
	static const char *const states[] = {"0", "1", "2", "3", "4",  "5",  "6",
					     "7", "8", "9", "",  "-1", "4 ", "junk"};
	uint32_t chance = 7;

	for (int round = 0; round < 200; round++) {
		world_begin(WORLD_SECTORS);
		world_attach(1, XVDA, "none", "w");
		world_put_back(1, XVDA, "sectors", "8192");
		world_start_front(1);
		for (int i = 0; i < 12; i++) {
			chance = chance * 1664525u + 1013904223u;
			world_put_back(1, XVDA, "state",
				       states[(chance >> 16) % ARRAY_SIZE(states)]);
			mock_run();
		}
		world_detach_end(1, XVDA);
		assert_true(world_end());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good_backend),
	    cmocka_unit_test(test_padding_is_zero),
	    cmocka_unit_test(test_wrong_responses),
	    cmocka_unit_test(test_answered_twice),
	    cmocka_unit_test(test_too_many_responses),
	    cmocka_unit_test(test_keeps_a_page),
	    cmocka_unit_test(test_keeps_bounce_pages),
	    cmocka_unit_test(test_scribbles_into_a_write),
	    cmocka_unit_test(test_stale_lent_page),
	    cmocka_unit_test(test_nothing_is_fetched_twice),
	    cmocka_unit_test(test_wrong_keys),
	    cmocka_unit_test(test_shrunk),
	    cmocka_unit_test(test_states_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
