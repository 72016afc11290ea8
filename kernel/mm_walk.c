/* mm_walk.c: finds and makes entries of the page tables.
 *
 * Tables are reached through the direct map, where on PV they are read-only; entries are set by pvops.
 * Called by mm.c, vmap.c and panic (mm_readable). An entry's frame is the machine's; on PV it is turned
 * into ours by the m2p, with care, because a walk may be made in the middle of a panic.
 */
#include <amphi/pvops.h>

#include "mm_parts.h"
#include "trap.h"

#define LEVELS 4u

/* mm_top is NULL until memory is up; a walk then finds nothing, which a panic that early relies
 * on. */
uint64_t *mm_top;
struct mm_flags mm_flags;

/* Asked, not assumed: a processor without it takes the bit for a reserved one, and every use of
 * an entry that has it set would fault. */
void mm_find_nx(void)
{
	uint32_t regs[4] = {0x80000001};

	pv_cpuid(regs);
	mm_flags.no_execute = regs[3] & 1u << 20 ? PTE_NX : 0;
}

/* The table an entry leads to, or NULL when it leads to none of ours. */
static uint64_t *table_of(uint64_t entry)
{
	pfn_t pfn = mfn_to_pfn((mfn_t){(entry & PTE_FRAME) >> PAGE_SHIFT});

	return pfn.v == ~0ull ? NULL : pfn_to_virt(pfn);
}

/* Otherwise bits 48 to 63 would be dropped by pt_index(), and a wild address be read as a good
 * one. */
static bool is_canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

/* Changes nothing and follows only tables that are our own memory, so that a panic may call it
 * with any address. Present or not, a leaf's entry is returned: callers look at the bit
 * themselves. */
uint64_t *mm_walk(uint64_t va, unsigned *out_level)
{
	uint64_t *table = mm_top;

	if (!table || !is_canonical(va))
		return NULL;
	for (unsigned level = LEVELS; table; level--) {
		uint64_t *entry = &table[pt_index(va, level)];

		if (level == 1 || (*entry & PTE_PRESENT && *entry & PTE_LARGE)) {
			*out_level = level;
			return entry;
		}
		table = *entry & PTE_PRESENT ? table_of(*entry) : NULL;
	}
	return NULL;
}

/* The levels have their own operations, that a platform may treat them apart. */
static void set_table(uint64_t *entry, uint64_t value, unsigned level)
{
	if (level == 4)
		pv_set_pgd(entry, value);
	else if (level == 3)
		pv_set_pud(entry, value);
	else
		pv_set_pmd(entry, value);
}

/* First the right to write goes (pv_alloc_pt), then the page is linked: a hypervisor refuses a
 * table that is writable anywhere. Zeroed by the allocator, it has no entries that could
 * surprise it. Rare, and out of the way of the walk. */
static __attribute__((noinline)) uint64_t *make_table(uint64_t *entry, unsigned level)
{
	uint64_t *table = pages_alloc(1);

	if (!table)
		return NULL;
	pv_lazy_mode_enter();
	pv_alloc_pt(virt_to_pfn(table).v, level - 1);
	set_table(entry, pv_make_pte(virt_to_pfn(table).v << PAGE_SHIFT, mm_flags.table), level);
	pv_lazy_mode_leave();
	return table;
}

/* Makes what is missing. For windows only: it would take a large page's entry for a table. */
uint64_t *mm_leaf(uint64_t va)
{
	uint64_t *table = mm_top;

	for (unsigned level = LEVELS; level > 1 && table; level--) {
		uint64_t *entry = &table[pt_index(va, level)];

		table = *entry & PTE_PRESENT ? page_of_entry(*entry) : make_table(entry, level);
	}
	return table ? &table[pt_index(va, 1)] : NULL;
}

/* For panic, which prints what pointers lead to and must not fault again while it does. */
bool mm_readable(const void *va, size_t len_bytes)
{
	uint64_t a = (uint64_t)(uintptr_t)va, end = a + len_bytes, *entry;
	unsigned level;

	if (end < a)
		return false;
	for (a &= PAGE_MASK; a < end; a += PAGE_SIZE) {
		entry = mm_walk(a, &level);
		if (!entry || !(*entry & PTE_PRESENT))
			return false;
	}
	return true;
}
