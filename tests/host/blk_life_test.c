/* blk_life_test: how the halves of a disk find each other, part, and find each other again.
 *
 * Shows the handshake with the keys of the stock drivers in any order of arrival and any order of
 * turns; removal by the toolstack, death of either side with requests in flight, a service domain
 * that is replaced. Why: most bugs of split drivers live here, and each leak is for ever in a
 * service domain. Expected: states as in the table of xenbus.c; requests replayed or failed, never
 * lost; nothing left.
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

/* ---- the handshake ---- */

static void test_connects(void **state)
{
	struct block_device *dev;

	world_connected("w", &dev);
	assert_string_equal(world_front(1, XVDA, "state"), "4");
	assert_string_equal(world_back(1, XVDA, "state"), "4");
	assert_string_equal(world_front(1, XVDA, "protocol"), "x86_64-abi");
	assert_string_equal(world_front(1, XVDA, "feature-persistent"), "1");
	assert_string_equal(world_back(1, XVDA, "sectors"), "8192");
	assert_string_equal(world_back(1, XVDA, "feature-flush-cache"), "1");
	assert_int_equal(dev->sectors, WORLD_SECTORS);
	assert_int_equal(dev->max_segments, 64);
	assert_false(dev->readonly);
	assert_true(dev->has_flush);
	end();
}

/* Either half, or the toolstack, may be there first. */
static void test_any_order(void **state)
{
	for (int order = 0; order < 6; order++) {
		static const char steps[][4] = {"abf", "afb", "baf", "bfa", "fab", "fba"};

		world_begin(WORLD_SECTORS);
		for (int i = 0; i < 3; i++) {
			if (steps[order][i] == 'a')
				world_attach(1, XVDA, "ram0", "w");
			else if (steps[order][i] == 'b')
				world_start_back();
			else
				world_start_front(1);
		}
		assert_non_null(mock_find_registered(1, "xvda"));
		assert_string_equal(world_front(1, XVDA, "state"), "4");
		end();
	}
}

/* The order in which the domains get their turns does not matter. */
static void test_any_turns(void **state)
{
	for (uint32_t seed = 1; seed < 200; seed++) {
		uint8_t in[8192], out[8192];

		world_begin(WORLD_SECTORS);
		mock_shuffle(seed);
		world_start_back();
		world_start_front(1);
		world_start_front(2);
		world_attach(1, XVDA, "ram0", "w");
		world_attach(2, XVDB, "ram0", "r");
		world_fill(in, sizeof(in), seed);
		assert_int_equal(
		    world_io(1, mock_find_registered(1, "xvda"), BLOCK_WRITE, 16, in, 8192), 0);
		assert_int_equal(
		    world_io(2, mock_find_registered(2, "xvdb"), BLOCK_READ, 16, out, 8192), 0);
		assert_memory_equal(in, out, 8192);
		end();
	}
}

static void test_conflicts_in_the_store(void **state)
{
	world_begin(WORLD_SECTORS);
	world_start_back();
	world_start_front(1);
	mock_tx_conflicts(5);
	world_attach(1, XVDA, "ram0", "w");
	assert_string_equal(world_front(1, XVDA, "state"), "4");
	end();
}

/* ---- parting ---- */

static void test_detach(void **state)
{
	struct block_device *dev;

	world_connected("w", &dev);
	world_detach_begin(1, XVDA);
	assert_string_equal(world_front(1, XVDA, "state"), "6");
	assert_int_equal(mock_store_count("/local/domain/0/backend/vbd/1/51712"), 0);
	assert_int_equal(world_back_count(), 0);
	world_detach_end(1, XVDA);
	assert_int_equal(mock_registered(1), 0);
	end();
}

/* The toolstack does not wait for a guest that does not answer. */
static void test_detach_from_a_silent_guest(void **state)
{
	struct block_device *dev;

	world_connected("w", &dev);
	mock_freeze(1, true);
	world_detach_begin(1, XVDA);
	assert_string_equal(world_back(1, XVDA, "state"), "5");
	mock_advance(6000000000ull);
	assert_int_equal(mock_store_count("/local/domain/0/backend/vbd/1/51712"), 0);
	assert_int_equal(world_back_count(), 0);
	assert_int_equal(mock_left(0).maps + mock_left(0).ports, 0);
	mock_freeze(1, false);
	end();
}

/* A guest goes while the disk has its requests: pages stay mapped until the disk is done. */
static void test_guest_dies_in_flight(void **state)
{
	static struct world_request w[8];
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);

	ram->hold = true;
	for (unsigned i = 0; i < 8; i++) {
		world_prepare(&w[i], 1, BLOCK_READ, i * 8, 4096, 0);
		world_submit(&w[i], 1, dev);
	}
	world_kick(1, dev);
	mock_run();
	mock_store_remove("/local/domain/1");
	mock_run();
	assert_true(mock_left(0).maps > 0);
	mock_disk_release(ram, 8);
	mock_run();
	assert_int_equal(mock_left(0).maps, 0);
	assert_int_equal(mock_left(0).ports, 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_true(w[i].done);
		assert_int_equal(w[i].status, -XEN_EIO);
		world_release(&w[i], 1);
	}
	end();
}

/* The service domain dies and a new one takes over: requests in flight are made again, none fails.
 */
static void test_backend_replaced(void **state)
{
	static struct world_request w[40];
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);

	ram->hold = true;
	for (unsigned i = 0; i < 40; i++) {
		world_prepare(&w[i], 1, BLOCK_WRITE, i * 8, 4096, 0);
		world_fill(w[i].data, 4096, i);
		world_submit(&w[i], 1, dev);
	}
	world_kick(1, dev);
	mock_run();
	mock_enter(0);
	blkback_exit(); /* what it has of the guest's is let go when the disk is done with it */
	mock_disk_release(ram, 40);
	mock_run();
	blkback_exit();
	ram->hold = false;
	memset(ram->data, 0, WORLD_SECTORS * 512);
	world_start_back();
	for (unsigned i = 0; i < 40; i++) {
		assert_true(w[i].done && w[i].status == 0);
		assert_memory_equal(ram->data + i * 4096, w[i].data, 4096);
		world_release(&w[i], 1);
	}
	assert_int_equal(world_front_stats().replayed, 32);
	end();
}

static void test_backend_never_back(void **state)
{
	struct world_request w;
	struct block_device *dev;

	world_connected("w", &dev);
	world_put_back(1, XVDA, "state", "6");
	mock_freeze(0, true);
	mock_run();
	assert_string_equal(world_front(1, XVDA, "state"), "1"); /* would begin anew */
	world_prepare(&w, 1, BLOCK_READ, 0, 512, 0);
	world_submit(&w, 1, dev);
	mock_advance(29000000000ull);
	assert_false(w.done);
	mock_advance(2000000000ull);
	assert_true(w.done && w.status == -XEN_EIO);
	world_release(&w, 1);
	assert_int_equal(world_io(1, dev, BLOCK_READ, 0, &w, 512), -XEN_EIO);
	mock_freeze(0, false);
	end();
}

static void test_reconnects(void **state)
{
	struct block_device *dev;
	uint8_t data[512];

	world_connected("w", &dev);
	for (int i = 0; i < 20; i++) {
		mock_enter(0);
		blkback_exit();
		mock_run();
		world_start_back();
		assert_string_equal(world_front(1, XVDA, "state"), "4");
		assert_int_equal(world_io(1, dev, BLOCK_READ, 0, data, 512), 0);
	}
	end();
}

static void test_attach_100_times(void **state)
{
	uint8_t data[512];

	world_begin(WORLD_SECTORS);
	world_start_back();
	world_start_front(1);
	for (int i = 0; i < 100; i++) {
		world_attach(1, XVDA, "ram0", "w");
		assert_int_equal(
		    world_io(1, mock_find_registered(1, "xvda"), BLOCK_READ, 0, data, 512), 0);
		world_detach_begin(1, XVDA);
		world_detach_end(1, XVDA);
	}
	mock_advance(
	    2000000000ull); /* the frontend lets go first, so its grants wait for the backend */
	assert_int_equal(mock_left(0).maps + mock_left(0).ports + mock_left(0).pages, 0);
	assert_int_equal(mock_left(1).grants + mock_left(1).ports + mock_left(1).pages, 0);
	assert_int_equal(mock_left(0).watches, 1);
	end();
}

/* With an argument: only the tests whose names it matches. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_connects),
	    cmocka_unit_test(test_any_order),
	    cmocka_unit_test(test_any_turns),
	    cmocka_unit_test(test_conflicts_in_the_store),
	    cmocka_unit_test(test_detach),
	    cmocka_unit_test(test_detach_from_a_silent_guest),
	    cmocka_unit_test(test_guest_dies_in_flight),
	    cmocka_unit_test(test_backend_replaced),
	    cmocka_unit_test(test_backend_never_back),
	    cmocka_unit_test(test_reconnects),
	    cmocka_unit_test(test_attach_100_times),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
