/* save_disk_test.c: bytes that are put into a stream stand on the disk in their order, and its first page is written last.
 *
 * Shows: streams of every length around pages, chunks and rounds of the ring, on disks that take one segment or many; that
 * at any moment before the end the disk begins with zeros, whatever was there before; the order of flushes; a disk that is
 * full, fails, or goes away. Why: half a stream that looks whole is a domain lost, and a ring that is freed too early writes
 * somebody else's bytes. Expected: the disk's bytes are those put; nothing is left.
 *
 * links: control/save_disk.c tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../control/save_disk.h"
#include "mock_host.h"

#define DISK_PAGES 1024u

static struct mock_disk *disk;
static struct save_disk out;
static unsigned moves;

static void moved(void *ctx)
{
	assert_ptr_equal(ctx, &moves);
	moves++;
}

static int setup(void **state)
{
	mock_reset();
	memset(&out, 0, sizeof(out));
	moves = 0;
	disk = mock_disk_new("d", DISK_PAGES * 8);
	disk->dev.has_flush = true;
	disk->dev.max_segments = 64;
	memset(disk->data, 0xee, (size_t)DISK_PAGES * PAGE_SIZE);
	return 0;
}

static void begin(void)
{
	assert_int_equal(save_disk_open(&out, &disk->dev, moved, &moves), 0);
}

static void expect_closed(void)
{
	assert_true(save_disk_idle(&out));
	save_disk_close(&out);
	assert_true(mock_nothing_left(0));
}

/* No byte like its neighbours, nor like one a page or a ring away. */
static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i ^ i / 251 ^ i / 65521);
}

static void expect_head(uint8_t wanted)
{
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(disk->data[i], wanted);
}

/* Puts as much as there is room for. */
static uint64_t put_some(uint64_t from, uint64_t end)
{
	static uint8_t bytes[SAVE_RING_PAGES * PAGE_SIZE];
	size_t len = MIN(save_disk_room(&out), end - from);

	for (size_t i = 0; i < len; i++)
		bytes[i] = byte_at(from + i);
	save_disk_put(&out, bytes, len);
	return from + len;
}

static void check_stream(uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		if (disk->data[i] != byte_at(i))
			fail_msg("byte %llu of %llu", (unsigned long long)i,
				 (unsigned long long)len);
	for (uint64_t i = len; i % PAGE_SIZE; i++)
		assert_int_equal(disk->data[i], 0);
	if (PAGES_FOR(len) < DISK_PAGES)
		assert_int_equal(disk->data[PAGES_FOR(len) * PAGE_SIZE], 0xee);
}

/* A slow disk whose requests end one by one, the oldest last when odd. */
static void stream(uint64_t len, unsigned max_segments)
{
	uint64_t at = 0;
	bool odd = false;

	setup(NULL);
	disk->dev.max_segments = max_segments;
	disk->hold = true;
	begin();
	assert_int_equal(save_disk_room(&out), 0);
	assert_int_equal(mock_disk_release(disk, 2), 2); /* the clearing and its flush */
	expect_head(0);
	while (at < len) {
		at = put_some(at, len);
		odd = !odd;
		if (odd)
			mock_disk_release_last(disk);
		else
			mock_disk_release(disk, 1);
		expect_head(0);
	}
	save_disk_finish(&out);
	while (out.step < SAVE_DISK_HEAD) {
		expect_head(0);
		assert_true(mock_disk_release(disk, 1));
	}
	assert_int_equal(disk->flushes, 2);
	expect_head(0);
	while (mock_disk_release(disk, 1))
		;
	assert_int_equal(out.step, SAVE_DISK_DONE);
	assert_int_equal(out.err, 0);
	assert_int_equal(disk->flushes, 3);
	assert_true(moves > 0);
	check_stream(len);
	expect_closed();
}

static void test_lengths(void **state)
{
	static const uint64_t lengths[] = {
	    1,
	    PAGE_SIZE - 1,
	    PAGE_SIZE,
	    PAGE_SIZE + 1,
	    SAVE_CHUNK_PAGES * PAGE_SIZE,
	    SAVE_CHUNK_PAGES * PAGE_SIZE + 1,
	    SAVE_RING_PAGES * PAGE_SIZE - 1,
	    SAVE_RING_PAGES * PAGE_SIZE,
	    SAVE_RING_PAGES * PAGE_SIZE * 3 + 77,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		stream(lengths[i], 64);
		stream(lengths[i], 11);
		stream(lengths[i], 1);
	}
}

/* A disk that ends every request at once, and one without a flush. */
static void test_fast_disks(void **state)
{
	uint64_t len = 2 * SAVE_RING_PAGES * PAGE_SIZE + 5, at = 0;

	disk->dev.has_flush = false;
	begin();
	while (at < len)
		at = put_some(at, len);
	save_disk_finish(&out);
	assert_int_equal(out.step, SAVE_DISK_DONE);
	assert_int_equal(disk->flushes, 0);
	check_stream(len);
	expect_closed();
}

/* Full in the middle: the first page stays zeros. */
static void test_full(void **state)
{
	uint64_t at = 0;

	disk->dev.sectors = 100 * 8;
	begin();
	for (unsigned i = 0; i < 9 && !out.err; i++)
		at = put_some(at, 1ull << 40);
	assert_int_equal(out.err, -XEN_ENOSPC);
	assert_int_equal(save_disk_room(&out), 0);
	save_disk_put(&out, &at, sizeof(at)); /* thrown away */
	save_disk_finish(&out);
	expect_head(0);
	expect_closed();
	disk->dev.sectors = 7;
	assert_int_equal(save_disk_open(&out, &disk->dev, moved, &moves), -XEN_ENOSPC);
	mock_fail_after(1);
	disk->dev.sectors = 8;
	assert_int_equal(save_disk_open(&out, &disk->dev, moved, &moves), -XEN_ENOMEM);
	mock_fail_after(-1);
	assert_true(mock_nothing_left(0));
}

/* Whichever request fails, the disk has no stream; the others are waited for. */
static void test_failures(void **state)
{
	for (unsigned nth = 0; nth < 9; nth++) {
		uint64_t at = 0, len = SAVE_RING_PAGES * PAGE_SIZE;

		setup(NULL);
		disk->hold = true;
		begin();
		for (unsigned i = 0; i < 20 && out.step != SAVE_DISK_DONE && !out.err; i++) {
			disk->fail_status = i == nth ? -XEN_EIO : 0;
			if (!mock_disk_release(disk, 1))
				break;
			disk->fail_status = 0;
			if (out.step == SAVE_DISK_BODY && at < len)
				at = put_some(at, len);
			if (out.step == SAVE_DISK_BODY && at == len)
				save_disk_finish(&out);
		}
		assert_int_equal(out.err, -XEN_EIO);
		disk->fail_status = 0;
		mock_disk_release(disk, 100);
		if (nth && nth < 8)
			expect_head(0);
		expect_closed();
	}
}

static void test_disk_goes(void **state)
{
	uint64_t at = 0;

	begin();
	at = put_some(at, 1000);
	disk->dev.gone = true;
	host_block_changed(&disk->dev);
	assert_int_equal(out.err, -XEN_ENODEV);
	at = put_some(at, SAVE_RING_PAGES * PAGE_SIZE);
	save_disk_finish(&out);
	expect_head(0);
	expect_closed();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_lengths, setup),
	    cmocka_unit_test_setup(test_fast_disks, setup),
	    cmocka_unit_test_setup(test_full, setup),
	    cmocka_unit_test_setup(test_failures, setup),
	    cmocka_unit_test_setup(test_disk_goes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
