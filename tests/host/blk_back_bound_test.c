/* blk_back_bound_test: what a guest can make blkback hold has a bound, and within it everybody gets a turn.
 *
 * Shows requests that wait on their ring for memory, large ones among small ones, a guest's share beside
 * others, and the pool of pages that stay mapped: what is unused goes, what is busy stays. Why: a service
 * domain has many guests, each of which would take what it can. Expected: nothing fails for want of memory,
 * no ring waits for ever, nothing left.
 *
 * links: tests/host/blk_world.c tests/host/blk_guest.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c
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

#include "blk_back_fixture.h"

/* ---- the bound on what is in flight ---- */

/* Of requests that do not fit the arena together the rest waits on the ring; none fails. */
static void test_more_than_the_arena(void **state)
{
	struct blkif_response rsp;
	unsigned answers = 0;

	begin();
	ram->hold = true;
	attach(&(struct guest_plan){.persistent = true});
	for (unsigned i = 0; i < 32; i++) {
		struct guest_request r = rw(BLKIF_OP_READ, i * 8, 0, 256);

		guest_put(&guest, 0, &r);
	}
	guest_push(&guest, 0);
	assert_int_equal(ram->submits, 8); /* of 256 each */
	assert_int_equal(world_back_stats().starved, 1);
	while (mock_disk_release(ram, 1)) {
		mock_run();
		answers += guest_answer(&guest, 0, &rsp) && rsp.status == BLKIF_RSP_OKAY;
	}
	assert_int_equal(ram->submits, 32);
	assert_int_equal(answers, 32);
	end();
}

/* A large request of one ring gets its turn although another ring has small ones without end. */
static void test_large_among_small(void **state)
{
	struct guest_request large = rw(BLKIF_OP_READ, 0, 0, 256),
			     small = rw(BLKIF_OP_READ, 0, 0, 4);
	struct blkif_response rsp;
	bool done = false;

	begin();
	ram->hold = true;
	attach(&(struct guest_plan){.n_queues = 2, .order = 4, .persistent = true});
	for (unsigned i = 0; i < 512; i++)
		guest_put(&guest, 0, &small);
	guest_push(&guest, 0);
	guest_put(&guest, 1, &large);
	guest_push(&guest, 1);
	for (unsigned i = 0; i < 3000 && !done; i++) {
		mock_disk_release(ram, 1);
		mock_run();
		if (guest_answer(&guest, 0, &rsp)) {
			guest_put(&guest, 0, &small);
			guest_push(&guest, 0);
		}
		done = guest_answer(&guest, 1, &rsp);
	}
	assert_true(done);
	while (mock_disk_release(ram, 1000))
		mock_run();
	end();
}

/* However many slots its rings have, a guest has no more in flight than its share of the whole, which is smaller
 * beside others; what is above waits, and is served when its turn comes. */
static void test_share_of_what_is_in_flight(void **state)
{
	struct blkif_response rsp;
	unsigned answers = 0;

	begin();
	ram->hold = true;
	attach(&(struct guest_plan){.n_queues = 2, .order = 4, .persistent = true});
	mock_enter(0);
	mock_disk_new("ram1", WORLD_SECTORS); /* beside it, and not in its way at its disk */
	for (domid_t d = 2; d < 7; d++) {
		world_start_front(d);
		for (unsigned vdev = XVDB; vdev < XVDB + 5 * 16; vdev += 16)
			world_attach(d, vdev, "ram1", "w");
	}
	for (unsigned i = 0; i < 1024; i++) {
		guest_put(&guest, i & 1,
			  &(struct guest_request){.op = BLKIF_OP_READ, .n_segments = 1});
		if (i > 1021)
			guest_push(&guest, i & 1);
	}
	assert_int_equal(ram->submits, 8192 / 26);
	while (mock_disk_release(ram, 50))
		mock_run();
	for (unsigned q = 0; q < 2; q++)
		while (guest_answer(&guest, q, &rsp))
			answers++;
	assert_int_equal(answers, 1024);
	end();
}

/* Who waits and then asks for something else does not leave the others waiting. */
static void test_changes_its_mind(void **state)
{
	struct guest_request large = rw(BLKIF_OP_READ, 0, 0, 256),
			     flush = {.op = BLKIF_OP_FLUSH_DISKCACHE};
	struct guest_queue *q = &guest.queues[0];
	struct blkif_response rsp;
	unsigned n = 0;

	begin();
	ram->hold = true;
	attach(&(struct guest_plan){.n_queues = 2, .persistent = true});
	for (unsigned i = 0; i < 9; i++)
		guest_put(&guest, 0, &large);
	guest_push(&guest, 0);
	guest_put(&guest, 1, &large);
	guest_push(&guest, 1);
	assert_int_equal(ram->submits, 8);
	q->ring.out--; /* the ninth becomes another */
	guest_put(&guest, 0, &flush);
	while (mock_disk_release(ram, 1))
		mock_run();
	while (guest_answer(&guest, 0, &rsp))
		n++;
	assert_int_equal(n, 9);
	assert_true(guest_answer(&guest, 1, &rsp));
	end();
}

/* ---- persistent grants ---- */

/* In steps, as clocks go. */
static void pass(unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i += 5)
		mock_advance(5000000000ull);
}

/* What is not used for a minute is let go; what is used stays. Then the clock stops. */
static void test_unused_pages_go(void **state)
{
	uint64_t works;

	begin();
	attach(&(struct guest_plan){.persistent = true});
	assert_int_equal(ask(0, rw(BLKIF_OP_READ, 0, 0, 200)), BLKIF_RSP_OKAY);
	assert_int_equal(world_back_stats().persistent_held, 201); /* and the list's */
	for (unsigned i = 0; i < 12; i++) {
		assert_int_equal(ask(0, rw(BLKIF_OP_READ, 0, 3, 1)), BLKIF_RSP_OKAY);
		pass(10);
	}
	assert_int_equal(world_back_stats().persistent_held, 1);
	assert_int_equal(world_back_stats().persistent_released, 200);
	assert_int_equal(mock_left(0).maps, 2);
	pass(100);
	assert_int_equal(world_back_stats().persistent_held, 0);
	works = mock_calls.works_run;
	pass(100);
	assert_int_equal(mock_calls.works_run, works);
	assert_int_equal(ask(0, rw(BLKIF_OP_READ, 0, 0, 200)), BLKIF_RSP_OKAY);
	end();
}

/* A page under the disk's hands is not unused. */
static void test_busy_pages_stay(void **state)
{
	struct guest_request r = rw(BLKIF_OP_READ, 8, 0, 100);

	begin();
	ram->hold = true;
	attach(&(struct guest_plan){.persistent = true});
	guest_put(&guest, 0, &r);
	guest_push(&guest, 0);
	pass(200);
	assert_int_equal(world_back_stats().persistent_held, 100);
	mock_disk_release(ram, 1);
	mock_run();
	assert_memory_equal(page(0), ram->data + 8 * 512, 100 * 4096);
	end();
}

/* The share of a guest shrinks when another connects. */
static void test_shares_of_the_pool(void **state)
{
	blkback_persistent_limits(1000, 200);
	begin();
	attach(&(struct guest_plan){.n_queues = 2, .persistent = true});
	assert_int_equal(ask(0, rw(BLKIF_OP_READ, 0, 0, 190)), BLKIF_RSP_OKAY);
	assert_int_equal(world_back_stats().persistent_held, 191);
	world_start_front(2);
	world_attach(2, XVDB, "ram0", "w");
	assert_string_equal(world_back(2, XVDB, "state"), "4");
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(ask(1, rw(BLKIF_OP_READ, 0, 200 + i, 1)), BLKIF_RSP_OKAY);
	assert_true(world_back_stats().persistent_held <= 100);
	guest_end(&guest);
	assert_true(world_end());
	blkback_persistent_limits(0, 0);
	begin();
	attach(&(struct guest_plan){.persistent = true});
	assert_int_equal(ask(0, rw(BLKIF_OP_READ, 0, 0, 190)), BLKIF_RSP_OKAY);
	assert_int_equal(world_back_stats().persistent_held, 0);
	assert_int_equal(mock_left(0).maps, 1);
	end();
	blkback_persistent_limits(1056, 12288);
}

/* With an argument: only the tests whose names it matches. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_more_than_the_arena),
	    cmocka_unit_test(test_large_among_small),
	    cmocka_unit_test(test_share_of_what_is_in_flight),
	    cmocka_unit_test(test_changes_its_mind),
	    cmocka_unit_test(test_unused_pages_go),
	    cmocka_unit_test(test_busy_pages_stay),
	    cmocka_unit_test(test_shares_of_the_pool),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
