/* selftest_tables.c: the self-test's checks of the operations on page tables.
 *
 * Caller: commands_selftest.c. Each effect is seen through a mapping: what is written at one address is read at
 * another. Machine entries are made and read only by the operations, so the same lines serve where frames have two
 * numbers.
 */
#include <amphi/pvops.h>

#include "mm_parts.h"
#include "selftest.h"

/* An entry of the top table that nobody uses: all tables below it are the check's own. */
#define UNUSED_VA 0xffffd00000000000ull
#define PAGES     3u

static uint64_t entry_flags(void)
{
	return mm_flags.leaf | mm_flags.no_execute | PTE_WRITE;
}

static uint64_t entry_of(const void *page, uint64_t flags)
{
	return pv_make_pte(virt_to_pfn(page).v << PAGE_SHIFT, flags);
}

/* Value to entry and back, the frame in the entry being the machine's. */
static const char *values(void)
{
	uint64_t *page = pages_alloc(1), entry, value;

	WANT(page);
	value = virt_to_pfn(page).v << PAGE_SHIFT | entry_flags();
	entry = pv_make_pte(value & PTE_FRAME, value & ~PTE_FRAME);
	WANT((entry & PTE_FRAME) >> PAGE_SHIFT == pfn_to_mfn(virt_to_pfn(page)).v);
	WANT((entry & ~PTE_FRAME) == (value & ~PTE_FRAME));
	WANT(pv_pte_val(entry, ~0ull) == value);
	WANT(pv_pte_val(entry, PTE_FRAME) == (value & PTE_FRAME));
	WANT(pv_make_pte(0, 0) == 0 && pv_pte_val(0, ~0ull) == 0);
	pages_free(page, 1);
	return NULL;
}

/* Without the flush the old page may still be seen: the read before it puts the old entry into the TLB. */
static const char *remap_one(void)
{
	volatile uint64_t *a = pages_alloc(1), *b = pages_alloc(1), *window = vmap_reserve(1);
	uint64_t *entry;

	WANT(a && b && window);
	entry = mm_leaf((uint64_t)(uintptr_t)window);
	*a = 1, *b = 2;
	pv_set_pte(entry, entry_of((void *)a, entry_flags()));
	WANT(*window == 1);
	pv_set_pte(entry, entry_of((void *)b, entry_flags()));
	pv_flush_tlb_one((uint64_t)(uintptr_t)window);
	WANT(*window == 2);
	*window = 3;
	WANT(*b == 3 && *a == 1);
	pv_set_pte(entry, 0);
	pv_flush_tlb_one((uint64_t)(uintptr_t)window);
	WANT(selftest_write_faults(window));
	vmap_release((void *)window, 1);
	pages_free((void *)a, 1);
	pages_free((void *)b, 1);
	return NULL;
}

/* The pages of a run, from the last to the first. */
static int set_reversed(uint64_t *entries, const char *pages)
{
	uint64_t values[PAGES];

	for (unsigned i = 0; i < PAGES; i++)
		values[i] = entry_of(pages + (PAGES - 1 - i) * PAGE_SIZE, entry_flags());
	return pv_set_ptes(entries, values, PAGES, DOMID_SELF);
}

/* PAGES of address space with their entries in one table: of twice as many, one half has. */
static char *window_in_one_table(void)
{
	char *window = vmap_reserve(2 * PAGES);

	if (!window || pt_index((uint64_t)(uintptr_t)window, 1) + PAGES <= PT_ENTRIES)
		return window;
	return window + PAGES * PAGE_SIZE;
}

static const char *remap_many(void)
{
	char *pages = pages_alloc(PAGES);
	volatile char *window = window_in_one_table();
	uint64_t *entries;
	mfn_t frames[PAGES];

	WANT(pages && window);
	for (unsigned i = 0; i < PAGES; i++) {
		frames[i] = pfn_to_mfn(virt_to_pfn(pages + i * PAGE_SIZE));
		pages[i * PAGE_SIZE] = (char)('a' + i);
	}
	entries = mm_leaf((uint64_t)(uintptr_t)window);
	WANT(entries);
	WANT(map_frames((void *)window, frames, PAGES, MM_WRITE, DOMID_SELF) == 0);
	for (unsigned i = 0; i < PAGES; i++)
		WANT(window[i * PAGE_SIZE] == (char)('a' + i));
	WANT(set_reversed(entries, pages) == 0);
	pv_flush_tlb_kernel();
	for (unsigned i = 0; i < PAGES; i++)
		WANT(window[i * PAGE_SIZE] == (char)('c' - i));
	unmap_frames((void *)window, PAGES);
	vmap_release((void *)window, PAGES);
	pages_free(pages, PAGES);
	return NULL;
}

/* tables[1] is the table of pages, tables[3] what the top entry leads to; tables[0] the page. */
static bool take_tables(uint64_t **tables)
{
	for (unsigned level = 0; level < 4; level++) {
		tables[level] = pages_alloc(1);
		if (!tables[level])
			return false;
		if (level)
			pv_alloc_pt(virt_to_pfn(tables[level]).v, level);
	}
	return true;
}

/* From the top down, as a table is linked that is being used; each level by its own operation. */
static void link_tables(uint64_t **tables)
{
	pv_set_pgd(&mm_top[pt_index(UNUSED_VA, 4)], entry_of(tables[3], mm_flags.table));
	pv_set_pud(&tables[3][pt_index(UNUSED_VA, 3)], entry_of(tables[2], mm_flags.table));
	pv_set_pmd(&tables[2][pt_index(UNUSED_VA, 2)], entry_of(tables[1], mm_flags.table));
	pv_set_pte(&tables[1][pt_index(UNUSED_VA, 1)], entry_of(tables[0], entry_flags()));
}

/* The same way back: what is released must not be a table of anybody's. */
static void unlink_tables(uint64_t **tables)
{
	pv_set_pte(&tables[1][pt_index(UNUSED_VA, 1)], 0);
	pv_set_pmd(&tables[2][pt_index(UNUSED_VA, 2)], 0);
	pv_set_pud(&tables[3][pt_index(UNUSED_VA, 3)], 0);
	pv_set_pgd(&mm_top[pt_index(UNUSED_VA, 4)], 0);
	pv_flush_tlb_kernel();
	for (unsigned level = 0; level < 4; level++) {
		if (level)
			pv_release_pt(virt_to_pfn(tables[level]).v, level);
		pages_free(tables[level], 1);
	}
}

static const char *levels(void)
{
	volatile uint64_t *va = (volatile uint64_t *)UNUSED_VA;
	size_t free = pages_free_count();
	uint64_t *tables[4];

	WANT(!mm_readable((void *)UNUSED_VA, 1));
	WANT(take_tables(tables));
	link_tables(tables);
	*va = 0xf00d;
	WANT(*tables[0] == 0xf00d);
	WANT(virt_to_maddr((void *)UNUSED_VA).v == virt_to_maddr(tables[0]).v);
	unlink_tables(tables);
	WANT(selftest_write_faults(va));
	WANT(!mm_readable((void *)UNUSED_VA, 1));
	WANT(pages_free_count() == free);
	return NULL;
}

/* A page that was a table is written to again by its next owner. */
static const char *released(void)
{
	uint64_t *page = pages_alloc(1);

	WANT(page);
	pv_alloc_pt(virt_to_pfn(page).v, 1);
	pv_release_pt(virt_to_pfn(page).v, 1);
	*(volatile uint64_t *)page = 1;
	pages_free(page, 1);
	return NULL;
}

static const struct selftest tests[] = {
    {"tables: values to entries and back", values},
    {"tables: one page remapped", remap_one},
    {"tables: many pages remapped", remap_many},
    {"tables: made at every level", levels},
    {"tables: released", released},
};
const struct selftest_room selftest_tables = {tests, ARRAY_SIZE(tests)};
