/* builder_layout.c: computes where a new domain's parts lie and what its first page tables say.
 *
 * Pure arithmetic: no memory is touched, so the whole of it is tested on the host. Not a page-table
 * walker: it knows only one-to-one mappings from virt_base on. Caller: domain_builder.c. Calls
 * nothing.
 */
#include "builder_layout.h"

/* Kernels may count on this much mapped memory after the last part. */
#define PADDING_PAGES (512u * 1024 / PAGE_SIZE)
/* The mapping ends on a border of so many pages, where the domain has them. */
#define END_ALIGN_PAGES (4u * 1024 * 1024 / PAGE_SIZE)

/* A guest's own addresses: below the canonical gap, or above the hypervisor's hole. */
#define LOWER_END   0x00007fffffffffffull
#define UPPER_START 0xffff880000000000ull
#define MAX_PAGES   (1ull << 36)

/* One entry of a table of this level spans 1 << entry_shift bytes. */
static unsigned entry_shift(unsigned level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

/* The numbers, counted over the whole address space, of the first and last entry in use. */
static uint64_t first_entry(const struct build_layout *l, unsigned level)
{
	return l->virt_base >> entry_shift(level);
}
static uint64_t last_entry(const struct build_layout *l, unsigned level)
{
	return (l->virt_base + (l->end_pfn << PAGE_SHIFT) - 1) >> entry_shift(level);
}

static unsigned count_tables(struct build_layout *l)
{
	unsigned n = 0;

	for (unsigned level = 1; level <= 4; level++) {
		l->n_level[level] =
		    (unsigned)((last_entry(l, level) >> 9) - (first_entry(l, level) >> 9) + 1);
		n += l->n_level[level];
	}
	return n;
}

/* Places all parts, given room for n_tables tables. */
static void place(struct build_layout *l)
{
	uint64_t pfn = PAGES_FOR(l->kernel_end_paddr);

	l->ramdisk_pfn = pfn;
	pfn += PAGES_FOR(l->ramdisk_bytes);
	l->p2m_pfn = pfn;
	pfn += PAGES_FOR(l->pages * sizeof(uint64_t));
	l->start_info_pfn = pfn++;
	l->store_pfn = pfn++;
	l->console_pfn = pfn++;
	l->tables_pfn = pfn;
	pfn += l->n_tables;
	l->stack_pfn = pfn++;
	l->needs_pages = pfn + PADDING_PAGES;
	l->end_pfn = ROUND_UP(l->needs_pages, END_ALIGN_PAGES);
	/* A small domain has less than the border: then all of it is mapped. */
	if (l->end_pfn > l->pages)
		l->end_pfn = MAX(l->pages, l->needs_pages);
}

/* Whether all that is mapped lies in the guest's half of the canonical addresses, outside the
 * hypervisor's hole, and does not wrap. */
static bool addresses_good(const struct build_layout *l)
{
	uint64_t start = l->virt_base, end = start + (l->end_pfn << PAGE_SHIFT) - 1;

	if (l->end_pfn > MAX_PAGES || end < start)
		return false;
	return end <= LOWER_END || start >= UPPER_START;
}

bool layout_plan(struct build_layout *l)
{
	/* The tables lie in what they map: more tables, more to map. A round adds at least one
	 * table, which is room for 512 pages more, so few rounds are needed. */
	l->n_tables = 4;
	for (;;) {
		unsigned n;

		place(l);
		if (!addresses_good(l))
			return false;
		n = count_tables(l);
		if (n == l->n_tables)
			return l->pages >= l->needs_pages;
		l->n_tables = n;
	}
}

/* The first table of a level: the L4, then L3s, L2s, L1s. */
static unsigned first_table(const struct build_layout *l, unsigned level)
{
	unsigned n = 0;

	for (unsigned above = 4; above > level; above--)
		n += l->n_level[above];
	return n;
}

void layout_table(const struct build_layout *l, unsigned number, unsigned *out_level,
		  unsigned *out_index)
{
	unsigned level = 4;

	while (level > 1 && number >= l->n_level[level])
		number -= l->n_level[level--];
	*out_level = level;
	*out_index = number;
}

static bool is_table(const struct build_layout *l, uint64_t pfn)
{
	return pfn >= l->tables_pfn && pfn < l->tables_pfn + l->n_tables;
}

bool layout_entry(const struct build_layout *l, unsigned level, unsigned index, unsigned slot,
		  uint64_t *out_pfn, uint64_t *out_flags)
{
	uint64_t first = first_entry(l, level), last = last_entry(l, level);
	uint64_t entry = ((first >> 9) + index) << 9 | slot;

	if (entry < first || entry > last)
		return false;
	*out_flags = PTE_PRESENT | PTE_USER | PTE_ACCESSED;
	if (level > 1) {
		*out_pfn = l->tables_pfn + first_table(l, level - 1) + (entry - first);
		*out_flags |= PTE_WRITE | PTE_DIRTY;
		return true;
	}
	*out_pfn = entry - first;
	/* Page tables are the domain's to read; it changes them through the hypervisor. */
	if (!is_table(l, *out_pfn))
		*out_flags |= PTE_WRITE | PTE_DIRTY;
	return true;
}
