/* grant_copy.c: GNTTABOP_copy: bytes from one page to another, either of them granted.
 *
 * Each side is taken the same way: pinned when it is named by a grant, its frame referenced for its
 * owner, and used as writable when it is the destination, so that a page table is never written.
 * Then the bytes move through the direct map; nothing is mapped and no TLB is touched.
 *
 * Not here: pins (grant.c), decoding of the hypercall (grant_op.c). Called by grant_op.c.
 */
#include <amphi/string.h>

#include "grant_pins.h"
#include "percpu.h"

struct side {
	struct domain *owner; /* referenced */
	mfn_t mfn;
	uint32_t ref;
	bool by_ref, readonly;
};

/* A frame that is not granted can only be the caller's own. */
static int16_t side_get(const struct gnttab_copy_ptr *ptr, struct side *s)
{
	int16_t status = GNTST_okay;

	if (!s->by_ref && ptr->domid != DOMID_SELF)
		return GNTST_permission_denied;
	s->owner = domain_get(ptr->domid);
	if (!s->owner)
		return GNTST_bad_domain;
	s->ref = ptr->u.ref;
	s->mfn = (mfn_t){ptr->u.gmfn};
	if (s->by_ref)
		status = grant_pin(s->owner, s->ref, current_domain()->id, s->readonly, &s->mfn);
	if (status != GNTST_okay)
		goto put;
	status = grant_frame_get(s->mfn, s->owner, s->readonly);
	if (status == GNTST_okay)
		return status;
	if (s->by_ref)
		grant_unpin(s->owner, s->ref, s->readonly);
put:
	domain_put(s->owner);
	return status;
}

static void side_put(struct side *s)
{
	grant_frame_put(s->mfn, s->readonly);
	if (s->by_ref)
		grant_unpin(s->owner, s->ref, s->readonly);
	domain_put(s->owner);
}

int grant_copy(struct grant_item *item)
{
	struct gnttab_copy *op = &item->arg.copy;
	struct side from = {.by_ref = op->flags & GNTCOPY_source_gref, .readonly = true};
	struct side to = {.by_ref = op->flags & GNTCOPY_dest_gref};

	op->status = GNTST_bad_copy_arg;
	if ((uint32_t)op->source.offset + op->len > PAGE_SIZE ||
	    (uint32_t)op->dest.offset + op->len > PAGE_SIZE)
		return 0;
	op->status = side_get(&op->source, &from);
	if (op->status != GNTST_okay)
		return 0;
	op->status = side_get(&op->dest, &to);
	if (op->status == GNTST_okay) {
		/* Both may be one page. */
		memmove((char *)mfn_to_virt(to.mfn) + op->dest.offset,
			(char *)mfn_to_virt(from.mfn) + op->source.offset, op->len);
		side_put(&to);
	}
	side_put(&from);
	return 0;
}
