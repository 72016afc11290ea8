/* vmap.c: windows of address space for frames that are not in the direct map: devices, firmware, and
 * pages of other domains.
 *
 * Called by machine.c, host_grant.c, the builder and boot. A window has its tables from the moment it is
 * reserved, because grants are mapped by address and the hypervisor wants the leaf table to be there.
 * Tables are kept when a window is released; there are at most VMAP_PAGES / 512 of them.
 */
#include <amphi/pvops.h>

#include "boot.h"
#include "kernel_lock.h"
#include "mm_parts.h"
#include "page_bitmap.h"
#include "panic.h"

#define BATCH 64u

/* One bit a page, in bss: reserving a window must not need memory for itself. */
static uint64_t words[VMAP_PAGES / 64];
static struct page_bitmap windows;

static uint64_t window_va(size_t page)
{
	return VMAP_BASE + page * PAGE_SIZE;
}

/* One call per table and not per page: the first page, and each that begins a table. */
static bool make_leaves(size_t first, unsigned n)
{
	for (size_t page = first; page < first + n; page++)
		if ((page == first || page % PT_ENTRIES == 0) && !mm_leaf(window_va(page)))
			return false;
	return true;
}

/* A window whose tables cannot all be made is given back; the tables that were made stay for the
 * next one. */
void *vmap_reserve(unsigned n)
{
	size_t first;

	if (!windows.n_pages) {
		page_bitmap_init(&windows, words, VMAP_PAGES);
		page_bitmap_release(&windows, 0, VMAP_PAGES);
	}
	first = n ? page_bitmap_alloc(&windows, n) : PAGE_BITMAP_NONE;
	if (first == PAGE_BITMAP_NONE)
		return NULL;
	if (!make_leaves(first, n)) {
		page_bitmap_release(&windows, first, n);
		return NULL;
	}
	return (void *)window_va(first);
}

/* The caller has unmapped it. Stale entries would show the next user somebody else's memory. */
void vmap_release(void *va, unsigned n)
{
	if (!va)
		return;
	if (!page_bitmap_release(&windows, ((uint64_t)(uintptr_t)va - VMAP_BASE) >> PAGE_SHIFT, n))
		panic("a window of %u pages at %p released that is not in use", n, va);
}

/* Never executable: what comes in through a window is devices' and other domains'. Both cache
 * bits together are entry 3 of the PAT: uncached after reset and on Xen, which has changed only
 * higher ones. Entry 4 is write-combining on Xen and where mm_init_native() could make it so; elsewhere it is
 * write-back, which the firmware's MTRRs overrule for devices. */
static uint64_t entry_for(mfn_t mfn, unsigned prot)
{
	uint64_t flags = mm_flags.leaf | mm_flags.no_execute;

	if (prot & MM_WRITE)
		flags |= PTE_WRITE;
	if (prot & MM_COMBINE)
		flags |= PTE_PAT;
	if (prot & MM_UNCACHED)
		flags |= PTE_UNCACHED | PTE_WT;
	return mfn.v << PAGE_SHIFT | flags;
}

/* How many of n pages from va on have their entries in one table. */
static unsigned in_one_table(uint64_t va, unsigned n)
{
	return MIN(n, PT_ENTRIES - pt_index(va, 1));
}

static uint64_t *leaf_at(uint64_t va)
{
	uint64_t *leaf = mm_leaf(va);

	KASSERT(leaf);
	return leaf;
}

/* At most BATCH leaves from va on, in one table. */
static int set_leaves(uint64_t va, const mfn_t *mfns, unsigned n, unsigned prot, domid_t owner)
{
	uint64_t values[BATCH];

	for (unsigned i = 0; i < n; i++)
		values[i] = entry_for(mfns[i], prot);
	return pv_set_ptes(leaf_at(va), values, n, owner);
}

/* All or nothing. Entries that were never set are cleared too; that is harmless, and saves a
 * count. */
int map_frames(void *va, const mfn_t *mfns, unsigned n, unsigned prot, domid_t owner)
{
	uint64_t at = (uint64_t)(uintptr_t)va;
	int err = 0;

	for (unsigned done = 0, step; done < n && !err; done += step, at += step * PAGE_SIZE) {
		step = MIN(in_one_table(at, n - done), BATCH);
		err = set_leaves(at, mfns + done, step, prot, owner);
	}
	if (err)
		unmap_frames(va, n);
	return err;
}

static void clear_leaves(uint64_t *leaf, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pv_set_pte(&leaf[i], 0);
}

/* A refusal here would leave a foreign page in our tables, that its owner may hand to someone
 * else: it ends the kernel. The TLB is flushed once at the end: nobody uses the addresses between. All of it goes
 * out together; no table is made meanwhile, since a window has its own. */
void unmap_frames(void *va, unsigned n)
{
	uint64_t at = (uint64_t)(uintptr_t)va;

	pv_lazy_mode_enter();
	for (unsigned done = 0, step; done < n; done += step) {
		step = in_one_table(at + done * PAGE_SIZE, n - done);
		clear_leaves(leaf_at(at + done * PAGE_SIZE), step);
	}
	if (n == 1)
		pv_flush_tlb_one(at);
	else
		pv_flush_tlb_kernel();
	pv_lazy_mode_leave();
	kernel_tlb_changed();
}

/* Device memory is nobody's: on PV it is mapped in the name of DOMID_IO. */
void *map_io(maddr_t start, size_t len_bytes, unsigned prot)
{
	uint64_t offset = start.v & (PAGE_SIZE - 1);
	unsigned n = (unsigned)PAGES_FOR(offset + len_bytes);
	char *va = len_bytes && len_bytes < VMAP_PAGES * PAGE_SIZE ? vmap_reserve(n) : NULL;

	/* Page by page, since frames come as an array and this may be a large BAR; at start it
	 * costs little. */
	for (unsigned i = 0; va && i < n; i++) {
		mfn_t mfn = {(start.v >> PAGE_SHIFT) + i};

		if (map_frames(va + i * PAGE_SIZE, &mfn, 1, prot, DOMID_IO) == 0)
			continue;
		unmap_frames(va, i ? i : 1);
		vmap_release(va, n);
		return NULL;
	}
	return va ? va + offset : NULL;
}
