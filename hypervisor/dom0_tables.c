/* dom0_tables.c: the first domain's first page tables.
 *
 * Called by dom0.c. The tables lie in the domain's own frames and are written through the direct
 * map before anybody runs on them; mm then checks them like any other guest's (mm_set_boot_root),
 * which is also why the tables themselves are mapped read-only.
 */
#include "dom0.h"

#define PTE_TABLE    0x67ull /* present, writable, user, accessed, dirty */
#define PTE_READONLY 0x65ull
#define PTE_PRESENT  0x1ull
#define PTE_ADDRESS  0x000ffffffffff000ull

/* Tables of one level that cover [from, to): one per 2^shift bytes touched. */
static uint64_t covering(uint64_t from, uint64_t to, unsigned shift)
{
	return ((to - 1) >> shift) - (from >> shift) + 1;
}

uint64_t dom0_tables_needed(uint64_t virt_base, uint64_t end_pfn)
{
	uint64_t end = virt_base + end_pfn * PAGE_SIZE;

	return 1 + covering(virt_base, end, 39) + covering(virt_base, end, 30) +
	       covering(virt_base, end, 21);
}

static uint64_t new_table(struct dom0_plan *plan)
{
	return *dom0_entry(plan, plan->tables_pfn + plan->tables_used++);
}

/* The table below entry, which is made when it is not there. */
static uint64_t *next_table(struct dom0_plan *plan, uint64_t *entry)
{
	if ((*entry & PTE_PRESENT) == 0)
		*entry = new_table(plan) << PAGE_SHIFT | PTE_TABLE;
	return mfn_to_virt((mfn_t){(*entry & PTE_ADDRESS) >> PAGE_SHIFT});
}

static bool is_table_pfn(const struct dom0_plan *plan, uint64_t pfn)
{
	return pfn >= plan->tables_pfn && pfn < plan->tables_pfn + plan->n_tables;
}

static void map_page(struct dom0_plan *plan, uint64_t *top, uint64_t pfn)
{
	uint64_t va = plan->notes.virt_base + pfn * PAGE_SIZE;
	uint64_t *table = top;

	for (unsigned shift = 39; shift > PAGE_SHIFT; shift -= 9)
		table = next_table(plan, &table[va >> shift & 511]);
	table[va >> PAGE_SHIFT & 511] = *dom0_entry(plan, pfn) << PAGE_SHIFT |
					(is_table_pfn(plan, pfn) ? PTE_READONLY : PTE_TABLE);
}

mfn_t dom0_tables_build(struct dom0_plan *plan)
{
	mfn_t top = {new_table(plan)};

	for (uint64_t pfn = 0; pfn < plan->end_pfn; pfn++)
		map_page(plan, mfn_to_virt(top), pfn);
	return top;
}
