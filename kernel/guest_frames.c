/* guest_frames.c: the numbers for frames of others in a PVH domain's physical memory.
 *
 * See guest_frames.h for who calls. Reads the loader's memory map, sets leaves through map_frames(). The
 * numbers begin above 4 GiB and above every range of the map, memory or not: below, a hole that nobody
 * speaks of may hold an APIC. Where the map reaches to the end of the processor's physical addresses (a
 * range that AMD reserves below 1 TiB), they lie as high as they can. Ballooned memory would do as well,
 * but a small domain has none to spare.
 */
#include "guest_frames.h"

#include <limits.h>

#include <amphi/grant.h>
#include <amphi/pvops.h>

#include "boot.h"
#include "mm.h"
#include "panic.h"

#define LEAF_HIGHEST 0x80000000u
#define LEAF_WIDTHS  0x80000008u /* eax bits 0 to 7: of physical addresses */
#define LEAST        (1ull << (32 - PAGE_SHIFT))
#define LARGE        (ALIGN_TO * PAGE_SIZE)
#define ALIGN_TO     512u /* a table of their own: what Xen splits for them is nobody else's */

static uint64_t first;

/* One number for each page of the windows: no list of free ones, for a window in use has its
 * number. */
pfn_t guest_frame_of(const void *va)
{
	uint64_t page = ((uint64_t)(uintptr_t)va - VMAP_BASE) >> PAGE_SHIFT;

	KASSERT(first && page < VMAP_PAGES);
	return (pfn_t){first + page};
}

/* Xen has put the foreign frame at that number already; this makes the window lead there. */
void guest_frame_enter(void *va, bool readonly)
{
	mfn_t frame = {guest_frame_of(va).v};

	if (map_frames(va, &frame, 1, readonly ? MM_READ : MM_WRITE, DOMID_SELF))
		panic("a window at %p cannot be mapped", va);
}

void guest_frame_leave(void *va)
{
	unmap_frames(va, 1);
}

static uint64_t frame_address(const void *va)
{
	return guest_frame_of(va).v << PAGE_SHIFT;
}

static const struct grant_places places = {frame_address, guest_frame_enter, guest_frame_leave};

/* Of physical addresses, exclusive (SDM vol. 3, "Determining the maximum physical address width"). A bit
 * above it in an entry faults. */
static uint64_t address_end(void)
{
	uint32_t regs[4] = {LEAF_HIGHEST};

	pv_cpuid(regs);
	if (regs[0] < LEAF_WIDTHS)
		return 1ull << 36 >> PAGE_SHIFT;
	regs[0] = LEAF_WIDTHS;
	regs[2] = 0;
	pv_cpuid(regs);
	return 1ull << MIN(MAX(regs[0] & 0xff, 32), 52) >> PAGE_SHIFT;
}

static bool meets(const struct boot_range *r, uint64_t pfn)
{
	return r->start >> PAGE_SHIFT < pfn + VMAP_PAGES &&
	       PAGES_FOR(r->start + r->size_bytes) > pfn;
}

/* The last numbers below end, on a table's boundary. */
static uint64_t below(uint64_t end)
{
	end = end / ALIGN_TO * ALIGN_TO;
	if (end < LEAST + VMAP_PAGES)
		panic("no physical addresses are left for grants");
	return end - VMAP_PAGES;
}

/* From the top down, past every range in the way: each step leaves one behind for good. */
static uint64_t highest_gap(uint64_t end)
{
	uint64_t pfn = below(end);

	for (unsigned i = 0; i < boot.n_ranges; i++)
		if (meets(&boot.ranges[i], pfn)) {
			pfn = below(boot.ranges[i].start >> PAGE_SHIFT);
			i = UINT_MAX; /* from the first again */
		}
	return pfn;
}

void guest_frames_init(void)
{
	uint64_t end = address_end();

	first = LEAST;
	for (unsigned i = 0; i < boot.n_ranges; i++)
		first = MAX(first, PAGES_FOR(boot.ranges[i].start + boot.ranges[i].size_bytes));
	first = ROUND_UP(first, ALIGN_TO);
	if (first + VMAP_PAGES > end)
		first = highest_gap(end);
	grant_set_places(&places);
}
