/* partition_table_test: the tables that sfdisk writes are read as sfdisk meant them.
 *
 * Shows: a GPT with names and GUIDs, and its copy at the disk's end
 * when the first is damaged in its header or in its entries; none at all when both are, whatever else the first sector
 * says; primary and logical partitions of an MBR; a chain that bites its tail ends. Why: a partition read wrong is
 * another's data.
 *
 * links: kernel/partition_table.c kernel/partition_gpt.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "kernel/partition_table.h"

#define MIB   2048u /* in sectors */
#define BYTES (16u << 20)
#define LAST  (BYTES - 512u)

static uint8_t image[BYTES], page[4096];
static struct partition parts[100];
static unsigned n_parts, n_said, n_reads;

static int read_image(void *ctx, uint64_t sector, void *buf, uint32_t len)
{
	assert_true(len && len <= sizeof(page) && len % 512 == 0);
	assert_true(sector <= BYTES / 512 && len / 512 <= BYTES / 512 - sector);
	memcpy(buf, image + sector * 512, len);
	n_reads++;
	return 0;
}
static void found(void *ctx, const struct partition *part)
{
	assert_true(part->sectors && part->start < BYTES / 512 &&
		    part->sectors <= BYTES / 512 - part->start);
	parts[n_parts++] = *part;
}
static void say(void *ctx, const char *text)
{
	n_said++;
}

static void read_table(void)
{
	struct partition_disk disk = {.read = read_image,
				      .found = found,
				      .say = say,
				      .sectors = BYTES / 512,
				      .sector_size = 512,
				      .page = page};

	n_parts = n_said = n_reads = 0;
	assert_int_equal(partition_table_read(&disk), 0);
}

/* Runs sfdisk with these lines on an empty image. */
static void sfdisk(const char *lines)
{
	char path[] = "/tmp/partition_table_XXXXXX", command[512];
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "r+b");

	assert_int_equal(ftruncate(fd, BYTES), 0);
	snprintf(command, sizeof(command),
		 "printf '%s' | PATH=$PATH:/usr/sbin sfdisk -q --no-reread %s >/dev/null", lines,
		 path);
	assert_int_equal(system(command), 0);
	assert_int_equal(fread(image, 1, BYTES, f), BYTES);
	fclose(f);
	unlink(path);
}

static const char gpt_lines[] =
    "label: gpt\\n"
    "start=2048, size=4096, name=one, uuid=A1B2C3D4-0011-2233-4455-66778899AABB\\n"
    "start=8192, size=8192, name=\"two words\"\\n";

static void expect_the_gpt(unsigned said)
{
	read_table();
	assert_int_equal(n_said, said);
	assert_int_equal(n_parts, 2);
	assert_int_equal(parts[0].number, 1);
	assert_int_equal(parts[0].start, 2048);
	assert_int_equal(parts[0].sectors, 4096);
	assert_string_equal(parts[0].uuid, "a1b2c3d4-0011-2233-4455-66778899aabb");
	assert_string_equal(parts[0].label, "one");
	assert_int_equal(parts[1].number, 2);
	assert_int_equal(parts[1].start, 8192);
	assert_int_equal(parts[1].sectors, 8192);
	assert_string_equal(parts[1].label, "two words");
}

static void a_gpt(void **state)
{
	sfdisk(gpt_lines);
	expect_the_gpt(0);
}

static void its_copy_when_it_is_damaged(void **state)
{
	sfdisk(gpt_lines);
	image[1024 + 40]++; /* the first entry's end */
	expect_the_gpt(1);
	image[1024 + 40]--;
	image[512 + 72]++; /* where the entries are */
	expect_the_gpt(1);
	image[512 + 72]--;
	image[512 + 24]++; /* where the header says it is, with a checksum that fits no more */
	expect_the_gpt(1);
	image[512 + 24]--;
	memset(image + 512, 0, 512);
	expect_the_gpt(1);
	image[LAST + 33]++;
	read_table();
	assert_int_equal(n_parts, 0);
	assert_int_equal(n_said, 1);
}

/* The first sector of a GPT has an entry of its own, which covers the disk; another beside it is a trap. */
static void nothing_beside_a_gpt(void **state)
{
	sfdisk(gpt_lines);
	image[446 + 16 + 4] = 0x83;
	image[446 + 16 + 8] = 1;
	image[446 + 16 + 12] = 1;
	expect_the_gpt(0);
	memset(image + 512, 0, 512);
	memset(image + LAST, 0, 512);
	read_table();
	assert_int_equal(n_parts, 0);
}

static const char mbr_lines[] = "label: dos\\nlabel-id: 0xcafe1234\\n"
				"start=2048, size=2048, type=83\\n"
				"start=6144, size=20480, type=5\\n"
				"start=8192, size=2048, type=83\\n"
				"start=12288, size=4096, type=82\\n";

static void an_mbr_with_logical_ones(void **state)
{
	sfdisk(mbr_lines);
	read_table();
	assert_int_equal(n_parts, 3);
	assert_int_equal(parts[0].number, 1);
	assert_string_equal(parts[0].uuid, "cafe1234-01");
	assert_int_equal(parts[1].number, 5);
	assert_int_equal(parts[1].start, 8192);
	assert_int_equal(parts[1].sectors, 2048);
	assert_int_equal(parts[2].number, 6);
	assert_int_equal(parts[2].start, 12288);
	assert_int_equal(parts[2].sectors, 4096);
	assert_string_equal(parts[2].uuid, "cafe1234-06");
	assert_int_equal(parts[2].signature, 0xcafe1234);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

/* The second link points at the first, then at itself, then out of the disk; and an unbounded chain. */
static void a_chain_that_bites_its_tail(void **state)
{
	uint8_t *second;
	uint32_t at;

	sfdisk(mbr_lines);
	at = 6144 + get32(image + 6144 * 512 + 446 + 16 + 8);
	second = image + at * 512u + 446 + 16;
	memcpy(second, image + 6144 * 512 + 446 + 16, 16);
	put32(second + 8, at - 6144); /* itself */
	read_table();
	assert_int_equal(n_parts, 3);
	assert_true(n_reads < 8);
	put32(second + 8, 0xfffffff0);
	read_table();
	assert_int_equal(n_parts, 3);
	for (uint32_t i = 0; i < 300; i++) {
		uint8_t *sector = image + (6144 + i) * 512u;

		memset(sector, 0, 512);
		sector[510] = 0x55;
		sector[511] = 0xaa;
		sector[446 + 16 + 4] = 5;
		put32(sector + 446 + 16 + 8, i + 1);
		put32(sector + 446 + 16 + 12, 1);
	}
	read_table();
	assert_int_equal(n_parts, 1);
	assert_true(n_reads <= PARTITION_LOGICALS + 1);
}

static void no_table(void **state)
{
	memset(image, 0, sizeof(image));
	read_table();
	assert_int_equal(n_parts + n_said, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_gpt),
	    cmocka_unit_test(its_copy_when_it_is_damaged),
	    cmocka_unit_test(nothing_beside_a_gpt),
	    cmocka_unit_test(an_mbr_with_logical_ones),
	    cmocka_unit_test(a_chain_that_bites_its_tail),
	    cmocka_unit_test(no_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
