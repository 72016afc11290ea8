/* mm.h: the kernel's memory: pages, small blocks, addresses and mappings, on every platform.
 *
 * Callers: the kernel. Beneath: pvops (page-table entries) and, on PV, hypercalls. Any thread; not
 * from interrupts (no locks: one CPU at a time runs the kernel, and threads run until they wait). Errors: NULL or a negative XEN_Exxx.
 *
 * Layout: the image at KERNEL_BASE + physical address; all memory of ours at DIRECT_BASE + pfn *
 * PAGE_SIZE; windows for frames of devices and of other domains in VMAP_BASE..VMAP_END. Natively pfn
 * and mfn are the same number. Below the middle of the address space only programs are mapped, each in a
 * space of its own (user_space.h).
 */
#ifndef KERNEL_MM_H
#define KERNEL_MM_H

#include <amphi/types.h>
#include <amphi/xen.h>

#ifdef AMPHI_HOST_TEST
/* Host programs have no such addresses: the test says where the two regions are. */
extern uint64_t mm_test_kernel_base, mm_test_direct_base;
#define KERNEL_BASE mm_test_kernel_base
#define DIRECT_BASE mm_test_direct_base
#else
#define KERNEL_BASE 0xffffffff80000000ull
#define DIRECT_BASE 0xffff880000000000ull
#endif
#define DIRECT_END (DIRECT_BASE + (8ull << 40))
#define VMAP_BASE  0xffffc90000000000ull
#define VMAP_PAGES 32768u /* 128 MiB of windows */
#define VMAP_END   (VMAP_BASE + VMAP_PAGES * PAGE_SIZE)

/* ---- pages and small memory --------------------------------------------------------- */

/* n zeroed pages, contiguous in the direct map and in pfn (not in mfn on PV), or NULL. */
void *pages_alloc(unsigned n);
void pages_free(void *va, unsigned n);
/* The same, with the first page's number a multiple of align (a power of 2) and all numbers below end. */
void *pages_alloc_low(unsigned n, unsigned align, uint64_t end);
/* No page of ours has this number or a higher one. */
uint64_t pages_end(void);
size_t pages_free_count(void);
size_t pages_total_count(void); /* of memory that is or was free, and of the image */

/* Zeroed, aligned to 16, of any size; NULL: none. size at kfree is that of kmalloc. NULL is freed
 * as nothing. */
void *kmalloc(size_t size_bytes);
void kfree(void *p, size_t size_bytes);

/* What small blocks are in use, and in how many pages they lie. The first is the same whenever the
 * same blocks are in use; the second depends on who shares a page with whom. */
size_t heap_used_bytes(size_t *out_slab_pages);

/* ---- addresses ---------------------------------------------------------------------- */

/* Of an address in the direct map or the image, that is mapped. */
pfn_t virt_to_pfn(const void *va);
static inline void *pfn_to_virt(pfn_t pfn)
{
	return (void *)(DIRECT_BASE + (pfn.v << PAGE_SHIFT));
}

/* MFN_NONE for a pfn that has no frame; pfn ~0 for an mfn that is not ours. */
mfn_t pfn_to_mfn(pfn_t pfn);
pfn_t mfn_to_pfn(mfn_t mfn);

/* What the machine's own table says of any frame; ~0: nothing. */
pfn_t mm_machine_number(mfn_t mfn);

/* Of any address that is mapped, window or not (page walk outside the direct map). An address that is
 * not mapped is a bug: maddr ~0. */
maddr_t virt_to_maddr(const void *va);

/* Whether len bytes from va are mapped: safe for any va at any time, for panic's sake. */
bool mm_readable(const void *va, size_t len_bytes);

/* ---- windows ------------------------------------------------------------------------ */

/* n consecutive pages of address space with tables and nothing mapped; NULL: none left. */
void *vmap_reserve(unsigned n);
void vmap_release(void *va, unsigned n); /* nothing mapped any more */

enum mm_prot {
	MM_READ = 0,
	MM_WRITE = 1,
	MM_UNCACHED = 2,
	MM_COMBINE = 4 /* write-combining, if can be */
};

/* Maps frames to the window's pages from va on. owner: DOMID_SELF, another domain's number (foreign
 * frames, when allowed), or DOMID_IO for device memory. All or nothing. Natively owner is ignored. */
int map_frames(void *va, const mfn_t *mfns, unsigned n, unsigned prot, domid_t owner);
void unmap_frames(void *va, unsigned n);

/* Reserves and maps n consecutive frames of a device or of firmware; NULL when it cannot be had. */
void *map_io(maddr_t start, size_t len_bytes, unsigned prot);

/* ---- boot --------------------------------------------------------------------------- */

/* Called once each by kernel/boot_*.c, in this order of the two that fit. */
void mm_init_native(void);
void mm_init_xen_pv(void);

#endif
