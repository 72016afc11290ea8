/* block_test.c: pieces become requests that the device can take, and each piece ends once.
 *
 * Shows: cutting at pages and at the device's segment limit, joining of neighbours in any order of
 * arrival, the doorbell once per batch, the limit of requests in flight, errors, and by a thousand
 * random mixtures against a model that no byte goes elsewhere. Why: a request that a driver does
 * not expect, or a lost end, shows only as a hang under load. Expected: all hold.
 *
 * links: tests/host/block_fixture.c kernel/block.c kernel/block_part.c kernel/block_find.c kernel/block_window.c lib/printf.c lib/text.c lib/error_name.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include "block_fixture.h"

static void a_long_piece_is_cut(void **state)
{
	struct block_piece p = piece_of(0, BLOCK_READ, 8, buffer + 512, 25 * 8);

	block_submit(&fake, &p);
	assert_int_equal(n_held, 0);
	block_kick(&fake);
	run_work();
	assert_int_equal(n_held, 3);
	assert_int_equal(kicks, 1);
	assert_int_equal(held[0]->n_segments, 11);
	assert_int_equal(held[0]->segments[0].len_bytes, PAGE_SIZE - 512);
	assert_int_equal(held[1]->sector, 8 + 11 * 8 - 1);
	answer(1, 0);
	answer(0, 0);
	assert_int_equal(ended[0], 0);
	answer(0, 0);
	assert_int_equal(ended[0], 1);
	assert_int_equal(last_status, 0);
}

/* 600 pages as one piece, and as 600 that wait together: both in requests as long as the device takes them. */
static void long_requests(void **state)
{
	static struct block_piece p[BUFFER_PAGES];
	struct block_piece one = piece_of(0, BLOCK_READ, 0, buffer, BUFFER_PAGES * 8);

	register_again(BLOCK_MAX_SEGMENTS, 64);
	block_submit(&fake, &one);
	run_work();
	assert_int_equal(n_held, 3);
	assert_int_equal(held[0]->n_segments, 256);
	assert_int_equal(held[1]->sector, 256 * 8);
	assert_int_equal(held[1]->n_segments, 256);
	assert_int_equal(held[2]->n_segments, 600 - 512);
	answer_all();
	assert_int_equal(ended[0], 1);
	for (unsigned i = 0; i < BUFFER_PAGES; i++) {
		p[i] = piece_of(i, BLOCK_WRITE, i * 8, buffer + i * PAGE_SIZE, 8);
		block_submit(&fake, &p[i]);
	}
	run_work();
	assert_int_equal(n_held, 3);
	assert_int_equal(held[1]->n_segments, 256);
	/* Another backend takes less: what is made from now on keeps to it. */
	fake.max_segments = 12;
	answer_all();
	one = piece_of(0, BLOCK_READ, 0, buffer, 13 * 8);
	block_submit(&fake, &one);
	run_work();
	assert_int_equal(n_held, 2);
	answer_all();
}

/* No memory for tables, then for parts: shorter requests and fewer, and each piece ends all the same. */
static void shortage_makes_requests_shorter_and_fewer(void **state)
{
	struct block_piece p = piece_of(0, BLOCK_READ, 0, buffer, BUFFER_PAGES * 8);

	register_again(BLOCK_MAX_SEGMENTS, 512);
	no_memory = true;
	block_submit(&fake, &p);
	run_work();
	assert_int_equal(n_held, 8);
	assert_int_equal(held[0]->n_segments, 14);
	answer(0, 0);
	no_memory = false;
	run_work();
	assert_true(n_held > 8);
	answer_all();
	assert_int_equal(ended[0], 1);
	assert_int_equal(last_status, 0);
}

/* As many in flight as the device is worth, and memory for them as they come: the first of many is a page. */
static void as_deep_as_the_device(void **state)
{
	static struct block_piece p[BUFFER_PAGES];
	unsigned before, at_first;

	before = allocations;
	register_again(11, 500);
	at_first = allocations;
	assert_int_equal(at_first, before);
	for (unsigned i = 0; i < BUFFER_PAGES; i++) {
		p[i] = piece_of(i, BLOCK_READ, i * 37 % 800 * 9, buffer, 8);
		block_submit(&fake, &p[i]);
	}
	run_work();
	assert_int_equal(n_held, 500);
	assert_int_equal(allocations, at_first + 500 / 8);
	answer_all();
	assert_int_equal(ends, BUFFER_PAGES);
	assert_int_equal(most_held, 500);
}

static void neighbours_are_joined(void **state)
{
	static const unsigned order[] = {0, 3, 1, 4, 2};
	struct block_piece p[6];
	unsigned i, n;

	for (i = 0; i < 5; i++) {
		n = order[i];
		p[n] = piece_of(n, BLOCK_WRITE, 16 + 8 * n, buffer + n * PAGE_SIZE, 8);
		block_submit(&fake, &p[n]);
	}
	p[5] = piece_of(5, BLOCK_READ, 16 + 8 * 5, buffer + 5 * PAGE_SIZE, 8);
	block_submit(&fake, &p[5]);
	block_kick(&fake);
	run_work();
	assert_int_equal(kicks, 1);
	assert_true(n_held <= 4);
	assert_int_equal(block_layer_stats(&fake)->pieces, 6);
	assert_true(block_layer_stats(&fake)->merged >= 2);
	while (n_held)
		answer(0, 0);
	for (i = 0; i < 6; i++)
		assert_int_equal(ended[i], 1);
}

/* 512-byte pieces side by side in memory and on disk: one segment. */
static void small_pieces_share_a_segment(void **state)
{
	struct block_piece p[8];
	unsigned i;

	for (i = 0; i < 8; i++) {
		p[i] = piece_of(i, BLOCK_READ, 40 + i, buffer + i * 512, 1);
		block_submit(&fake, &p[i]);
	}
	run_work(); /* nobody kicked: the worker does */
	assert_int_equal(n_held, 1);
	assert_int_equal(held[0]->n_segments, 1);
	assert_int_equal(held[0]->segments[0].len_bytes, PAGE_SIZE);
	answer(0, -XEN_EIO);
	assert_int_equal(ends, 8);
	assert_int_equal(last_status, -XEN_EIO);
}

static void no_more_in_flight_than_wanted(void **state)
{
	struct block_piece p[12];
	unsigned i, kicks_before;

	for (i = 0; i < 12; i++) {
		p[i] = piece_of(i, BLOCK_READ, i * 100, buffer, 8);
		block_submit(&fake, &p[i]);
	}
	block_kick(&fake);
	run_work();
	assert_int_equal(n_held, 4);
	kicks_before = kicks;
	answer(0, 0);
	answer(0, 0);
	assert_int_equal(n_held, 2);
	run_work();
	assert_int_equal(n_held, 4);
	assert_int_equal(kicks, kicks_before + 1); /* two answers, one doorbell */
	while (n_held) {
		answer(0, 0);
		run_work();
	}
	assert_int_equal(ends, 12);
	assert_int_equal(most_held, 4);
}

static void one_bad_part_is_the_pieces_error(void **state)
{
	struct block_piece p = piece_of(0, BLOCK_WRITE, 0, buffer, 20 * 8);

	block_submit(&fake, &p);
	block_kick(&fake);
	run_work();
	assert_int_equal(n_held, 2);
	answer(0, -XEN_EIO);
	answer(0, 0);
	assert_int_equal(ended[0], 1);
	assert_int_equal(last_status, -XEN_EIO);
}

static void wrong_pieces_are_refused(void **state)
{
	struct block_piece p;
	unsigned i;
	const struct {
		enum block_op op;
		uint64_t sector;
		unsigned va_offset, len_bytes;
		int status;
	} wrong[] = {
	    {BLOCK_READ, DISK_SECTORS, 0, 512, -XEN_EINVAL},
	    {BLOCK_READ, DISK_SECTORS - 1, 0, 1024, -XEN_EINVAL},
	    {BLOCK_READ, ~0ull, 0, 512, -XEN_EINVAL},
	    {BLOCK_READ, ~0ull - 1, 0, 4096, -XEN_EINVAL},
	    {BLOCK_READ, 0, 256, 512, -XEN_EINVAL},
	    {BLOCK_READ, 0, 0, 511, -XEN_EINVAL},
	    {BLOCK_READ, 0, 0, 0, -XEN_EINVAL},
	    {BLOCK_FLUSH, 0, 0, 512, -XEN_EINVAL},
	    {BLOCK_WRITE, 0, 0, 512, -XEN_EROFS},
	    {BLOCK_DISCARD, 0, 0, 512, -XEN_EOPNOTSUPP},
	};

	fake.readonly = true;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		p = piece_of(0, wrong[i].op, wrong[i].sector, buffer + wrong[i].va_offset, 0);
		p.len_bytes = wrong[i].len_bytes;
		block_submit(&fake, &p);
		assert_int_equal(ended[0], 1);
		assert_int_equal(last_status, wrong[i].status);
	}
	assert_int_equal(n_held, 0);
}

static void whole_sectors_of_4096(void **state)
{
	struct block_piece p = piece_of(0, BLOCK_READ, 8, buffer, 200);

	fake.sector_size = 4096;
	fake.max_segments = 3;
	block_submit(&fake, &p);
	run_work();
	assert_int_equal(n_held, 4);
	while (n_held) {
		answer(0, 0);
		run_work();
	}
	assert_int_equal(ended[0], 1);
	p = piece_of(0, BLOCK_READ, 1, buffer, 8);
	block_submit(&fake, &p);
	assert_int_equal(last_status, -XEN_EINVAL);
}

static void a_device_that_goes_ends_what_waits(void **state)
{
	struct block_piece p[6];
	unsigned i;

	for (i = 0; i < 6; i++) {
		p[i] = piece_of(i, BLOCK_READ, i * 100, buffer, 8);
		block_submit(&fake, &p[i]);
	}
	block_unregister(&fake);
	assert_int_equal(ends, 6);
	assert_int_equal(last_status, -XEN_EIO);
	block_submit(&fake, &p[0]);
	assert_int_equal(last_status, -XEN_ENODEV);
}

/* Flushes go alone, between the pieces around them. */
static void flushes_go_alone(void **state)
{
	struct block_piece p[3];

	p[0] = piece_of(0, BLOCK_WRITE, 0, buffer, 8);
	p[1] = piece_of(1, BLOCK_FLUSH, 0, NULL, 0);
	p[2] = piece_of(2, BLOCK_FLUSH, 0, NULL, 0);
	block_submit(&fake, &p[0]);
	block_submit(&fake, &p[1]);
	block_submit(&fake, &p[2]);
	run_work();
	assert_int_equal(n_held, 3);
	while (n_held)
		answer(0, 0);
	assert_int_equal(ends, 3);
}

static unsigned submits_left, nested, nested_most;

static void submit_again(struct block_piece *piece, int status)
{
	nested++;
	nested_most = nested > nested_most ? nested : nested_most;
	ends++;
	if (submits_left) {
		submits_left--;
		block_submit(&fake, piece);
		block_kick(&fake);
	}
	nested--;
}

/* A discard is one request however long; a write through the cache is not joined, and takes its flag along. */
static void discards_and_writes_through_go_alone(void **state)
{
	struct block_piece p[4];

	fake.has_discard = fake.has_fua = true;
	p[0] = piece_of(0, BLOCK_WRITE, 0, buffer, 8);
	p[1] = piece_of(1, BLOCK_WRITE, 8, buffer + PAGE_SIZE, 8);
	p[1].flags = BLOCK_FUA;
	p[2] = piece_of(2, BLOCK_WRITE, 16, buffer + 2 * PAGE_SIZE, 8);
	p[3] = piece_of(3, BLOCK_DISCARD, 24, NULL, 2000);
	for (unsigned i = 0; i < 4; i++)
		block_submit(&fake, &p[i]);
	block_kick(&fake);
	assert_int_equal(n_held, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(held[i]->flags, held[i]->sector == 8 ? BLOCK_FUA : 0);
	assert_int_equal(held[3]->op, BLOCK_DISCARD);
	assert_int_equal(held[3]->n_sectors, 2000);
	assert_int_equal(held[3]->n_segments, 0);
	while (n_held)
		answer(0, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ended[i], 1);
	p[0] = piece_of(0, BLOCK_READ, 0, buffer, 8);
	p[0].flags = BLOCK_FUA;
	block_submit(&fake, &p[0]);
	assert_int_equal(last_status, -XEN_EOPNOTSUPP);
	fake.has_discard = fake.has_fua = false;
}

/* Where the disk has it, and of nothing but a discard: a write that is to be secure means nothing, nor does a discard
 * that is to be on the medium. */
static void a_secure_discard_is_offered_or_refused(void **state)
{
	struct block_piece p = piece_of(0, BLOCK_DISCARD, 8, NULL, 16);

	fake.has_discard = fake.has_fua = true;
	p.flags = BLOCK_SECURE;
	block_submit(&fake, &p);
	assert_int_equal(last_status, -XEN_EOPNOTSUPP);
	fake.discard_secure = true;
	block_submit(&fake, &p);
	block_kick(&fake);
	assert_int_equal(n_held, 1);
	assert_int_equal(held[0]->flags, BLOCK_SECURE);
	answer(0, 0);
	assert_int_equal(last_status, 0);
	p.flags = BLOCK_FUA;
	block_submit(&fake, &p);
	assert_int_equal(last_status, -XEN_EOPNOTSUPP);
	p = piece_of(1, BLOCK_WRITE, 8, buffer, 8);
	p.flags = BLOCK_SECURE;
	block_submit(&fake, &p);
	assert_int_equal(last_status, -XEN_EOPNOTSUPP);
	fake.has_discard = fake.has_fua = fake.discard_secure = false;
}

/* A device that ends requests inside the kick, and a user who submits and kicks inside done: the
 * stack must not grow with each. */
static void ends_inside_the_kick(void **state)
{
	struct block_piece p = piece_of(0, BLOCK_READ, 0, buffer, 8);

	p.done = submit_again;
	at_once = true;
	submits_left = 1000;
	nested_most = 0;
	block_submit(&fake, &p);
	block_kick(&fake);
	run_work();
	assert_int_equal(ends, 1001);
	assert_int_equal(nested_most, 1);
}

/* Random writes, each to a stretch of its own, some side by side: the disk must hold what was
 * written and nothing else, whenever and in whatever order the device answers. */
static void random_mixture(bool immediate, unsigned seed)
{
	static uint8_t expected[sizeof(disk)];
	struct block_piece p[40];
	unsigned round, i, n, at, sectors;

	srand(seed);
	at_once = immediate;
	memcpy(expected, disk, sizeof(disk));
	for (round = 0; round < 200; round++) {
		n = 1 + (unsigned)rand() % 40;
		for (i = 0; i < 64 * PAGE_SIZE; i += sizeof(int))
			*(int *)(buffer + i) = rand();
		for (i = 0, at = (unsigned)rand() % 64; i < n; i++, at += sectors) {
			at += rand() % 2 ? 1 + (unsigned)rand() % 8 : 0;
			sectors = 1 + (unsigned)rand() % 80;
			p[i] = piece_of(i, BLOCK_WRITE, at, buffer + rand() % 200 * 512, sectors);
			memcpy(expected + at * 512, p[i].va, p[i].len_bytes);
		}
		for (i = 0; i < n; i += 2)
			block_submit(&fake, &p[i]);
		for (i = 1; i < n; i += 2)
			block_submit(&fake, &p[i]);
		run_work();
		while (n_held) {
			answer((unsigned)rand() % n_held, 0);
			run_work();
		}
		for (i = 0; i < n; i++)
			assert_int_equal(ended[i], 1);
	}
	assert_memory_equal(expected, disk, sizeof(disk));
}

static void random_mixtures(void **state)
{
	random_mixture(false, 1);
	random_mixture(true, 2);
	register_again(13, 64);
	random_mixture(false, 3);
	register_again(BLOCK_MAX_SEGMENTS, 64);
	random_mixture(false, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_long_piece_is_cut, setup, teardown),
	    cmocka_unit_test_setup_teardown(long_requests, setup, teardown),
	    cmocka_unit_test_setup_teardown(shortage_makes_requests_shorter_and_fewer, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(as_deep_as_the_device, setup, teardown),
	    cmocka_unit_test_setup_teardown(neighbours_are_joined, setup, teardown),
	    cmocka_unit_test_setup_teardown(small_pieces_share_a_segment, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_more_in_flight_than_wanted, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_bad_part_is_the_pieces_error, setup, teardown),
	    cmocka_unit_test_setup_teardown(wrong_pieces_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(whole_sectors_of_4096, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_device_that_goes_ends_what_waits, setup, teardown),
	    cmocka_unit_test_setup_teardown(flushes_go_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(discards_and_writes_through_go_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_secure_discard_is_offered_or_refused, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(ends_inside_the_kick, setup, teardown),
	    cmocka_unit_test_setup_teardown(random_mixtures, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
