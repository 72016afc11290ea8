/* disk_walk_test.c: a whole disk is read and written in order with many chunks in flight.
 *
 * Shows: every sector is given once and in order, also when the disk's size is no multiple of the
 * chunk and when memory is scarce; what is written is what was made; several requests are in flight
 * at a time; an error of the disk or of the caller ends the walk with nothing left in flight; so does the end of the disk, whose memory is
 * somebody else's then, in the middle of a read, of a write, and of a request of one thread's. The
 * real threads, worker and block layer run beneath. Why: sha256, fill and verify stand on it.
 *
 * links: kernel/disk_walk.c kernel/block_use.c kernel/block_wait.c kernel/block.c kernel/block_part.c kernel/worker.c kernel/thread.c kernel/thread_home.c kernel/timers.c
 * links: lib/error_name.c lib/pattern.c tests/host/fake_processor.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/blkfront.h>
#include <amphi/host.h>
#include <amphi/pattern.h>
#include <amphi/string.h>
#include "fake_processor.h"
#include "kernel/console.h"
#include "kernel/disk_walk.h"
#include "kernel/mm.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/worker.h"

/* ---- what is around ----------------------------------------------------------------- */

static char said[256];
static void *lent;

void console_printf(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
}

void *host_alloc(size_t size_bytes)
{
	return kmalloc(size_bytes);
}

void host_free(void *p, size_t size_bytes)
{
	kfree(p, size_bytes);
}

void host_log(enum host_log_level level, const char *fmt, ...) {}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

int ramdisk_create(const char *name, uint64_t size_bytes, uint32_t sector_size)
{
	return -XEN_ENOMEM;
}

size_t pages_free_count(void)
{
	return 400; /* a quarter: 100 pages, six chunks */
}

int blkfront_lend(void *pages, unsigned count)
{
	assert_true(worker_is_current());
	assert_int_equal(count, 96);
	lent = pages;
	return 0;
}

/* ---- a disk that answers some time after the kick ----------------------------------- */

#define DISK_SECTORS (1000u + 1)

static uint8_t disk[DISK_SECTORS * SECTOR_SIZE];
static struct block_request *held;
static unsigned n_held, most_held;
static uint64_t bad_sector;
static unsigned answers_left; /* until the disk goes; 0: it stays */
static struct host_work answer_work;

static int transfer(struct block_request *req)
{
	uint8_t *at = disk + req->sector * SECTOR_SIZE;
	unsigned i;

	for (i = 0; i < req->n_segments; i++) {
		void *va = req->segments[i].va;
		uint32_t len = req->segments[i].len_bytes;

		memcpy(req->op == BLOCK_WRITE ? (void *)at : va,
		       req->op == BLOCK_WRITE ? va : (void *)at, len);
		at += len;
	}
	if (bad_sector < req->sector || bad_sector >= (uint64_t)(at - disk) / SECTOR_SIZE)
		return 0;
	return -XEN_EIO;
}

static struct block_device *dev;

/* As a driver does it whose function is taken away. */
static void unplug(void)
{
	struct block_request *req;

	while ((req = held)) {
		held = req->next;
		n_held--;
		req->done(req, -XEN_EIO);
	}
	block_unregister(dev);
	memset(dev, 0xdd, sizeof(*dev));
	free(dev);
	dev = NULL;
}

static void answer(void *ctx)
{
	struct block_request *req;

	while ((req = held)) {
		held = req->next;
		n_held--;
		req->done(req, transfer(req));
		if (answers_left && !--answers_left)
			unplug();
	}
}

static void disk_submit(struct block_device *disk_dev, struct block_request *req)
{
	req->next = held; /* answered last first */
	held = req;
	if (++n_held > most_held)
		most_held = n_held;
}

static void disk_kick(struct block_device *disk_dev)
{
	host_work_after(&answer_work, 1000);
}

static const struct block_ops ops = {disk_submit, disk_kick};
static struct block_use use;

static int plug(void *ctx)
{
	dev = malloc(sizeof(*dev));
	*dev = (struct block_device){.ops = &ops,
				     .name = "d",
				     .sectors = DISK_SECTORS,
				     .sector_size = 512,
				     .max_segments = 11,
				     .queue_depth = 32,
				     .has_flush = true};
	assert_int_equal(block_register(dev), 0);
	block_use_begin(&use, dev);
	return 0;
}

static int end_use(void *ctx)
{
	block_use_end(&use);
	if (dev)
		unplug();
	return 0;
}

/* ---- tests -------------------------------------------------------------------------- */

struct seen {
	uint64_t next_sector;
	unsigned calls, stop_at;
};

static int look(void *ctx, uint64_t sector, void *buf, unsigned n_sectors)
{
	struct seen *seen = ctx;

	assert_int_equal(sector, seen->next_sector);
	assert_memory_equal(buf, disk + sector * SECTOR_SIZE, n_sectors * SECTOR_SIZE);
	seen->next_sector += n_sectors;
	return ++seen->calls == seen->stop_at ? -XEN_EBUSY : 0;
}

static int make(void *ctx, uint64_t sector, void *buf, unsigned n_sectors)
{
	struct seen *seen = ctx;

	assert_int_equal(sector, seen->next_sector);
	pattern_fill(9, sector, buf, n_sectors);
	seen->next_sector += n_sectors;
	return 0;
}

static int setup(void **state)
{
	bad_sector = ~0ull;
	said[0] = '\0';
	most_held = answers_left = 0;
	return worker_call(plug, NULL);
}

static int teardown(void **state)
{
	return worker_call(end_use, NULL);
}

static void reads_all_in_order(void **state)
{
	struct seen seen = {0};

	pattern_fill(3, 0, disk, DISK_SECTORS);
	assert_int_equal(disk_walk(&use, BLOCK_READ, look, &seen), 0);
	assert_int_equal(seen.next_sector, DISK_SECTORS);
	assert_int_equal(seen.calls, 8);
	assert_true(most_held >= 4);
	assert_non_null(lent);
}

static void writes_all(void **state)
{
	struct seen seen = {0};
	uint64_t bad;

	memset(disk, 0, sizeof(disk));
	assert_int_equal(disk_walk(&use, BLOCK_WRITE, make, &seen), 0);
	assert_int_equal(seen.next_sector, DISK_SECTORS);
	assert_true(pattern_check(9, 0, disk, DISK_SECTORS, &bad));
	assert_int_equal(n_held, 0);
}

static void the_disks_error_is_told(void **state)
{
	struct seen seen = {0};

	bad_sector = 700;
	assert_int_equal(disk_walk(&use, BLOCK_READ, look, &seen), -XEN_EIO);
	/* Requests end 88 sectors after each other: that of 700 began in the chunk before. */
	assert_int_equal(seen.next_sector, 512);
	assert_string_equal(said, "d: read error at sector 512 or soon after: EIO\n");
	assert_int_equal(n_held, 0);
}

/* The last chunk's error is found only when all has been made already. */
static void a_late_error_counts(void **state)
{
	struct seen seen = {0};

	bad_sector = DISK_SECTORS - 1;
	assert_int_equal(disk_walk(&use, BLOCK_WRITE, make, &seen), -XEN_EIO);
	assert_string_equal(said, "d: write error at sector 896 or soon after: EIO\n");
	assert_int_equal(n_held, 0);
}

static void the_callers_error_ends_it(void **state)
{
	struct seen seen = {.stop_at = 2};

	assert_int_equal(disk_walk(&use, BLOCK_READ, look, &seen), -XEN_EBUSY);
	assert_int_equal(seen.calls, 2);
	assert_string_equal(said, "");
	assert_int_equal(n_held, 0);
}

static void a_disk_of_one_sector(void **state)
{
	struct seen seen = {0};

	use.sectors = 1;
	assert_int_equal(disk_walk(&use, BLOCK_READ, look, &seen), 0);
	assert_int_equal(seen.next_sector, 1);
}

/* After each request that it ever has, in turn. */
static void a_disk_that_goes_ends_the_walk(void **state)
{
	static const struct {
		enum block_op op;
		disk_walk_fn *fn;
		const char *said;
	} ways[] = {{BLOCK_READ, look, "d: read error at sector "},
		    {BLOCK_WRITE, make, "d: write error at sector "}};
	unsigned ends = 0;

	for (unsigned i = 0; i < 2; i++)
		for (unsigned n = 1; n < 12; n++) {
			struct seen seen = {0}, none = {0};
			int error;

			answers_left = n;
			error = disk_walk(&use, ways[i].op, ways[i].fn, &seen);
			assert_int_equal(n_held, 0);
			assert_null(dev);
			assert_true(error == -XEN_ENODEV || error == -XEN_EIO);
			assert_true(str_starts(said, ways[i].said));
			ends |= error == -XEN_ENODEV ? 1 : 2;
			assert_int_equal(disk_walk(&use, ways[i].op, ways[i].fn, &none),
					 -XEN_ENODEV);
			assert_int_equal(block_flush(use.dev), -XEN_ENODEV);
			(void)worker_call(end_use, NULL);
			(void)worker_call(plug, NULL);
		}
	assert_int_equal(ends, 3); /* both have been seen */
}

/* Of a thread that knows no use, only the address. */
static void a_disk_that_goes_ends_one_request(void **state)
{
	static uint8_t page[4096] __attribute__((aligned(4096)));
	struct block_device *was = dev;

	assert_int_equal(block_write_through(dev, 8, page, sizeof(page)), 0);
	assert_int_equal(block_flush(dev), 0);
	answers_left = 1;
	(void)block_write_through(dev, 8, page,
				  sizeof(page)); /* gone between the write and the flush */
	assert_null(dev);
	assert_int_equal(block_write_through(was, 8, page, sizeof(page)), -XEN_ENODEV);
	assert_int_equal(block_flush(was), -XEN_ENODEV);
	assert_int_equal(block_io(was, BLOCK_READ, 8, page, sizeof(page)), -XEN_ENODEV);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(reads_all_in_order),
	    TEST(writes_all),
	    TEST(the_disks_error_is_told),
	    TEST(a_late_error_counts),
	    TEST(the_callers_error_ends_it),
	    TEST(a_disk_of_one_sector),
	    TEST(a_disk_that_goes_ends_the_walk),
	    TEST(a_disk_that_goes_ends_one_request),
	};

	answer_work.fn = answer;
	thread_init();
	worker_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
