/* grant_map.c: mapping others' grants into the caller's page tables, and out again.
 *
 * A mapping is built from four things, in this order and taken apart in reverse: a handle, a pin on
 * the owner's entry, a device's use of the frame, a page-table entry (mm's: it has its own
 * reference on the frame). An unmap has two halves: the entry goes out, and the pin only after the
 * caller's flush of the TLBs, because the owner may reuse a frame as soon as its pin is gone.
 *
 * Not here: the tables themselves (grant.c). Called by grant_op.c; calls mm.
 */
#include "grant_pins.h"
#include "percpu.h"

#define GNTMAP_BOTH (GNTMAP_host_map | GNTMAP_device_map)

/* Bits 9 to 11 of an entry are software's; three of the guest's flags go there. */
#define PTE_AVAIL 0xe00ull

int16_t grant_frame_get(mfn_t mfn, struct domain *owner, bool readonly)
{
	struct page_info *page = mfn_to_page(mfn);
	int error;

	if (readonly)
		return mfn_valid(mfn) && page_get(page, owner) ? GNTST_okay : GNTST_bad_page;
	error = page_get_and_type(mfn, owner, PT_WRITABLE, &page);
	return !error ? GNTST_okay : error == -XEN_EINVAL ? GNTST_bad_page : GNTST_general_error;
}

void grant_frame_put(mfn_t mfn, bool readonly)
{
	struct page_info *page = mfn_to_page(mfn);

	if (readonly)
		page_put(page);
	else
		page_put_and_type(page);
}

/* ---- devices that see what their domain maps --------------------------------------------- */

/* A reference of its own, since a guest may take the page's entry out of its tables by other means. */
static int16_t lend(struct domain *d, struct domain *owner, mfn_t frame, bool readonly,
		    bool *out_lent)
{
	int16_t status;

	*out_lent = false;
	if (!d->iommu.in_step || owner == d)
		return GNTST_okay;
	status = grant_frame_get(frame, owner, readonly);
	if (status != GNTST_okay)
		return status;
	*out_lent = !iommu_lend(d, frame, readonly);
	if (!*out_lent)
		grant_frame_put(frame, readonly);
	return *out_lent ? GNTST_okay : GNTST_no_space;
}

static int take_back(struct domain *d, mfn_t frame, bool readonly)
{
	int error = iommu_unlend(d, frame, readonly);

	if (!error)
		grant_frame_put(frame, readonly);
	return error;
}

/* Handles are at most GRANT_TRACK_CHUNKS chunks. */
int grant_lend_all(struct domain *d)
{
	struct grant_track *t;

	for (uint32_t handle = 0; d->grants.n_mapped && (t = grant_track(d, handle)); handle++)
		if (t->maps && !t->lent &&
		    lend(d, t->owner, (mfn_t){t->mfn}, t->readonly, &t->lent) == GNTST_no_space)
			return -XEN_ENOMEM;
	return 0;
}

void grant_let_go(struct domain *d, uint32_t handle, const struct grant_track *was, uint8_t gone)
{
	struct grant_track *t = grant_track(d, handle);

	/* What a device may still reach is not told to be free: the handle stays. */
	if (was->maps == gone && was->lent && take_back(d, (mfn_t){was->mfn}, was->readonly)) {
		t->busy = false;
		return;
	}
	if (gone & GNTMAP_device_map)
		grant_frame_put((mfn_t){was->mfn}, was->readonly);
	if (was->maps != gone) {
		spin_lock(&d->grants.track_lock);
		t->maps &= (uint8_t)~gone;
		t->busy = false;
		spin_unlock(&d->grants.track_lock);
		return;
	}
	grant_unpin(was->owner, was->ref, was->readonly);
	grant_track_free(d, handle);
	domain_put(was->owner);
}

/* ---- map ------------------------------------------------------------------------------- */

/* The frame is pinned: makes it visible to devices and to the CPU as flags want it. */
static int16_t map_frame(const struct gnttab_map_grant_ref *op, struct domain *owner, mfn_t frame)
{
	struct mm_grant_map map = {
	    .host_addr = op->host_addr,
	    .contains_pte = op->flags & GNTMAP_contains_pte,
	    .readonly = op->flags & GNTMAP_readonly,
	    .owner = owner,
	    .frame = frame,
	    .pte_bits = ((uint64_t)(op->flags >> _GNTMAP_guest_avail0) << 9) & PTE_AVAIL,
	};
	int16_t status = GNTST_okay;
	int error;

	if (!mfn_valid(frame))
		return GNTST_bad_page;
	if (op->flags & GNTMAP_device_map)
		status = grant_frame_get(frame, owner, map.readonly);
	if (status != GNTST_okay || !(op->flags & GNTMAP_host_map))
		return status;
	error = mm_grant_map_pte(&map);
	if (error && (op->flags & GNTMAP_device_map))
		grant_frame_put(frame, map.readonly);
	if (error)
		return error == -XEN_EPERM ? GNTST_bad_page : GNTST_general_error;
	return GNTST_okay;
}

int grant_map(struct grant_item *item)
{
	struct gnttab_map_grant_ref *op = &item->arg.map;
	struct domain *self = current_domain(), *owner;
	bool readonly = op->flags & GNTMAP_readonly;
	struct grant_want want = {self->id, readonly, true};
	struct grant_seen seen;
	struct grant_track *t;
	mfn_t frame;
	bool lent;

	op->status = GNTST_bad_gntref;
	if (!(op->flags & GNTMAP_BOTH))
		return 0;
	op->status = GNTST_bad_domain;
	owner = op->dom < DOMID_FIRST_RESERVED ? domain_get(op->dom) : NULL;
	if (!owner)
		return 0;
	op->status = GNTST_no_space;
	if (!grant_track_new(self, &op->handle))
		goto put_owner;
	op->status = grant_pin(owner, op->ref, &want, &seen);
	if (op->status != GNTST_okay)
		goto free_handle;
	frame = (mfn_t){seen.mfn};
	op->status = lend(self, owner, frame, readonly, &lent);
	if (op->status != GNTST_okay)
		goto unpin;
	op->status = map_frame(op, owner, frame);
	if (op->status != GNTST_okay)
		goto unlend;
	op->dev_bus_addr = mfn_to_maddr(frame).v;
	/* The handle is filled in last, and gets our reference: until then an unmap of it finds
	 * nothing. */
	t = grant_track(self, op->handle);
	spin_lock(&self->grants.track_lock);
	t->mfn = (uint32_t)frame.v;
	t->ref = op->ref;
	t->owner = owner;
	t->readonly = readonly;
	t->contains_pte = op->flags & GNTMAP_contains_pte;
	t->lent = lent;
	t->maps = op->flags & GNTMAP_BOTH;
	spin_unlock(&self->grants.track_lock);
	return 0;
unlend:
	/* A unit that does not answer keeps the grant in use. */
	if (lent && take_back(self, frame, readonly))
		return 0;
unpin:
	grant_unpin(owner, op->ref, readonly);
free_handle:
	grant_track_free(self, op->handle);
put_owner:
	domain_put(owner);
	return 0;
}

/* ---- unmap ----------------------------------------------------------------------------- */

/* unmap and unmap_and_replace have one layout; what is the device's address in one is the address
 * of the entry that takes the place in the other. */
_Static_assert(sizeof(struct gnttab_unmap_and_replace) == sizeof(struct gnttab_unmap_grant_ref) &&
		   offsetof(struct gnttab_unmap_and_replace, new_addr) ==
		       offsetof(struct gnttab_unmap_grant_ref, dev_bus_addr) &&
		   offsetof(struct gnttab_unmap_and_replace, status) ==
		       offsetof(struct gnttab_unmap_grant_ref, status),
	       "one layout");

/* The guest does not say again how it named the entry: as when it mapped. */
static int take_out(const struct grant_item *u)
{
	const struct gnttab_unmap_grant_ref *op = &u->arg.unmap;
	struct mm_grant_map map = {
	    .host_addr = op->host_addr,
	    .contains_pte = u->was.contains_pte,
	    .readonly = u->was.readonly,
	    .owner = u->was.owner,
	    .frame = {u->was.mfn},
	};

	if (u->cmd != GNTTABOP_unmap_and_replace)
		return mm_grant_unmap_pte(&map);
	return map.contains_pte ? -XEN_EINVAL : mm_grant_replace_pte(&map, op->dev_bus_addr);
}

int grant_unmap(struct grant_item *u)
{
	struct gnttab_unmap_grant_ref *op = &u->arg.unmap;
	uint64_t bus_addr = u->cmd == GNTTABOP_unmap_and_replace ? 0 : op->dev_bus_addr;
	struct domain *d = current_domain();
	struct grant_track *t = grant_track(d, op->handle);

	op->status = GNTST_bad_handle;
	if (!t)
		return 0;
	/* Takes the handle for this call alone and copies what it says. */
	spin_lock(&d->grants.track_lock);
	if (t->maps && !t->busy) {
		t->busy = true;
		u->was = *t;
		op->status = GNTST_general_error;
	}
	spin_unlock(&d->grants.track_lock);
	if (op->status == GNTST_bad_handle)
		return 0;
	if (bus_addr && maddr_to_mfn((maddr_t){bus_addr}).v != u->was.mfn)
		return 0;
	if (op->host_addr && (u->was.maps & GNTMAP_host_map)) {
		if (take_out(u))
			return 0;
		u->gone |= GNTMAP_host_map;
	}
	if (bus_addr && (u->was.maps & GNTMAP_device_map))
		u->gone |= GNTMAP_device_map;
	op->status = GNTST_okay;
	return 0;
}

void grant_unmap_end(struct grant_item *u)
{
	if (u->arg.unmap.status != GNTST_bad_handle)
		grant_let_go(current_domain(), u->arg.unmap.handle, &u->was, u->gone);
}
