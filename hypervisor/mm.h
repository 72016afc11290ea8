/* mm.h: who owns each frame of RAM, what it is used as, and who may map it.
 *
 * One struct page_info per frame. Two counts keep every rule: `count`, references that keep the
 * frame its owner's, and `type_count`, uses of the frame as `type`. While type_count is not 0 the
 * type cannot change, so a frame that is a page table, or a descriptor page, is never writable by
 * a guest, and a table is never reached at the wrong level. Every present entry of a validated
 * table holds the references of what it names; a pin and a loaded root hold theirs.
 *
 * Callers: every part of the hypervisor. Files: frame*.c (frames and the heap), page_type.c
 * pte.c (the rules), mmu_update.c mmuext.c descriptor.c memory_*.c (hypercalls), mm_domain.c,
 * mm_grant.c, mm_hw.c (the CPU's side; host tests link a fake).
 *
 * Errors: 0 or negative XEN_Exxx. -XEN_ERESTART: stopped at a bound, call again with the same
 * arguments. mm takes one lock of its own for all tables and types; no call blocks; none may be
 * made from an interrupt. Not promised: superpages for guests, translated guests, linear tables
 * (an L4 that contains itself is refused).
 */
#ifndef HV_MM_H
#define HV_MM_H

#include <amphi/types.h>
#include <amphi/xen.h>

#include "layout.h"
#include "lock.h"

struct domain;
struct vcpu;

/* ---- frames ---------------------------------------------------------------------- */

/* What a frame is used as. Tables are numbered by level. A frame that was never used, or whose
 * last use was forgotten, is PT_NONE; with type_count > 0 PT_NONE means: no other use, please. */
enum page_type { PT_NONE, PT_L1, PT_L2, PT_L3, PT_L4, PT_SEG, PT_WRITABLE };

#define PG_FREE      0x01u /* head of a free block of the page allocator */
#define PG_ALLOCATED 0x02u /* owner's own reference is still there */
#define PG_PINNED    0x04u /* a guest's pin is included in both counts */
#define PG_VALID     0x08u /* a table: all entries are checked and hold references */
#define PG_PARTIAL   0x10u /* a table: entries [0, done) are; validation will go on */
#define PG_UNDO      0x20u /* a table: entries [0, done) still are; they are being given up */
#define PG_SHARED    0x40u /* our own page, given to a domain to map (mm_share_page) */

struct page_info {
	struct domain *owner; /* NULL: the hypervisor, or free */
	uint32_t count;
	uint32_t type_count;
	uint8_t type;        /* enum page_type */
	uint8_t flags;       /* PG_* */
	uint16_t done;       /* see PG_PARTIAL; of a free block: its order */
	uint32_t next, prev; /* frame numbers: owner's list, free list or undo list; 0: end */
	uint32_t stamp;      /* tlb_stamp when its last use as a type ended */
};

#ifdef AMPHI_HOST_TEST
extern uint64_t hv_test_direct; /* what HV_DIRECT_VIRT is on the fake machine */
extern uint64_t hv_test_frames; /* HV_FRAMES_VIRT */
extern uint64_t hv_test_m2p;    /* HV_M2P_RW_VIRT */
#define MM_DIRECT hv_test_direct
#define MM_FRAMES hv_test_frames
#define MM_M2P    hv_test_m2p
#else
#define MM_DIRECT HV_DIRECT_VIRT
#define MM_FRAMES HV_FRAMES_VIRT
#define MM_M2P    HV_M2P_RW_VIRT
#endif

/* Whether mfn is RAM that has a page_info. False for device memory, firmware tables and the first
 * MiB. All calls below take only such frames. */
bool mfn_valid(mfn_t mfn);

static inline struct page_info *mfn_to_page(mfn_t mfn)
{
	return (struct page_info *)(MM_FRAMES + mfn.v * sizeof(struct page_info));
}
static inline mfn_t page_to_mfn(const struct page_info *page)
{
	return (mfn_t){(uint64_t)(page - (const struct page_info *)MM_FRAMES)};
}
/* By the direct map, which covers all RAM and firmware tables that lie beside it. */
static inline void *maddr_to_virt(maddr_t a)
{
	return (void *)(MM_DIRECT + a.v);
}
static inline void *mfn_to_virt(mfn_t mfn)
{
	return (void *)(MM_DIRECT + (mfn.v << PAGE_SHIFT));
}
static inline void *page_to_virt(const struct page_info *page)
{
	return mfn_to_virt(page_to_mfn(page));
}
/* Of an address in the direct map or in the image. */
mfn_t virt_to_mfn(const void *va);
maddr_t virt_to_maddr(const void *va);

/* The machine-to-physical table that guests read. */
static inline void m2p_set(mfn_t mfn, uint64_t pfn)
{
	((uint64_t *)MM_M2P)[mfn.v] = pfn;
}
static inline uint64_t m2p_get(mfn_t mfn)
{
	return ((const uint64_t *)MM_M2P)[mfn.v];
}
#define M2P_INVALID (~0ull)
#define M2P_SHARED  (~1ull)

/* ---- boot ------------------------------------------------------------------------ */

enum mm_range_kind { MM_RANGE_RAM = 1, MM_RANGE_RESERVED, MM_RANGE_ACPI, MM_RANGE_ACPI_NVS };

/* Bytes [start, end) of machine memory; as a multiboot or E820 map has them, in any order. */
struct mm_range {
	uint64_t start, end;
	uint32_t kind;
};
#define MM_RANGES_MAX 64u

/* Makes the frame table, m2p, direct map and allocator from the machine's map. `used` are ranges
 * that must not be given out (image, modules, boot information; kind is ignored); the first MiB is
 * never given out. Boot's tables are in l4 and must map the image and the first GiB of the direct
 * map, in which the frame table then fits. Copies both lists. -XEN_ENOMEM, -XEN_EINVAL. */
int mm_boot_init(const struct mm_range *map, unsigned map_count, const struct mm_range *used,
		 unsigned used_count, mfn_t l4);

/* Gives back [start, end) that was `used` (a boot module that has been taken apart). Whole pages
 * within it. */
void mm_boot_release(uint64_t start, uint64_t end);

/* The machine's map as given, for XENMEM_machine_memory_map and dom0.c. */
const struct mm_range *mm_machine_map(unsigned *out_count);

/* The hypervisor's own top-level table, in which only the hole is filled. */
mfn_t mm_hv_root(void);

/* Maps device memory [maddr, maddr + size), uncached, for good. NULL when tables or room (1 GiB)
 * run out. */
void *hv_map_io(maddr_t maddr, uint64_t size);

/* ---- our own memory -------------------------------------------------------------- */

/* 2^order contiguous zeroed pages of ours, by their direct-map address; NULL when there are none. */
void *hv_page_alloc(unsigned order);
void hv_page_free(void *pages, unsigned order);

/* size bytes, zeroed, aligned to 16 (to 64 from 64 bytes up; to a page from 2048 up). NULL when
 * there is no memory. hv_free takes the same size; NULL is in order. */
void *hv_alloc(size_t size);
void hv_free(void *p, size_t size);

struct mm_stats {
	uint64_t total_pages, free_pages; /* RAM known to the allocator, and what it has left */
	uint64_t hv_pages;                /* ours, image and frame table included */
};
void mm_stats(struct mm_stats *out);

/* ---- references ------------------------------------------------------------------ */

/* A reference to a frame that d owns; false when d does not own it, or it is on its way out. */
bool page_get(struct page_info *page, struct domain *d);
void page_put(struct page_info *page);

/* One use of the frame as type, validating it when it becomes a table. The caller holds a
 * reference. -XEN_EBUSY: in use as something else. -XEN_EINVAL: not a proper table.
 * -XEN_ENOMEM, -XEN_EIO: the owner's devices cannot follow (iommu_own.c). -XEN_ERESTART (tables only). A use does not include a reference. */
int page_get_type(struct page_info *page, enum page_type type);
void page_put_type(struct page_info *page);

/* Both at once, by frame; checks mfn_valid. On success *out is the page. -XEN_EINVAL when d does
 * not own such a frame. */
int page_get_and_type(mfn_t mfn, struct domain *d, enum page_type type, struct page_info **out);
void page_put_and_type(struct page_info *page);

/* ---- domains and vCPUs ----------------------------------------------------------- */

struct domain_mm {
	uint32_t pages;     /* first frame of the list of its allocated frames; 0: none */
	uint32_t undo;      /* first frame of its tables that are being given up */
	uint32_t nr_pages;  /* its allocated frames */
	uint32_t max_pages; /* limit for nr_pages */
	uint32_t nr_frames; /* frames whose owner it is: nr_pages, shared ones, and those given up
				that others still map. While not 0, one of domain->refs is mm's */
	uint64_t *perdomain_l3;
	uint64_t *perdomain_l2;
	uint64_t *perdomain_l1[2]; /* of 16 vCPUs each; NULL: none yet */
	struct domain *put_next;   /* mm's own: domains whose last frame is gone */
	bool put_queued;
};

struct vcpu_mm {
	mfn_t root, root_user;            /* guest kernel's and guest user's L4; v == 0: none */
	uint32_t gdt[HV_GDT_GUEST_PAGES]; /* frames; 0: none */
	uint32_t gdt_entries;
	uint64_t ldt_base; /* guest address; entries == 0: no LDT */
	uint32_t ldt_entries;
	uint32_t ldt[HV_LDT_PAGES]; /* frames mapped so far; 0: none */
};

/* Allocates what each needs. 0, -XEN_ENOMEM (nothing kept). */
int mm_domain_init(struct domain *d, uint32_t max_pages);
int mm_vcpu_init(struct vcpu *v);

/* Gives up the vCPU's roots, GDT and LDT; it never runs again. Idempotent. */
void mm_vcpu_teardown(struct vcpu *v);

/* Gives up all frames of a dying domain whose vCPUs are torn down and whose grant mappings are
 * undone. -XEN_ERESTART while there is more; then 0. Frames that others still map stay theirs to
 * put; the last one gives mm's reference on the domain back. */
int mm_domain_teardown(struct domain *d);

/* Frees the domain's own tables; from domain_put, when nothing refers to it any more. */
void mm_domain_free(struct domain *d);

/* A frame for d, zeroed, counted, with a reference of its own (PG_ALLOCATED). NULL at the limit or
 * when there are none; m2p is M2P_INVALID until m2p_set. order: 2^order contiguous ones. */
struct page_info *page_alloc_domain(struct domain *d, unsigned order);

/* The owner gives a frame up: drops PG_ALLOCATED. -XEN_EINVAL when that is gone already. */
int page_release_domain(struct domain *d, mfn_t mfn);

/* Lets d map one of our pages (from hv_page_alloc(0)), read-only or read-write. It then belongs to
 * d as far as mapping goes and can be nothing but mapped. mm_unshare_page is hv_page_free for such
 * a page: it is freed when the last mapping is gone. */
void mm_share_page(struct domain *d, void *va, bool readonly);
void mm_unshare_page(void *va);

/* Loads the vCPU's address space into this CPU: root by its mode, GDT, LDT. The idle vCPU has no
 * root and gets the hypervisor's. Called by the scheduler with v current or about to be. */
void mm_activate(struct vcpu *v);

/* The vCPU, running here, has changed kernel_mode (pv.h): loads the other root. False when there is
 * no user root: the caller crashes the domain. */
bool mm_toggle_user(struct vcpu *v);

/* Gives a vCPU that does not run the page tables, GDT and LDT of a context (builder, or
 * VCPUOP_initialise). -XEN_EINVAL and others from types; -XEN_ERESTART. All or nothing. */
int mm_set_context(struct vcpu *v, const struct vcpu_guest_context *ctx);
void mm_get_context(const struct vcpu *v, struct vcpu_guest_context *out_ctx);

/* First domain's builder: makes mfn, already filled as an L4 with all below it, v's root, pinned.
 * -XEN_EINVAL when the tables are not in order. Restarts by itself. */
int mm_set_boot_root(struct vcpu *v, mfn_t l4);

/* A page fault in guest or hypervisor code at `address` while v runs. True when the cause has been
 * removed and the instruction should be run again; else it is the guest's (or a fixup's). */
bool mm_page_fault(struct vcpu *v, uint64_t address, uint32_t error_code);

/* Where in the per-domain area v's GDT is. */
uint64_t mm_gdt_base(const struct vcpu *v);

/* A guest's write to one of its own page tables that trapped: 8 aligned bytes at address become
 * `value`, provided they are `expected` when compare is set (*expected gets what was there). 0 when
 * done, -XEN_EAGAIN when they differed, -XEN_EFAULT when the address is no page table of v's
 * domain, other errors as mmu_update. */
int mm_write_table(struct vcpu *v, uint64_t address, uint64_t value, bool compare,
		   uint64_t *expected);

/* ---- for grant tables ------------------------------------------------------------ */

/* Writes a mapping of `frame`, owned by `owner`, into an L1 entry of the current vCPU's domain:
 * the entry at machine address host_addr (contains_pte), or the one that maps the linear address
 * host_addr. The entry takes a reference of its own, and a use as writable unless readonly. What
 * was in the entry is given up. pte_bits: further software bits for the entry (GNTMAP_guest_avail).
 * -XEN_EINVAL: no such entry; -XEN_EBUSY: the frame is in use as a table; -XEN_EPERM: not owner's. */
struct mm_grant_map {
	uint64_t host_addr;
	bool contains_pte, readonly;
	struct domain *owner;
	mfn_t frame;
	uint64_t pte_bits;
};
int mm_grant_map_pte(const struct mm_grant_map *map);

/* Takes such a mapping out of the entry. -XEN_EINVAL when the entry does not map frame that way
 * (readonly must agree). Stale translations are still there until tlb_flush_vcpus, which the caller
 * makes once per batch, before the granter learns of the unmapping. */
int mm_grant_unmap_pte(const struct mm_grant_map *map);

/* As unmap by linear address, but the entry of linear address new_addr (0: none) moves in its
 * place. */
int mm_grant_replace_pte(const struct mm_grant_map *map, uint64_t new_addr);

/* Drops stale translations, all or of one address, wherever one of d's vCPUs of the mask (bit n:
 * vCPU n) is running or was last. */
#define TLB_ALL_VCPUS (~0ull)
void tlb_flush_vcpus(const struct domain *d, uint64_t vcpus);
void tlb_invlpg_vcpus(const struct domain *d, uint64_t vcpus, uint64_t va);

/* ---- for domctl and dumps -------------------------------------------------------- */

/* XEN_DOMCTL_getpageframeinfo3's word for a frame of d: XEN_DOMCTL_PFINFO_*. */
uint64_t mm_frame_info(struct domain *d, mfn_t mfn);

/* Prints the state of the allocator and of each domain's memory through hv_printk. */
void mm_dump(void);

/* ---- hypercalls (see pv.h for the convention) ------------------------------------ */
long hc_mmu_update(uint64_t ops_va, uint64_t count, uint64_t done_va, uint64_t foreign);
long hc_mmuext_op(uint64_t ops_va, uint64_t count, uint64_t done_va, uint64_t foreign);
long hc_update_va_mapping(uint64_t va, uint64_t pte, uint64_t flags);
long hc_update_va_mapping_otherdomain(uint64_t va, uint64_t pte, uint64_t flags, uint64_t dom);
long hc_set_gdt(uint64_t frames_va, uint64_t entries);
long hc_update_descriptor(uint64_t maddr, uint64_t descriptor);
long hc_memory_op(uint64_t cmd, uint64_t arg_va);

#endif
