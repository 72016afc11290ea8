/* grant_map.c: mapping others' grants into the caller's page tables, and out again.
 *
 * A mapping is built from four things, in this order and taken apart in reverse: a handle, a pin on
 * the owner's entry, a device's use of the frame, a page-table entry (mm's: it has its own
 * reference on the frame). Unmapping goes by batches: all entries out, one flush of the TLBs, and
 * only then the pins, because the owner may reuse a frame as soon as its pin is gone.
 *
 * Not here: the tables themselves (grant.c). Called by grant_op.c; calls mm and guest memory.
 */
#include <amphi/string.h>

#include "grant_pins.h"
#include "guest.h"
#include "percpu.h"

#define UNMAP_BATCH 16u
#define GNTMAP_BOTH (GNTMAP_host_map | GNTMAP_device_map)

/* Bits 9 to 11 of an entry are software's; three of the guest's flags go there. */
#define PTE_AVAIL 0xe00ull

int16_t grant_device_get(mfn_t mfn, struct domain *owner, bool readonly)
{
	struct page_info *page = mfn_to_page(mfn);

	if (!page_get(page, owner))
		return GNTST_bad_page;
	if (!readonly && page_get_type(page, PT_WRITABLE)) {
		page_put(page);
		return GNTST_general_error;
	}
	return GNTST_okay;
}

void grant_device_put(mfn_t mfn, bool readonly)
{
	struct page_info *page = mfn_to_page(mfn);

	if (!readonly)
		page_put_type(page);
	page_put(page);
}

/* ---- map ------------------------------------------------------------------------------- */

static int16_t map_status(int error)
{
	switch (error) {
	case 0:
		return GNTST_okay;
	case -XEN_EPERM:
		return GNTST_bad_page;
	default:
		return GNTST_general_error;
	}
}

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

	if (!mfn_valid(frame))
		return GNTST_bad_page;
	if (op->flags & GNTMAP_device_map)
		status = grant_device_get(frame, owner, map.readonly);
	if (status != GNTST_okay || !(op->flags & GNTMAP_host_map))
		return status;
	status = map_status(mm_grant_map_pte(&map));
	if (status != GNTST_okay && (op->flags & GNTMAP_device_map))
		grant_device_put(frame, map.readonly);
	return status;
}

/* Fills in the handle last: until then an unmap of it finds nothing. */
static void track_fill(struct domain *d, const struct gnttab_map_grant_ref *op,
		       struct domain *owner, mfn_t frame)
{
	struct grant_track *t = grant_track(d, op->handle);

	domain_hold(owner);
	spin_lock(&d->grants.track_lock);
	t->mfn = (uint32_t)frame.v;
	t->ref = op->ref;
	t->owner = owner;
	t->readonly = op->flags & GNTMAP_readonly;
	t->contains_pte = op->flags & GNTMAP_contains_pte;
	t->maps = op->flags & GNTMAP_BOTH;
	spin_unlock(&d->grants.track_lock);
}

static int16_t map_from(struct gnttab_map_grant_ref *op, struct domain *owner)
{
	struct domain *self = current_domain();
	bool readonly = op->flags & GNTMAP_readonly;
	mfn_t frame;
	int16_t status;

	if (!grant_track_new(self, &op->handle))
		return GNTST_no_space;
	status = grant_pin(owner, op->ref, self->id, readonly, &frame);
	if (status != GNTST_okay)
		goto free_handle;
	status = map_frame(op, owner, frame);
	if (status != GNTST_okay)
		goto unpin;
	op->dev_bus_addr = mfn_to_maddr(frame).v;
	track_fill(self, op, owner, frame);
	return GNTST_okay;
unpin:
	grant_unpin(owner, op->ref, readonly);
free_handle:
	grant_track_free(self, op->handle);
	return status;
}

static int16_t map_one(struct gnttab_map_grant_ref *op)
{
	struct domain *owner;
	int16_t status;

	if (!(op->flags & GNTMAP_BOTH))
		return GNTST_bad_gntref;
	owner = domain_get(op->dom);
	if (!owner)
		return GNTST_bad_domain;
	status = map_from(op, owner);
	domain_put(owner);
	return status;
}

long grant_map_list(uint64_t list_va, uint64_t count)
{
	struct gnttab_map_grant_ref op;
	uint64_t i, at;

	for (i = 0; i < count; i++) {
		if (i && hypercall_preempt())
			break;
		at = list_va + i * sizeof(op);
		if (guest_read(&op, at))
			return -XEN_EFAULT;
		op.status = map_one(&op);
		if (guest_write(at, &op))
			return -XEN_EFAULT;
	}
	return (long)i;
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

/* One element between taking its mapping out and letting go of its pin. */
struct unmap {
	struct gnttab_unmap_grant_ref op;
	bool replace;
	struct grant_track was; /* as claimed */
	uint8_t gone;           /* GNTMAP_* that are taken out */
};

/* Takes the handle for this call alone and copies what it says. */
static int16_t claim(struct domain *d, struct unmap *u)
{
	struct grant_track *t = grant_track(d, u->op.handle);
	int16_t status = GNTST_bad_handle;

	if (!t)
		return status;
	spin_lock(&d->grants.track_lock);
	if (t->maps && !t->busy) {
		t->busy = true;
		u->was = *t;
		status = GNTST_okay;
	}
	spin_unlock(&d->grants.track_lock);
	return status;
}

/* The guest does not say again how it named the entry: as when it mapped. */
static int take_out(const struct unmap *u)
{
	struct mm_grant_map map = {
	    .host_addr = u->op.host_addr,
	    .contains_pte = u->was.contains_pte,
	    .readonly = u->was.readonly,
	    .owner = u->was.owner,
	    .frame = {u->was.mfn},
	};

	if (!u->replace)
		return mm_grant_unmap_pte(&map);
	if (map.contains_pte)
		return -XEN_EINVAL;
	return mm_grant_replace_pte(&map, u->op.dev_bus_addr);
}

static int16_t unmap_begin(struct unmap *u)
{
	uint64_t bus_addr = u->replace ? 0 : u->op.dev_bus_addr;
	int16_t status = claim(current_domain(), u);

	if (status != GNTST_okay)
		return status;
	if (bus_addr && maddr_to_mfn((maddr_t){bus_addr}).v != u->was.mfn)
		return GNTST_general_error;
	if (u->op.host_addr && (u->was.maps & GNTMAP_host_map)) {
		if (take_out(u))
			return GNTST_general_error;
		u->gone |= GNTMAP_host_map;
	}
	if (bus_addr && (u->was.maps & GNTMAP_device_map))
		u->gone |= GNTMAP_device_map;
	return GNTST_okay;
}

/* After the flush. */
static void unmap_end(struct unmap *u)
{
	struct domain *d = current_domain();
	struct grant_track *t;

	if (u->op.status == GNTST_bad_handle)
		return;
	if (u->gone & GNTMAP_device_map)
		grant_device_put((mfn_t){u->was.mfn}, u->was.readonly);
	if (u->was.maps == u->gone) {
		grant_unpin(u->was.owner, u->was.ref, u->was.readonly);
		grant_track_free(d, u->op.handle);
		domain_put(u->was.owner);
		return;
	}
	t = grant_track(d, u->op.handle);
	spin_lock(&d->grants.track_lock);
	t->maps &= (uint8_t)~u->gone;
	t->busy = false;
	spin_unlock(&d->grants.track_lock);
}

/* Out with all n, one flush, and only then the pins. */
static int unmap_batch(uint64_t at, uint32_t n, bool replace)
{
	struct unmap batch[UNMAP_BATCH];
	uint8_t gone = 0;
	uint32_t i, got;
	int error = 0;

	for (got = 0; got < n; got++) {
		memset(&batch[got], 0, sizeof(batch[got]));
		if (guest_read(&batch[got].op, at + got * sizeof(batch[0].op)))
			break;
		batch[got].replace = replace;
		batch[got].op.status = unmap_begin(&batch[got]);
		gone |= batch[got].gone;
	}
	if (gone & GNTMAP_host_map)
		tlb_flush_all();
	for (i = 0; i < got; i++) {
		unmap_end(&batch[i]);
		error |= guest_write(at + i * sizeof(batch[0].op) +
					 offsetof(struct gnttab_unmap_grant_ref, status),
				     &batch[i].op.status);
	}
	return error || got < n ? -XEN_EFAULT : 0;
}

static long unmap_list(uint64_t list_va, uint64_t count, bool replace)
{
	uint64_t done = 0;
	uint32_t n;

	while (done < count && !(done && hypercall_preempt())) {
		n = (uint32_t)MIN(count - done, UNMAP_BATCH);
		if (unmap_batch(list_va + done * sizeof(struct gnttab_unmap_grant_ref), n, replace))
			return -XEN_EFAULT;
		done += n;
	}
	return (long)done;
}

long grant_unmap_list(uint64_t list_va, uint64_t count)
{
	return unmap_list(list_va, count, false);
}

long grant_replace_list(uint64_t list_va, uint64_t count)
{
	return unmap_list(list_va, count, true);
}
