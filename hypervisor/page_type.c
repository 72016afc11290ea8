/* page_type.c: the two counts of a frame, and how a frame becomes a page table and stops being one.
 *
 * The rules everything rests on:
 *   - a frame's type changes only while type_count is 0;
 *   - a table of type PT_Lx counts as such only once every entry is checked and holds references;
 *   - references are given up in the same way, entry by entry, after the last use is gone.
 *
 *            type_get             all entries held
 *   (free) ------------> PARTIAL ------------------> VALID
 *      ^                    | an entry is bad           | last type_put
 *      |  done == 0         v                           v
 *      +------------------ UNDO <-----------------------+
 *
 * PARTIAL and UNDO can outlast a call: the budget may end. Meanwhile the table holds one reference
 * and one use of itself, so that it can neither be freed nor become something else, and nobody
 * who comes back has to remember anything: asking again goes on from `done`. Recursion goes from
 * L4 to L1 and no deeper. Callers: everything in mm. Calls pte.c for entries, frame.c, and iommu_own.c for
 * domains whose devices see their memory.
 */
#include "domain.h"
#include "mm_private.h"

/* More references than this no honest guest has; below it neither count can overflow. */
#define COUNT_MAX 0x7fffffffu

int mm_budget_full = 4096;
int mm_budget;
uint64_t frames_of_domains;
static spinlock_t the_lock;
static struct domain *put_queue;

/* ---- the lock -------------------------------------------------------------------- */

/* A budget is of one holder of the lock. Whoever does several things under it shares one budget
 * among them, which bounds the time the lock is held. */
void mm_lock(void)
{
	spin_lock(&the_lock);
	mm_budget = mm_budget_full;
}

/* Takes from the queue the domains that are still without a frame; one that got a frame again in
 * the meantime keeps its reference. Apart from mm_unlock, which is called for each page that is copied. */
static __attribute__((noinline)) void unlock_and_put(void)
{
	struct domain *gone = NULL, *d;

	while ((d = put_queue)) {
		put_queue = d->mm.put_next;
		d->mm.put_queued = false;
		if (d->mm.nr_frames)
			continue;
		d->mm.put_next = gone;
		gone = d;
	}
	spin_unlock(&the_lock);
	while ((d = gone)) {
		gone = d->mm.put_next;
		domain_put(d);
	}
}

void mm_unlock(void)
{
	if (put_queue)
		unlock_and_put();
	else
		spin_unlock(&the_lock);
}

/* Giving up goes before anything new: else a guest could pile up tables half given up faster than
 * they are finished, and see a frame busy that it has every right to. */
int mm_begin(struct domain *d)
{
	mm_lock();
	if (!undo_run(d))
		return 0;
	mm_unlock();
	return -XEN_ERESTART;
}

/* ---- references ------------------------------------------------------------------ */

/* Nobody new may come to a frame its owner has given up, nor to one of a dying domain: what is left
 * can then only become less, and the teardown ends. */
bool ref_get(struct page_info *page, struct domain *d)
{
	if (page->owner != d || !(page->flags & (PG_ALLOCATED | PG_SHARED)) || d->dying ||
	    page->count >= COUNT_MAX)
		return false;
	page->count++;
	return true;
}

/* A domain with frames is kept in being by one reference of mm's, for all of them. One that still
 * waits in put_queue has not lost its yet. */
void frame_own(struct page_info *page, struct domain *d)
{
	page->owner = d;
	page->count = 1;
	frames_of_domains++;
	if (d->mm.nr_frames++ == 0 && !d->mm.put_queued)
		domain_hold(d);
}

/* With the last reference the frame is nobody's; for good, if a device may still reach it. When it was the domain's last, the domain's own
 * reference by mm ends; that waits for the lock to be given, because it may free the domain. */
void ref_put(struct page_info *page)
{
	struct domain *d = page->owner;
	bool lost;

	HV_ASSERT(page->count > 0);
	if (--page->count)
		return;
	HV_ASSERT(page->type_count == 0 && page->flags == 0);
	lost = d->iommu.in_step && page->type == PT_WRITABLE && iommu_own_leave(page);
	page->owner = NULL;
	m2p_set(page_to_mfn(page), M2P_INVALID);
	frames_of_domains--;
	if (!lost)
		frames_free(page, 0);
	if (--d->mm.nr_frames || d->mm.put_queued)
		return;
	d->mm.put_queued = true;
	d->mm.put_next = put_queue;
	put_queue = d;
}

/* ---- tables in progress ---------------------------------------------------------- */

bool table_in_hole(unsigned level, unsigned index)
{
	return level == 4 && index >= HV_HOLE_FIRST_SLOT && index <= HV_HOLE_LAST_SLOT;
}

/* Whether to stop before the next entry. An L1 costs the same 512 whatever it holds and is done in
 * one go, so that each call makes some progress. */
static bool out_of_budget(unsigned level)
{
	return level > 1 && mm_budget <= 0;
}

/* Gives up entries until `done` is 0 and the frame is no table any more. What the hole said is of
 * no use to a guest that then may read or write the frame as data. An owner's tables in UNDO hang
 * in a list through stamp, which has no other meaning while type_count > 0. It is as short as a
 * walk down the levels, because whoever begins an operation first empties it. */
static int undo_go_on(struct page_info *page)
{
	uint64_t *table = page_to_virt(page);
	uint32_t *link = &page->owner->mm.undo;
	unsigned level = page->type;

	while (page->done) {
		if (out_of_budget(level))
			return -XEN_ERESTART;
		page->done--;
		mm_budget--;
		if (!table_in_hole(level, page->done))
			entry_put(level, table[page->done]);
	}
	if (level == 4)
		for (unsigned i = HV_HOLE_FIRST_SLOT; i <= HV_HOLE_LAST_SLOT; i++)
			table[i] = 0;
	while (*link != frame_number(page))
		link = &frame_at(*link)->stamp;
	*link = page->stamp;
	page->flags &= (uint8_t)~PG_UNDO;
	page->type_count = 0;
	page->type = PT_NONE;
	page->stamp = tlb_stamp();
	ref_put(page);
	return 0;
}

/* The head is the deepest table, so each turn gets on with what the others wait for. */
int undo_run(struct domain *d)
{
	while (d->mm.undo && mm_budget > 0)
		undo_go_on(frame_at(d->mm.undo));
	return d->mm.undo ? -XEN_ERESTART : 0;
}

/* Errors need no report: what undo_go_on leaves is in the list, and mm_begin comes back to it. */
void table_abandon(struct page_info *page)
{
	page->flags = (uint8_t)((page->flags & ~(PG_VALID | PG_PARTIAL)) | PG_UNDO);
	page->stamp = page->owner->mm.undo;
	page->owner->mm.undo = frame_number(page);
	undo_go_on(page);
}

/* Goes on with a PARTIAL table: checks each entry and takes what it needs; the entry may be written
 * back with the bits that are ours to decide. 0: VALID, and the table's hold on itself has become
 * the caller's use. Bad entry: what was held is given up again, and the entry's error returned. */
static int validate_go_on(struct page_info *page)
{
	uint64_t *table = page_to_virt(page);
	struct domain *d = page->owner;

	for (; page->done < PT_ENTRIES; page->done++) {
		uint64_t pte = table[page->done];
		int error;

		if (out_of_budget(page->type))
			return -XEN_ERESTART;
		mm_budget--;
		if (!(pte & PTE_PRESENT) || table_in_hole(page->type, page->done))
			continue;
		error = entry_check(page->type, &pte, d) ?: entry_get(page->type, pte, d, d);
		if (error && error != -XEN_ERESTART)
			table_abandon(page);
		if (error)
			return error;
		if (pte != table[page->done])
			table[page->done] = pte;
	}
	if (page->type == PT_L4)
		space_fill_hole(table, d);
	page->flags = (uint8_t)((page->flags & ~PG_PARTIAL) | PG_VALID);
	ref_put(page);
	return 0;
}

/* ---- types ----------------------------------------------------------------------- */

/* A frame without a use is about to get one of another type, and its owner's devices see what it may write. */
static int devices_follow(struct page_info *page, enum page_type type)
{
	int error = page->type == PT_WRITABLE ? iommu_own_leave(page) : 0;

	if (error)
		return error;
	page->type = PT_NONE;
	return type == PT_WRITABLE ? iommu_own_join(page) : 0;
}

/* When a frame without a use gets its first: a use it had before may still be in a TLB or a cache
 * of upper entries; that must go when the new one is different, and only then. */
int type_get(struct page_info *page, enum page_type type)
{
	if (page->flags & PG_UNDO && undo_go_on(page))
		return -XEN_ERESTART;
	if (page->type_count) {
		if (page->type != type || page->type_count >= COUNT_MAX)
			return -XEN_EBUSY;
		if (page->flags & PG_PARTIAL)
			return validate_go_on(page);
		page->type_count++;
		return 0;
	}
	/* Before the new use is visible anywhere: from here on the frame may be written as data, or
	 * read as a table, by a CPU that goes by what it has cached. */
	if (page->type != type)
		tlb_flush_stale(page->stamp);
	if (page->owner->iommu.in_step && page->type != type) {
		int error = devices_follow(page, type);

		if (error)
			return error;
	}
	if (type == PT_SEG && segment_page_validate(page))
		return -XEN_EINVAL;
	page->type = (uint8_t)type;
	page->type_count = 1;
	if (!type_is_table(type))
		return 0;
	page->count++; /* the table's hold on itself */
	page->flags |= PG_PARTIAL;
	page->done = 0;
	return validate_go_on(page);
}

/* Forgets the type with the last use, but for one: writable again needs no flush. */
void type_put(struct page_info *page)
{
	HV_ASSERT(page->type_count > 0);
	if (--page->type_count)
		return;
	if (page->flags & PG_VALID) {
		page->type_count = 1; /* with a reference: the table's hold on itself */
		page->count++;
		page->done = PT_ENTRIES;
		table_abandon(page);
		return;
	}
	if (page->type != PT_WRITABLE)
		page->type = PT_NONE;
	page->stamp = tlb_stamp();
}

int ref_type_get(mfn_t mfn, struct domain *d, enum page_type type, struct page_info **out)
{
	struct page_info *page = mfn_to_page(mfn);
	int error;

	if (!mfn_valid(mfn) || !ref_get(page, d))
		return -XEN_EINVAL;
	error = type_get(page, type);
	if (error)
		ref_put(page);
	else
		*out = page;
	return error;
}

void ref_type_put(struct page_info *page)
{
	type_put(page);
	ref_put(page);
}

/* A second pin is refused, not counted: the flag is one bit, and unpinning must find what pinning
 * took. The use just got is given back; the first pin's keeps the table valid. */
int pin_table(mfn_t mfn, struct domain *d, enum page_type type)
{
	struct page_info *page;
	int error = ref_type_get(mfn, d, type, &page);

	if (!error && (page->flags & PG_PINNED)) {
		ref_type_put(page);
		error = -XEN_EINVAL;
	}
	if (!error)
		page->flags |= PG_PINNED;
	return error;
}

void pin_drop(struct page_info *page)
{
	page->flags &= (uint8_t)~PG_PINNED;
	ref_type_put(page);
}

/* ---- the same, for the other parts ------------------------------------------------ */

bool page_get(struct page_info *page, struct domain *d)
{
	bool ok;

	mm_lock();
	ok = ref_get(page, d);
	mm_unlock();
	return ok;
}

void page_put(struct page_info *page)
{
	mm_lock();
	ref_put(page);
	mm_unlock();
}

int page_get_type(struct page_info *page, enum page_type type)
{
	int error;

	mm_lock();
	error = type_get(page, type);
	mm_unlock();
	return error;
}

void page_put_type(struct page_info *page)
{
	mm_lock();
	type_put(page);
	mm_unlock();
}

int page_get_and_type(mfn_t mfn, struct domain *d, enum page_type type, struct page_info **out)
{
	int error;

	mm_lock();
	error = ref_type_get(mfn, d, type, out);
	mm_unlock();
	return error;
}

void page_put_and_type(struct page_info *page)
{
	mm_lock();
	ref_type_put(page);
	mm_unlock();
}
