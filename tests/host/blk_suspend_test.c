/* blk_suspend_test: a disk goes on after its domain was suspended and wakes up in a new world.
 *
 * Shows: with requests in flight and requests waiting, ports and grants gone without a word, a new backend and nodes
 * as a toolstack writes them for a restored domain, every request ends well, once, with its data; the ports of
 * the old world are not closed in the new one, where their numbers belong to others; grants and pages are all given
 * back in the end; a disk that was not given to the new domain fails its requests and goes; many rounds leave nothing
 * behind. Why: this is the only place where a frontend's partner vanishes together with the ground between them.
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

#define REQUESTS 40u /* more than a ring takes */

static struct world_request w[REQUESTS];

/* The guest stops: from here on nothing of it runs. The toolstack takes its devices away, and the old backends let
 * go when their disk is done; released: now, or only after the new world began. */
static void save(void)
{
	mock_freeze(1, true);
	mock_store_remove("/local/domain/0/backend/vbd/1");
	mock_run();
}

/* The same memory in a new world: no port, no grant, the same numbers of disks. The nodes are there before the guest
 * runs. */
static void restore(unsigned n_disks)
{
	static const unsigned vdevs[] = {XVDA, XVDB};
	static const char *const names[] = {"ram0", "ram1"};

	mock_new_world(1);
	mock_store_remove("/local/domain/1/device/vbd");
	for (unsigned i = 0; i < n_disks; i++)
		world_attach(1, vdevs[i], names[i], "w");
	mock_enter(1);
	blkfront_resume();
	mock_freeze(1, false);
	mock_run();
}

static void submit_writes(struct block_device *dev, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		world_prepare(&w[i], 1, BLOCK_WRITE, i * 8, 4096, 0);
		world_fill(w[i].data, 4096, i);
		world_submit(&w[i], 1, dev);
	}
	world_kick(1, dev);
	mock_run();
}

static void check_writes(struct mock_disk *ram, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_true(w[i].done && w[i].status == 0);
		assert_memory_equal(ram->data + i * 4096, w[i].data, 4096);
		world_release(&w[i], 1);
	}
}

static void end(void)
{
	assert_true(world_end());
}

static void test_in_flight(void **state)
{
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);

	ram->hold = true;
	submit_writes(dev, REQUESTS);
	save();
	mock_disk_release(ram, REQUESTS); /* the old backend finishes what it had */
	mock_run();
	for (unsigned i = 0; i < REQUESTS; i++)
		assert_false(w[i].done);
	memset(ram->data, 0, WORLD_SECTORS * 512);
	ram->hold = false;
	restore(1);
	check_writes(ram, REQUESTS);
	assert_int_equal(world_front_stats().replayed, 32);
	assert_string_equal(world_front(1, XVDA, "state"), "4");
	assert_ptr_equal(mock_find_registered(1, "xvda"), dev);
	end();
}

/* What a read brought to the old world is not looked at. */
static void test_reads_are_read_again(void **state)
{
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);

	ram->hold = true;
	world_fill(ram->data, 4096, 1);
	world_prepare(&w[0], 1, BLOCK_READ, 0, 4096, 0);
	world_submit(&w[0], 1, dev);
	world_kick(1, dev);
	mock_run();
	save();
	mock_disk_release(ram, 1);
	mock_run();
	world_fill(ram->data, 4096, 2);
	ram->hold = false;
	restore(1);
	assert_true(w[0].done && w[0].status == 0);
	assert_memory_equal(w[0].data, ram->data, 4096);
	world_release(&w[0], 1);
	end();
}

/* Two disks: the first one's new port may have the number of the second one's old one. */
static void test_two_disks(void **state)
{
	struct block_device *a, *b;
	struct mock_disk *ram = world_connected("w", &a);
	uint8_t in[4096], out[4096];

	mock_enter(0);
	mock_disk_new("ram1", WORLD_SECTORS);
	world_attach(1, XVDB, "ram1", "w");
	b = mock_find_registered(1, "xvdb");
	assert_non_null(b);
	for (unsigned round = 0; round < 10; round++) {
		ram->hold = true;
		submit_writes(a, 8);
		save();
		mock_disk_release(ram, 8);
		mock_run();
		ram->hold = false;
		restore(2);
		check_writes(ram, 8);
		world_fill(in, sizeof(in), round);
		assert_int_equal(world_io(1, b, BLOCK_WRITE, 8, in, sizeof(in)), 0);
		assert_int_equal(world_io(1, b, BLOCK_READ, 8, out, sizeof(out)), 0);
		assert_memory_equal(in, out, sizeof(in));
	}
	end();
}

static void test_lent_memory(void **state)
{
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);
	struct world_request lent;

	world_prepare(&lent, 1, BLOCK_WRITE, 0, 8 * 4096, 0);
	assert_int_equal(blkfront_lend(lent.data, 8), 0);
	for (unsigned round = 0; round < 3; round++) {
		world_fill(lent.data, 8 * 4096, round);
		lent.done = false;
		world_submit(&lent, 1, dev);
		world_kick(1, dev);
		mock_run();
		assert_true(lent.done && lent.status == 0);
		assert_memory_equal(ram->data, lent.data, 8 * 4096);
		save();
		restore(1);
	}
	mock_enter(1);
	assert_int_equal(blkfront_reclaim(lent.data, 8), 0);
	world_release(&lent, 1);
	end();
}

/* A restored domain has another number, and so its backends other directories. */
static void test_backend_elsewhere(void **state)
{
#define ELSEWHERE "/local/domain/0/backend/vbd/6/51712"
	static const char *const nodes[][2] = {
	    {ELSEWHERE "/frontend", "/local/domain/1/device/vbd/51712"},
	    {ELSEWHERE "/frontend-id", "1"},
	    {ELSEWHERE "/online", "1"},
	    {ELSEWHERE "/params", "ram0"},
	    {ELSEWHERE "/mode", "w"},
	    {"/local/domain/1/device/vbd/51712/backend", ELSEWHERE},
	    {"/local/domain/1/device/vbd/51712/state", "1"},
	    {ELSEWHERE "/state", "1"},
	};
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);

	ram->hold = true;
	submit_writes(dev, 4);
	save();
	mock_disk_release(ram, 4);
	mock_run();
	ram->hold = false;
	mock_new_world(1);
	for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++)
		mock_store_put(nodes[i][0], nodes[i][1]);
	mock_run();
	mock_enter(1);
	blkfront_resume();
	mock_freeze(1, false);
	mock_run();
	check_writes(ram, 4);
	mock_store_remove("/local/domain/0/backend/vbd/6");
	mock_run();
	end();
}

static void test_disk_is_not_there_any_more(void **state)
{
	struct block_device *dev;
	struct mock_disk *ram = world_connected("w", &dev);

	ram->hold = true;
	submit_writes(dev, 4);
	save();
	mock_disk_release(ram, 4);
	mock_run();
	restore(0);
	assert_int_equal(mock_registered(1), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(w[i].done);
		assert_int_equal(w[i].status, -XEN_EIO);
		world_release(&w[i], 1);
	}
	end();
}

static void test_any_turns(void **state)
{
	for (uint32_t seed = 1; seed < 100; seed++) {
		struct block_device *dev;
		struct mock_disk *ram = world_connected("w", &dev);

		mock_shuffle(seed);
		ram->hold = true;
		submit_writes(dev, REQUESTS);
		save();
		mock_disk_release(ram, REQUESTS);
		mock_run();
		ram->hold = false;
		restore(1);
		check_writes(ram, REQUESTS);
		end();
	}
}

/* With an argument: only the tests whose names it matches. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_in_flight),
	    cmocka_unit_test(test_reads_are_read_again),
	    cmocka_unit_test(test_two_disks),
	    cmocka_unit_test(test_lent_memory),
	    cmocka_unit_test(test_backend_elsewhere),
	    cmocka_unit_test(test_disk_is_not_there_any_more),
	    cmocka_unit_test(test_any_turns),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
