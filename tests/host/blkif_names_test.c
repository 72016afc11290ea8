/* blkif_names_test: device numbers of virtual disks and their names, both ways.
 *
 * Shows the numbering of Xen's vbd interface (202 << 8 for xvd, 8 << 8 for sd, 3 and 22 << 8 for
 * hd, 1 << 28 for what has no room there) and that each disk's name reads as its number. Why: a
 * wrong number is another disk. Expected: the values of xen-vbd-interface(7), and errors for what
 * names no disk.
 *
 * links: protocol/blkif_names.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/blkif.h>
#include <amphi/ring.h>

static const struct {
	const char *name;
	unsigned vdev;
} pairs[] = {
    {"xvda", 51712},          {"xvda1", 51713},       {"xvdb", 51728},
    {"xvdp", 51952},          {"xvdp15", 51967},      {"xvdq", 0x10001000},
    {"xvdaa", 0x10001a00},    {"xvda16", 0x10000010}, {"xvdq255", 0x100010ff},
    {"xvdbgqcv", 0x1fffff00}, {"hda", 0x300},         {"hdb", 0x340},
    {"hdc", 0x1600},          {"hdd63", 0x167f},      {"sda", 0x800},
    {"sdp15", 0x8ff},
};

static void test_both_ways(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
		char name[16];
		unsigned vdev;

		assert_true(blkif_vdev_number(pairs[i].name, &vdev));
		assert_int_equal(vdev, pairs[i].vdev);
		assert_true(blkif_vdev_name(pairs[i].vdev, name, sizeof(name)));
		assert_string_equal(name, pairs[i].name);
	}
}

static void test_every_disk(void **state)
{
	for (unsigned disk = 0; disk < 1u << 20; disk += 37)
		for (unsigned partition = 0; partition < 256; partition += 85) {
			unsigned vdev = 1u << 28 | disk << 8 | partition, again;
			char name[16], same[16];

			assert_true(blkif_vdev_name(vdev, name, sizeof(name)));
			assert_true(blkif_vdev_number(name, &again));
			assert_true(blkif_vdev_name(again, same, sizeof(same)));
			assert_string_equal(name, same);
		}
}

static void test_other_spellings(void **state)
{
	unsigned vdev;

	assert_true(blkif_vdev_number("d0p1", &vdev) && vdev == 51713);
	assert_true(blkif_vdev_number("d15", &vdev) && vdev == 51952);
	assert_true(blkif_vdev_number("d16p3", &vdev) && vdev == 0x10001003);
	assert_true(blkif_vdev_number("51712", &vdev) && vdev == 51712);
	assert_true(blkif_vdev_number("0xca00", &vdev) && vdev == 51712);
}

static void test_no_disks(void **state)
{
	static const char *const wrong[] = {
	    "",           "xvd",    "xvda0", "xvda01",   "xvda256",     "xvdA",
	    "xvda1x",     "hde",    "hda64", "sdq",      "sda16",       "nvme0n1",
	    "d",          "dp1",    "d1p",   "d1p256",   "d1048576",    "0x",
	    "0x20000000", "-1",     "12 ",   "xvdbgqcw", "xvdaaaaaaaa", "xvda99999999999",
	    "536870912",  "0xCA00", "0x:",
	};
	unsigned vdev;

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		if (blkif_vdev_number(wrong[i], &vdev))
			fail_msg("'%s' was taken for %u", wrong[i], vdev);
}

static void test_numbers_without_names(void **state)
{
	static const unsigned wrong[] = {0,      1,     0x100,  0x700,      0x900,
					 0x1700, 0x380, 0x1680, 0x20000000, 0xffffffff};
	char name[16];

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_false(blkif_vdev_name(wrong[i], name, sizeof(name)));
		assert_memory_equal(name, "vbd", 3);
	}
}

/* Both layouts hold the same number of slots in a ring of any size; no name is the native one. */
static void test_layouts(void **state)
{
	const struct blkif_layout *native = blkif_layout(""), *small = blkif_layout("x86_32-abi");

	assert_ptr_equal(native, blkif_layout("x86_64-abi"));
	assert_null(blkif_layout("arm-abi"));
	assert_null(blkif_layout("x86_64"));
	assert_int_equal(native->id_at + 16, BLKIF_HEAD_BYTES);
	assert_int_equal(small->id_at + 16 + BLKIF_SEGMENTS * 8, small->slot_bytes);
	for (unsigned order = 0; order <= BLKIF_RING_ORDER_MAX; order++)
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(ring_slots(1u << order, (i ? small : native)->slot_bytes),
					 32u << order);
	assert_int_equal(ring_slots(BLKIF_RING_PAGES_MAX, native->slot_bytes),
			 BLKIF_RING_SLOTS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_both_ways),
	    cmocka_unit_test(test_every_disk),
	    cmocka_unit_test(test_other_spellings),
	    cmocka_unit_test(test_no_disks),
	    cmocka_unit_test(test_numbers_without_names),
	    cmocka_unit_test(test_layouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
