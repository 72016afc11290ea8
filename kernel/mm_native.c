/* mm_native.c: memory on bare metal: from the loader's map to an allocator and final page tables.
 *
 * Called once by boot_native.c, on the tables of entry_native.S, which map the first 4 GiB. Extends the
 * direct map to all memory, gives the image its permissions (text read-only, data not executable) and
 * takes the identity mapping away. Memory below 1 MiB is left to the firmware. Calls pvops for registers;
 * tables are written as memory, natively they are.
 */
#include <amphi/pvops.h>
#include <amphi/string.h>

#include "boot_parse.h"
#include "mm_parts.h"
#include "panic.h"

#define LOW_END    0x100u       /* pfn of 1 MiB */
#define MAX_PFN    (1ull << 27) /* 512 GiB: what boot_l3_low can lead to */
#define GIB_PAGES  (1ull << 18)
#define LARGE_SIZE (2ull << 20)
#define MSR_PAT    0x277u

extern uint64_t boot_l4[], boot_l3_low[], boot_l3_high[], boot_l2[];

/* A run of pages taken before there is an allocator: bits, and tables. */
static struct {
	uint64_t first, n, used;
} early;

/* Counted in advance by mm_init_native(); its pages are zero. */
static void *early_page(void)
{
	KASSERT(early.used < early.n);
	return pfn_to_virt((pfn_t){early.first + early.used++});
}

/* Without pv_alloc_pt(): natively a table is a page like others. */
static uint64_t *early_table(uint64_t *entry)
{
	uint64_t *table = early_page();

	*entry = virt_to_pfn(table).v << PAGE_SHIFT | mm_flags.table;
	return table;
}

/* Pages that are not free, whatever the range says they lie in. */
struct hole {
	uint64_t first, end;
};
/* Low memory, image, ramdisk, the early run, and each range of the map. */
#define HOLES_MAX (4 + BOOT_RANGES)

static struct hole hole_of(uint64_t start, uint64_t len_bytes)
{
	return (struct hole){start >> PAGE_SHIFT, PAGES_FOR(start + len_bytes)};
}

/* Those of range i: firmware's maps may overlap. What is said to be something else than memory is not
 * memory, and what an earlier range gave is not given again. */
static unsigned find_holes(unsigned i, struct hole *holes)
{
	unsigned n = 0;

	holes[n++] = (struct hole){0, LOW_END};
	holes[n++] = (struct hole){image_pfn(image_start), image_pfn(image_end)};
	if (boot.ramdisk_len_bytes)
		holes[n++] = hole_of(boot.ramdisk_start, boot.ramdisk_len_bytes);
	if (early.first)
		holes[n++] = (struct hole){early.first, early.first + early.n};
	for (unsigned k = 0; k < boot.n_ranges; k++)
		if (boot.ranges[k].type != 1 || k < i)
			holes[n++] = hole_of(boot.ranges[k].start, boot.ranges[k].size_bytes);
	return n;
}

/* The first page at or after at that lies in no hole, and in *out_end where the free run ends. */
static uint64_t skip_holes(unsigned range, uint64_t at, uint64_t end, uint64_t *out_end)
{
	struct hole holes[HOLES_MAX];
	unsigned n = find_holes(range, holes);

	/* Each round but the last leaves a hole behind for good, so there are at most n + 1. */
	for (bool moved = true; moved;) {
		moved = false;
		for (unsigned i = 0; i < n; i++)
			if (at >= holes[i].first && at < holes[i].end) {
				at = holes[i].end;
				moved = true;
			}
	}
	*out_end = end;
	for (unsigned i = 0; i < n; i++)
		if (holes[i].first >= at && holes[i].first < *out_end)
			*out_end = holes[i].first;
	return at;
}

typedef bool run_fn(uint64_t first, uint64_t n);

/* Calls fn for each free run of memory until it says true. */
static bool each_run(run_fn *fn)
{
	for (unsigned i = 0; i < boot.n_ranges; i++) {
		uint64_t at, end, run_end;

		if (boot.ranges[i].type != 1 || !boot_range_pages(&boot.ranges[i], &at, &end))
			continue;
		end = MIN(end, MAX_PFN);
		while ((at = skip_holes(i, at, end, &run_end)) < end) {
			if (fn(at, run_end - at))
				return true;
			at = run_end;
		}
	}
	return false;
}

/* The first run that is long enough and that the first mapping reaches: it is written to right
 * now. */
static bool take_early(uint64_t first, uint64_t n)
{
	if (n < early.n || first + early.n > 4 * GIB_PAGES)
		return false;
	early.first = first;
	memset(pfn_to_virt((pfn_t){first}), 0, early.n * PAGE_SIZE);
	return true;
}

static bool give_run(uint64_t first, uint64_t n)
{
	mm_give(first, n);
	return false;
}

/* What the map says beyond MAX_PFN is left alone: the direct map's one L3 does not reach it. */
static uint64_t memory_end(void)
{
	uint64_t highest = 0, first, end;

	for (unsigned i = 0; i < boot.n_ranges; i++)
		if (boot.ranges[i].type == 1 && boot_range_pages(&boot.ranges[i], &first, &end))
			highest = MAX(highest, end);
	return MIN(highest, MAX_PFN);
}

/* Whole GiBs above the first four, which entry_native.S did. */
static void extend_direct_map(uint64_t end_pfn)
{
	for (uint64_t pfn = 4 * GIB_PAGES; pfn < end_pfn; pfn += GIB_PAGES) {
		uint64_t *l2 = early_table(&boot_l3_low[pfn / GIB_PAGES]);

		for (unsigned i = 0; i < PT_ENTRIES; i++)
			l2[i] = ((pfn << PAGE_SHIFT) + i * LARGE_SIZE) | mm_flags.leaf | PTE_WRITE |
				PTE_LARGE | mm_flags.no_execute;
	}
}

/* Once the image has tables of its own: nothing is executed through the direct map. */
static void seal_direct_map(void)
{
	for (unsigned i = 0; i < 4 * PT_ENTRIES; i++)
		boot_l2[i] |= mm_flags.no_execute;
}

/* Text, read-only data, data and bss, and behind them read-only the table of symbols. No page is
 * both writable and executable: pvops patches through the direct map. */
static uint64_t image_prot(uint64_t pfn)
{
	if (pfn < image_pfn(rodata_start))
		return 0;
	if (pfn < image_pfn(data_start) || pfn >= image_pfn(bss_end))
		return mm_flags.no_execute;
	return PTE_WRITE | mm_flags.no_execute;
}

/* The image gets tables of its own with small pages; the rest of KERNEL_BASE's GiB goes away. */
static void map_image(void)
{
	uint64_t *l2 = early_page(), *l1 = NULL;

	for (uint64_t pfn = image_pfn(image_start); pfn < image_pfn(image_end); pfn++) {
		if (!l1 || pfn % PT_ENTRIES == 0)
			l1 = early_table(&l2[pfn / PT_ENTRIES]);
		l1[pfn % PT_ENTRIES] = pfn << PAGE_SHIFT | mm_flags.leaf | image_prot(pfn);
	}
	boot_l3_high[pt_index(KERNEL_BASE, 3)] = virt_to_pfn(l2).v << PAGE_SHIFT | mm_flags.table;
}

/* Entry 4 of the PAT becomes write-combining, which it is on Xen too; nothing is mapped by it yet (SDM vol. 3,
 * "Page attribute table"). Further CPUs are given the table of this one as they start (smp_native.c). */
static void make_write_combining(void)
{
	uint32_t regs[4] = {1};

	pv_cpuid(regs);
	if (regs[3] & 1u << 16)
		pv_write_msr(MSR_PAT, (pv_read_msr(MSR_PAT) & ~(0xffull << 32)) | 1ull << 32);
}

/* The early run must hold the allocator's bits, an L2 for each GiB the first mapping lacks, and
 * for the image an L2 and its L1s, one more than the division says when the image does not begin
 * at a table's edge. It is found before there are bits, and counted as used for ever. The
 * identity mapping goes last: from then on a stray low pointer faults. */
void mm_init_native(void)
{
	uint64_t end = memory_end();
	uint64_t gibs = end > 4 * GIB_PAGES ? DIV_ROUND_UP(end - 4 * GIB_PAGES, GIB_PAGES) : 0;
	size_t bits = mm_bitmap_pages(end);
	void *bitmap;

	mm_find_nx();
	make_write_combining();
	mm_flags.leaf = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY;
	mm_flags.table = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	early.n = bits + gibs + 1 + image_pfn(image_end) / PT_ENTRIES + 1;
	early.first = 0;
	if (!each_run(take_early))
		panic("too little memory: the memory map (%u ranges) has no %llu KiB in one piece "
		      "for page tables beside the kernel",
		      boot.n_ranges, (unsigned long long)early.n * 4);
	bitmap = pfn_to_virt((pfn_t){early.first});
	early.used = bits;
	extend_direct_map(end);
	map_image();
	seal_direct_map();
	boot_l4[0] = 0;
	pv_flush_tlb_kernel();
	mm_top = pfn_to_virt((pfn_t){image_pfn((char *)boot_l4)});
	mm_start(bitmap, end);
	each_run(give_run);
	mm_count_used(early.n + image_pfn(image_end) - image_pfn(image_start));
}
