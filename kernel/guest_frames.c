/* guest_frames.c: the numbers for frames of others in a PVH domain's physical memory.
 *
 * See guest_frames.h for who calls. Reads the loader's memory map, sets leaves through map_frames(). The
 * numbers begin above 4 GiB and above every range of the map, memory or not: below, a hole that nobody
 * speaks of may hold an APIC. Ballooned memory would do as well, but a small domain has none to spare.
 */
#include "guest_frames.h"

#include <amphi/grant.h>

#include "boot.h"
#include "mm.h"
#include "panic.h"

#define LEAST    (1ull << (32 - PAGE_SHIFT))
#define ALIGN_TO 512u /* a table of their own: what Xen splits for them is nobody else's */

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

void guest_frames_init(void)
{
	first = LEAST;
	for (unsigned i = 0; i < boot.n_ranges; i++)
		first = MAX(first, PAGES_FOR(boot.ranges[i].start + boot.ranges[i].size_bytes));
	first = ROUND_UP(first, ALIGN_TO);
	grant_set_places(&places);
}
