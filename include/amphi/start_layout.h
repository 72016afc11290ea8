/* start_layout.h: where everything of a new domain lies before its first instruction.
 *
 * Both sides: who builds a domain calls (control/ for guests, the hypervisor for the first one), and
 * writes what this tells; lib/start_layout.c computes. The numbering is the domain's own: pfn 0 is
 * mapped at virt_base, and all that is below end_pfn is mapped one to one above it. Order as
 * xen/xen.h ("start of day") gives it. Pure.
 */
#ifndef AMPHI_START_LAYOUT_H
#define AMPHI_START_LAYOUT_H

#include <amphi/types.h>
#include <amphi/xen.h>

#define PTE_PRESENT  0x001ull
#define PTE_WRITE    0x002ull
#define PTE_USER     0x004ull
#define PTE_ACCESSED 0x020ull
#define PTE_DIRTY    0x040ull
#define PTES         512u

struct start_layout {
	/* IN */
	uint64_t virt_base;
	uint64_t kernel_end_paddr; /* exclusive, counted from pfn 0 */
	uint64_t ramdisk_bytes;
	uint64_t pages; /* of the whole domain */
	bool no_rings;  /* the first domain has no pages for store and console */
	/* OUT: first page of each, in ascending order */
	uint64_t ramdisk_pfn, p2m_pfn, start_info_pfn, store_pfn, console_pfn;
	uint64_t tables_pfn, stack_pfn;
	uint64_t end_pfn;     /* exclusive: end of what is mapped */
	unsigned n_tables;    /* in all: the L4 first, then L3s, L2s, L1s */
	unsigned n_level[5];  /* tables of level 1..4 */
	uint64_t needs_pages; /* what the domain must have at least */
};

/* False when pages < needs_pages (which is then told), or else when virt_base is no place for a
 * guest's mapping of that size. */
bool layout_plan(struct start_layout *layout);

static inline uint64_t layout_va(const struct start_layout *l, uint64_t pfn)
{
	return l->virt_base + (pfn << PAGE_SHIFT);
}

/* Which table the frame tables_pfn + number is. */
void layout_table(const struct start_layout *l, unsigned number, unsigned *out_level,
		  unsigned *out_index);

/* Entry `slot` of table `index` of `level`: the pfn it points at, and its flags. False: it is
 * empty. */
bool layout_entry(const struct start_layout *l, unsigned level, unsigned index, unsigned slot,
		  uint64_t *out_pfn, uint64_t *out_flags);

/* Fill, in memory that is zero, what the layout says of the start info (rings, shared info and flags
 * are the builder's) and of the first vCPU, which begins at entry (cr3 is the builder's). cmdline is
 * cut to what fits. */
void layout_start_info(const struct start_layout *l, const char *cmdline, struct start_info *out);
void layout_context(const struct start_layout *l, uint64_t entry, struct vcpu_guest_context *out);

#endif
