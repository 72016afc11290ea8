/* block_name_test.c: a disk is found by its name, serial number, uuid or label, and a slice of it is made when asked for.
 *
 * Why: a domain file names disks, and a name that finds another disk gives away somebody's data. Expected: each
 * spelling finds its disk and no other; what two disks are called, or what is not on the disk, finds none.
 *
 * links: tests/host/block_fixture.c kernel/block.c kernel/block_part.c kernel/block_find.c kernel/block_window.c lib/printf.c lib/text.c lib/error_name.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/host_block.h>
#include <amphi/xen.h>

#include "block_fixture.h"

/* A server's disk is that of its URI; a slice of it is not made before its size is known. */
static void servers(void **state)
{
	struct block_device far = fake;

	assert_null(host_block_find("nbd://h/e"));
	far.coming = true;
	fixture_nbd = &far;
	assert_ptr_equal(host_block_find("nbd://h/e"), &far);
	assert_null(host_block_find("nbd://h/e@0+4K"));
	fixture_nbd = NULL;
}

static void registry(void **state)
{
	struct block_device odd = fake;

	assert_int_equal(block_register(&fake), -XEN_EEXIST);
	odd.name[0] = 'o';
	odd.sector_size = 520;
	assert_int_equal(block_register(&odd), -XEN_EINVAL);
	odd.sector_size = 0;
	assert_int_equal(block_register(&odd), -XEN_EINVAL);
	odd.sector_size = 512;
	odd.max_segments = BLOCK_MAX_SEGMENTS + 1;
	assert_int_equal(block_register(&odd), -XEN_EINVAL);
	assert_ptr_equal(block_find("fake0"), &fake);
	assert_null(block_find("fake"));
	assert_ptr_equal(block_find_serial("S1"), &fake);
	assert_null(block_find_serial(""));
	assert_ptr_equal(host_block_find("phy:/dev/fake0"), &fake);
	assert_ptr_equal(host_block_find("serial=S1"), &fake);
	assert_null(host_block_find("serial="));
	assert_ptr_equal(block_next(NULL), &fake);
	assert_null(block_next(&fake));
	assert_null(host_block_find("ram10"));
	assert_null(host_block_find("rambo"));
	assert_int_equal(ramdisks_made, 0);
	(void)host_block_find("ram3");
	assert_int_equal(ramdisks_made, 1);
}

/* A slice is made when it is asked for, the same one the next time; a name of two disks is none's. */
static void names(void **state)
{
	static struct block_device second;
	struct block_device *slice;
	static const char *const bad[] = {"fake0@0+",
					  "fake0@+512",
					  "fake0@1M",
					  "fake0@0+0",
					  "fake0@100+512",
					  "fake0@0+100",
					  "fake0@4M+1",
					  "fake0@4M+512",
					  "fake0@1M+3073K",
					  "fake0@0+5M",
					  "none@0+512",
					  "fake0@0x+512",
					  "fake0@99999999999G+512"};

	second = fake;
	strcpy(second.name, "fake1");
	strcpy(fake.partuuid, "abcdef01-02");
	strcpy(fake.partlabel, "data");
	strcpy(second.partlabel, "data");
	assert_ptr_equal(host_block_find("PARTUUID=ABCDEF01-02"), &fake);
	assert_null(host_block_find("PARTUUID=abcdef01-0"));
	assert_null(host_block_find("PARTUUID="));
	assert_ptr_equal(host_block_find("LABEL=data"), &fake);
	assert_int_equal(block_register(&second), 0);
	assert_null(host_block_find("PARTLABEL=data"));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(host_block_find(bad[i]));
	slice = host_block_find("phy:/dev/fake0@4K+1M");
	assert_non_null(slice);
	assert_int_equal(slice->sectors, 2048);
	assert_ptr_equal(host_block_find("PARTUUID=abcdef01-02@4096+1024K"), slice);
	assert_ptr_equal(host_block_find(slice->name), slice);
	assert_ptr_not_equal(host_block_find("fake0@4K+2K"), slice);
	assert_non_null(host_block_part_of(&fake));
	assert_null(host_block_part_of(&second));
	assert_null(host_block_part_of(slice));
	assert_true(host_block_overlap(&fake, &fake) && host_block_overlap(slice, &fake) &&
		    host_block_overlap(&fake, slice));
	assert_true(host_block_overlap(host_block_find("fake0@0+8K"), slice));
	assert_true(host_block_overlap(host_block_find("fake0@8K+4K"), slice));
	assert_false(host_block_overlap(host_block_find("fake0@0+4K"), slice)); /* side by side */
	assert_false(host_block_overlap(slice, host_block_find("fake0@1028K+4K")));
	assert_false(host_block_overlap(&second, slice));
	block_unregister(&second);
	fake.partuuid[0] = fake.partlabel[0] = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(registry, setup, teardown),
	    cmocka_unit_test_setup_teardown(servers, setup, teardown),
	    cmocka_unit_test_setup_teardown(names, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
