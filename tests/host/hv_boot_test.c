/* hv_boot_test.c: what a boot loader leaves for the hypervisor is read rightly, from either version of
 * multiboot, and several modules become one archive for the first domain.
 *
 * Shows: command lines without their first word, modules, memory map, ACPI's root pointer (the longer of
 * two); tags that are damaged end the reading and harm nothing; one module is passed as it is, several as
 * members named by the last word of each. Why: it is how a machine of one's own is started.
 *
 * links: hypervisor/boot_multiboot.c hypervisor/dom0_ramdisk.c lib/cpio.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <amphi/cpio.h>

#include "hypervisor/boot.h"
#include "hypervisor/io.h"

static struct boot_info info;
static uint8_t memory[8192] __attribute__((aligned(8))), archive[4096];
static size_t used;

uint64_t hv_test_direct, hv_test_frames;
static uint8_t machine[0x4000];

void hv_panic(const char *fmt, ...)
{
	abort();
}

/* Addresses are offsets into memory. */
static const void *view(uint64_t address)
{
	assert_true(address < sizeof(memory));
	return memory + address;
}

static int setup(void **state)
{
	memset(&info, 0, sizeof(info));
	memset(memory, 0, sizeof(memory));
	used = 8;
	hv_test_direct = (uintptr_t)machine;
	return 0;
}

/* ---- version 2 -------------------------------------------------------------------------------- */

static void add_tag(uint32_t type, const void *content, uint32_t bytes)
{
	uint32_t head[2] = {type, bytes + 8};

	memcpy(memory + used, head, 8);
	memcpy(memory + used + 8, content, bytes);
	used += (bytes + 8 + 7) & ~7u;
}

static void read_tags(void)
{
	*(uint32_t *)(void *)memory = (uint32_t)used;
	boot_read_multiboot2(view, 0, &info);
}

static void add_module(uint32_t start, uint32_t end, const char *words)
{
	uint8_t content[256];

	memcpy(content, &start, 4);
	memcpy(content + 4, &end, 4);
	strcpy((char *)content + 8, words);
	add_tag(3, content, 8 + (uint32_t)strlen(words) + 1);
}

static void test_tags(void **state)
{
	const struct {
		uint32_t entry_size, version;
		uint64_t range[2][3];
	} map = {24, 0, {{0, 0x9f000, 1}, {0x100000, 0x7f00000, 1}}};

	add_tag(1, "hv dom0_mem=32M com1", 21);
	add_module(0x200000, 0x201000, "placeholder role=service stay");
	add_module(0x300000, 0x300005, "placeholder domains/g.cfg");
	add_tag(6, &map, sizeof(map));
	add_tag(15, "RSD PTR new, and longer than the old", 36);
	add_tag(14, "RSD PTR old-12345678", 20);
	add_tag(99, "whatever", 8);
	add_tag(0, "", 0);
	add_tag(1, "hv behind the end", 18);
	read_tags();
	assert_string_equal(info.cmdline, "dom0_mem=32M com1");
	assert_int_equal(info.n_modules, 2);
	assert_int_equal(info.modules[0].start, 0x200000);
	assert_string_equal(info.modules[0].cmdline, "role=service stay");
	assert_int_equal(info.modules[1].end, 0x300005);
	assert_string_equal(info.modules[1].cmdline, "domains/g.cfg");
	assert_int_equal(info.n_ranges, 2);
	assert_int_equal(info.ranges[1].start, 0x100000);
	assert_int_equal(info.ranges[1].end, 0x8000000);
	assert_int_equal(info.rsdp_bytes, 36);
	assert_memory_equal(info.rsdp, "RSD PTR new", 11);
}

static void test_damaged_tags(void **state)
{
	const uint32_t sizes[] = {0, 7, 100000, 0xffffffff};

	for (unsigned i = 0; i < 4; i++) {
		setup(NULL);
		add_tag(1, "hv good", 8);
		add_tag(1, "hv bad", 7);
		memcpy(memory + 24 + 4, &sizes[i], 4);
		read_tags();
		assert_string_equal(info.cmdline, "good");
	}
	setup(NULL);
	add_tag(1, "hv no end of text", 8);                              /* cut before the NUL */
	add_tag(6, "\1\0\0\0\0\0\0\0 and bytes that are no ranges", 32); /* entries of one byte */
	add_tag(3, "abc", 4);
	for (unsigned i = 0; i < BOOT_MODULES_MAX + 5; i++)
		add_module(i, i + 1, "x y");
	read_tags();
	assert_string_equal(info.cmdline, "");
	assert_int_equal(info.n_ranges, 0);
	assert_int_equal(info.n_modules, BOOT_MODULES_MAX);
}

/* ---- version 1 -------------------------------------------------------------------------------- */

static void test_version_1(void **state)
{
	uint32_t *mb = (void *)memory, *module = (void *)(memory + 256);
	const struct {
		uint32_t size;
		uint64_t base, length;
		uint32_t kind;
	} __attribute__((packed)) range = {20, 0x100000, 0x1000, 1};

	mb[0] = 0x4c;
	mb[4] = 512;
	mb[5] = 2;
	mb[6] = 256;
	mb[11] = sizeof(range);
	mb[12] = 600;
	module[0] = 0x1000;
	module[1] = 0x2000;
	module[2] = 540;
	strcpy((char *)memory + 512, "/boot/hv a=b");
	strcpy((char *)memory + 540, "kernel words of it");
	memcpy(memory + 600, &range, sizeof(range));
	boot_read_multiboot(view, 0, &info);
	assert_string_equal(info.cmdline, "a=b");
	assert_int_equal(info.n_modules, 2);
	assert_string_equal(info.modules[0].cmdline, "words of it");
	assert_string_equal(info.modules[1].cmdline, "");
	assert_int_equal(info.n_ranges, 1);
	assert_int_equal(info.ranges[0].end, 0x101000);
	assert_int_equal(info.rsdp_bytes, 0);
}

/* ---- the ramdisk ------------------------------------------------------------------------------ */

static void collect(void *ctx, uint64_t at, const void *bytes, uint64_t n)
{
	assert_int_equal(at, *(uint64_t *)ctx);
	assert_true(at + n <= sizeof(archive));
	memcpy(archive + at, bytes, n);
	*(uint64_t *)ctx += n;
}

/* Machine memory, where maddr_to_virt() finds it. */
static void put_module(unsigned i, uint64_t start, const char *text, const char *words)
{
	memcpy(maddr_to_virt((maddr_t){start}), text, strlen(text));
	info.modules[i].start = start;
	info.modules[i].end = start + strlen(text);
	strcpy(info.modules[i].cmdline, words);
	info.n_modules = MAX(info.n_modules, i + 1);
}

static uint64_t make(void)
{
	uint64_t end = 0, bytes = dom0_ramdisk(&info, collect, &end);

	assert_int_equal(bytes, end);
	assert_int_equal(dom0_ramdisk(&info, NULL, NULL), bytes);
	return bytes;
}

static void test_ramdisk(void **state)
{
	struct cpio_entry e;
	uint64_t bytes;

	info.n_modules = 1;
	assert_int_equal(make(), 0);
	put_module(1, 0x1000, "as it is", "any words");
	assert_int_equal(make(), 8);
	assert_memory_equal(archive, "as it is", 8);
	put_module(2, 0x2000, "", "");
	put_module(3, 0x3000, "name = \"g\"\n", "two domains/g.cfg");
	bytes = make();
	assert_int_equal(cpio_find(archive, bytes, "words", &e), 0);
	assert_int_equal(e.len, 8);
	assert_memory_equal(e.data, "as it is", 8);
	assert_int_equal(cpio_find(archive, bytes, "domains/g.cfg", &e), 0);
	assert_memory_equal(e.data, "name = \"g\"\n", e.len);
	assert_int_equal(cpio_find(archive, bytes, "module-2", &e), 0);
	assert_int_equal(e.len, 0);
	assert_int_equal(cpio_find(archive, bytes, "other", &e), -XEN_ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	    TEST(test_tags),
	    TEST(test_damaged_tags),
	    TEST(test_version_1),
	    TEST(test_ramdisk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
