/* pte.h: the bits of a page-table entry, and how an address splits into indices.
 *
 * Used by everyone who builds or reads tables: mm, dom0.c, the boot code's C side. No state, no
 * calls. Intel SDM volume 3A, section 4.5; what a guest may set is decided in pte.c.
 */
#ifndef HV_PTE_H
#define HV_PTE_H

#include <amphi/types.h>

#define PTE_PRESENT  0x001ull
#define PTE_RW       0x002ull
#define PTE_USER     0x004ull
#define PTE_PWT      0x008ull
#define PTE_PCD      0x010ull
#define PTE_ACCESSED 0x020ull
#define PTE_DIRTY    0x040ull
#define PTE_PSE      0x080ull /* L2, L3: superpage */
#define PTE_PAT      0x080ull /* L1 */
#define PTE_GLOBAL   0x100ull
#define PTE_NX       (1ull << 63)

/* Bits 12 to 51 hold the frame. */
#define PTE_FRAME_MASK 0x000ffffffffff000ull

#define PT_ENTRIES 512u

static inline mfn_t pte_mfn(uint64_t pte)
{
	return (mfn_t){(pte & PTE_FRAME_MASK) >> PAGE_SHIFT};
}
static inline uint64_t pte_make(mfn_t mfn, uint64_t flags)
{
	return (mfn.v << PAGE_SHIFT) | flags;
}

/* The index of va in its table of the given level, 1 to 4. */
static inline unsigned pt_index(uint64_t va, unsigned level)
{
	return (unsigned)(va >> (PAGE_SHIFT + 9 * (level - 1))) & (PT_ENTRIES - 1);
}

#endif
