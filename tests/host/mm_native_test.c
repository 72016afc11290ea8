/* mm_native_test.c: from any memory map of a loader to the right free pages and the right tables.
 *
 * Shows: over maps with holes, overlaps, odd edges and memory above 4 GiB, exactly the pages that are
 * memory and not in use are given, each once: not the first MiB, the image, the ramdisk, the tables; the
 * tables map the image with its rights and nothing beside it, the direct map reaches the last page, the
 * identity mapping is gone, and nothing but the text is executable. Why: a page given that the firmware,
 * the ramdisk or a table lies in is found much later and elsewhere.
 *
 * links: kernel/mm_native.c kernel/boot_parse.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <amphi/pvops.h>
#include "kernel/boot.h"
#include "kernel/mm_parts.h"
#include "kernel/panic.h"

#define ARENA       (64ull << 20) /* memory that is really there, from physical 0 */
#define MAX_PFN     (8ull << 18)  /* the maps below end at 8 GiB */
#define IMAGE_START 0x100u
#define RODATA      0x120u
#define DATA        0x128u
#define BSS_END     0x138u
#define IMAGE_END   0x13cu

uint64_t mm_test_kernel_base = 1ull << 46, mm_test_direct_base;
char *image_start, *text_start, *text_end, *rodata_start, *rodata_end, *data_start, *bss_end,
    *image_end;
uint64_t boot_l4[512], boot_l3_low[512], boot_l3_high[512], boot_l2[2048];
struct boot_info boot;
struct mm_flags mm_flags;
struct pv_ops pv_ops;
uint64_t *mm_top;
static jmp_buf on_panic;
static bool panic_expected;

static uint8_t given[MAX_PFN]; /* how often */
static uint64_t bitmap_pfn, bitmap_pages, n_started, n_counted;
static bool flushed;

void panic(const char *fmt, ...)
{
	if (!panic_expected)
		fail_msg("panic: %s", fmt);
	longjmp(on_panic, 1);
}

/* A processor with a page attribute table as it is after a reset. */
static uint64_t pat;

static void cpuid(uint32_t *regs)
{
	regs[3] = regs[0] == 1 ? 1u << 16 : 0;
}

static uint64_t read_msr(uint32_t msr)
{
	assert_int_equal(msr, 0x277);
	return pat;
}

static void write_msr(uint32_t msr, uint64_t value)
{
	assert_int_equal(msr, 0x277);
	pat = value;
}

void mm_find_nx(void)
{
	mm_flags.no_execute = PTE_NX;
}

pfn_t virt_to_pfn(const void *va)
{
	return (pfn_t){((uint64_t)(uintptr_t)va - mm_test_direct_base) >> PAGE_SHIFT};
}

size_t mm_bitmap_pages(size_t n_pages)
{
	return bitmap_pages = PAGES_FOR((n_pages + 7) / 8);
}

void mm_start(void *bitmap, size_t n_pages)
{
	bitmap_pfn = virt_to_pfn(bitmap).v;
	n_started = n_pages;
}

void mm_give(uint64_t first, uint64_t n)
{
	assert_true(first + n <= n_started && n > 0);
	for (uint64_t pfn = first; pfn < first + n; pfn++)
		given[pfn]++;
}

void mm_count_used(size_t n)
{
	n_counted = n;
}

static void flush(void)
{
	flushed = true;
}

static int make_arena(void **state)
{
	void *arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	mm_test_direct_base = (uint64_t)(uintptr_t)arena;
	image_start = text_start = (char *)(KERNEL_BASE + IMAGE_START * PAGE_SIZE);
	text_end = rodata_start = (char *)(KERNEL_BASE + RODATA * PAGE_SIZE);
	rodata_end = data_start = (char *)(KERNEL_BASE + DATA * PAGE_SIZE);
	bss_end = (char *)(KERNEL_BASE + BSS_END * PAGE_SIZE);
	image_end = (char *)(KERNEL_BASE + IMAGE_END * PAGE_SIZE);
	pv_ops.mmu.flush_tlb_kernel = flush;
	pv_ops.cpu.cpuid = cpuid;
	pv_ops.cpu.read_msr = read_msr;
	pv_ops.cpu.write_msr = write_msr;
	pat = 0x0007040600070406;
	return arena == MAP_FAILED;
}

static int fresh(void **state)
{
	memset((void *)mm_test_direct_base, 0xa5, ARENA); /* memory is not zero at first */
	memset(given, 0, sizeof(given));
	memset(&boot, 0, sizeof(boot));
	memset(boot_l3_low, 0, sizeof(boot_l3_low));
	memset(boot_l3_high, 0, sizeof(boot_l3_high));
	for (unsigned i = 0; i < 2048; i++)
		boot_l2[i] = i * (2ull << 20) | 0x83;
	boot_l4[0] = 0x1003;
	flushed = panic_expected = false;
	return 0;
}

static void add(uint64_t start, uint64_t end, uint32_t type)
{
	boot.ranges[boot.n_ranges++] = (struct boot_range){start, end - start, type};
}

static void set_ramdisk(uint64_t start, uint64_t len)
{
	boot.ramdisk_start = start;
	boot.ramdisk_len_bytes = len;
}

/* Wholly in one range of memory, and touched by none of another kind. */
static bool is_memory(uint64_t pfn)
{
	uint64_t start = pfn << PAGE_SHIFT, end = start + PAGE_SIZE;
	bool is = false;

	for (unsigned i = 0; i < boot.n_ranges; i++) {
		const struct boot_range *r = &boot.ranges[i];

		if (r->type == 1)
			is |= start >= r->start && end <= r->start + r->size_bytes;
		else if (end > r->start && start < r->start + r->size_bytes)
			return false;
	}
	return is;
}

static bool is_in_use(uint64_t pfn)
{
	uint64_t start = pfn << PAGE_SHIFT, end = start + PAGE_SIZE;

	return pfn < 0x100 || (pfn >= IMAGE_START && pfn < IMAGE_END) ||
	       (end > boot.ramdisk_start && start < boot.ramdisk_start + boot.ramdisk_len_bytes);
}

/* Pages that are neither given nor in use must be the allocator's bits and the tables: one run. */
static void check_given(void)
{
	uint64_t early = 0, last = 0;

	for (uint64_t pfn = 0; pfn < MAX_PFN; pfn++) {
		bool usable = is_memory(pfn) && !is_in_use(pfn);

		assert_true(given[pfn] <= usable);
		if (!usable || given[pfn])
			continue;
		assert_true(early == 0 || last == pfn - 1);
		assert_true(pfn * PAGE_SIZE < ARENA);
		last = pfn;
		early++;
	}
	assert_true(bitmap_pfn + bitmap_pages <= last + 1);
	assert_int_equal(n_counted, early + IMAGE_END - IMAGE_START);
}

static uint64_t *table_of(uint64_t entry)
{
	assert_true(entry & PTE_PRESENT && (entry & PTE_FRAME) < ARENA);
	return (uint64_t *)(mm_test_direct_base + (entry & PTE_FRAME));
}

static void check_image(void)
{
	uint64_t *l2 = table_of(boot_l3_high[pt_index(KERNEL_BASE, 3)]);

	for (uint64_t pfn = 0; pfn < 4096; pfn++) {
		uint64_t entry =
		    l2[pfn / 512] & PTE_PRESENT ? table_of(l2[pfn / 512])[pfn % 512] : 0;

		if (pfn < IMAGE_START || pfn >= IMAGE_END) {
			assert_false(entry & PTE_PRESENT);
			continue;
		}
		assert_int_equal(entry & PTE_FRAME, pfn << PAGE_SHIFT);
		assert_int_equal(!!(entry & PTE_WRITE), pfn >= DATA && pfn < BSS_END);
		assert_int_equal(entry >> 63, pfn >= RODATA);
	}
}

static void check_direct_map(uint64_t end_pfn)
{
	for (uint64_t pfn = 0; pfn < end_pfn; pfn += 512) {
		uint64_t gib = pfn >> 18, at = pfn >> 9 & 511;
		uint64_t entry = gib < 4 ? boot_l2[pfn >> 9] : table_of(boot_l3_low[gib])[at];

		assert_int_equal(entry & PTE_FRAME, pfn << PAGE_SHIFT);
		assert_true(entry & PTE_LARGE && entry & PTE_WRITE && entry >> 63);
	}
}

static void start(uint64_t end_pfn)
{
	mm_init_native();
	assert_int_equal(n_started, end_pfn);
	assert_true(flushed);
	assert_int_equal(pat, 0x0007040100070406); /* entry 4, and no other, is write-combining */
	assert_int_equal(boot_l4[0], 0);
	check_given();
	check_image();
	check_direct_map(end_pfn);
}

static void as_qemu_tells_it(void **state)
{
	add(0, 0x9fc00, 1);
	add(0x9fc00, 0xa0000, 2);
	add(0xf0000, 0x100000, 2);
	add(0x100000, 0x3fe0000, 1);
	add(0x3fe0000, 0x4000000, 2);
	set_ramdisk(0x3000123, 300000); /* does not begin on a page */
	start(0x3fe0);
}

static void the_ramdisk_behind_the_image(void **state)
{
	add(0, 64 << 20, 1);
	set_ramdisk(IMAGE_END * PAGE_SIZE, 5 * PAGE_SIZE + 1);
	start(0x4000);
}

static void odd_edges_and_overlaps(void **state)
{
	add(0x100800, 0x180700, 1); /* begins and ends within a page, in the image */
	add(0x200001, 0x2fffff, 1);
	add(0x300000, 0x300fff, 1); /* less than a page */
	add(0x400000, 0x3000000, 1);
	add(0x5000000, 0x5000000 + PAGE_SIZE, 1);
	start(0x5001);
}

static void ranges_that_overlap(void **state)
{
	add(0x300000, 0x500000, 1);
	add(0x400000, 0x600000, 1);
	add(0x450000, 0x450800, 2); /* reserved wins */
	add(0x300000, 0x700000, 1);
	start(0x700);
	assert_int_equal(given[0x450], 0);
	assert_int_equal(given[0x480], 1);
}

static void above_4_gib(void **state)
{
	add(0, 0xa0000, 1);
	add(0x100000, 0x4000000, 1);
	add(1ull << 32, (6ull << 30) + (3ull << 20), 1);
	start((6ull << 18) + 3 * 256);
	assert_true(boot_l3_low[4] && boot_l3_low[5] && boot_l3_low[6]);
	assert_int_equal(boot_l3_low[7], 0);
}

static void small_pieces_first(void **state)
{
	/* the first pieces are too small for bits and tables together */
	add(0x200000, 0x201000, 1);
	add(0x203000, 0x204000, 1);
	add(0x800000, 0x900000, 1);
	start(0x900);
	assert_true(bitmap_pfn >= 0x800);
	assert_int_equal(given[0x200] + given[0x203], 2);
}

static void no_memory_to_begin_with(void **state)
{
	add(0, 0xa0000, 1);
	panic_expected = true;
	if (!setjmp(on_panic)) {
		mm_init_native();
		fail_msg("went on without memory");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(as_qemu_tells_it, fresh),
	    cmocka_unit_test_setup(the_ramdisk_behind_the_image, fresh),
	    cmocka_unit_test_setup(odd_edges_and_overlaps, fresh),
	    cmocka_unit_test_setup(ranges_that_overlap, fresh),
	    cmocka_unit_test_setup(above_4_gib, fresh),
	    cmocka_unit_test_setup(small_pieces_first, fresh),
	    cmocka_unit_test_setup(no_memory_to_begin_with, fresh),
	};

	return cmocka_run_group_tests(tests, make_arena, NULL);
}
