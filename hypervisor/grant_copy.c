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
#include "guest.h"
#include "percpu.h"

struct side {
	struct domain *owner; /* referenced */
	struct page_info *page;
	uint32_t ref;
	bool by_ref, write;
};

static int16_t side_frame(const struct gnttab_copy_ptr *ptr, struct side *s, mfn_t *out_mfn)
{
	if (s->by_ref)
		return grant_pin(s->owner, ptr->u.ref, current_domain()->id, !s->write, out_mfn);
	*out_mfn = (mfn_t){ptr->u.gmfn};
	return GNTST_okay;
}

static int16_t side_page(struct side *s, mfn_t mfn)
{
	if (!mfn_valid(mfn) || !page_get(mfn_to_page(mfn), s->owner))
		return GNTST_bad_page;
	s->page = mfn_to_page(mfn);
	if (!s->write || !page_get_type(s->page, PT_WRITABLE))
		return GNTST_okay;
	page_put(s->page);
	return GNTST_general_error;
}

/* A frame that is not granted can only be the caller's own. */
static int16_t side_get(const struct gnttab_copy_ptr *ptr, struct side *s)
{
	int16_t status;
	mfn_t mfn;

	if (!s->by_ref && ptr->domid != DOMID_SELF)
		return GNTST_permission_denied;
	s->owner = domain_get(ptr->domid);
	if (!s->owner)
		return GNTST_bad_domain;
	s->ref = ptr->u.ref;
	status = side_frame(ptr, s, &mfn);
	if (status != GNTST_okay)
		goto put;
	status = side_page(s, mfn);
	if (status == GNTST_okay)
		return status;
	if (s->by_ref)
		grant_unpin(s->owner, s->ref, !s->write);
put:
	domain_put(s->owner);
	return status;
}

static void side_put(struct side *s)
{
	if (s->write)
		page_put_type(s->page);
	page_put(s->page);
	if (s->by_ref)
		grant_unpin(s->owner, s->ref, !s->write);
	domain_put(s->owner);
}

static int16_t copy_one(const struct gnttab_copy *op)
{
	struct side from = {.by_ref = op->flags & GNTCOPY_source_gref};
	struct side to = {.by_ref = op->flags & GNTCOPY_dest_gref, .write = true};
	int16_t status;

	if ((uint32_t)op->source.offset + op->len > PAGE_SIZE ||
	    (uint32_t)op->dest.offset + op->len > PAGE_SIZE)
		return GNTST_bad_copy_arg;
	status = side_get(&op->source, &from);
	if (status != GNTST_okay)
		return status;
	status = side_get(&op->dest, &to);
	if (status == GNTST_okay) {
		/* Both may be one page. */
		memmove((char *)page_to_virt(to.page) + op->dest.offset,
			(char *)page_to_virt(from.page) + op->source.offset, op->len);
		side_put(&to);
	}
	side_put(&from);
	return status;
}

long grant_copy_list(uint64_t list_va, uint64_t count)
{
	struct gnttab_copy op;
	uint64_t i, at;

	for (i = 0; i < count; i++) {
		if (i && hypercall_preempt())
			break;
		at = list_va + i * sizeof(op);
		if (guest_read(&op, at))
			return -XEN_EFAULT;
		op.status = copy_one(&op);
		if (guest_write(at + offsetof(struct gnttab_copy, status), &op.status))
			return -XEN_EFAULT;
	}
	return (long)i;
}
