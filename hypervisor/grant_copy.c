/* grant_copy.c: GNTTABOP_copy: bytes from one page to another, either of them granted.
 *
 * Each side is taken the same way: pinned when it is named by a grant, and with it the grant it leads
 * to when it is transitive; its frame referenced for its owner, and used as writable when it is the
 * destination, so that a page table is never written. Then the bytes move through the direct map;
 * nothing is mapped and no TLB is touched.
 *
 * A list mostly goes through one page after another, so a side stays taken from one copy to the next for as long as
 * they name it alike; its owner sees it in use until then, and at the latest until the list ends or pauses.
 *
 * Not here: pins (grant.c), other operations of the hypercall (grant_op.c). Called by grant_op.c.
 */
#include <amphi/string.h>

#include "grant_pins.h"
#include "guest.h"
#include "percpu.h"

struct side {
	struct gnttab_copy_ptr named;
	struct domain *owner;  /* as the caller named it, referenced; NULL: not taken */
	struct domain *beyond; /* where a transitive grant leads, referenced; else NULL */
	uint32_t ref, beyond_ref;
	mfn_t mfn;
	uint32_t start, end; /* what of the frame may be touched */
	bool by_ref, readonly, self;
	bool held; /* the frame, and with it the pins */
};

static int16_t side_name(const struct gnttab_copy_ptr *ptr, struct side *s)
{
	if (!s->owner || s->named.domid != ptr->domid) {
		if (s->owner)
			domain_put(s->owner);
		s->owner = domain_get(ptr->domid);
	}
	s->named = *ptr;
	s->self = ptr->domid == DOMID_SELF;
	s->ref = ptr->u.ref;
	s->mfn = (mfn_t){ptr->u.gmfn};
	return s->owner ? GNTST_okay : GNTST_bad_domain;
}

/* The owner passes on what another granted to it. One step only: that must be a grant of pages. */
static int16_t follow(struct side *s, struct grant_seen *seen)
{
	struct grant_want want = {s->owner->id, s->readonly, false};
	domid_t of = seen->of;
	int16_t status;

	s->beyond_ref = seen->of_ref;
	if (of < DOMID_FIRST_RESERVED && of != s->owner->id)
		s->beyond = domain_get(of);
	if (!s->beyond)
		return GNTST_general_error;
	status = grant_pin(s->beyond, s->beyond_ref, &want, seen);
	if (status == GNTST_okay && seen->kind != GRANT_TRANSITIVE)
		return GNTST_okay;
	if (status == GNTST_okay)
		grant_unpin(s->beyond, s->beyond_ref, s->readonly);
	domain_put(s->beyond);
	s->beyond = NULL;
	return status == GNTST_okay ? GNTST_general_error : status;
}

static void unpin(struct side *s)
{
	if (s->beyond) {
		grant_unpin(s->beyond, s->beyond_ref, s->readonly);
		domain_put(s->beyond);
		s->beyond = NULL;
	}
	if (s->by_ref)
		grant_unpin(s->owner, s->ref, s->readonly);
}

/* A frame that is not granted can only be the caller's own, and it has to say so. */
static int16_t side_get(struct side *s)
{
	struct grant_want want = {current_domain()->id, s->readonly, false};
	struct grant_seen seen = {.kind = GRANT_PAGE, .end = PAGE_SIZE};
	int16_t status;

	if (!s->by_ref && !s->self)
		return GNTST_permission_denied;
	if (s->by_ref) {
		status = grant_pin(s->owner, s->ref, &want, &seen);
		if (status != GNTST_okay)
			return status;
		s->mfn = (mfn_t){seen.mfn};
	}
	status = seen.kind == GRANT_TRANSITIVE ? follow(s, &seen) : GNTST_okay;
	s->start = seen.start;
	s->end = seen.end;
	if (s->beyond)
		s->mfn = (mfn_t){seen.mfn};
	if (status == GNTST_okay)
		status = grant_frame_get(s->mfn, s->beyond ? s->beyond : s->owner, s->readonly);
	s->held = status == GNTST_okay;
	if (!s->held)
		unpin(s);
	return status;
}

static void side_put(struct side *s)
{
	if (!s->held)
		return;
	s->held = false;
	grant_frame_put(s->mfn, s->readonly);
	unpin(s);
}

static void side_end(struct side *s)
{
	side_put(s);
	if (s->owner)
		domain_put(s->owner);
}

/* Whether it is taken, and as this copy names it. */
static bool side_is(const struct side *s, const struct gnttab_copy_ptr *ptr, bool by_ref)
{
	return s->held && s->by_ref == by_ref && s->named.domid == ptr->domid &&
	       (by_ref ? s->ref == ptr->u.ref : s->named.u.gmfn == ptr->u.gmfn);
}

/* Both are held. */
static int16_t move(const struct gnttab_copy *op, const struct side *from, const struct side *to)
{
	uint32_t source = op->source.offset, dest = op->dest.offset;

	if (source + op->len > PAGE_SIZE || dest + op->len > PAGE_SIZE)
		return GNTST_bad_copy_arg;
	if (source < from->start || source + op->len > from->end || dest < to->start ||
	    dest + op->len > to->end)
		return GNTST_general_error;
	/* Both may be one page. */
	memmove((char *)mfn_to_virt(to->mfn) + dest, (char *)mfn_to_virt(from->mfn) + source,
		op->len);
	return GNTST_okay;
}

/* In the order in which a call with several faults is told of the first. */
static int16_t copy(const struct gnttab_copy *op, struct side *from, struct side *to)
{
	bool from_ref = op->flags & GNTCOPY_source_gref, to_ref = op->flags & GNTCOPY_dest_gref;
	bool new_from = !side_is(from, &op->source, from_ref);
	bool new_to = !side_is(to, &op->dest, to_ref);
	int16_t status = GNTST_okay;

	if (new_from) {
		side_put(from);
		from->by_ref = from_ref;
		status = side_name(&op->source, from);
	}
	if (new_to) {
		side_put(to);
		to->by_ref = to_ref;
		if (status == GNTST_okay)
			status = side_name(&op->dest, to);
	}
	if (new_from && status == GNTST_okay)
		status = side_get(from);
	if (new_to && status == GNTST_okay)
		status = side_get(to);
	return status == GNTST_okay ? move(op, from, to) : status;
}

/* How many of n can be read, from the first. */
static uint32_t fetch(struct gnttab_copy *list, uint64_t at, uint32_t n)
{
	uint32_t got = 0;

	if (!guest_copy_from(list, at, n * sizeof(*list)))
		return n;
	while (got < n && !guest_read(&list[got], at + got * sizeof(*list)))
		got++;
	return got;
}

int grant_copy(uint64_t at, uint32_t n)
{
	struct gnttab_copy list[GRANT_COPY_LIST];
	struct side from = {.readonly = true}, to = {.readonly = false};
	uint32_t got = fetch(list, at, n);

	for (uint32_t i = 0; i < got; i++)
		list[i].status = copy(&list[i], &from, &to);
	side_end(&to);
	side_end(&from);
	if (guest_copy_to(at, list, got * sizeof(*list)))
		return -XEN_EFAULT;
	return got < n ? -XEN_EFAULT : 0;
}
