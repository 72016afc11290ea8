/* hv_frame_boot_test.c: from a machine's memory map to tables that say exactly that.
 *
 * Shows, for maps with holes, odd edges and things in use: which frames are RAM and which are free,
 * that nothing in use or below 1 MiB is ever given out, and what the hypervisor's own tables then
 * map: frame table, direct map, m2p for us and read-only for guests, device pages uncached. Why:
 * a frame given out twice here is memory two domains share. Expected: all hold.
 *
 * links: hypervisor/frame_boot.c hypervisor/frame.c lib/heap.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hypervisor/io.h"
#include "hypervisor/mm_private.h"

#define MIB   0x100000ul
#define ARENA (24 * MIB)
#define HIGH  (ARENA >> PAGE_SHIFT)

uint64_t hv_test_direct, hv_test_frames, hv_test_m2p, frames_of_domains;

uint32_t tlb_stamp(void)
{
	return 0;
}
void tlb_flush_stale(uint32_t stamp) {}

void hv_panic(const char *fmt, ...)
{
	fprintf(stderr, "%s\n", fmt);
	abort();
}

static const mfn_t l4 = {0x110}; /* inside the image */

static const struct mm_range map[] = {
    {0x800000, 0xa00000, MM_RANGE_ACPI}, /* not RAM */
    {0, 0x9fc00, MM_RANGE_RAM},
    {0x100000, 0x7ff800, MM_RANGE_RAM}, /* ends within a page */
    {0xa00800, ARENA, MM_RANGE_RAM},    /* begins within one */
    {0xfec00000, 0xfec01000, MM_RANGE_RESERVED},
};
static const struct mm_range used[] = {
    {0x100000, 0x180000, 0}, /* the image */
    {0x300100, 0x30ffff, 0}, /* a module, not on page borders */
    {0x310000, 0x320000, 0}, /* another right behind it */
};

static uint64_t free_pages(void)
{
	struct mm_stats s;

	mm_stats(&s);
	return s.free_pages;
}

static int setup(void **state)
{
	void *arena = aligned_alloc(PAGE_SIZE, ARENA);

	memset(arena, 0xa5, ARENA);
	hv_test_direct = (uint64_t)arena;
	hv_test_frames = (uint64_t)calloc(HIGH, sizeof(struct page_info));
	hv_test_m2p = (uint64_t)calloc(HIGH, 8);
	memset(mfn_to_virt(l4), 0, PAGE_SIZE);
	return mm_boot_init(map, ARRAY_SIZE(map), used, ARRAY_SIZE(used), l4);
}

/* What the tables say of va: the entry that maps it, with the bits missing on the way cleared. */
static uint64_t lookup(uint64_t va)
{
	uint64_t bits = PTE_RW | PTE_USER, pte;
	mfn_t table = l4;

	for (unsigned level = 4;; level--) {
		pte = ((uint64_t *)mfn_to_virt(table))[pt_index(va, level)];
		if (!(pte & PTE_PRESENT))
			return 0;
		bits &= pte;
		if (level == 1 || (pte & PTE_PSE))
			return (pte & ~(PTE_RW | PTE_USER)) | bits;
		table = pte_mfn(pte);
	}
}

static void test_what_is_ram(void **state)
{
	assert_false(mfn_valid((mfn_t){0}));
	assert_false(mfn_valid((mfn_t){0xff}));
	assert_true(mfn_valid((mfn_t){0x100}));
	assert_true(mfn_valid((mfn_t){0x7fe}));
	assert_false(mfn_valid((mfn_t){0x7ff}));
	assert_false(mfn_valid((mfn_t){0x850}));
	assert_false(mfn_valid((mfn_t){0xa00}));
	assert_true(mfn_valid((mfn_t){0xa01}));
	assert_true(mfn_valid((mfn_t){HIGH - 1}));
	assert_false(mfn_valid((mfn_t){HIGH}));
	assert_false(mfn_valid((mfn_t){0xfec00}));
	assert_false(mfn_valid(MFN_NONE));
	assert_int_equal(frames_highest(), HIGH - 1);
}

/* Takes all there is, and looks whether any of it was somebody's. */
static void test_nothing_in_use_is_given_out(void **state)
{
	static bool seen[HIGH];
	uint64_t before = free_pages(), count = 0;
	struct page_info *page, *head = NULL;

	while ((page = frames_alloc(0, ~0ull))) {
		uint64_t at = page_to_mfn(page).v << PAGE_SHIFT;

		assert_true(mfn_valid(page_to_mfn(page)));
		assert_false(seen[page_to_mfn(page).v]);
		seen[page_to_mfn(page).v] = true;
		for (unsigned i = 0; i < ARRAY_SIZE(used); i++)
			assert_true(at >= used[i].end || at + PAGE_SIZE <= used[i].start);
		page->next = head ? (uint32_t)page_to_mfn(head).v : 0;
		head = page;
		count++;
	}
	assert_int_equal(count, before);
	for (; head; head = page) {
		page = head->next ? mfn_to_page((mfn_t){head->next}) : NULL;
		head->next = 0;
		frames_free(head, 0);
	}
	assert_int_equal(free_pages(), before);
	assert_non_null(frames_alloc(MM_MAX_ORDER, ~0ull)); /* all joined again */
}

static void test_our_tables(void **state)
{
	for (uint64_t n = 0x100; n < HIGH; n++) {
		uint64_t frame_va = HV_FRAMES_VIRT + n * sizeof(struct page_info);

		if (!mfn_valid((mfn_t){n}))
			continue;
		assert_true(lookup(HV_DIRECT_VIRT + (n << 12)) & PTE_RW);
		assert_true(pte_mfn(lookup(HV_DIRECT_VIRT + (n << 12))).v == (n & ~511ull));
		assert_true((lookup(frame_va) & (PTE_RW | PTE_USER)) == PTE_RW);
		assert_true((lookup(HV_M2P_RW_VIRT + n * 8) & (PTE_RW | PTE_USER)) == PTE_RW);
		assert_true(pte_mfn(lookup(HV_M2P_RW_VIRT + n * 8)).v ==
			    pte_mfn(lookup(HV_M2P_VIRT + n * 8)).v);
	}
}

/* A guest may read the m2p of any frame below the highest, and write none. */
static void test_m2p_of_guests(void **state)
{
	for (uint64_t n = 0; n < HIGH; n++) {
		uint64_t pte = lookup(HV_M2P_VIRT + n * 8);

		assert_true((pte & (PTE_PRESENT | PTE_USER | PTE_RW)) == (PTE_PRESENT | PTE_USER));
	}
	assert_true(m2p_get((mfn_t){0x100}) == M2P_INVALID);
	assert_true(m2p_get((mfn_t){0x10}) == M2P_INVALID);
	assert_true(m2p_get((mfn_t){0x7ff}) ==
		    M2P_INVALID); /* no RAM, in a page with RAM's entries */
}

static void test_firmware_tables_are_reachable(void **state)
{
	assert_true(lookup(HV_DIRECT_VIRT + 0x900000) & PTE_PRESENT);
}

static void test_devices(void **state)
{
	uint64_t va = (uint64_t)hv_map_io((maddr_t){0xfee00040}, 0x2000), pte = lookup(va);

	assert_true(va % PAGE_SIZE == 0x40);
	assert_int_equal(pte_mfn(pte).v, 0xfee00);
	assert_true((pte & (PTE_PCD | PTE_PWT | PTE_RW | PTE_NX | PTE_USER)) ==
		    (PTE_PCD | PTE_PWT | PTE_RW | PTE_NX));
	assert_int_equal(pte_mfn(lookup(va + 0x2000)).v, 0xfee02); /* 0x2000 bytes from 0x40 on */
	assert_true((uint64_t)hv_map_io((maddr_t){0xfec00000}, 8) > va + 0x2000);
	assert_null(hv_map_io((maddr_t){0}, ~0ull));
	assert_null(hv_map_io((maddr_t){0}, 1ul << 30));
}

static void test_modules_come_back(void **state)
{
	uint64_t before = free_pages();

	mm_boot_release(used[1].start, used[1].end);
	assert_int_equal(free_pages(), before + 14); /* its whole pages: 0x301 to 0x30e */
	mm_boot_release(used[2].start, used[2].end);
	assert_int_equal(free_pages(), before + 30);
}

static void test_bad_maps(void **state)
{
	const struct mm_range backwards = {0x200000, 0x100000, MM_RANGE_RAM};
	const struct mm_range beyond = {0, ~0ull, MM_RANGE_RAM};

	assert_int_equal(mm_boot_init(&backwards, 1, NULL, 0, l4), -XEN_EINVAL);
	assert_int_equal(mm_boot_init(&beyond, 1, NULL, 0, l4), -XEN_EINVAL);
	assert_int_equal(mm_boot_init(map, MM_RANGES_MAX + 1, NULL, 0, l4), -XEN_EINVAL);
	assert_int_equal(mm_boot_init(map, 1, used, MM_RANGES_MAX, l4), -XEN_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_ram),
	    cmocka_unit_test(test_nothing_in_use_is_given_out),
	    cmocka_unit_test(test_our_tables),
	    cmocka_unit_test(test_m2p_of_guests),
	    cmocka_unit_test(test_firmware_tables_are_reachable),
	    cmocka_unit_test(test_devices),
	    cmocka_unit_test(test_modules_come_back),
	    cmocka_unit_test(test_bad_maps),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
