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

/* One element between taking its mapping out and letting go of its pin. */
struct unmap {
	/* IN */
	uint64_t host_addr, dev_bus_addr, new_addr;
	uint32_t handle;
	bool replace;
	/* in between */
	struct grant_track was; /* as claimed */
	uint8_t gone;		/* GNTMAP_* that are taken out */
	/* OUT */
	int16_t status;
};

/* Takes the handle for this call alone and copies what it says. */
static int16_t claim(struct domain *d, struct unmap *u)
{
	struct grant_track *t = grant_track(d, u->handle);
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

static int take_out(const struct unmap *u)
{
	struct mm_grant_map map = {
		.host_addr = u->host_addr,
		/* The guest does not say again how it named the entry: as when it mapped. */
		.contains_pte = u->was.contains_pte,
		.readonly = u->was.readonly,
		.owner = u->was.owner,
		.frame = {u->was.mfn},
	};

	if (u->replace)
		return u->was.contains_pte ? -XEN_EINVAL : mm_grant_replace_pte(&map, u->new_addr);
	return mm_grant_unmap_pte(&map);
}

static void unmap_begin(struct unmap *u)
{
	struct domain *d = current_domain();

	u->status = claim(d, u);
	if (u->status != GNTST_okay)
		return;
	if (u->dev_bus_addr && maddr_to_mfn((maddr_t){u->dev_bus_addr}).v != u->was.mfn) {
		u->status = GNTST_general_error;
		return;
	}
	if (u->host_addr && (u->was.maps & GNTMAP_host_map)) {
		if (take_out(u)) {
			u->status = GNTST_general_error;
			return;
		}
		u->gone |= GNTMAP_host_map;
	}
	if (u->dev_bus_addr && (u->was.maps & GNTMAP_device_map))
		u->gone |= GNTMAP_device_map;
}

/* After the flush. */
static void unmap_end(struct unmap *u)
{
	struct domain *d = current_domain();
	uint8_t left = u->was.maps & (uint8_t)~u->gone;
	struct grant_track *t;

	if (u->status == GNTST_bad_handle)
		return;
	if (u->gone & GNTMAP_device_map)
		grant_device_put((mfn_t){u->was.mfn}, u->was.readonly);
	if (!left) {
		grant_unpin(u->was.owner, u->was.ref, u->was.readonly);
		grant_track_free(d, u->handle);
		domain_put(u->was.owner);
		return;
	}
	t = grant_track(d, u->handle);
	spin_lock(&d->grants.track_lock);
	t->maps = left;
	t->busy = false;
	spin_unlock(&d->grants.track_lock);
}

/* How an element of a list becomes a struct unmap, and its status gets back. */
struct unmap_list {
	uint32_t element_bytes, status_offset;
	void (*decode)(const void *element, struct unmap *u);
};

static void decode_unmap(const void *element, struct unmap *u)
{
	const struct gnttab_unmap_grant_ref *op = element;

	u->host_addr = op->host_addr;
	u->dev_bus_addr = op->dev_bus_addr;
	u->handle = op->handle;
}

static void decode_replace(const void *element, struct unmap *u)
{
	const struct gnttab_unmap_and_replace *op = element;

	u->host_addr = op->host_addr;
	u->new_addr = op->new_addr;
	u->handle = op->handle;
	u->replace = true;
}

/* How many elements were read; the TLBs are flushed for all of them. */
static uint32_t begin_batch(const struct unmap_list *l, uint64_t at, struct unmap *batch, uint32_t n)
{
	union {
		struct gnttab_unmap_grant_ref unmap;
		struct gnttab_unmap_and_replace replace;
	} element;
	bool flush = false;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (guest_copy_from(&element, at + i * l->element_bytes, l->element_bytes))
			break;
		memset(&batch[i], 0, sizeof(batch[i]));
		l->decode(&element, &batch[i]);
		unmap_begin(&batch[i]);
		flush |= batch[i].gone & GNTMAP_host_map;
	}
	if (flush)
		tlb_flush_all();
	return i;
}

static int end_batch(const struct unmap_list *l, uint64_t at, struct unmap *batch, uint32_t n)
{
	int error = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		unmap_end(&batch[i]);
		if (guest_write(at + i * l->element_bytes + l->status_offset, &batch[i].status))
			error = -XEN_EFAULT;
	}
	return error;
}

static long run_list(const struct unmap_list *l, uint64_t list_va, uint64_t count)
{
	struct unmap batch[UNMAP_BATCH];
	uint64_t at, done = 0;
	uint32_t n, got;

	while (done < count && !(done && hypercall_preempt())) {
		n = (uint32_t)MIN(count - done, UNMAP_BATCH);
		at = list_va + done * l->element_bytes;
		got = begin_batch(l, at, batch, n);
		if (end_batch(l, at, batch, got) || got < n)
			return -XEN_EFAULT;
		done += n;
	}
	return (long)done;
}

long grant_unmap_list(uint64_t list_va, uint64_t count)
{
	static const struct unmap_list list = {
		.element_bytes = sizeof(struct gnttab_unmap_grant_ref),
		.status_offset = offsetof(struct gnttab_unmap_grant_ref, status),
		.decode = decode_unmap,
	};

	return run_list(&list, list_va, count);
}

long grant_replace_list(uint64_t list_va, uint64_t count)
{
	static const struct unmap_list list = {
		.element_bytes = sizeof(struct gnttab_unmap_and_replace),
		.status_offset = offsetof(struct gnttab_unmap_and_replace, status),
		.decode = decode_replace,
	};

	return run_list(&list, list_va, count);
}
