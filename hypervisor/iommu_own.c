/* iommu_own.c: context 0 of a domain that was made with XEN_DOMCTL_CDF_iommu: its own memory, at machine addresses.
 *
 * Stock PV kernels tell their devices machine addresses and ask nobody. So a device of theirs sees each frame that the domain
 * may write, and no other: in when page_type.c makes a frame writable, out and flushed before it becomes a table or a
 * descriptor page, or is freed. Like the TLBs' side of it, being writable outlasts the last use: what was written once and is
 * nothing else stays in. Frames of others come by grants (iommu_lent.c).
 *
 *     nothing --first function attached--> walk of all frames, piece by piece --> whole --last one taken--> nothing
 *                                          `------------- in step from here on -------------'
 *
 * Callers: iommu_device.c; page_type.c, with mm's lock held and only for domains in step. Pages go in one by one, never as
 * large pages: each may have to leave alone. What tables take is bounded for each domain (iommu_quota.c).
 */
#include "domain.h"
#include "iommu_device.h"
#include "mm_private.h"

#define FRAMES_A_PIECE 4096u
#define RIGHTS         (IOMMU_READ | IOMMU_WRITE)
#define UNDONE_A_LOOK  64u

static int try_map(struct own_space *s, maddr_t at, unsigned rights)
{
	int error;

	iommu_own_count(s); /* others of the domain's may have taken what was left */
	error = iommu_map(s->space, at.v, at, PAGE_SIZE, rights);
	iommu_own_count(s);
	return error;
}

/* A look through all tables is worth it after as many unmaps that it costs each of them little. */
static bool may_have_empty_tables(const struct own_space *s)
{
	return s->undone > iommu_space_tables(s->space) / UNDONE_A_LOOK;
}

static int make_room(struct own_space *s)
{
	int n = iommu_space_prune(s->space);

	s->undone = 0;
	s->lost |= n < 0;
	return n;
}

static int map(struct own_space *s, mfn_t mfn, unsigned rights)
{
	maddr_t at = mfn_to_maddr(mfn);
	int error = try_map(s, at, rights);

	if (error == -XEN_ENOMEM && may_have_empty_tables(s) && make_room(s) > 0)
		error = try_map(s, at, rights);
	if (error == -XEN_ENOMEM && !s->full) {
		s->full = true;
		hv_printk("domain %u: no room for more tables of its memory for devices than %u "
			  "pages: see iospace_tables=",
			  s->domain->id, iommu_space_tables(s->space));
	}
	return error == -XEN_EEXIST ? 0 : error;
}

/* A flush that failed is not tried again page by page: from then on the space is not to be trusted with any. */
static int unmap(struct own_space *s, mfn_t mfn)
{
	maddr_t at = mfn_to_maddr(mfn);
	int error = s->lost ? -XEN_EIO : iommu_unmap(s->space, at.v, PAGE_SIZE);

	if (error == -XEN_ENOENT)
		return 0;
	s->undone++;
	if (!error)
		error = iommu_flush_entry(s->space, at.v);
	s->lost = error != 0;
	return error;
}

int iommu_own_set(struct own_space *s, mfn_t mfn, unsigned rights)
{
	int error = unmap(s, mfn);

	return error || !rights ? error : map(s, mfn, rights);
}

/* ---- in step with page_type.c ------------------------------------------------------------- */

int iommu_own_leave(struct page_info *page)
{
	int error = 0;

	for (struct own_space *s = page->owner->iommu.own; s; s = s->next)
		error = unmap(s, page_to_mfn(page)) ?: error;
	return error;
}

int iommu_own_join(struct page_info *page)
{
	int error = 0;

	for (struct own_space *s = page->owner->iommu.own; s && !error; s = s->next)
		error = map(s, page_to_mfn(page), RIGHTS);
	if (error)
		error = iommu_own_leave(page) ?: error;
	return error;
}

/* ---- its making ------------------------------------------------------------------------- */

static int end(struct own_space *s)
{
	int error = iommu_space_free(s->space);

	if (error)
		return error;
	s->domain->iospace.n_own -= s->counted;
	hv_free(s, sizeof(*s));
	return 0;
}

static struct own_space *make(struct domain *d, struct iommu *unit)
{
	struct own_space *s = hv_alloc(sizeof(*s));

	if (!s)
		return NULL;
	s->unit = unit;
	s->domain = d;
	if (iommu_space_new(unit, iommu_own_most(d), &s->space)) {
		hv_free(s, sizeof(*s));
		return NULL;
	}
	if (iommu_lent_enter(d, s)) {
		(void)end(s);
		return NULL;
	}
	s->next = d->iommu.own;
	d->iommu.own = s;
	d->iommu.in_step = true;
	return s;
}

/* Shared pages are ours, whatever their type says. */
static bool belongs(const struct domain *d, mfn_t mfn)
{
	const struct page_info *page = mfn_to_page(mfn);

	return mfn_valid(mfn) && page->owner == d && page->type == PT_WRITABLE &&
	       !(page->flags & PG_SHARED);
}

static int walk_piece(struct domain *d, struct own_space *s)
{
	uint64_t end = MIN(s->walked + FRAMES_A_PIECE, frames_highest() + 1);
	int error = 0;

	mm_lock();
	for (; s->walked < end && !error; s->walked += !error)
		if (belongs(d, (mfn_t){s->walked}))
			error = map(s, (mfn_t){s->walked}, RIGHTS);
	mm_unlock();
	return error;
}

int iommu_own_space(struct domain *d, struct iommu *unit, struct iommu_space **out_space)
{
	struct own_space *s = d->iommu.own;
	int error = 0;

	while (s && s->unit != unit)
		s = s->next;
	if (!s)
		s = make(d, unit);
	if (!s)
		return -XEN_ENOMEM;
	error = grant_lend_all(d);
	while (s->walked <= frames_highest() && !error) {
		error = walk_piece(d, s);
		if (!error && hypercall_preempt())
			error = -XEN_ERESTART;
	}
	if (error && error != -XEN_ERESTART && d->iommu.n_devices == 0)
		(void)iommu_own_end(d);
	*out_space = s->space;
	return error;
}

int iommu_own_end(struct domain *d)
{
	struct own_space *s;

	while ((s = d->iommu.own)) {
		struct own_space *next = s->next;
		int error = end(s);

		if (error)
			return error;
		d->iommu.own = next;
	}
	d->iommu.in_step = false;
	return 0;
}
