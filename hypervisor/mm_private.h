/* mm_private.h: what the files of memory management share, and nobody else sees.
 *
 * One lock, mm_lock, covers every count, type, owner and list of frames, every guest page table and
 * the vCPUs' roots. Functions here are called with it held unless they say otherwise. One lock for
 * all is slower on many CPUs than a lock per page, and makes every rule below an ordinary if.
 *
 * Work is bounded by mm_budget: each table entry looked at costs one. Who runs out stops with
 * -XEN_ERESTART and leaves what it has done recorded in the frames (PG_PARTIAL, PG_UNDO).
 */
#ifndef HV_MM_PRIVATE_H
#define HV_MM_PRIVATE_H

#include "mm.h"
#include "pte.h"

/* Entries one operation may look at before it must restart, 4096: about 100,000 instructions. A
 * variable for the tests' sake, which stop it everywhere; at least 4, or a walk from L4 to L1 gets
 * nowhere. What is left of it: */
extern int mm_budget_full;
extern int mm_budget;

/* Take and give the lock (both without it). Taking it fills the budget. Giving it also puts the
 * domains whose last frame went meanwhile, which may free them. */
void mm_lock(void);
void mm_unlock(void);

/* Takes the lock and goes on with tables of d that are being given up. -XEN_ERESTART (lock not
 * held) when that used the whole budget. */
int mm_begin(struct domain *d);

/* ---- frame.c: the allocator. Own lock inside; with or without mm_lock. ---- */

#define MM_MAX_ORDER 10u

/* 2^order contiguous frames whose numbers are all below limit; owner, counts, type and flags
 * zero; content undefined. No stale translation to them is left. NULL: none. */
struct page_info *frames_alloc(unsigned order, uint64_t limit);
void frames_free(struct page_info *page, unsigned order);

/* Lists of frames through next and prev, by their numbers; *head is 0 when there is none. */
static inline uint32_t frame_number(const struct page_info *page)
{
	return (uint32_t)page_to_mfn(page).v;
}
static inline struct page_info *frame_at(uint32_t number)
{
	return mfn_to_page((mfn_t){number});
}
void frame_link(uint32_t *head, struct page_info *page);
void frame_unlink(uint32_t *head, struct page_info *page);
void page_zero(void *page);

/* Boot: says that [first, end) are RAM, then which of them are free. */
int frames_add_ram(uint64_t first, uint64_t end);
void frames_add_free(uint64_t first, uint64_t end);
uint64_t frames_highest(void); /* the highest RAM frame */

/* Frames that belong to domains, for mm_stats. */
extern uint64_t frames_of_domains;

/* ---- page_type.c: counts ---- */

bool ref_get(struct page_info *page, struct domain *d);
void ref_put(struct page_info *page);
int type_get(struct page_info *page, enum page_type type);
void type_put(struct page_info *page);
int ref_type_get(mfn_t mfn, struct domain *d, enum page_type type, struct page_info **out);
void ref_type_put(struct page_info *page);
int undo_run(struct domain *d);                     /* 0 or -XEN_ERESTART */
void table_abandon(struct page_info *page);         /* ends a validation under way (PG_PARTIAL) */
bool table_in_hole(unsigned level, unsigned index); /* the entry is ours, not the guest's */
/* A guest's pin: a reference and a use that stay without an entry. At most one per frame. */
int pin_table(mfn_t mfn, struct domain *d, enum page_type type);
void pin_drop(struct page_info *page);
/* A fresh frame becomes d's, with the one reference that its flag (PG_ALLOCATED, PG_SHARED) is. */
void frame_own(struct page_info *page, struct domain *d);

static inline bool type_is_table(unsigned type)
{
	return type >= PT_L1 && type <= PT_L4;
}

/* ---- pte.c: entries ---- */

/* Checks the flags of a present entry for a table of `level` owned by d and turns it into what is
 * really written. -XEN_EINVAL. Takes no references. */
int entry_check(unsigned level, uint64_t *pte, struct domain *d);

/* Takes the references that a checked entry of d's table needs; its frame must be frame_owner's
 * (upper levels: d's). entry_put gives up those of an entry that was written. */
int entry_get(unsigned level, uint64_t pte, struct domain *d, struct domain *frame_owner);
void entry_put(unsigned level, uint64_t pte);

/* What an L1 entry holds of a frame of RAM. -XEN_EINVAL: it is not owner's (NULL: nobody's);
 * -XEN_EBUSY: not to be written; -XEN_ERESTART. */
int frame_get(mfn_t mfn, struct domain *owner, bool writable);

/* Changes entry `index` of a validated table. keep_ad: accessed and dirty bits that are set stay
 * set. */
struct table_write {
	struct page_info *table;
	unsigned index;
	uint64_t value;
	struct domain *frame_owner;
	bool keep_ad;
};
int table_write(const struct table_write *w);

/* The L1 entry for va under root, or NULL when tables are missing on the way. */
uint64_t *walk_to_l1(mfn_t root, uint64_t va);

/* ---- mm_space.c ---- */

#define SPACE_VCPUS_PER_L1 (PT_ENTRIES / (HV_VCPU_AREA_SIZE / PAGE_SIZE))

void space_fill_hole(uint64_t *l4, struct domain *d);
/* The root is going to be a kernel's, or a program's: whether it shows the m2p. */
void space_show_m2p(const struct domain *d, mfn_t root, bool user);
void space_leave(const struct vcpu *v); /* if the CPU is in v's space, it goes to ours */
void space_drop_root(mfn_t *root);
void space_drop_ldt(struct vcpu *v);

/* Takes all frames of a new GDT (their numbers to out, which is zero), or none. install gives up
 * the old ones. */
int space_get_gdt(struct vcpu *v, const uint64_t *frames, uint64_t entries, uint32_t *out);
void space_install_gdt(struct vcpu *v, const uint32_t *frames, uint32_t entries);

/* May return -XEN_ERESTART, having changed nothing. A root of 0 is -XEN_EINVAL for the kernel's and
 * drops the user's. */
int space_new_root(struct vcpu *v, mfn_t mfn, bool user);
bool space_ldt_ok(uint64_t base, uint64_t entries);
int space_set_ldt(struct vcpu *v, uint64_t base, uint64_t entries);

/* ---- descriptor.c ---- */

/* Whether a guest may have this descriptor; makes its privilege level the guest's. */
bool descriptor_check(uint64_t *descriptor);
int segment_page_validate(struct page_info *page);

/* ---- mmu_update.c: lists of operations (mmu_update, mmuext_op) ---- */

union mm_op {
	struct mmu_update update;
	struct mmuext_op ext;
};

struct mm_batch {
	uint64_t ops_va, count, done_va, foreign; /* the hypercall's arguments */
	size_t op_size;
	/* Under the lock, with a fresh budget. */
	int (*apply)(struct mm_batch *b, const union mm_op *op);
	struct domain *tables, *frames; /* whose they are; frames NULL: device memory */
};
long mm_batch_run(struct mm_batch *b);
/* A set of the current domain's vCPUs by a mask in its memory. -XEN_EFAULT. */
int mm_read_vcpus(uint64_t mask_va, uint64_t *out_vcpus);

/* ---- mm_domain.c ---- */

/* page_alloc_domain with all frames below limit; without the lock. Release, with it: gives one up. */
struct page_info *frames_alloc_domain(struct domain *d, unsigned order, uint64_t limit);
void frame_release(struct page_info *page);
/* Frames from frames_alloc become d's, zeroed, whatever its limit. */
void frames_give_domain(struct domain *d, struct page_info *page, unsigned order);

/* ---- mm_hw.c: the CPU. Host tests link a fake. ---- */

/* The moment now, for a use that has just ended; and what must be done before the frame's next use:
 * drops what may be left of the old one, on whatever CPU. */
uint32_t tlb_stamp(void);
void tlb_flush_stale(uint32_t stamp);
void hw_set_root(mfn_t l4);
void hw_flush(void); /* this CPU */
void hw_flush_cache(void);
void hw_load_gdt(uint64_t base);
void hw_load_ldt(uint64_t base, uint32_t entries); /* entries == 0: none */
void *hw_gdt_page(void);                           /* this CPU's reserved descriptors */
unsigned hw_phys_bits(void);

#endif
