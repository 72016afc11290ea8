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
 * L4 to L1 and no deeper. Callers: everything in mm. Calls pte.c for entries, frame.c.
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

void mm_lock(void)
{
	spin_lock(&the_lock);
}

/* The queued domains that are still without a frame; one that got a frame again in the meantime
 * keeps its reference. */
static struct domain *take_put_queue(void)
{
	struct domain *gone = NULL;

	while (put_queue) {
		struct domain *d = put_queue;

		put_queue = d->mm.put_next;
		d->mm.put_queued = false;
		if (d->mm.nr_frames)
			continue;
		d->mm.put_next = gone;
		gone = d;
	}
	return gone;
}

void mm_unlock(void)
{
	struct domain *gone = take_put_queue();

	spin_unlock(&the_lock);
	while (gone) {
		struct domain *d = gone;

		gone = d->mm.put_next;
		domain_put(d);
	}
}

int mm_begin(struct domain *d)
{
	mm_lock();
	mm_budget = mm_budget_full;
	if (!undo_run(d))
		return 0;
	mm_unlock();
	return -XEN_ERESTART;
}

/* ---- references ------------------------------------------------------------------ */

bool ref_get(struct page_info *page, struct domain *d)
{
	if (page->owner != d || !(page->flags & (PG_ALLOCATED | PG_SHARED)))
		return false;
	if (d->dying || page->count >= COUNT_MAX)
		return false;
	page->count++;
	return true;
}

/* The last reference is gone: the frame is nobody's. When it was the domain's last, the domain's
 * own reference by mm ends; that waits for the lock to be given, because it may free the domain. */
static void frame_gone(struct page_info *page)
{
	struct domain *d = page->owner;

	HV_ASSERT(page->type_count == 0 && page->flags == 0);
	page->owner = NULL;
	m2p_set(page_to_mfn(page), M2P_INVALID);
	frames_of_domains--;
	frames_free(page, 0);
	if (--d->mm.nr_frames || d->mm.put_queued)
		return;
	d->mm.put_queued = true;
	d->mm.put_next = put_queue;
	put_queue = d;
}

void frame_own(struct page_info *page, struct domain *d)
{
	page->owner = d;
	page->count = 1;
	frames_of_domains++;
	if (d->mm.nr_frames++ == 0 && !d->mm.put_queued)
		domain_hold(d);
}

void ref_put(struct page_info *page)
{
	HV_ASSERT(page->count > 0);
	if (--page->count == 0)
		frame_gone(page);
}

/* ---- tables in progress ---------------------------------------------------------- */

static void hold(struct page_info *page)
{
	page->count++;
	page->type_count++;
}

/* The list of an owner's tables in UNDO, linked through stamp, which has no other meaning while
 * type_count > 0. It is as short as a walk down the levels, because whoever begins an operation
 * first empties it. */
static void undo_list_remove(struct page_info *page)
{
	uint32_t *link = &page->owner->mm.undo;

	while (*link != page_to_mfn(page).v)
		link = &mfn_to_page((mfn_t){*link})->stamp;
	*link = page->stamp;
}

static void undo_start(struct page_info *page)
{
	page->flags = (uint8_t)((page->flags & ~(PG_VALID | PG_PARTIAL)) | PG_UNDO);
	page->stamp = page->owner->mm.undo;
	page->owner->mm.undo = (uint32_t)page_to_mfn(page).v;
}

static void type_ended(struct page_info *page)
{
	page->type_count = 0;
	page->type = PT_NONE;
	page->stamp = tlb_clock;
}

/* What the hole said is of no use to a guest that now may read or write the frame as data. */
static void undo_finish(struct page_info *page)
{
	uint64_t *table = page_to_virt(page);

	if (page->type == PT_L4)
		for (unsigned i = HV_HOLE_FIRST_SLOT; i <= HV_HOLE_LAST_SLOT; i++)
			table[i] = 0;
	undo_list_remove(page);
	page->flags &= (uint8_t)~PG_UNDO;
	type_ended(page);
	ref_put(page);
}

static bool in_hole(unsigned level, unsigned index)
{
	return level == 4 && index >= HV_HOLE_FIRST_SLOT && index <= HV_HOLE_LAST_SLOT;
}

/* An L1 costs the same 512 whatever it holds and is done in one go, so that each call makes some
 * progress; above that the budget is asked before each entry. */
static bool out_of_budget(unsigned level)
{
	return level > 1 && mm_budget <= 0;
}

static int undo_go_on(struct page_info *page)
{
	uint64_t *table = page_to_virt(page);
	unsigned level = page->type;

	while (page->done) {
		if (out_of_budget(level))
			return -XEN_ERESTART;
		page->done--;
		mm_budget--;
		if (!in_hole(level, page->done))
			entry_put(level, table[page->done]);
	}
	undo_finish(page);
	return 0;
}

int undo_run(struct domain *d)
{
	while (d->mm.undo && mm_budget > 0)
		undo_go_on(mfn_to_page((mfn_t){d->mm.undo}));
	return d->mm.undo ? -XEN_ERESTART : 0;
}

void table_abandon(struct page_info *page)
{
	undo_start(page);
	undo_go_on(page);
}

/* Checks entry `index` of a table and takes what it needs. The entry may be written back with the
 * bits that are ours to decide. */
static int validate_entry(struct page_info *page, unsigned index)
{
	uint64_t *slot = (uint64_t *)page_to_virt(page) + index, pte = *slot;
	unsigned level = page->type;
	int error;

	if (!(pte & PTE_PRESENT) || in_hole(level, index))
		return 0;
	error = entry_check(level, &pte, page->owner);
	if (!error)
		error = entry_get(level, pte, page->owner, page->owner);
	if (!error && pte != *slot)
		*slot = pte;
	return error;
}

/* Goes on with a PARTIAL table. 0: VALID, and the table's hold on itself has become the caller's
 * use. Bad entry: what was held is given up again, and the entry's error returned. */
static int validate_go_on(struct page_info *page)
{
	int error = 0;

	while (page->done < PT_ENTRIES) {
		if (out_of_budget(page->type))
			return -XEN_ERESTART;
		mm_budget--;
		error = validate_entry(page, page->done);
		if (error)
			break;
		page->done++;
	}
	if (error == -XEN_ERESTART)
		return error;
	if (error) {
		undo_start(page);
		undo_go_on(page);
		return error;
	}
	if (page->type == PT_L4)
		space_fill_hole(page_to_virt(page), page->owner);
	page->flags = (uint8_t)((page->flags & ~PG_PARTIAL) | PG_VALID);
	ref_put(page);
	return 0;
}

/* ---- types ----------------------------------------------------------------------- */

/* A frame without a use gets its first. A use it had before may still be in a TLB or a cache of
 * upper entries; that must go when the new one is different, and only then. */
static int type_begin(struct page_info *page, enum page_type type)
{
	if (page->stamp == tlb_clock && page->type != type)
		tlb_flush_all();
	if (type == PT_SEG && segment_page_validate(page))
		return -XEN_EINVAL;
	page->type = (uint8_t)type;
	if (!type_is_table(type)) {
		page->type_count = 1;
		return 0;
	}
	page->flags |= PG_PARTIAL;
	page->done = 0;
	hold(page);
	return validate_go_on(page);
}

int type_get(struct page_info *page, enum page_type type)
{
	if (page->flags & PG_UNDO && undo_go_on(page))
		return -XEN_ERESTART;
	if (page->type_count == 0)
		return type_begin(page, type);
	if (page->type != type || page->type_count >= COUNT_MAX)
		return -XEN_EBUSY;
	if (page->flags & PG_PARTIAL)
		return validate_go_on(page);
	page->type_count++;
	return 0;
}

void type_put(struct page_info *page)
{
	HV_ASSERT(page->type_count > 0);
	if (--page->type_count)
		return;
	if (!(page->flags & PG_VALID)) {
		unsigned was = page->type;

		type_ended(page);
		if (was == PT_WRITABLE)
			page->type = PT_WRITABLE; /* writable again needs no flush */
		return;
	}
	hold(page);
	undo_start(page);
	page->done = PT_ENTRIES;
	undo_go_on(page);
}

int ref_type_get(mfn_t mfn, struct domain *d, enum page_type type, struct page_info **out)
{
	struct page_info *page;
	int error;

	if (!mfn_valid(mfn) || !ref_get(mfn_to_page(mfn), d))
		return -XEN_EINVAL;
	page = mfn_to_page(mfn);
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

int pin_table(mfn_t mfn, struct domain *d, enum page_type type)
{
	struct page_info *page;
	int error = ref_type_get(mfn, d, type, &page);

	if (error)
		return error;
	if (page->flags & PG_PINNED) {
		ref_type_put(page);
		return -XEN_EINVAL;
	}
	page->flags |= PG_PINNED;
	return 0;
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
	mm_budget = mm_budget_full;
	error = type_get(page, type);
	mm_unlock();
	return error;
}

void page_put_type(struct page_info *page)
{
	mm_lock();
	mm_budget = mm_budget_full;
	type_put(page);
	mm_unlock();
}

int page_get_and_type(mfn_t mfn, struct domain *d, enum page_type type, struct page_info **out)
{
	int error;

	mm_lock();
	mm_budget = mm_budget_full;
	error = ref_type_get(mfn, d, type, out);
	mm_unlock();
	return error;
}

void page_put_and_type(struct page_info *page)
{
	mm_lock();
	mm_budget = mm_budget_full;
	ref_type_put(page);
	mm_unlock();
}
