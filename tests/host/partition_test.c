/* partition_test.c: partitions of a disk's table are found, and requests to one reach the right sectors.
 *
 * Shows: entries in units of the disk's own sectors; what is empty, of no use to us, beyond the disk's end or at
 * its beginning is none; a disk without a table, or that cannot be read, has none; disks that come later, or go meanwhile; names and serial numbers; a
 * window moves reads and writes by its start, and flushes not at all, and goes with its disk. Why: a wrong start
 * is another's data. The tables of sfdisk are partition_table_test's.
 *
 * links: kernel/partition.c kernel/partition_table.c kernel/partition_gpt.c kernel/block_window.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/host.h>
#include <amphi/host_block.h>
#include "kernel/block.h"
#include "kernel/mm.h"
#include "kernel/block_watch.h"
#include "kernel/block_window.h"
#include "kernel/partition.h"
#include "kernel/partition_table.h"
#include "kernel/worker.h"

uint64_t mm_test_kernel_base, mm_test_direct_base;
static uint8_t table[4096];
static struct block_device whole[2], *found[8];
static unsigned n_found, n_kicks;
static int read_error;
static unsigned n_reads;
static struct block_device *leaves; /* at the first read */
static bool forged;                 /* the second disk has the table of the first */
static struct block_request *submitted;

static void submit(struct block_device *dev, struct block_request *req)
{
	assert_ptr_equal(dev, &whole[0]);
	submitted = req;
}
static void kick(struct block_device *dev)
{
	n_kicks++;
}
static const struct block_ops ops = {submit, kick};

/* ---- the kernel ------------------------------------------------------------------------------- */

void *kmalloc(size_t n)
{
	return calloc(1, n);
}
void kfree(void *p, size_t n)
{
	free(p);
}
void *host_alloc(size_t n)
{
	return calloc(1, n);
}
void host_free(void *p, size_t n)
{
	free(p);
}
void *pages_alloc(unsigned n)
{
	return malloc(PAGE_SIZE);
}
void pages_free(void *va, unsigned n)
{
	free(va);
}
int worker_call(int (*fn)(void *ctx), void *ctx)
{
	return fn(ctx);
}
void host_log(enum host_log_level level, const char *fmt, ...) {}
void host_block_register(struct block_device *dev)
{
	found[n_found++] = dev;
}
void host_block_unregister(struct block_device *dev)
{
	for (unsigned i = 0; i < n_found; i++)
		if (found[i] == dev)
			found[i--] = found[--n_found];
}
static struct host_block_watch *watches;
static unsigned n_changed;
void host_block_watch(struct host_block_watch *w)
{
	block_watch_add(&watches, w);
}
void host_block_unwatch(struct host_block_watch *w)
{
	block_watch_remove(&watches, w);
}
void host_block_changed(struct block_device *dev)
{
	n_changed++;
	block_watch_tell(watches, dev);
}
struct block_device *block_find_serial(const char *serial)
{
	for (unsigned i = 0; serial[0] && i < n_found; i++)
		if (!strcmp(found[i]->serial, serial))
			return found[i];
	return NULL;
}
static void goes(struct block_device *dev)
{
	dev->gone = true;
	host_block_changed(dev);
}
struct block_device *block_next(struct block_device *prev)
{
	return !prev ? &whole[0] : prev == &whole[0] ? &whole[1] : NULL;
}
int block_io(struct block_device *dev, enum block_op op, uint64_t sector, void *va, uint32_t len)
{
	n_reads++;
	if (dev == leaves)
		goes(dev);
	assert_int_equal(op, BLOCK_READ);
	assert_int_equal(len, dev->sector_size);
	memcpy(va, !sector && (dev == &whole[0] || forged) ? table : (uint8_t[4096]){0}, len);
	return read_error;
}

/* ---- the test ---------------------------------------------------------------------------------- */

static void put_entry(unsigned i, uint8_t type, uint32_t start, uint32_t count)
{
	uint8_t *e = table + 446 + 16 * i;

	e[4] = type;
	memcpy(e + 8, &start, 4);
	memcpy(e + 12, &count, 4);
}

static int setup(void **state)
{
	memset(table, 0, sizeof(table));
	memcpy(table + 440, "\x78\x56\x34\x12", 4);
	table[510] = 0x55;
	table[511] = 0xaa;
	for (unsigned i = 0; i < 2; i++)
		whole[i] = (struct block_device){.ops = &ops,
						 .name = "nvme0n1",
						 .serial = "s",
						 .sectors = 1000,
						 .sector_size = 512,
						 .max_segments = 4};
	strcpy(whole[1].name, "vda");
	n_found = n_kicks = 0;
	read_error = 0;
	forged = false;
	n_reads = 0;
	leaves = NULL;
	return 0;
}

/* The windows go when their disks do. */
static int teardown(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		goes(&whole[i]);
		whole[i].gone = whole[i].searched = false;
	}
	assert_int_equal(n_found, 0);
	return 0;
}

static void test_entries(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t start, count, sector_bytes;
		bool good;
	} cases[] = {
	    {0x83, 100, 900, 512, true},
	    {0xef, 999, 1, 512, true},
	    {0x83, 100, 901, 512, false},
	    {0x83, 1000, 1, 512, false},
	    {0x83, 0, 10, 512, false},
	    {0x83, 10, 0, 512, false},
	    {0, 10, 10, 512, false},
	    {0x05, 10, 10, 512, false},
	    {0x0f, 10, 10, 512, false},
	    {0xee, 1, 999, 512, false},
	    {0x83, 1, 124, 4096, true},
	    {0x83, 1, 125, 4096, false},
	    {0x83, 0xffffffff, 0xffffffff, 4096, false},
	};
	uint64_t start, sectors;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		put_entry(i % 4, cases[i].type, cases[i].start, cases[i].count);
		assert_int_equal(
		    partition_entry(table, i % 4, cases[i].sector_bytes, 1000, &start, &sectors),
		    cases[i].good);
		if (!cases[i].good)
			continue;
		assert_int_equal(start, cases[i].start * (cases[i].sector_bytes / 512));
		assert_int_equal(sectors, cases[i].count * (cases[i].sector_bytes / 512));
	}
	put_entry(0, 0x83, 100, 900);
	table[511] = 0;
	assert_false(partition_entry(table, 0, 512, 1000, &start, &sectors));
}

static void test_windows(void **state)
{
	struct block_request req = {.op = BLOCK_WRITE, .sector = 7};

	put_entry(0, 0xef, 8, 92);
	put_entry(2, 0x83, 100, 900);
	partitions_find();
	assert_int_equal(n_found, 2);
	assert_string_equal(found[0]->name, "nvme0n1p1");
	assert_string_equal(found[1]->name, "nvme0n1p3");
	assert_string_equal(found[1]->serial, "disk-12345678-3");
	assert_int_equal(found[1]->sectors, 900);
	assert_int_equal(found[1]->max_segments, 4);
	found[1]->ops->submit(found[1], &req);
	assert_ptr_equal(submitted, &req);
	assert_int_equal(req.sector, 107);
	found[1]->ops->kick(found[1]);
	assert_int_equal(n_kicks, 1);
	req = (struct block_request){.op = BLOCK_FLUSH};
	found[1]->ops->submit(found[1], &req);
	assert_int_equal(req.sector, 0);
	teardown(state);
	strcpy(whole[0].name, "vda");
	strcpy(whole[1].name, "vdb");
	partitions_find();
	assert_string_equal(found[1]->name, "vda3");
}

/* Two of one signature: which is the right one nobody can tell. */
static void test_a_forged_table(void **state)
{
	put_entry(1, 0x83, 100, 900);
	forged = true;
	partitions_find();
	assert_int_equal(n_found, 2);
	assert_string_equal(found[0]->serial, "");
	assert_string_equal(found[1]->serial, "");
}

/* Its size, its rights and its end are those of the disk. */
static void test_a_window_follows_its_disk(void **state)
{
	whole[0].discard_granularity = 4096;
	put_entry(0, 0x83, 100, 900);
	partitions_find();
	assert_ptr_equal(block_window_find(&whole[0], 100, 900), found[0]);
	assert_int_equal(found[0]->discard_alignment, 4096 - 100 * 512 % 4096);
	whole[0].sectors = 600;
	whole[0].readonly = true;
	n_changed = 0;
	host_block_changed(&whole[0]);
	assert_int_equal(n_changed, 2);
	assert_int_equal(found[0]->sectors, 500);
	assert_true(found[0]->readonly);
	whole[0].sectors = 50;
	host_block_changed(&whole[0]);
	assert_int_equal(found[0]->sectors, 0);
	whole[0].sectors = 1000;
	host_block_changed(&whole[0]);
	assert_int_equal(found[0]->sectors, 900);
	whole[0].gone = true;
	host_block_changed(&whole[0]);
	assert_int_equal(n_found, 0);
	assert_null(block_window_find(&whole[0], 100, 900));
	whole[0].readonly = whole[0].gone = false;
}

/* Each disk is looked at once, one that comes later by itself; what others look after is not. */
static void test_disks_that_come_later(void **state)
{
	put_entry(1, 0x83, 100, 900);
	forged = true;
	whole[1].searched = true; /* as if it were not there yet */
	partitions_find();
	assert_int_equal(n_found, 1);
	assert_string_equal(found[0]->serial, "disk-12345678-2");
	assert_int_equal(n_reads, 1);
	partitions_find();
	assert_int_equal(n_found, 1);
	assert_int_equal(n_reads, 1);
	whole[1].searched = false;
	partitions_find();
	assert_int_equal(n_found, 2);
	assert_string_equal(found[1]->name, "vda2");
	assert_string_equal(found[1]->serial, ""); /* the other has it */
	assert_string_equal(found[0]->serial, "disk-12345678-2");
	whole[0].searched = whole[1].searched = false;
	whole[1].cdrom = true;
	whole[0].whole = &whole[1];
	n_reads = 0;
	partitions_find();
	assert_int_equal(n_reads, 0);
	whole[0].whole = NULL;
}

/* A disk may go while its table is read: nothing of it is looked at after that, and the next disk is searched. */
static void test_a_disk_that_goes(void **state)
{
	put_entry(1, 0x83, 100, 900);
	put_entry(0, 0x05, 10, 50); /* a chain, which would be read next */
	forged = true;
	leaves = &whole[0];
	partitions_find();
	assert_int_equal(n_found, 1);
	assert_string_equal(found[0]->name, "vda2");
	leaves = &whole[1];
	whole[0].searched = whole[1].searched = whole[0].gone = false;
	teardown(state);
	partitions_find(); /* what was found on a disk goes with it, before it was registered */
	assert_int_equal(n_found, 1);
	assert_string_equal(found[0]->name, "nvme0n1p2");
}

static void test_unreadable(void **state)
{
	put_entry(0, 0x83, 100, 900);
	read_error = -XEN_EIO;
	partitions_find();
	assert_int_equal(n_found, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_entries),          TEST(test_windows),
	    TEST(test_a_forged_table),   TEST(test_a_window_follows_its_disk),
	    TEST(test_unreadable),       TEST(test_disks_that_come_later),
	    TEST(test_a_disk_that_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
