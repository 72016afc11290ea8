/* mm_xen.c: memory in a Xen PV domain: from the builder's page tables to ours.
 *
 * Called once by boot_xen.c. The builder mapped the image, ramdisk, p2m list and its tables at
 * KERNEL_BASE, with at least 512 KiB to spare (<xen/xen.h>, "Start-of-day memory layout"). We add a
 * direct map of everything and then take away what of the first mapping is not the image, so that every
 * page outside the image has one mapping: a page becomes a table by making that one read-only.
 *
 * Tables for the direct map are taken in ascending order from the spare pages: a page is a table when it
 * lies in the builder's run or in [tables.first, tables.next), and whoever maps one maps it read-only.
 * The spare 128 pages cover 256 MiB; from there on, tables come from memory the direct map has.
 */
#include <amphi/hypercall.h>
#include <amphi/pvops.h>
#include <amphi/string.h>

#include "boot.h"
#include "host_iospace.h"
#include "mm_parts.h"
#include "panic.h"

#define CHUNK PT_ENTRIES /* pages that one L1 maps */

/* Runs of our own frame numbers. */
struct run {
	uint64_t first, next;
};
static struct run builder_tables, tables, bits;
/* How far each map goes, in pages: all there are; the builder's; the direct one, as far as it is
 * made. */
static uint64_t n_pages, first_map_end, direct_done;

/* The builder put frame 0 of ours at KERNEL_BASE, so the address is a sum, as in the direct map. */
static uint64_t first_map_pfn(uint64_t va)
{
	return (va - KERNEL_BASE) >> PAGE_SHIFT;
}

static void *first_map(uint64_t pfn)
{
	return (void *)(KERNEL_BASE + (pfn << PAGE_SHIFT));
}

static bool in_run(const struct run *r, uint64_t pfn)
{
	return pfn >= r->first && pfn < r->next;
}

static bool is_table(uint64_t pfn)
{
	return in_run(&builder_tables, pfn) || in_run(&tables, pfn);
}

/* At start there is nobody to take an error: a domain without page tables cannot go on. */
static void must(const char *what, int64_t result)
{
	if (result < 0)
		panic("memory at start: %s is refused (%d)", what, (int)result);
}

/* Entries hold the machine's frames. The caller knows that pfn has one. */
static uint64_t frame_entry(uint64_t pfn, uint64_t flags)
{
	return mm_p2m_list[pfn] << PAGE_SHIFT | flags;
}

/* MMU_NORMAL_PT_UPDATE wants the entry's machine address (<xen/xen.h>): a table cannot be
 * written, only named. */
static void set_entry(const uint64_t *entry, uint64_t value)
{
	struct mmu_update req = {.ptr = virt_to_maddr(entry).v | MMU_NORMAL_PT_UPDATE,
				 .val = value};

	must("a table entry", hypercall_mmu_update(&req, 1, NULL, DOMID_SELF));
}

/* Xen makes a page a table only while no entry lets anybody write it, and no device may; it counts both by
 * page. This is the one entry left after trim_first_map(). */
void mm_direct_entry(pfn_t pfn, bool readonly, uint64_t *out_va, uint64_t *out_entry)
{
	uint64_t flags = mm_flags.leaf | mm_flags.no_execute | (readonly ? 0 : PTE_WRITE);

	if (readonly)
		iospace_drain();
	*out_va = (uint64_t)(uintptr_t)pfn_to_virt(pfn);
	*out_entry = frame_entry(pfn.v, flags);
}

void mm_make_readonly(pfn_t pfn, bool readonly)
{
	uint64_t va, entry;

	mm_direct_entry(pfn, readonly, &va, &entry);
	must("a change of rights", hypercall_update_va_mapping(va, entry, UVMF_INVLPG));
}

/* ---- the builder's tables, before ours -------------------------------------------------- */

/* Its pages are consecutive and in the first mapping; an entry's frame is found among them, the m2p is
 * not needed. */
static uint64_t *builder_table(uint64_t entry)
{
	for (uint64_t pfn = builder_tables.first; pfn < builder_tables.next; pfn++)
		if (mm_p2m_list[pfn] == (entry & PTE_FRAME) >> PAGE_SHIFT)
			return first_map(pfn);
	panic("the builder's tables lead to a frame outside them (%llx)",
	      (unsigned long long)entry);
}

/* The top table is the run's first page (pt_base). */
static uint64_t *builder_l2(void)
{
	uint64_t *l4 = first_map(builder_tables.first);
	uint64_t *l3 = builder_table(l4[pt_index(KERNEL_BASE, 4)]);

	return builder_table(l3[pt_index(KERNEL_BASE, 3)]);
}

/* The pages at KERNEL_BASE that are mapped without a gap. */
static uint64_t find_first_map_end(void)
{
	uint64_t *l2 = builder_l2();
	uint64_t pfn = 0;

	while (pfn < n_pages && pfn < PT_ENTRIES * CHUNK && l2[pfn / CHUNK] & PTE_PRESENT) {
		uint64_t *l1 = builder_table(l2[pfn / CHUNK]);

		while (l1[pfn % CHUNK] & PTE_PRESENT)
			if (++pfn % CHUNK == 0)
				break;
		if (pfn % CHUNK)
			break;
	}
	return MIN(pfn, n_pages);
}

/* ---- the direct map --------------------------------------------------------------------- */

/* A zeroed page that can be written now, and is counted as a table from now on. */
static uint64_t *new_table(uint64_t *out_pfn)
{
	uint64_t pfn = tables.next++;
	uint64_t *va;

	if (pfn >= first_map_end && pfn >= direct_done)
		panic("too few spare pages for the page tables");
	va = pfn < first_map_end ? first_map(pfn) : pfn_to_virt((pfn_t){pfn});
	memset(va, 0, PAGE_SIZE);
	*out_pfn = pfn;
	return va;
}

/* Takes the right to write away, wherever the page is mapped, and links it. */
static void link_table(const uint64_t *entry, uint64_t pfn)
{
	if (pfn < first_map_end)
		must("a spare page",
		     hypercall_update_va_mapping((uint64_t)(uintptr_t)first_map(pfn),
						 frame_entry(pfn, mm_flags.leaf), UVMF_INVLPG));
	if (pfn < direct_done)
		mm_make_readonly((pfn_t){pfn}, true);
	set_entry(entry, frame_entry(pfn, mm_flags.table));
}

/* virt_to_maddr() of an entry must work, so tables are spoken of by addresses it knows. */
static uint64_t *table_va(uint64_t pfn)
{
	return pfn_to_virt((pfn_t){pfn});
}

/* A table that lies in this very chunk is mapped read-only from the start: new_table() has
 * counted it before the loop asks. Holes of the p2m list stay unmapped. */
static void map_chunk(const uint64_t *l2, uint64_t first)
{
	uint64_t pfn, l1_pfn, *l1 = new_table(&l1_pfn);

	for (pfn = first; pfn < MIN(first + CHUNK, n_pages); pfn++) {
		uint64_t flags =
		    mm_flags.leaf | mm_flags.no_execute | (is_table(pfn) ? 0 : PTE_WRITE);

		if (mm_p2m_list[pfn] != ~0ull)
			l1[pfn - first] = frame_entry(pfn, flags);
	}
	link_table(&l2[first / CHUNK % PT_ENTRIES], l1_pfn);
	direct_done = pfn;
}

/* Tables above the leaves are linked empty and filled entry by entry. */
static void build_direct_map(void)
{
	uint64_t l3_pfn, l2_pfn = 0;

	new_table(&l3_pfn);
	link_table(&table_va(builder_tables.first)[pt_index(DIRECT_BASE, 4)], l3_pfn);
	for (uint64_t first = 0; first < n_pages; first += CHUNK) {
		if (first % (CHUNK * PT_ENTRIES) == 0) {
			new_table(&l2_pfn);
			link_table(&table_va(l3_pfn)[first / CHUNK / PT_ENTRIES], l2_pfn);
		}
		map_chunk(table_va(l2_pfn), first);
	}
}

/* ---- what is left of the first mapping -------------------------------------------------- */

/* As natively (mm_native.c): text may be executed, data written, and nothing both. */
static uint64_t image_flags(uint64_t pfn)
{
	if (pfn < image_pfn(rodata_start))
		return mm_flags.leaf;
	if (pfn < image_pfn(data_start) || pfn >= image_pfn(bss_end))
		return mm_flags.leaf | mm_flags.no_execute;
	return mm_flags.leaf | mm_flags.no_execute | PTE_WRITE;
}

/* The page shared with the hypervisor lies in the image but is not one of our frames. */
static uint64_t final_entry(uint64_t pfn)
{
	if (pfn < image_pfn(image_start) || pfn >= image_pfn(image_end))
		return 0;
	if (pfn == image_pfn((const char *)boot.shared_info))
		return boot.start_info->shared_info | mm_flags.leaf | mm_flags.no_execute |
		       PTE_WRITE;
	return frame_entry(pfn, image_flags(pfn));
}

/* By batches that fit the stack. Xen checks each entry, and a batch is one hypercall instead of
 * 32. */
static void rewrite_l1(uint64_t *l1, uint64_t first)
{
	struct mmu_update reqs[32];

	for (unsigned i = 0; i < CHUNK; i += ARRAY_SIZE(reqs)) {
		for (unsigned k = 0; k < ARRAY_SIZE(reqs); k++)
			reqs[k] = (struct mmu_update){.ptr = virt_to_maddr(&l1[i + k]).v |
							     MMU_NORMAL_PT_UPDATE,
						      .val = final_entry(first + i + k)};
		must("the first mapping",
		     hypercall_mmu_update(reqs, ARRAY_SIZE(reqs), NULL, DOMID_SELF));
	}
}

/* Moves a pointer into the first mapping to the same page in the direct map. */
static void *moved(const void *va)
{
	return (char *)pfn_to_virt(virt_to_pfn(va)) + ((uintptr_t)va & (PAGE_SIZE - 1));
}

/* L1s with nothing of the image are cut off whole; a cut table is a page like others afterwards. */
static void trim_first_map(void)
{
	uint64_t *l2 = moved(builder_l2());

	for (uint64_t first = 0; first < PT_ENTRIES * CHUNK; first += CHUNK) {
		uint64_t *entry = &l2[first / CHUNK];

		if (!(*entry & PTE_PRESENT))
			continue;
		if (first < image_pfn(image_end) && first + CHUNK > image_pfn(image_start))
			rewrite_l1(moved(builder_table(*entry)), first);
		else
			set_entry(entry, 0);
	}
	pv_flush_tlb_kernel();
}

/* ---- all of it -------------------------------------------------------------------------- */

static uint64_t run_end(uint64_t va, uint64_t len_bytes)
{
	return first_map_pfn(ROUND_UP(va + len_bytes, PAGE_SIZE));
}

/* The first page after everything the builder put down, its stack page too. */
static uint64_t spare_start(const struct start_info *si, uint64_t info_va)
{
	uint64_t end = image_pfn(image_end);

	end = MAX(end, builder_tables.next);
	end = MAX(end, first_map_pfn(info_va) + 1);
	if (si->mfn_list >= KERNEL_BASE)
		end = MAX(end, run_end(si->mfn_list, si->nr_pages * 8));
	if (si->mod_len && !(si->flags & SIF_MOD_START_PFN))
		end = MAX(end, run_end(si->mod_start, si->mod_len));
	return end + 1;
}

static bool is_used(uint64_t pfn, const struct run *used, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (in_run(&used[i], pfn))
			return true;
	return mm_p2m_list[pfn] == ~0ull;
}

/* An empty run for a page that is not there. */
static struct run page_run(const void *page)
{
	uint64_t pfn = page ? virt_to_pfn(page).v : 0;

	return (struct run){pfn, page ? pfn + 1 : 0};
}

/* Page by page: a domain is small, this runs once, and the runs may lie anywhere and overlap.
 * start_info and the builder's stack are named by nobody: both have served. */
static void give_free(void)
{
	uint64_t list = virt_to_pfn(mm_p2m_list).v, disk = boot.ramdisk_start >> PAGE_SHIFT;
	struct run used[] = {
	    {image_pfn(image_start), image_pfn(image_end)},
	    builder_tables,
	    tables,
	    bits,
	    {list, list + PAGES_FOR(n_pages * 8)},
	    {disk, boot.ramdisk_len_bytes ? PAGES_FOR(boot.ramdisk_start + boot.ramdisk_len_bytes)
					  : disk},
	    page_run(boot.console_page),
	    page_run(boot.store_page),
	};
	uint64_t n_used = 0;

	for (uint64_t pfn = 0; pfn < n_pages; pfn++) {
		if (is_used(pfn, used, ARRAY_SIZE(used)))
			n_used++;
		else
			mm_give(pfn, 1);
	}
	mm_count_used(n_used);
}

/* The ring pages of a domU are told by frame; they are pages of ours. */
static void *ring_page(uint64_t mfn)
{
	for (uint64_t pfn = 0; mfn && pfn < n_pages; pfn++)
		if (mm_p2m_list[pfn] == mfn)
			return pfn_to_virt((pfn_t){pfn});
	return NULL;
}

/* The list is contiguous in the direct map, so the linear form will do; ~0 says that there is no tree of
 * frames (<xen/arch-x86/xen.h>, struct arch_shared_info). Said from the start, because a toolstack looks before
 * it asks the domain to stop. */
void mm_xen_tell_p2m(void)
{
	struct arch_shared_info *arch = &boot.shared_info->arch;

	arch->max_pfn = n_pages;
	arch->pfn_to_mfn_frame_list_list = ~0ul;
	arch->p2m_vaddr = (unsigned long)(uintptr_t)mm_p2m_list;
	arch->p2m_generation = 0;
	arch->p2m_cr3 = virt_to_maddr(mm_top).v;
}

/* Laid out behind what the builder put down: our bits, then our tables. Both must begin in the
 * first map, since there is no other yet. The order from here: direct map; the p2m list's
 * address moved into it; only then the first map is cut, because the list was read through it
 * until now. */
void mm_init_xen_pv(void)
{
	const struct start_info *si = boot.start_info;
	void *bitmap;

	n_pages = si->nr_pages;
	direct_done = 0;
	mm_p2m_list = (uint64_t *)si->mfn_list;
	mm_p2m_entries = n_pages;
	mm_find_nx();
	mm_flags.leaf = PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY;
	mm_flags.table = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED;
	builder_tables.first = first_map_pfn(si->pt_base);
	builder_tables.next = builder_tables.first + si->nr_pt_frames;
	first_map_end = find_first_map_end();
	bits.first = spare_start(si, boot.start_info_va);
	bits.next = bits.first + mm_bitmap_pages(n_pages);
	tables.first = tables.next = bits.next;
	if (bits.next > first_map_end)
		panic("the builder left no spare pages");
	memset(first_map(bits.first), 0, (bits.next - bits.first) * PAGE_SIZE);
	build_direct_map();
	mm_top = table_va(builder_tables.first);
	if (si->mfn_list >= KERNEL_BASE)
		mm_p2m_list = moved(mm_p2m_list);
	trim_first_map();
	if (!boot.privileged) {
		boot.console_page = ring_page(si->console.domU.mfn);
		boot.store_page = ring_page(si->store_mfn);
	}
	mm_xen_tell_p2m();
	bitmap = pfn_to_virt((pfn_t){bits.first});
	mm_start(bitmap, n_pages);
	give_free();
}
