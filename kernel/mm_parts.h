/* mm_parts.h: what the files of kernel/mm*.c (and boot.c) tell each other. Private to them.
 *
 * mm.c holds the allocator's state, mm_native.c and mm_xen.c fill it at start, mm_walk.c finds entries
 * of page tables, vmap.c hands out windows. Entries are the machine's: frames in them are mfns.
 */
#ifndef KERNEL_MM_PARTS_H
#define KERNEL_MM_PARTS_H

#include <amphi/hypercall.h>
#include <amphi/pvops.h>

#include "host_iospace.h"
#include "mm.h"

#define PTE_PRESENT  0x001ull
#define PTE_WRITE    0x002ull
#define PTE_USER     0x004ull
#define PTE_WT       0x008ull
#define PTE_UNCACHED 0x010ull
#define PTE_ACCESSED 0x020ull
#define PTE_DIRTY    0x040ull
#define PTE_LARGE    0x080ull
#define PTE_PAT      0x080ull /* of a page's entry: choose from the upper half of the PAT */
#define PTE_NX       (1ull << 63)
#define PTE_FRAME    0x000ffffffffff000ull
#define PT_ENTRIES   512u

/* Which entry of a table of this level (1: of pages) leads to va. */
static inline unsigned pt_index(uint64_t va, unsigned level)
{
	return va >> (PAGE_SHIFT + 9 * (level - 1)) & (PT_ENTRIES - 1);
}

/* The page that an entry names, which can be none but our own. */
static inline void *page_of_entry(uint64_t entry)
{
	return (char *)DIRECT_BASE + pv_pte_val(entry, PTE_FRAME);
}

/* The linker's marks, kernel.lds; a host test has none and says where they would be. */
#ifdef AMPHI_HOST_TEST
extern char *image_start, *text_start, *text_end, *rodata_start, *rodata_end, *data_start, *bss_end,
    *image_end;
#else
extern char image_start[], text_start[], text_end[], rodata_start[], rodata_end[], data_start[],
    bss_end[], image_end[];
#endif

static inline uint64_t image_pfn(const char *mark)
{
	return ((uint64_t)(uintptr_t)mark - KERNEL_BASE) >> PAGE_SHIFT;
}

/* What this platform wants in every leaf and every table entry, and PTE_NX or 0. */
struct mm_flags {
	uint64_t leaf, table, no_execute;
};
extern struct mm_flags mm_flags;

/* Sets no_execute from what the processor says. */
void mm_find_nx(void);

/* The p2m list; NULL natively. Entries of it. */
extern uint64_t *mm_p2m_list;
extern size_t mm_p2m_entries;

/* The allocator begins empty over pfns [0, n_pages), with its bits at bitmap (mm_bitmap_pages(n) pages,
 * zeroed); then gets pages, each once. */
size_t mm_bitmap_pages(size_t n_pages);
void mm_start(void *bitmap, size_t n_pages);
void mm_give(uint64_t first_pfn, uint64_t n_pages);
/* Pages that are used from the start and never given. */
void mm_count_used(size_t n_pages);

/* The top table, in the direct map; set once by mm_init_*. */
extern uint64_t *mm_top;

/* The entry that maps va, at its level (1: page, 2: 2 MiB, 3: 1 GiB), or NULL. */
uint64_t *mm_walk(uint64_t va, unsigned *out_level);

/* The leaf entry of va, making the tables down to it. NULL: no memory. */
uint64_t *mm_leaf(uint64_t va);

/* PV: tells the toolstack, in the shared page, where the p2m list is. At start and after each resume. */
void mm_xen_tell_p2m(void);

/* PV: the page's mapping in the direct map becomes read-only, or writable again. */
void mm_make_readonly(pfn_t pfn, bool readonly);
void mm_direct_entry(pfn_t pfn, bool readonly, uint64_t *out_va, uint64_t *out_entry);
/* PV: a page of ours leaves the direct map, its one mapping, and no device has it any more; or comes back with the frame that the p2m list has for it. */
static inline int mm_direct_take(pfn_t pfn)
{
	iospace_drain();
	return (int)hypercall_update_va_mapping((uint64_t)(uintptr_t)pfn_to_virt(pfn), 0,
						UVMF_INVLPG | UVMF_ALL);
}
static inline int mm_direct_give(pfn_t pfn)
{
	uint64_t va, entry;

	mm_direct_entry(pfn, false, &va, &entry);
	return (int)hypercall_update_va_mapping(va, entry, UVMF_INVLPG | UVMF_ALL);
}

#endif
