/* blk_bad_back_test: blkfront with several queues and long requests, against a backend that means ill.
 *
 * Shows that an answer counts only on the queue and for the slot it belongs to, that pages which hold segments are
 * no way in, that a backend that is not trusted sees no byte but the data's own and keeps no hold of it, and that
 * nodes out of all proportion cost nothing. Why: each of these is a known failure of this protocol in some
 * frontend. Expected: the connection ends, or nothing happens; requests end once; nothing left.
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

#include <amphi/xenbus.h>

#include "blk_plain_back.h"
#include "peer_recorder.h"

static struct plain_back b;
static struct block_device *dev;
static struct world_request w[4];

static void begin_with(struct plain_back offer, bool trusted)
{
	static const struct blkfront_limits all = {
	    .queues = 4, .ring_order = 2, .segments = 256, .copy_pages = 300};

	blkfront_limit(&all);
	world_begin(8);
	b = offer;
	b.passive = true;
	b.sectors = WORLD_SECTORS;
	world_attach(1, XVDA, "none", "w");
	world_put_front(1, XVDA, "trusted", trusted ? "1" : "0");
	world_start_front(1);
	plain_offer(&b, false);
	plain_connect(&b);
	dev = mock_find_registered(1, "xvda");
	assert_non_null(dev);
}

/* Two queues of 4 pages. */
static void begin(bool persistent)
{
	begin_with(
	    (struct plain_back){.queues = 2, .order = 2, .indirect = 256, .persistent = persistent},
	    true);
}

static void submit(unsigned i, enum block_op op, unsigned pages, unsigned queue)
{
	world_prepare(&w[i], 1, op, i * 8, pages * 4096, 0);
	w[i].req.queue = queue;
	world_submit(&w[i], 1, dev);
	world_kick(1, dev);
	mock_run();
}

static struct plain_request asked(unsigned queue, uint32_t index)
{
	struct plain_request r = {.queue = queue};

	memcpy(&r.direct, (void *)ring_slot(&b.q[queue].ring, index), sizeof(r.direct));
	return r;
}

static void answer(unsigned queue, uint32_t index, uint64_t id, uint8_t op)
{
	struct blkif_response rsp = {.id = id, .operation = op};

	memcpy((void *)ring_slot(&b.q[queue].ring, index), &rsp, sizeof(rsp));
	b.q[queue].ring.shared->rsp_prod = index + 1;
	mock_enter(0);
	host_event_notify(b.q[queue].port);
	mock_run();
}

static void expect_closed(const char *why)
{
	assert_string_equal(world_front(1, XVDA, "state"), "6");
	assert_true(mock_logged(why));
}

/* The disk goes; its requests have ended by then, and their pages are the guest's again. */
static void part(unsigned n_requests)
{
	plain_drop(&b);
	mock_store_remove("/local/domain/0/backend/vbd/1/51712");
	mock_run();
	world_detach_end(1, XVDA);
	mock_advance(3000000000ull);
	for (unsigned i = 0; i < n_requests; i++) {
		assert_true(w[i].done);
		world_release(&w[i], 1);
	}
	assert_true(world_end());
}

/* ---- answers ---- */

static void test_answer_on_another_queue(void **state)
{
	begin(true);
	submit(0, BLOCK_READ, 1, 0);
	submit(1, BLOCK_READ, 1, 1);
	answer(1, 0, 0, BLKIF_OP_READ); /* that one is queue 1's own slot 0 */
	assert_true(w[1].done);
	assert_false(w[0].done);
	submit(2, BLOCK_READ, 1, 0);
	answer(1, 1, 1, BLKIF_OP_READ); /* in flight, but on queue 0 */
	assert_false(w[2].done);
	expect_closed("more responses than requests");
	part(3);
}

static void test_ids_beyond_the_ring(void **state)
{
	static const uint64_t ids[] = {1, 127, 128, 511, 512, ~0ull};

	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
		begin(true);
		submit(0, BLOCK_READ, 1, 1);
		answer(1, 0, ids[i], BLKIF_OP_READ);
		expect_closed("response to a request that was not made");
		part(1);
	}
}

/* An operation that was not asked, among them the form of a long request for a short one. */
static void test_wrong_operations(void **state)
{
	static const struct {
		unsigned pages;
		uint8_t op;
	} wrong[] = {{1, BLKIF_OP_INDIRECT}, {40, BLKIF_OP_WRITE}, {40, BLKIF_OP_DISCARD}};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin(true);
		submit(0, BLOCK_READ, wrong[i].pages, 0);
		answer(0, 0, asked(0, 0).direct.id, wrong[i].op);
		expect_closed("response to a request that was not made");
		part(1);
	}
}

static void test_both_words_for_a_long_one(void **state)
{
	static const uint8_t words[] = {BLKIF_OP_READ, BLKIF_OP_INDIRECT};

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		begin(true);
		submit(0, BLOCK_READ, 40, 0);
		assert_int_equal(asked(0, 0).direct.operation, BLKIF_OP_INDIRECT);
		answer(0, 0, asked(0, 0).indirect.id, words[i]);
		assert_true(w[0].done && w[0].status == 0);
		part(1);
	}
}

static void test_fetched_once(void **state)
{
	begin(true);
	for (unsigned i = 0; i < 4; i++)
		submit(i, BLOCK_READ, 1 + 20 * (i & 1), 1);
	peer_recorder_begin((uint8_t *)world_front_queue_ring(1) + 64, 128 * 112, true);
	for (unsigned i = 0; i < 4; i++)
		answer(1, i, i, BLKIF_OP_READ);
	assert_int_equal(peer_recorder_fetched(), 4 * 16);
	assert_int_equal(peer_recorder_doubles(), 0);
	peer_recorder_end();
	for (unsigned i = 0; i < 4; i++)
		assert_true(w[i].done && w[i].status == 0);
	part(4);
}

/* ---- pages ---- */

static uint8_t *map(uint32_t ref, bool readonly, struct host_grant_map *out)
{
	*out = (struct host_grant_map){.owner = 1, .ref = {ref}, .readonly = readonly};
	mock_enter(0);
	assert_int_equal(host_grants_map(out, 1), 0);
	return out->page;
}

static void unmap(struct host_grant_map *m)
{
	mock_enter(0);
	host_grants_unmap(m, 1);
}

/* The list of segments may be written by a backend with standing grants; nobody reads it again. Without
 * them it cannot even be written. */
static void test_scribbles_into_the_list(void **state)
{
	struct host_grant_map m;

	begin(true);
	submit(0, BLOCK_READ, 100, 0);
	memset(map(asked(0, 0).indirect.indirect_grefs[0], false, &m), 0xff, 4096);
	answer(0, 0, 0, BLKIF_OP_READ);
	assert_true(w[0].done && w[0].status == 0);
	unmap(&m);
	part(1);
	begin(false);
	submit(0, BLOCK_READ, 100, 0);
	map(asked(0, 0).indirect.indirect_grefs[0], false, &m);
	assert_int_equal(m.status, GNTST_bad_gntref);
	answer(0, 0, 0, BLKIF_OP_READ);
	assert_true(w[0].done && w[0].status == 0);
	part(1);
}

/* Nothing but segments is in the list's page, and nothing but zeros behind them. */
static void test_list_tells_nothing(void **state)
{
	struct host_grant_map m;
	uint8_t *list;

	begin(true);
	submit(0, BLOCK_READ, 20, 0);
	list = map(asked(0, 0).indirect.indirect_grefs[0], false, &m);
	for (unsigned i = 0; i < 20 * 8; i += 8)
		assert_int_equal(list[i + 6] | list[i + 7], 0);
	for (unsigned i = 20 * 8; i < 4096; i++)
		assert_int_equal(list[i], 0);
	for (unsigned i = 1; i < 8; i++) /* pages that there are not */
		assert_int_equal(asked(0, 0).indirect.indirect_grefs[i], 0);
	unmap(&m);
	answer(0, 0, 0, BLKIF_OP_READ);
	part(1);
}

static void test_keeps_the_list(void **state)
{
	struct host_grant_map m;

	begin(true);
	submit(0, BLOCK_READ, 20, 0);
	map(asked(0, 0).indirect.indirect_grefs[0], false, &m);
	answer(0, 0, 0, BLKIF_OP_READ);
	plain_drop(&b);
	world_put_back(1, XVDA, "state", "6");
	mock_run();
	assert_int_equal(grant_retiring(), 1);
	memset(m.page, 1, 4096);
	unmap(&m);
	mock_advance(2000000000ull);
	assert_int_equal(grant_retiring(), 0);
	part(1);
}

/* ---- a backend that is not trusted ---- */

static struct blkif_request_segment first_segment(unsigned index)
{
	return asked(0, index).direct.seg[0];
}

/* Of a page that holds a sector of data and a secret beside it, it sees the sector. */
static void test_sees_the_data_alone(void **state)
{
	struct host_grant_map m;
	uint8_t *page;

	begin_with((struct plain_back){0}, false);
	world_prepare(&w[0], 1, BLOCK_WRITE, 0, 512, 1024);
	memset(w[0].data - 1024, 0x5e, 4096); /* the secret */
	memset(w[0].data, 0x11, 512);
	world_submit(&w[0], 1, dev);
	world_kick(1, dev);
	page = map(first_segment(0).gref, false, &m);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(page[i], i / 512 == 2 ? 0x11 : 0);
	unmap(&m);
	answer(0, 0, 0, BLKIF_OP_WRITE);
	assert_true(w[0].done && w[0].status == 0);
	part(1);
}

/* What it writes after its answer reaches nobody, though it never lets go. */
static void test_writes_after_the_answer(void **state)
{
	struct host_grant_map m;
	uint8_t *page;

	begin_with((struct plain_back){0}, false);
	submit(0, BLOCK_READ, 1, 0);
	page = map(first_segment(0).gref, false, &m);
	memset(page, 0x22, 4096);
	answer(0, 0, 0, BLKIF_OP_READ);
	memset(page, 0x33, 4096);
	assert_true(w[0].done && w[0].status == 0);
	assert_int_equal(w[0].data[0], 0x22);
	assert_string_equal(world_front(1, XVDA, "state"), "4");
	unmap(&m);
	part(1);
}

/* A failed read brings nothing of the page's to the user. */
static void test_error_copies_nothing(void **state)
{
	struct blkif_response rsp = {.operation = BLKIF_OP_READ, .status = BLKIF_RSP_ERROR};

	begin_with((struct plain_back){0}, false);
	submit(0, BLOCK_READ, 1, 0);
	memset(w[0].data, 0x44, 4096);
	memcpy((void *)ring_slot(&b.q[0].ring, 0), &rsp, sizeof(rsp));
	b.q[0].ring.shared->rsp_prod = 1;
	mock_enter(0);
	host_event_notify(b.q[0].port);
	mock_run();
	assert_int_equal(w[0].status, -XEN_EIO);
	assert_int_equal(w[0].data[0], 0x44);
	part(1);
}

/* ---- nodes ---- */

static void test_immense_nodes(void **state)
{
	static const char *const keys[] = {"max-ring-page-order", "max-ring-pages",
					   "multi-queue-max-queues",
					   "feature-max-indirect-segments"};

	begin(true);
	plain_drop(&b);
	world_put_back(1, XVDA, "state", "6");
	mock_run();
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		world_put_back(1, XVDA, keys[i], "4294967295");
	world_put_back(1, XVDA, "state", "2");
	mock_run();
	assert_true(plain_try(&b));
	assert_int_equal(world_front_stats().ring_pages, 4);
	assert_int_equal(world_front_stats().queues, 4);
	assert_int_equal(dev->max_segments, 256);
	part(0);
}

/* Numbers that are none: no connection, and none of the memory for one. */
static void test_nonsense_nodes(void **state)
{
	static const char *const keys[] = {"max-ring-page-order", "multi-queue-max-queues"};

	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		begin(true);
		plain_drop(&b);
		world_put_back(1, XVDA, "state", "6");
		mock_run();
		world_put_back(1, XVDA, keys[i], "-1");
		world_put_back(1, XVDA, "state", "2");
		mock_run();
		assert_string_equal(world_front(1, XVDA, "state"), "6");
		assert_int_equal(mock_left(1).grants + mock_left(1).ports + mock_left(1).pages, 0);
		part(0);
	}
}

/* With an argument: only the tests whose names it matches. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answer_on_another_queue),
	    cmocka_unit_test(test_ids_beyond_the_ring),
	    cmocka_unit_test(test_wrong_operations),
	    cmocka_unit_test(test_both_words_for_a_long_one),
	    cmocka_unit_test(test_fetched_once),
	    cmocka_unit_test(test_scribbles_into_the_list),
	    cmocka_unit_test(test_list_tells_nothing),
	    cmocka_unit_test(test_keeps_the_list),
	    cmocka_unit_test(test_sees_the_data_alone),
	    cmocka_unit_test(test_writes_after_the_answer),
	    cmocka_unit_test(test_error_copies_nothing),
	    cmocka_unit_test(test_immense_nodes),
	    cmocka_unit_test(test_nonsense_nodes),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
