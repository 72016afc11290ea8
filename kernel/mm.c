/* mm.c: the page allocator and the translation of addresses.
 *
 * Pages are bits over our own frame numbers; mm_native.c and mm_xen.c give the free ones at start.
 * Callers: all of kernel/. Small memory is heap.c, windows are vmap.c, entries of tables mm_walk.c.
 * On PV a pfn's frame is in the p2m list, and the hypervisor's m2p tells the way back.
 */
#include <amphi/string.h>

#include "mm_parts.h"
#include "page_bitmap.h"
#include "panic.h"
#include "trap.h"

#define DMA32_END (1ull << (32 - PAGE_SHIFT))

#define M2P_BASE ((const uint64_t *)0xffff800000000000ull) /* MACH2PHYS_VIRT_START of the PV ABI */

/* NULL natively and in PVH domains, where our frame numbers are the machine's as far as we can
 * see. */
uint64_t *mm_p2m_list;
size_t mm_p2m_entries;
/* Every page the loader told of has a bit; those never given (image, tables, firmware) stay used
 * for ever. */
static struct page_bitmap pages;
static size_t total_pages;

size_t mm_bitmap_pages(size_t n_pages)
{
	return PAGES_FOR(DIV_ROUND_UP(n_pages, 64) * 8);
}

void mm_start(void *bitmap, size_t n_pages)
{
	page_bitmap_init(&pages, bitmap, n_pages);
	/* Many devices reach 4 GiB and no more. In a PV domain our numbers say nothing of that. */
	if (!mm_p2m_list && n_pages > DMA32_END)
		pages.low_end = pages.hint = DMA32_END;
}

void mm_count_used(size_t n_pages)
{
	total_pages += n_pages;
}

/* At start only. Two owners of a page are found here and not by their fight over it. */
void mm_give(uint64_t first_pfn, uint64_t n_pages)
{
	if (!page_bitmap_release(&pages, first_pfn, n_pages))
		panic("pages %llx+%llx given twice", (unsigned long long)first_pfn,
		      (unsigned long long)n_pages);
	total_pages += n_pages;
}

/* Zeroed without exception: pages are granted to other domains, mapped by programs and made into
 * page tables, and none of these may see what was there before. */
static void *zeroed(size_t first, unsigned n)
{
	void *va;

	if (first == PAGE_BITMAP_NONE)
		return NULL;
	va = pfn_to_virt((pfn_t){first});
	memset(va, 0, n * PAGE_SIZE);
	return va;
}

void *pages_alloc(unsigned n)
{
	return zeroed(n ? page_bitmap_alloc(&pages, n) : PAGE_BITMAP_NONE, n);
}

void *pages_alloc_low(unsigned n, unsigned align, uint64_t end)
{
	return zeroed(page_bitmap_alloc_low(&pages, n, align, end), n);
}

uint64_t pages_end(void)
{
	return pages.n_pages;
}

/* The bitmap finds a double free and a wrong count in part: pages that are free already. Both
 * are our bugs. */
void pages_free(void *va, unsigned n)
{
	uint64_t first = ((uint64_t)(uintptr_t)va - DIRECT_BASE) >> PAGE_SHIFT;

	if (!va)
		return;
	if ((uintptr_t)va % PAGE_SIZE || !page_bitmap_release(&pages, first, n))
		panic("%u pages at %p freed that are not in use", n, va);
}

size_t pages_free_count(void)
{
	return pages.n_free;
}

size_t pages_total_count(void)
{
	return total_pages;
}

/* ---- addresses ---------------------------------------------------------------------- */

static bool in_direct_map(uint64_t va)
{
	return va >= DIRECT_BASE && va < DIRECT_END;
}

/* Arithmetic: for the direct map and the image only. A window's address has no frame of ours
 * behind it. */
pfn_t virt_to_pfn(const void *va)
{
	uint64_t a = (uint64_t)(uintptr_t)va;

	return (pfn_t){(a - (in_direct_map(a) ? DIRECT_BASE : KERNEL_BASE)) >> PAGE_SHIFT};
}

/* Bounded, because the numbers may be those of a damaged pointer in the middle of a panic. */
mfn_t pfn_to_mfn(pfn_t pfn)
{
	if (!mm_p2m_list)
		return (mfn_t){pfn.v};
	return pfn.v < mm_p2m_entries ? (mfn_t){mm_p2m_list[pfn.v]} : MFN_NONE;
}

/* The m2p has holes where the machine has no memory. */
pfn_t mm_machine_number(mfn_t mfn)
{
	uint64_t pfn;

	if (!mm_p2m_list || mfn.v >= 1ull << 34 || !trap_safe_read64(M2P_BASE + mfn.v, &pfn))
		return (pfn_t){~0ull};
	return (pfn_t){pfn};
}

/* And it has entries of other domains: only one that our own list confirms is ours. */
pfn_t mfn_to_pfn(mfn_t mfn)
{
	uint64_t pfn;

	if (!mm_p2m_list)
		return (pfn_t){mfn.v};
	pfn = mm_machine_number(mfn).v;
	if (pfn >= mm_p2m_entries || mm_p2m_list[pfn] != mfn.v)
		return (pfn_t){~0ull};
	return (pfn_t){pfn};
}

/* A window is looked up in the tables, whose entries hold the machine's frames already; in the
 * direct map the tables would say the same, but arithmetic is what works before mm_top is set. */
maddr_t virt_to_maddr(const void *va)
{
	uint64_t a = (uint64_t)(uintptr_t)va, size, *entry;
	unsigned level;

	if (in_direct_map(a) || a >= KERNEL_BASE)
		return (maddr_t){pfn_to_mfn(virt_to_pfn(va)).v << PAGE_SHIFT |
				 (a & (PAGE_SIZE - 1))};
	entry = mm_walk(a, &level);
	if (!entry || !(*entry & PTE_PRESENT))
		return (maddr_t){~0ull};
	size = PAGE_SIZE << 9 * (level - 1);
	return (maddr_t){(*entry & PTE_FRAME & ~(size - 1)) | (a & (size - 1))};
}
