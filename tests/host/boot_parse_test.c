/* boot_parse_test.c: what a loader left is read as its specification says.
 *
 * Shows: a PVH start info and a multiboot2 structure made here by hand give command line, ramdisk, memory
 * map and ACPI's root pointer; missing parts are missing and no more; structures that point outside, are
 * cut, or lie about their sizes are refused. Why: the same bytes come from QEMU, GRUB on BIOS and GRUB on
 * UEFI, and a test of a boot shows only one of them.
 *
 * links: kernel/boot_parse.c kernel/boot_pvh.c kernel/boot_multiboot2.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <xen/arch-x86/hvm/start_info.h>

#include "kernel/boot_parse.h"
#include "kernel/mm.h"

#define BASE 0x9000ull /* where the memory of the test is said to be */
#define SIZE 4096u

static uint8_t memory[SIZE] __attribute__((aligned(16)));
static struct boot_info out;
uint64_t mm_test_kernel_base = 0x700000000000, mm_test_direct_base;

static const void *view(void *ctx, uint64_t phys, uint64_t len)
{
	return phys >= BASE && phys - BASE <= SIZE && len <= SIZE - (phys - BASE)
		   ? memory + (phys - BASE)
		   : NULL;
}

static int fresh(void **state)
{
	memset(memory, 0, sizeof(memory));
	memset(&out, 0, sizeof(out));
	return 0;
}

/* ---- PVH -------------------------------------------------------------------------------- */

#define CMDLINE_AT 512
#define MODULES_AT 1024
#define MEMMAP_AT  1536

static struct hvm_start_info *make_pvh(void)
{
	struct hvm_start_info *info = (void *)memory;
	struct hvm_modlist_entry *mod = (void *)(memory + MODULES_AT);
	struct hvm_memmap_table_entry *map = (void *)(memory + MEMMAP_AT);

	*info = (struct hvm_start_info){
	    .magic = XEN_HVM_START_MAGIC_VALUE,
	    .version = 1,
	    .nr_modules = 1,
	    .modlist_paddr = BASE + MODULES_AT,
	    .cmdline_paddr = BASE + CMDLINE_AT,
	    .rsdp_paddr = 0xf5a00,
	    .memmap_paddr = BASE + MEMMAP_AT,
	    .memmap_entries = 2,
	};
	strcpy((char *)memory + CMDLINE_AT, "role=native do=\"halt\"");
	mod->paddr = BASE + 2048, mod->size = 100;
	map[0] = (struct hvm_memmap_table_entry){.addr = 0, .size = 0x9fc00, .type = 1};
	map[1] = (struct hvm_memmap_table_entry){.addr = 1 << 20, .size = 63 << 20, .type = 1};
	return info;
}

static void pvh_whole(void **state)
{
	make_pvh();
	assert_int_equal(boot_parse_pvh(view, NULL, BASE, &out), 0);
	assert_string_equal(out.cmdline, "role=native do=\"halt\"");
	assert_int_equal(out.ramdisk_start, BASE + 2048);
	assert_int_equal(out.ramdisk_len_bytes, 100);
	assert_int_equal(out.rsdp, 0xf5a00);
	assert_int_equal(out.n_ranges, 2);
	assert_int_equal(out.ranges[1].start, 1 << 20);
	assert_int_equal(out.ranges[1].size_bytes, 63 << 20);
}

static void pvh_bare(void **state)
{
	struct hvm_start_info *info = make_pvh();

	info->version = 0;
	info->nr_modules = 0;
	info->cmdline_paddr = 0;
	assert_int_equal(boot_parse_pvh(view, NULL, BASE, &out), 0);
	assert_string_equal(out.cmdline, "");
	assert_int_equal(out.n_ranges, 0);
	assert_int_equal(out.ramdisk_len_bytes, 0);
}

static void pvh_wrong(void **state)
{
	struct hvm_start_info *info = make_pvh();

	info->magic ^= 1;
	assert_int_equal(boot_parse_pvh(view, NULL, BASE, &out), -XEN_EINVAL);
	make_pvh()->memmap_paddr = BASE + SIZE - 8;
	assert_int_equal(boot_parse_pvh(view, NULL, BASE, &out), -XEN_EFAULT);
	make_pvh()->modlist_paddr = 0;
	assert_int_equal(boot_parse_pvh(view, NULL, BASE, &out), -XEN_EFAULT);
	make_pvh();
	((struct hvm_modlist_entry *)(memory + MODULES_AT))->size = SIZE;
	assert_int_equal(boot_parse_pvh(view, NULL, BASE, &out), -XEN_EFAULT);
	assert_int_equal(boot_parse_pvh(view, NULL, BASE + SIZE - 8, &out), -XEN_EFAULT);
}

static void pvh_long_command_line(void **state)
{
	make_pvh()->cmdline_paddr = BASE + 2048;
	memset(memory + 2048, 'x', 2048); /* no end within what can be seen */
	assert_int_equal(boot_parse_pvh(view, NULL, BASE, &out), 0);
	assert_int_equal(strlen(out.cmdline), BOOT_CMDLINE - 1);
}

/* ---- multiboot2 ------------------------------------------------------------------------- */

static uint32_t used;

static void *add_tag(uint32_t type, uint32_t size)
{
	uint32_t *tag = (uint32_t *)(memory + used);

	tag[0] = type, tag[1] = size;
	used += (size + 7) & ~7u;
	*(uint32_t *)memory = used;
	return tag + 2;
}

static void make_mb2(void)
{
	uint32_t *mod, *map;
	uint64_t *entry;

	used = 8;
	strcpy(add_tag(1, 8 + 5), "a=b ");
	mod = add_tag(3, 16 + 4);
	mod[0] = 0x200000, mod[1] = 0x201000;
	map = add_tag(6, 16 + 2 * 32); /* entries may be longer than those we know */
	map[0] = 32, map[1] = 0;
	entry = (uint64_t *)(map + 2);
	entry[0] = 0, entry[1] = 0x9fc00, entry[2] = 1;
	entry[4] = 0x100000, entry[5] = 0x7f00000, entry[6] = 1;
	add_tag(15, 8 + 36);
	add_tag(99, 12);
	add_tag(0, 8);
}

static void mb2_whole(void **state)
{
	make_mb2();
	assert_int_equal(boot_parse_multiboot2(view, NULL, BASE, &out), 0);
	assert_string_equal(out.cmdline, "a=b ");
	assert_int_equal(out.ramdisk_start, 0x200000);
	assert_int_equal(out.ramdisk_len_bytes, 0x1000);
	assert_int_equal(out.n_ranges, 2);
	assert_int_equal(out.ranges[1].start, 0x100000);
	assert_int_equal(out.ranges[1].size_bytes, 0x7f00000);
	assert_in_range(out.rsdp, BASE + 8, BASE + used);
}

static void mb2_only_the_first_module(void **state)
{
	uint32_t *mod;

	used = 8;
	mod = add_tag(3, 17);
	mod[0] = 0x1000, mod[1] = 0x1000; /* empty: none */
	mod = add_tag(3, 17);
	mod[0] = 0x2000, mod[1] = 0x3000;
	mod = add_tag(3, 17);
	mod[0] = 0x4000, mod[1] = 0x5000;
	add_tag(0, 8);
	assert_int_equal(boot_parse_multiboot2(view, NULL, BASE, &out), 0);
	assert_int_equal(out.ramdisk_start, 0x2000);
}

struct framebuffer {
	uint64_t phys;
	uint32_t pitch, width, height;
	uint8_t bits, type, reserved[2], colours[6];
} __attribute__((packed));

static bool takes_screen(struct framebuffer fb)
{
	used = 8;
	memset(&out, 0, sizeof(out));
	memcpy(add_tag(8, 8 + sizeof(fb)), &fb, sizeof(fb));
	add_tag(0, 8);
	assert_int_equal(boot_parse_multiboot2(view, NULL, BASE, &out), 0);
	return out.screen.kind == BOOT_SCREEN_PIXELS;
}

static void mb2_screen(void **state)
{
	const struct framebuffer good = {0x80000000, 4096, 1024, 768,
					 32,         1,    {0},  {16, 8, 8, 8, 0, 8}};
	struct framebuffer fb = good;

	assert_true(takes_screen(good));
	assert_int_equal(out.screen.phys, 0x80000000);
	assert_int_equal(out.screen.pitch_bytes, 4096);
	assert_int_equal(out.screen.pixel_bytes, 4);
	assert_int_equal(out.screen.red.position, 16);
	assert_int_equal(out.screen.blue.bits, 8);
	fb.bits = 24, fb.pitch = 3072;
	assert_true(takes_screen(fb));
	assert_int_equal(out.screen.pixel_bytes, 3);
	fb = (struct framebuffer){0xfd000000, 1280, 640, 480, 16, 1, {0}, {11, 5, 5, 6, 0, 5}};
	assert_true(takes_screen(fb));
	fb = good, fb.type = 2; /* text */
	assert_false(takes_screen(fb));
	fb = good, fb.pitch = 4095;
	assert_false(takes_screen(fb));
	fb = good, fb.height = 0;
	assert_false(takes_screen(fb));
	fb = good, fb.width = 1 << 20;
	assert_false(takes_screen(fb));
	fb = good, fb.phys = ~0ull << 20;
	assert_false(takes_screen(fb));
	fb = good, fb.bits = 8;
	assert_false(takes_screen(fb));
	fb = good, fb.colours[0] = 30;
	assert_false(takes_screen(fb));
	fb = good, fb.colours[3] = 0;
	assert_false(takes_screen(fb));
}

static void mb2_wrong(void **state)
{
	make_mb2();
	*(uint32_t *)memory = used - 8; /* cut before the end tag */
	assert_int_equal(boot_parse_multiboot2(view, NULL, BASE, &out), -XEN_EINVAL);
	*(uint32_t *)memory = SIZE + 8;
	assert_int_equal(boot_parse_multiboot2(view, NULL, BASE, &out), -XEN_EFAULT);
	*(uint32_t *)memory = 0xffffffff;
	assert_int_equal(boot_parse_multiboot2(view, NULL, BASE, &out), -XEN_EINVAL);
	*(uint32_t *)memory = 4;
	assert_int_equal(boot_parse_multiboot2(view, NULL, BASE, &out), -XEN_EINVAL);
	make_mb2();
	((uint32_t *)memory)[3] = 7; /* a tag shorter than its head would never end */
	assert_int_equal(boot_parse_multiboot2(view, NULL, BASE, &out), -XEN_EINVAL);
	((uint32_t *)memory)[3] = 0x7fffffff;
	assert_int_equal(boot_parse_multiboot2(view, NULL, BASE, &out), -XEN_EINVAL);
	assert_int_equal(boot_parse_multiboot2(view, NULL, 0, &out), -XEN_EFAULT);
}

/* ---- shared ----------------------------------------------------------------------------- */

static void ranges(void **state)
{
	struct boot_range r = {0x1001, 0x2fff, 1};
	uint64_t first, end;

	assert_true(boot_range_pages(&r, &first, &end));
	assert_int_equal(first, 2);
	assert_int_equal(end, 4);
	r = (struct boot_range){0x1001, 0x1ffe, 1};
	assert_false(boot_range_pages(&r, &first, &end)); /* touches two, holds neither */
	r = (struct boot_range){UINT64_MAX - 0xfff, 0xfff, 1};
	assert_false(boot_range_pages(&r, &first, &end));
	boot_add_range(&out, 5, 0, 1);
	boot_add_range(&out, UINT64_MAX, 2, 1);
	assert_int_equal(out.n_ranges, 0);
	for (unsigned i = 0; i < 2 * BOOT_RANGES; i++)
		boot_add_range(&out, i, 1, 1);
	assert_int_equal(out.n_ranges, BOOT_RANGES);
	assert_int_equal(out.n_dropped, 2 + BOOT_RANGES);
}

static void fits(const char *wrong)
{
	out.wrong = NULL;
	assert_int_equal(boot_check(&out, 0x100, 0x200), wrong ? -XEN_EINVAL : 0);
	if (wrong)
		assert_non_null(strstr(out.wrong, wrong));
}

static void native_fits_together(void **state)
{
	fits("no memory");
	boot_add_range(&out, 0x100000, 0x700000, 2);
	fits("no memory");
	out.ranges[0].type = 1;
	fits(NULL);
	out.ramdisk_start = 0x200000, out.ramdisk_len_bytes = 0x600000;
	fits(NULL);
	out.ramdisk_len_bytes++;
	fits("not in what it says is memory");
	out.ramdisk_len_bytes = ~0ull;
	fits("not in what it says is memory");
	out.ramdisk_start = 0x1ffff0, out.ramdisk_len_bytes = 16;
	fits("over the kernel");
	out.ramdisk_start = 0x100000, out.ramdisk_len_bytes = 1;
	fits("over the kernel");
	out.ramdisk_start = 0xff000, out.ramdisk_len_bytes = 0x1000;
	fits("not in what it says is memory");
}

/* ---- a PV domain's builder ---------------------------------------------------------------- */

#define IMAGE_END 0x200u

static struct start_info good_start(void)
{
	return (struct start_info){
	    .magic = "xen-3.0-x86_64",
	    .nr_pages = 2048,
	    .shared_info = 0x7000,
	    .mod_start = KERNEL_BASE + IMAGE_END * PAGE_SIZE,
	    .mod_len = 0x5001,
	    .mfn_list = KERNEL_BASE + 0x300000,
	    .pt_base = KERNEL_BASE + 0x310000,
	    .nr_pt_frames = 6,
	};
}

static void pv_is(struct start_info si, const char *wrong)
{
	const char *said = boot_check_xen(&si, IMAGE_END);

	if (!wrong)
		assert_null(said);
	else if (!said || !strstr(said, wrong))
		fail_msg("%s, not: %s", wrong, said ? said : "nothing");
}

#define PV_WITH(member, value, wrong)                                                              \
	do {                                                                                       \
		struct start_info si = good_start();                                               \
		si.member = (value);                                                               \
		pv_is(si, wrong);                                                                  \
	} while (0)

static void pv_fits_together(void **state)
{
	pv_is(good_start(), NULL);
	PV_WITH(magic[0], 'y', "magic");
	PV_WITH(nr_pages, 0, "nr_pages");
	PV_WITH(nr_pages, IMAGE_END, "nr_pages");
	PV_WITH(nr_pages, 1ull << 40, "nr_pages");
	PV_WITH(nr_pages, ~0ull, "nr_pages");
	PV_WITH(pt_base, 0, "pt_base");
	PV_WITH(pt_base, KERNEL_BASE + 0x310008, "pt_base");
	PV_WITH(pt_base, KERNEL_BASE + 0x100000, "pt_base");
	PV_WITH(pt_base, KERNEL_BASE + (2048 - 5) * PAGE_SIZE, "pt_base");
	PV_WITH(pt_base, KERNEL_BASE + (2048 - 6) * PAGE_SIZE, NULL);
	PV_WITH(pt_base, ~0xfffull, "pt_base");
	PV_WITH(nr_pt_frames, 3, "pt_base");
	PV_WITH(nr_pt_frames, ~0ull, "pt_base");
	PV_WITH(mfn_list, KERNEL_BASE + 0x300004, "mfn_list");
	PV_WITH(mfn_list, 0, "mfn_list");
	PV_WITH(mfn_list, KERNEL_BASE + 0x100000, "mfn_list");
	PV_WITH(mfn_list, KERNEL_BASE + 0x7fc008, "mfn_list");
	PV_WITH(shared_info, 0, "shared_info");
	PV_WITH(shared_info, 0x7004, "shared_info");
	PV_WITH(mod_len, 0x7fffffff, "mod_len");
	PV_WITH(mod_len, ~0ull, "mod_len");
	PV_WITH(mod_start, KERNEL_BASE, "mod_start");
	PV_WITH(mod_start, 0x300, "mod_start");
	PV_WITH(mod_len, 0, NULL);
}

static void pv_module_by_frame(void **state)
{
	struct start_info si = good_start();

	si.flags = SIF_MOD_START_PFN;
	pv_is(si, "mod_start");
	si.mod_start = 0x300;
	pv_is(si, NULL);
	si.mod_start = 2048 - 6, si.mod_len = 6 * PAGE_SIZE;
	pv_is(si, NULL);
	si.mod_len++;
	pv_is(si, "mod_start");
	si.mod_start = ~0ull, si.mod_len = 1;
	pv_is(si, "mod_start");
	si.mod_start = 0x10;
	pv_is(si, "mod_start");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(pvh_whole, fresh),
	    cmocka_unit_test_setup(pvh_bare, fresh),
	    cmocka_unit_test_setup(pvh_wrong, fresh),
	    cmocka_unit_test_setup(pvh_long_command_line, fresh),
	    cmocka_unit_test_setup(mb2_whole, fresh),
	    cmocka_unit_test_setup(mb2_only_the_first_module, fresh),
	    cmocka_unit_test_setup(mb2_screen, fresh),
	    cmocka_unit_test_setup(mb2_wrong, fresh),
	    cmocka_unit_test_setup(ranges, fresh),
	    cmocka_unit_test_setup(native_fits_together, fresh),
	    cmocka_unit_test_setup(pv_fits_together, fresh),
	    cmocka_unit_test_setup(pv_module_by_frame, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
