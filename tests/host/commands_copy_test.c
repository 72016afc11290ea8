/* commands_copy_test.c: the shell's `copy` copies every sector, and says so only when it has seen it.
 *
 * Shows: what is read of the one disk is on the other, short last chunk included, and what is behind it stays; a sector that
 * the other disk did not keep is named; an error of either disk ends it without a word of success; a disk too small, itself
 * or none is refused before anything is written. Why: tests on real Xen let others judge a file system by what this copied.
 *
 * links: kernel/commands_copy.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/string.h>
#include <amphi/xen.h>
#include "kernel/commands.h"
#include "kernel/console.h"
#include "kernel/disk_walk.h"
#include "kernel/mm.h"
#include "kernel/shell.h"

#define SECTORS 300u /* two chunks and a short one */
#define CHUNK   128u

/* ---- what is around ----------------------------------------------------------------- */

static char said[256];
static uint8_t bytes_a[SECTORS * SECTOR_SIZE], bytes_b[(SECTORS + 8) * SECTOR_SIZE];
static struct block_device a = {.name = "a", .sectors = SECTORS};
static struct block_device b = {.name = "b", .sectors = SECTORS + 8};
static const struct shell_command *command;
static uint64_t lost_sector, bad_sector;
static unsigned writes, flushes;
static bool no_memory;

void console_printf(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
}

void shell_add(const struct shell_command *table, unsigned count)
{
	assert_int_equal(count, 1);
	command = table;
}

static unsigned used; /* disks in use */

bool commands_disk(const char *name, struct block_use *out_use)
{
	struct block_device *dev = !strcmp(name, "a") ? &a : !strcmp(name, "b") ? &b : NULL;

	if (!dev)
		return false;
	*out_use = (struct block_use){.dev = dev, .sectors = dev->sectors};
	strcpy(out_use->name, dev->name);
	used++;
	return true;
}

void commands_disk_end(struct block_use *use)
{
	used--;
}

void *pages_alloc(unsigned count)
{
	return no_memory ? NULL : malloc(count * 4096ul);
}

void pages_free(void *va, unsigned count)
{
	free(va);
}

int disk_walk(const struct block_use *disk, enum block_op op, disk_walk_fn *fn, void *ctx)
{
	static uint8_t chunk[CHUNK * SECTOR_SIZE];
	int error = 0;

	assert_ptr_equal(disk->dev, &a);
	assert_int_equal(op, BLOCK_READ);
	for (uint64_t at = 0; at < SECTORS && !error; at += CHUNK) {
		unsigned n = (unsigned)MIN(SECTORS - at, (uint64_t)CHUNK);

		memcpy(chunk, bytes_a + at * SECTOR_SIZE, n * SECTOR_SIZE);
		error = fn(ctx, at, chunk, n);
	}
	return error;
}

int block_io(struct block_device *dev, enum block_op op, uint64_t sector, void *va,
	     uint32_t len_bytes)
{
	uint8_t *at = bytes_b + sector * SECTOR_SIZE;

	assert_ptr_equal(dev, &b);
	if (bad_sector - sector < len_bytes / SECTOR_SIZE)
		return -XEN_ENOSPC;
	if (op == BLOCK_READ) {
		assert_int_equal(flushes, 1);
		memcpy(va, at, len_bytes);
		return 0;
	}
	writes++;
	memcpy(at, va, len_bytes);
	if (lost_sector - sector < len_bytes / SECTOR_SIZE)
		bytes_b[lost_sector * SECTOR_SIZE + 511] ^= 1;
	return 0;
}

int block_flush(struct block_device *dev)
{
	assert_ptr_equal(dev, &b);
	flushes++;
	return 0;
}

/* ---- tests -------------------------------------------------------------------------- */

static int setup(void **state)
{
	for (unsigned i = 0; i < sizeof(bytes_a); i++)
		bytes_a[i] = (uint8_t)(i / SECTOR_SIZE + i);
	memset(bytes_b, 0xee, sizeof(bytes_b));
	lost_sector = bad_sector = ~0ull;
	writes = flushes = 0;
	no_memory = false;
	said[0] = '\0';
	b.sectors = SECTORS + 8;
	commands_copy_add();
	return 0;
}

static int run(const char *from, const char *to)
{
	char *argv[] = {(char *)"copy", (char *)from, (char *)to, NULL};

	int result = command->run(from ? to ? 3 : 2 : 1, argv);

	assert_int_equal(used, 0);
	return result;
}

static void test_copies_all(void **state)
{
	assert_int_equal(run("a", "b"), 0);
	assert_string_equal(said, "@copy a b ok 300\n");
	assert_memory_equal(bytes_a, bytes_b, sizeof(bytes_a));
	assert_int_equal(bytes_b[sizeof(bytes_a)], 0xee);
	assert_int_equal(writes, 3);
}

/* The last byte of a sector in the last, short chunk. */
static void test_a_lost_sector_is_named(void **state)
{
	lost_sector = 299;
	assert_int_equal(run("a", "b"), -XEN_EIO);
	assert_string_equal(said, "@copy a b differs 299\n");
}

static void test_errors_end_it(void **state)
{
	bad_sector = 130;
	assert_int_equal(run("a", "b"), -XEN_ENOSPC);
	assert_string_equal(said, "");
	assert_int_equal(writes, 1);
	no_memory = true;
	assert_int_equal(run("a", "b"), -XEN_ENOMEM);
}

static void test_refused_before_anything_is_written(void **state)
{
	assert_int_equal(run("a", NULL), -XEN_EINVAL);
	assert_int_equal(run("a", "c"), -XEN_ENODEV);
	assert_int_equal(run("a", "a"), -XEN_EINVAL);
	assert_string_equal(said, "a: is the same disk\n");
	b.sectors = SECTORS - 1;
	assert_int_equal(run("a", "b"), -XEN_EINVAL);
	assert_string_equal(said, "b: is too small\n");
	assert_int_equal(writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_copies_all, setup),
	    cmocka_unit_test_setup(test_a_lost_sector_is_named, setup),
	    cmocka_unit_test_setup(test_errors_end_it, setup),
	    cmocka_unit_test_setup(test_refused_before_anything_is_written, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
