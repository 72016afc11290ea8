/* blk_want_test: requests of a guest whose grant table is full wait, and go when somebody lets go of a grant.
 *
 * Two disks of one guest: the standing grants of the one are what the other lacks. Why: a guest with many disks runs
 * out of grants in the end, and a read that fails for want of one is an error of the disk to whoever reads. Expected:
 * as stated in each test; every request ends once, with 0 unless nothing ever comes; nothing left.
 *
 * links: tests/host/blk_world.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 * links: protocol/xenbus*.c protocol/grant_retire.c protocol/blkif*.c
 * links: drivers-front/blkfront*.c drivers-back/blkback*.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blk_world.h"

#define SECOND   1000000000ull
#define LENT     64u
#define PEER     9u
#define REFS_MAX 2048u

static struct block_device *first, *second;
static uint8_t *lent;
static gref_t taken[REFS_MAX];
static unsigned n_taken;
static struct world_request w;

static void begin(void)
{
	world_begin(WORLD_SECTORS);
	world_start_back();
	world_start_front(1);
	world_attach(1, XVDA, "ram0", "r");
	world_attach(1, XVDB, "ram0", "r");
	first = mock_find_registered(1, "xvda");
	second = mock_find_registered(1, "xvdb");
	assert_true(first && second);
	mock_enter(1);
	lent = host_pages_alloc(LENT);
	assert_int_equal(blkfront_lend(lent, LENT), 0);
}

/* All that is left, by somebody else in the guest. */
static void take_all(void)
{
	mock_enter(1);
	while (host_grant_offer(PEER, lent, false, &taken[n_taken]) == 0)
		n_taken++;
	assert_true(n_taken > 0);
}

static void give_back(unsigned n)
{
	mock_enter(1);
	for (unsigned i = 0; i < n && n_taken; i++)
		assert_int_equal(host_grant_end(taken[--n_taken]), 0);
}

static void end(void)
{
	give_back(n_taken);
	mock_enter(1);
	world_detach_begin(1, XVDA);
	world_detach_begin(1, XVDB);
	mock_run();
	mock_enter(1);
	assert_int_equal(blkfront_reclaim(lent, LENT), 0);
	host_pages_free(lent, LENT);
	assert_true(world_end());
}

/* In steps, as a timer that is set again by its own work needs them. */
static void pass(unsigned seconds)
{
	for (unsigned i = 0; i < 10 * seconds && !w.done; i++)
		mock_advance(SECOND / 10);
}

/* A read of one page of the guest's own, which is copied. */
static void submit_one(struct block_device *dev)
{
	world_prepare(&w, 1, BLOCK_READ, 8, 4096, 0);
	world_submit(&w, 1, dev);
	world_kick(1, dev);
	mock_run();
}

static bool lent_done;

static void on_lent_done(struct block_request *req, int status)
{
	assert_int_equal(status, 0);
	lent_done = true;
}

static void end_well(void)
{
	assert_true(w.done && w.status == 0);
	world_release(&w, 1);
	end();
}

/* A read of lent pages, which stay granted. */
static void read_lent(struct block_device *dev, unsigned pages)
{
	static struct block_segment segments[LENT];
	static struct block_request req;

	for (unsigned i = 0; i < pages; i++)
		segments[i] = (struct block_segment){lent + i * 4096, 4096};
	req = (struct block_request){
	    .op = BLOCK_READ, .n_segments = pages, .segments = segments, .done = on_lent_done};
	lent_done = false;
	mock_enter(1);
	dev->ops->submit(dev, &req);
	dev->ops->kick(dev);
	mock_run();
	assert_true(lent_done);
}

static void test_waits_for_a_grant(void **state)
{
	begin();
	take_all();
	submit_one(first);
	pass(50);
	assert_false(w.done);
	give_back(1);
	pass(1);
	end_well();
}

/* They stand granted for the second disk, and mapped by its backend, which lets go of what is unused for a minute. */
static void test_another_disk_gives(void **state)
{
	begin();
	read_lent(second, LENT);
	take_all();
	submit_one(first);
	pass(1);
	assert_false(w.done);
	pass(110);
	end_well();
}

/* A disk that has a little gives all of a long request, in parts. */
static void test_a_few_are_enough(void **state)
{
	begin();
	take_all();
	give_back(3);
	read_lent(first, 3);
	world_prepare(&w, 1, BLOCK_READ, 0, 40 * 4096, 0);
	world_submit(&w, 1, first);
	world_kick(1, first);
	mock_run();
	assert_false(w.done);
	give_back(4);
	pass(1);
	end_well();
}

/* Nothing ever comes: it fails after two minutes, and the next one waits anew. */
static void test_not_for_ever(void **state)
{
	begin();
	take_all();
	submit_one(first);
	pass(110);
	assert_false(w.done);
	pass(20);
	assert_true(w.done);
	assert_int_equal(w.status, -XEN_ENOMEM);
	world_release(&w, 1);
	submit_one(first);
	assert_false(w.done);
	give_back(1);
	pass(1);
	end_well();
}

/* Grants that stand for an idle disk, and that its backend has let go of, are what the rings of a new one are granted by. */
static void test_a_disk_that_comes(void **state)
{
	blkback_persistent_limits(16, 16);
	begin();
	read_lent(second, LENT);
	take_all();
	world_attach(1, XVDB + 16, "ram0", "r");
	mock_run();
	assert_string_equal(world_back(1, XVDB + 16, "state"), "4");
	assert_true(world_front_stats().standing < LENT);
	world_detach_begin(1, XVDB + 16);
	mock_run();
	blkback_persistent_limits(1056, 12288);
	end();
}

/* The backend goes while a request waits: it is replayed on the next connection, for which nothing waits. */
static void test_the_backend_goes_meanwhile(void **state)
{
	begin();
	take_all();
	submit_one(first);
	assert_false(w.done);
	world_detach_begin(1, XVDA);
	mock_run();
	world_detach_end(1, XVDA);
	pass(1);
	assert_true(w.done);
	assert_int_equal(w.status, -XEN_EIO);
	world_release(&w, 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_waits_for_a_grant),
	    cmocka_unit_test(test_another_disk_gives),
	    cmocka_unit_test(test_a_few_are_enough),
	    cmocka_unit_test(test_not_for_ever),
	    cmocka_unit_test(test_a_disk_that_comes),
	    cmocka_unit_test(test_the_backend_goes_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
