/* blk_back_test: blkback's rings, and requests on their way to the disk, from a frontend that uses all of it.
 *
 * Shows rings of every size, number and layout; indirect requests, in one piece or side by side; barriers in
 * their order. Why: Linux's frontend, and older ones, use each of these,
 * and each is offered to them. Expected: data where it belongs, the disk asked in the stated order, nothing
 * left. Nodes and discards: blk_back_nodes_test; what is bounded: blk_back_bound_test.
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

#define PAGE_SECTORS 8u

/* ---- rings ---- */

/* A write, a read back and a flush on each ring, as often as takes the indices round it. */
static void use_rings(void)
{
	unsigned slots = guest.queues[0].ring.n_slots;

	for (unsigned n = 0; n < slots + 3; n++)
		for (unsigned q = 0; q < guest.n_queues; q++) {
			uint64_t sector = (n * 8 + q * 16) % (WORLD_SECTORS - 32);

			world_fill(page(0), 4096, n * 8 + q);
			assert_int_equal(ask(q, rw(BLKIF_OP_WRITE, sector, 0, 1)), BLKIF_RSP_OKAY);
			assert_memory_equal(ram->data + sector * 512, page(0), 4096);
		}
	for (unsigned q = 0; q < guest.n_queues; q++) {
		assert_int_equal(ask(q, rw(BLKIF_OP_READ, 64, 7, 11)), BLKIF_RSP_OKAY);
		assert_memory_equal(ram->data + 64 * 512, page(7), 11 * 4096);
		assert_int_equal(ask(q, rw(BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0)), BLKIF_RSP_OKAY);
	}
	assert_int_equal(ram->flushes, guest.n_queues);
}

static void test_every_ring(void **state)
{
	static const char *const protocols[] = {NULL, "x86_64-abi", "x86_32-abi"};

	for (unsigned order = 0; order <= BLKIF_RING_ORDER_MAX; order++)
		for (unsigned n = 0; n <= BLKIF_QUEUES_MAX; n += n < 2 ? 1 : 6)
			for (unsigned i = 0; i < ARRAY_SIZE(protocols); i++) {
				begin();
				attach(&(struct guest_plan){.n_queues = n,
							    .order = order,
							    .protocol = protocols[i],
							    .persistent = n != 1});
				use_rings();
				end();
			}
}

static void test_other_names_of_one_ring(void **state)
{
	static const struct guest_plan plans[] = {
	    {.old_names = true, .order = 2},
	    {.old_names = true, .order = 0},
	    {.order_named = true},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(plans); i++) {
		begin();
		attach(&plans[i]);
		use_rings();
		end();
	}
}

/* A full ring of the greatest size on every queue, at once; answers come by the ring they were asked on. */
static void test_rings_full(void **state)
{
	struct blkif_response rsp;

	begin();
	ram->hold = true;
	attach(&(struct guest_plan){.n_queues = 4, .order = 4, .persistent = true});
	for (unsigned q = 0; q < 4; q++) {
		for (unsigned i = 0; i < 512; i++) {
			struct guest_request r = rw(BLKIF_OP_READ, i * 8, i % 256, 1);

			r.id = q * 1000 + i;
			guest_put(&guest, q, &r);
		}
		guest_push(&guest, q);
	}
	assert_int_equal(world_back_stats().in_flight, 2048);
	while (mock_disk_release(ram, 100))
		mock_run();
	for (unsigned q = 0; q < 4; q++)
		for (unsigned i = 0; i < 512; i++) {
			assert_true(guest_answer(&guest, q, &rsp));
			assert_int_equal(rsp.id / 1000, q);
			assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
		}
	assert_memory_equal(page(5), ram->data + (256 + 5) * 4096, 4096);
	end();
}

/* Sixteen of these disks have to fit a service domain of 48 MiB, with everything else in it. */
static void test_memory_of_a_disk(void **state)
{
	unsigned before, pages;

	begin();
	before = mock_left(0).pages;
	attach(&(struct guest_plan){.n_queues = 4, .order = 4, .persistent = true});
	pages = mock_left(0).pages - before;
	printf("a disk of 4 queues of 512 slots: %u KiB\n", pages * 4);
	assert_true(pages * 4 <= 1536);
	end();
}

/* ---- indirect ---- */

static void test_indirect(void **state)
{
	for (unsigned n = 1; n <= 256; n += n < 12 ? 1 : 61)
		for (int persistent = 0; persistent < 2; persistent++)
			for (int small = 0; small < 2; small++) {
				struct guest_request r = rw(BLKIF_OP_READ, 16, 0, n);

				begin();
				attach(
				    &(struct guest_plan){.persistent = persistent,
							 .protocol = small ? "x86_32-abi" : NULL});
				r.indirect = true;
				assert_int_equal(guest_ask(&guest, 0, &r), BLKIF_RSP_OKAY);
				assert_memory_equal(page(0), ram->data + 16 * 512, n * 4096);
				r.op = BLKIF_OP_WRITE;
				world_fill(page(0), n * 4096, n);
				assert_int_equal(guest_ask(&guest, 0, &r), BLKIF_RSP_OKAY);
				assert_memory_equal(page(0), ram->data + 16 * 512, n * 4096);
				assert_int_equal(ram->submits, 2); /* each in one piece */
				assert_int_equal(world_back_stats().indirect, 2);
				end();
			}
}

/* A page with a list stays mapped like one with data, and is not counted as used when it is not. */
static void test_list_is_kept(void **state)
{
	struct blkback_stats stats;

	begin();
	attach(&(struct guest_plan){.persistent = true});
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(ask(0, rw(BLKIF_OP_READ, 0, 0, 100)), BLKIF_RSP_OKAY);
	stats = world_back_stats();
	assert_int_equal(stats.grants_mapped, 100 + 16); /* there are 16 list pages */
	assert_int_equal(stats.persistent_hits, 31 * 100 + 16);
	assert_int_equal(mock_calls.copies, 0);
	end();
}

/* What a disk does not take at once it gets in as few pieces as it can take, all of them before the first is
 * done. */
static void test_pieces_side_by_side(void **state)
{
	struct blkif_response rsp;

	begin();
	ram->dev.max_segments = 60;
	attach(&(struct guest_plan){.persistent = true});
	ram->hold = true;
	guest_put(&guest, 0, &(struct guest_request){.op = BLKIF_OP_READ, .n_segments = 256});
	guest_push(&guest, 0);
	assert_int_equal(ram->submits, 5);
	assert_int_equal(asked(4)->n_segments, 16);
	assert_int_equal(asked(4)->sector, 240 * PAGE_SECTORS);
	mock_disk_release_last(ram);
	mock_run();
	assert_false(guest_answer(&guest, 0, &rsp));
	mock_disk_release(ram, 1);
	mock_run();
	assert_true(guest_answer(&guest, 0, &rsp));
	assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
	assert_memory_equal(page(0), ram->data, 256 * 4096);
	end();
}

/* More pieces than there are block_requests to lend: the rest goes when one is back. Every limit of a disk. */
static void test_every_limit_of_a_disk(void **state)
{
	static const unsigned limits[] = {1, 2, 7, 11, 63, 128, 255, 256};

	for (unsigned i = 0; i < 2 * ARRAY_SIZE(limits); i++) {
		struct guest_request r = rw(BLKIF_OP_WRITE, 8, 0, 256);
		struct blkif_response rsp;

		begin();
		ram->dev.max_segments = limits[i / 2];
		ram->hold = i & 1;
		attach(&(struct guest_plan){.persistent = true});
		world_fill(page(0), 256 * 4096, i);
		guest_put(&guest, 0, &r);
		guest_push(&guest, 0);
		while (mock_disk_release(ram, 1))
			mock_run();
		assert_true(guest_answer(&guest, 0, &rsp));
		assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
		assert_int_equal(ram->submits, (256 + limits[i / 2] - 1) / limits[i / 2]);
		assert_memory_equal(page(0), ram->data + 8 * 512, 256 * 4096);
		end();
	}
}

/* One piece fails: so does the request, once, when all its pieces are back. */
static void test_a_piece_fails(void **state)
{
	struct blkif_response rsp;

	begin();
	ram->dev.max_segments = 50;
	attach(&(struct guest_plan){.persistent = false});
	ram->hold = true;
	guest_put(&guest, 0, &(struct guest_request){.op = BLKIF_OP_READ, .n_segments = 256});
	guest_push(&guest, 0);
	mock_disk_release(ram, 2);
	ram->fail_status = -XEN_EIO;
	mock_disk_release(ram, 1);
	ram->fail_status = 0;
	mock_run();
	assert_false(guest_answer(&guest, 0, &rsp));
	mock_disk_release(ram, 10);
	mock_run();
	assert_true(guest_answer(&guest, 0, &rsp));
	assert_int_equal(rsp.status, BLKIF_RSP_ERROR);
	assert_false(guest_answer(&guest, 0, &rsp));
	assert_int_equal(mock_left(0).maps, 1);
	end();
}

/* ---- barriers ---- */

enum { CACHE, FUA, NO_CACHE };

static void begin_barrier(int kind, bool hold)
{
	begin();
	ram->dev.has_flush = kind != NO_CACHE;
	ram->dev.has_fua = kind == FUA;
	ram->hold = hold;
	attach(&(struct guest_plan){.n_queues = 2, .persistent = true});
}

static void expect_asked(unsigned from, const char *what)
{
	static const char letters[] = {
	    [BLOCK_READ] = 'r', [BLOCK_WRITE] = 'w', [BLOCK_FLUSH] = 'f', [BLOCK_DISCARD] = 'd'};
	char text[17];
	unsigned n = 0;

	for (; from + n < ram->submits && n < 16; n++)
		text[n] = asked(from + n)->flags ? 'W' : letters[asked(from + n)->op];
	text[n] = '\0';
	assert_string_equal(text, what);
}

/* With the disk answering at once, and one by one: the same order. */
static void test_barrier(void **state)
{
	static const char *const order[] = {
	    [CACHE] = "rfwfw",
	    [FUA] = "rfWw",
	    [NO_CACHE] = "rww",
	};

	for (int kind = CACHE; kind <= NO_CACHE; kind++)
		for (int hold = 0; hold < 2; hold++) {
			struct blkif_response rsp;
			unsigned answers = 0;

			begin_barrier(kind, hold);
			guest_put(&guest, 0,
				  &(struct guest_request){.op = BLKIF_OP_READ, .n_segments = 1});
			guest_put(
			    &guest, 0,
			    &(struct guest_request){.op = BLKIF_OP_WRITE_BARRIER, .n_segments = 3});
			guest_put(&guest, 0,
				  &(struct guest_request){.op = BLKIF_OP_WRITE, .n_segments = 1});
			guest_push(&guest, 0);
			while (mock_disk_release(ram, 1))
				mock_run();
			expect_asked(0, order[kind]);
			while (guest_answer(&guest, 0, &rsp))
				answers += rsp.status == BLKIF_RSP_OKAY;
			assert_int_equal(answers, 3);
			assert_int_equal(world_back_stats().barriers, 1);
			end();
		}
}

/* One whose page has to be mapped first holds up those behind it, whose pages are kept; another ring's not. */
static void test_in_their_turn(void **state)
{
	static const unsigned pages[][2] = {{0, 1}, {0, 2}, {5, 1}, {0, 1}, {0, 2}};

	begin();
	attach(&(struct guest_plan){.persistent = true});
	assert_int_equal(ask(0, rw(BLKIF_OP_READ, 8, 0, 2)), BLKIF_RSP_OKAY);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		struct guest_request r = rw(BLKIF_OP_READ, 16 * i, pages[i][0], pages[i][1]);

		guest_put(&guest, 0, &r);
	}
	guest_push(&guest, 0);
	mock_run();
	assert_int_equal(ram->submits, 1 + ARRAY_SIZE(pages));
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		assert_int_equal(asked(1 + i)->sector, 16 * i);
	assert_int_equal(world_back_stats().persistent_hits, 2 * 3);
	end();
}

/* What was taken before it comes back first; what stands behind it stays on its ring; other rings go on. */
static void test_barrier_waits(void **state)
{
	struct guest_request r = rw(BLKIF_OP_WRITE, 8, 0, 1),
			     barrier = rw(BLKIF_OP_WRITE_BARRIER, 16, 1, 1);

	begin_barrier(CACHE, true);
	guest_put(&guest, 0, &r);
	guest_put(&guest, 0, &r);
	guest_put(&guest, 0, &barrier);
	guest_put(&guest, 0, &r);
	guest_push(&guest, 0);
	expect_asked(0, "ww");
	guest_put(&guest, 1, &r);
	guest_push(&guest, 1);
	expect_asked(0, "www");
	mock_disk_release(ram, 1);
	expect_asked(0, "www");
	mock_disk_release(ram, 1);
	expect_asked(0, "wwwf");
	mock_disk_release(ram, 2); /* the other ring's, and the flush */
	expect_asked(0, "wwwfw");
	mock_disk_release(ram, 1);
	expect_asked(0, "wwwfwf");
	mock_disk_release(ram, 1);
	mock_run();
	expect_asked(0, "wwwfwfw");
	mock_disk_release(ram, 1);
	mock_run();
	end();
}

/* Without data it is a flush with an order; one after another; each waits for the one before. */
static void test_barriers_in_a_row(void **state)
{
	struct guest_request empty = {.op = BLKIF_OP_WRITE_BARRIER};
	struct blkif_response rsp;
	unsigned answers = 0;

	for (int kind = CACHE; kind <= NO_CACHE; kind++) {
		begin_barrier(kind, false);
		for (unsigned i = 0; i < 5; i++)
			guest_put(&guest, 0, &empty);
		guest_push(&guest, 0);
		expect_asked(0, kind == NO_CACHE ? "" : "fffff");
		while (guest_answer(&guest, 0, &rsp))
			answers++;
		end();
	}
	assert_int_equal(answers, 3 * 5);
}

/* The last on its ring, at a disk that takes its time: what comes when it has ended is heard, though nothing was behind it. */
static void test_barrier_at_the_end(void **state)
{
	struct guest_request barrier = rw(BLKIF_OP_WRITE_BARRIER, 16, 1, 1);
	struct guest_request r = rw(BLKIF_OP_WRITE, 8, 0, 1);
	struct blkif_response rsp;

	begin_barrier(FUA, true);
	guest_put(&guest, 0, &barrier);
	guest_push(&guest, 0);
	mock_run();
	while (mock_disk_release(ram, 1))
		mock_run();
	assert_true(guest_answer(&guest, 0, &rsp));
	guest_put(&guest, 0, &r);
	guest_push(&guest, 0);
	mock_run();
	expect_asked(0, "fWw");
	while (mock_disk_release(ram, 1))
		mock_run();
	assert_true(guest_answer(&guest, 0, &rsp));
	end();
}

/* A barrier that fails in any of its steps ends there, and what is behind it goes on. */
static void test_barrier_fails(void **state)
{
	for (unsigned failing = 0; failing < 3; failing++) {
		struct guest_request barrier = rw(BLKIF_OP_WRITE_BARRIER, 16, 1, 1);
		struct blkif_response rsp;

		begin_barrier(CACHE, true);
		guest_put(&guest, 0, &barrier);
		guest_put(&guest, 0, &(struct guest_request){.op = BLKIF_OP_FLUSH_DISKCACHE});
		guest_push(&guest, 0);
		for (unsigned i = 0; i <= failing; i++) {
			ram->fail_status = i == failing ? -XEN_EIO : 0;
			mock_disk_release(ram, 1);
		}
		ram->fail_status = 0;
		mock_run();
		assert_true(guest_answer(&guest, 0, &rsp));
		assert_int_equal(rsp.status, BLKIF_RSP_ERROR);
		assert_int_equal(ram->submits, failing + 2);
		mock_disk_release(ram, 1);
		mock_run();
		assert_true(guest_answer(&guest, 0, &rsp));
		assert_int_equal(rsp.status, BLKIF_RSP_OKAY);
		end();
	}
}

/* A barrier whose page is refused does not hold up the ring. */
static void test_barrier_refused(void **state)
{
	struct guest_request barrier = rw(BLKIF_OP_WRITE_BARRIER, 16, 1, 1);
	uint32_t kept;

	begin_barrier(CACHE, false);
	kept = guest.refs[1].v;
	guest.refs[1].v = 3; /* reserved: nobody gives it */
	assert_int_equal(guest_ask(&guest, 0, &barrier), BLKIF_RSP_ERROR);
	guest.refs[1].v = kept;
	assert_int_equal(guest_ask(&guest, 0, &barrier), BLKIF_RSP_OKAY);
	end();
}

/* The guest goes while its barrier waits for the disk. */
static void test_gone_at_a_barrier(void **state)
{
	struct guest_request r = rw(BLKIF_OP_WRITE, 8, 0, 1),
			     barrier = rw(BLKIF_OP_WRITE_BARRIER, 16, 1, 1);

	begin_barrier(CACHE, true);
	guest_put(&guest, 0, &r);
	guest_put(&guest, 0, &barrier);
	guest_push(&guest, 0);
	mock_store_remove("/local/domain/1/device/vbd/51712");
	mock_run();
	assert_true(mock_left(0).maps > 0);
	while (mock_disk_release(ram, 1))
		mock_run();
	assert_int_equal(mock_left(0).maps, 0);
	end();
}

/* With an argument: only the tests whose names it matches. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_ring),
	    cmocka_unit_test(test_other_names_of_one_ring),
	    cmocka_unit_test(test_rings_full),
	    cmocka_unit_test(test_memory_of_a_disk),
	    cmocka_unit_test(test_indirect),
	    cmocka_unit_test(test_list_is_kept),
	    cmocka_unit_test(test_pieces_side_by_side),
	    cmocka_unit_test(test_every_limit_of_a_disk),
	    cmocka_unit_test(test_a_piece_fails),
	    cmocka_unit_test(test_in_their_turn),
	    cmocka_unit_test(test_barrier),
	    cmocka_unit_test(test_barrier_waits),
	    cmocka_unit_test(test_barriers_in_a_row),
	    cmocka_unit_test(test_barrier_at_the_end),
	    cmocka_unit_test(test_barrier_fails),
	    cmocka_unit_test(test_barrier_refused),
	    cmocka_unit_test(test_gone_at_a_barrier),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
