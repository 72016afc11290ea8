/* blk_flow_test.c: guests' disks on one real disk, through blkback itself: turns, limits, and what waits when a guest or a
 * disk goes.
 *
 * The scheduling is blk_share_test's; here are the frontends, the rings, the store's keys and the ends. A mock disk holds
 * requests until the test lets them go. Why: a request that waits in the backend is one that nobody else knows of. Expected:
 * each is answered once, in its time, whatever goes away meanwhile.
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

#include "../../drivers-back/blkback_share.h"
#include "blk_world.h"

#define GUESTS 2u
#define EACH   200u
#define FLOOD  32u /* what any ring holds */
#define DEPTH  8u  /* the disk's */
#define SECOND 1000000000ull

static struct mock_disk *disk;
static struct block_device *devs[GUESTS + 2]; /* the last: the first guest's other one */
static struct world_request requests[GUESTS + 1][EACH];

static void begin(unsigned n_guests)
{
	disk = world_begin(WORLD_SECTORS);
	disk->dev.queue_depth = DEPTH;
	world_start_back();
	for (domid_t g = 1; g <= n_guests; g++) {
		world_attach(g, XVDA, "ram0", "w");
		world_start_front(g);
		devs[g] = mock_find_registered(g, "xvda");
		assert_non_null(devs[g]);
	}
}

static void submit(domid_t guest, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		world_prepare(&requests[guest][i], guest, i % 2 ? BLOCK_WRITE : BLOCK_READ,
			      i % 64 * 8, 4096, 0);
		world_submit(&requests[guest][i], guest, devs[guest]);
	}
	world_kick(guest, devs[guest]);
	mock_run();
}

static unsigned count_done(domid_t guest, unsigned count)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++)
		n += requests[guest][i].done;
	return n;
}

struct served {
	domid_t guest;
	uint64_t bytes;
};

static void add_served(const struct blkback_info *info, void *ctx)
{
	struct served *s = ctx;

	if (info->guest == s->guest)
		s->bytes += info->stats.bytes_read + info->stats.bytes_written;
}

/* Answered by the backend; the guest may be told of several at once. */
static unsigned served(domid_t guest)
{
	struct served s = {.guest = guest};

	blkback_for_each(add_served, &s);
	return (unsigned)(s.bytes / 4096);
}

static void release_all(domid_t guest, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		world_release(&requests[guest][i], guest);
}

/* Lets the disk work, some at a time, until it has nothing left. */
static void let_go(void)
{
	do
		mock_run();
	while (mock_disk_release(disk, 8));
	mock_run();
}

static unsigned in_disk(void)
{
	unsigned n = 0;

	for (struct block_request *r = disk->held; r; r = r->next)
		n++;
	return n;
}

/* As a clock that looks every hundredth of a second. */
static void pass(unsigned hundredths)
{
	while (hundredths--)
		mock_advance(SECOND / 100);
}

static void limit(domid_t guest, const char *key, const char *value)
{
	world_put_back(guest, XVDA, key, value);
	mock_run();
}

/* ---- shares ------------------------------------------------------------------------------ */

/* Alone, it has everything in the disk at once. */
static void test_alone(void **state)
{
	(void)state;
	begin(1);
	disk->hold = true;
	submit(1, 0, FLOOD);
	assert_int_equal(in_disk(), FLOOD);
	let_go();
	assert_int_equal(count_done(1, FLOOD), FLOOD);
	release_all(1, FLOOD);
	assert_true(world_end());
}

/* A second that comes when the first has the disk full: from then on both get the same, request by request. */
static void test_a_flood_and_another(void **state)
{
	(void)state;
	begin(2);
	disk->hold = true;
	submit(1, 0, FLOOD);
	assert_true(in_disk() <= DEPTH + 1);
	submit(2, 0, 12);
	mock_disk_release(disk, DEPTH); /* what the first had before the second came */
	mock_run();
	while (served(2) < 12) {
		assert_true(mock_disk_release(disk, 2) > 0);
		mock_run();
	}
	assert_in_range(served(1), DEPTH + 9, DEPTH + 15);
	let_go();
	assert_int_equal(count_done(1, FLOOD), FLOOD);
	release_all(1, FLOOD);
	release_all(2, 12);
	assert_true(world_end());
}

/* Two disks of one guest's against one of another's: by guest, and not by disk. */
static void test_a_guest_with_two_disks(void **state)
{
	(void)state;
	begin(2);
	world_attach(1, XVDB, "ram0", "w");
	mock_run();
	devs[GUESTS + 1] = mock_find_registered(1, "xvdb");
	assert_non_null(devs[GUESTS + 1]);
	disk->hold = true;
	submit(1, 0, FLOOD);
	for (unsigned i = 0; i < FLOOD; i++) {
		world_prepare(&requests[0][i], 1, BLOCK_READ, i * 8, 4096, 0);
		world_submit(&requests[0][i], 1, devs[GUESTS + 1]);
	}
	world_kick(1, devs[GUESTS + 1]);
	submit(2, 0, FLOOD);
	mock_disk_release(disk, DEPTH + 2); /* what the first had before the second came */
	mock_run();
	while (served(2) < FLOOD - DEPTH) {
		assert_true(mock_disk_release(disk, 2) > 0);
		mock_run();
	}
	assert_in_range(served(1), FLOOD - 2, FLOOD + DEPTH);
	let_go();
	assert_true(served(1) < 2 * FLOOD); /* the second is waited for, having had so much */
	mock_advance(2 * SHARE_AWAITED_NS);
	let_go();
	assert_int_equal(count_done(1, FLOOD) + count_done(0, FLOOD), 2 * FLOOD);
	release_all(1, FLOOD);
	for (unsigned i = 0; i < FLOOD; i++)
		world_release(&requests[0][i], 1);
	release_all(2, FLOOD);
	assert_true(world_end());
}

/* Requests that came together and waited are given to the disk with one kick. */
static void test_one_kick_for_a_turn(void **state)
{
	unsigned kicks;

	(void)state;
	begin(2);
	disk->hold = true;
	submit(2, 0, 1);
	submit(1, 0, FLOOD);
	kicks = disk->kicks;
	mock_disk_release(disk, DEPTH + 1);
	mock_run();
	assert_int_equal(disk->kicks - kicks, 1);
	assert_int_equal(in_disk(), DEPTH);
	let_go();
	assert_int_equal(count_done(1, FLOOD), FLOOD);
	release_all(1, FLOOD);
	release_all(2, 1);
	assert_true(world_end());
}

/* ---- limits ------------------------------------------------------------------------------ */

static void test_a_limit_from_the_start(void **state)
{
	(void)state;
	disk = world_begin(WORLD_SECTORS);
	world_start_back();
	world_put_back(1, XVDA, "limit-iops", "100");
	world_put_back(1, XVDA, "limit-burst-ms", "0");
	world_attach(1, XVDA, "ram0", "w");
	world_start_front(1);
	devs[1] = mock_find_registered(1, "xvda");
	submit(1, 0, EACH);
	assert_in_range(served(1), 1, 2);
	for (unsigned s = 1; s < 20; s++) {
		pass(10);
		assert_in_range(served(1), 10 * s, 10 * s + 3);
	}
	pass(100);
	assert_int_equal(served(1), EACH);
	release_all(1, EACH);
	assert_true(world_end());
}

/* Given, changed and taken away while requests wait; nonsense changes nothing. */
static void test_a_limit_while_it_runs(void **state)
{
	(void)state;
	begin(1);
	limit(1, "limit-burst-ms", "0");
	limit(1, "limit-bps", "40960");
	submit(1, 0, EACH);
	pass(100);
	assert_in_range(served(1), 10, 13);
	limit(1, "limit-bps", "409600");
	pass(50);
	assert_in_range(served(1), 59, 66);
	limit(1, "limit-bps", "much");
	assert_in_range(served(1), 59, 66);
	limit(1, "limit-bps", "0");
	mock_run();
	assert_int_equal(served(1), EACH);
	release_all(1, EACH);
	assert_true(world_end());
}

/* Flushes and barriers count as requests, and a barrier that is held keeps its place in the ring's order. */
static void test_a_flush_is_held_too(void **state)
{
	struct world_request flush;

	(void)state;
	begin(1);
	limit(1, "limit-burst-ms", "0");
	limit(1, "limit-iops", "10");
	submit(1, 0, 2);
	world_prepare(&flush, 1, BLOCK_FLUSH, 0, 0, 0);
	world_submit(&flush, 1, devs[1]);
	world_kick(1, devs[1]);
	mock_run();
	assert_int_equal(disk->flushes, 0);
	pass(100);
	assert_true(flush.done);
	assert_int_equal(disk->flushes, 1);
	release_all(1, 2);
	assert_true(world_end());
}

/* ---- ends -------------------------------------------------------------------------------- */

/* What waits for a limit of one request a second does not keep its connection from being taken down. */
static void test_a_guest_goes(void **state)
{
	(void)state;
	begin(2);
	limit(1, "limit-iops", "1");
	submit(1, 0, EACH);
	submit(2, 0, 10);
	world_put_back(1, XVDA, "online", "0");
	world_put_front(1, XVDA, "state", "6");
	mock_run();
	assert_string_equal(world_back(1, XVDA, "state"), "");
	submit(2, 10, 10);
	assert_int_equal(count_done(2, 20), 20);
	assert_int_equal(world_back_count(), 1);
	world_detach_end(1, XVDA);
	release_all(1, EACH);
	release_all(2, 20);
	assert_true(world_end());
}

/* Pulled out while the disk works: what was on its way is answered, and only then are its pages let go. */
static void test_what_is_in_flight_is_answered(void **state)
{
	(void)state;
	begin(1);
	disk->hold = true;
	submit(1, 0, 8);
	world_put_back(1, XVDA, "online", "0");
	world_put_front(1, XVDA, "state", "6");
	mock_run();
	assert_int_equal(count_done(1, 8), 0);
	assert_true(mock_left(0).maps > 0);
	mock_disk_release(disk, 8);
	mock_run();
	assert_int_equal(count_done(1, 8), 8);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(requests[1][i].status, 0);
	assert_int_equal(mock_left(0).maps, 0);
	assert_int_equal(mock_left(0).ports, 0);
	release_all(1, 8);
	assert_true(world_end());
}

/* One that begins anew without a word is not: its ring may be anything by now. */
static void test_who_begins_anew_is_not_answered(void **state)
{
	uint64_t notifies;

	(void)state;
	begin(1);
	disk->hold = true;
	submit(1, 0, 8);
	mock_freeze(1, true);
	world_put_front(1, XVDA, "state", "1");
	mock_run();
	notifies = mock_calls.notifies;
	mock_disk_release(disk, 8);
	mock_run();
	assert_int_equal(mock_calls.notifies, notifies);
	disk->hold = false; /* it is asked again by the guest, who had not begun anew */
	mock_freeze(1, false);
	mock_run();
	world_detach_begin(1, XVDA);
	world_detach_end(1, XVDA);
	mock_advance(60 * SECOND);
	release_all(1, 8);
	assert_true(world_end());
}

/* The disk goes while requests wait: they end with an error, and none is given to it. */
static void test_the_disk_goes(void **state)
{
	unsigned submits, failed = 0;

	(void)state;
	begin(1);
	limit(1, "limit-iops", "1");
	submit(1, 0, 20);
	submits = disk->submits;
	disk->dev.gone = true;
	mock_enter(0);
	host_block_changed(&disk->dev);
	pass(100);
	for (unsigned i = 0; i < 20; i++)
		failed += requests[1][i].done && requests[1][i].status;
	assert_true(failed > 10);
	assert_int_equal(count_done(1, 20), 20);
	assert_int_equal(disk->submits, submits);
	release_all(1, 20);
	disk->dev.gone = false;
	assert_true(world_end());
}

/* A disk that has shrunk while requests waited is not asked for what it has no more. */
static void test_the_disk_shrinks(void **state)
{
	(void)state;
	begin(1);
	limit(1, "limit-burst-ms", "0");
	limit(1, "limit-iops", "1");
	submit(1, 0, 1);
	world_prepare(&requests[1][1], 1, BLOCK_READ, WORLD_SECTORS - 8, 4096, 0);
	world_submit(&requests[1][1], 1, devs[1]);
	world_kick(1, devs[1]);
	mock_run();
	disk->dev.sectors = WORLD_SECTORS / 2;
	pass(200);
	assert_true(requests[1][1].done);
	assert_int_not_equal(requests[1][1].status, 0);
	release_all(1, 2);
	assert_true(world_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_alone),
	    cmocka_unit_test(test_a_flood_and_another),
	    cmocka_unit_test(test_a_guest_with_two_disks),
	    cmocka_unit_test(test_one_kick_for_a_turn),
	    cmocka_unit_test(test_a_limit_from_the_start),
	    cmocka_unit_test(test_a_limit_while_it_runs),
	    cmocka_unit_test(test_a_flush_is_held_too),
	    cmocka_unit_test(test_a_guest_goes),
	    cmocka_unit_test(test_what_is_in_flight_is_answered),
	    cmocka_unit_test(test_who_begins_anew_is_not_answered),
	    cmocka_unit_test(test_the_disk_goes),
	    cmocka_unit_test(test_the_disk_shrinks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
