/* iospace_map.c: pages into a context, out of it, and what holds them meanwhile.
 *
 * First what the page is and whether it may be had, then our hold on it, then the unit's table: a device never sees what is not held.
 * Out of it in reverse: the table, the unit's memory of it (a flush), the hold. What was taken out and not flushed is in the
 * context's list of the waiting; when that has no room for one more operation, the flush comes first.
 *
 * Called by iospace_op.c and iospace.c. Calls iommu/, mm and grant_device.c.
 */
#include "iospace_private.h"

#define RIGHTS (IOSPACE_READ | IOSPACE_WRITE)

_Static_assert(IOSPACE_READ == IOMMU_READ && IOSPACE_WRITE == IOMMU_WRITE, "the same bits");

/* ---- own frames ------------------------------------------------------------------------------------ */

static int frame_hold(struct domain *d, uint64_t frame, bool writable)
{
	mfn_t mfn = {frame};
	struct page_info *page;
	int error;

	if (!writable)
		return mfn_valid(mfn) && page_get(mfn_to_page(mfn), d) ? 0 : -XEN_EPERM;
	error = page_get_and_type(mfn, d, PT_WRITABLE, &page);
	return error == -XEN_EINVAL ? -XEN_EPERM : error;
}

static void frame_drop(uint64_t frame, bool writable)
{
	struct page_info *page = mfn_to_page((mfn_t){frame});

	if (writable)
		page_put_and_type(page);
	else
		page_put(page);
}

/* ---- grants ---------------------------------------------------------------------------------------- */

static struct iospace_grant **hash_at(struct iospace_context *c, uint64_t dma)
{
	return &c->grants[(dma >> PAGE_SHIFT) % IOSPACE_HASH];
}

struct iospace_grant *iospace_grant_at(const struct iospace_context *c, uint64_t dma)
{
	struct iospace_grant *g;

	dma &= PAGE_MASK;
	for (g = c->grants[(dma >> PAGE_SHIFT) % IOSPACE_HASH]; g; g = g->next)
		if (g->dma == dma)
			return g;
	return NULL;
}

static void hash_remove(struct iospace_context *c, struct iospace_grant *g)
{
	struct iospace_grant **at = hash_at(c, g->dma);

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
}

static void grant_drop(struct iospace_context *c, struct iospace_grant *g)
{
	grant_use_put(&g->use);
	c->domain->iospace.n_grants--;
	hv_free(g, sizeof(*g));
}

/* ---- letting go ------------------------------------------------------------------------------------ */

static void let_go(struct iospace_context *c, const struct iospace_waiting *w)
{
	if (w->grant)
		grant_drop(c, w->grant);
	else
		frame_drop(w->frame, w->writable);
}

static void let_go_range(struct iospace_context *c, uint64_t dma, uint64_t len)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->n_waiting; i++) {
		struct iospace_waiting w = c->waiting[i];

		if (!len || w.dma - dma < len)
			let_go(c, &w);
		else
			c->waiting[kept++] = w;
	}
	c->n_waiting = kept;
}

/* What nothing waits for the unit knows nothing old of. */
int iospace_flush(struct iospace_context *c, uint64_t dma, uint64_t len)
{
	int error;

	if (!c->n_waiting)
		return 0;
	if (!len)
		error = iommu_flush_all(c->space);
	else if (len == PAGE_SIZE)
		error = iommu_flush_entry(c->space, dma);
	else
		error = iommu_flush_range(c->space, dma, len);
	if (!error)
		let_go_range(c, dma, len);
	return error;
}

/* ---- map ------------------------------------------------------------------------------------------- */

/* Tables that ran empty may be what is missing. They are looked for once in a batch: that takes as long as there are tables. */
static int enter(struct iospace_context *c, const struct iospace_map *m, uint64_t frame,
		 unsigned rights)
{
	maddr_t to = mfn_to_maddr((mfn_t){frame});
	uint64_t len = (uint64_t)m->count << PAGE_SHIFT;
	int error;

	iospace_count(c);
	error = iommu_map(c->space, m->dma, to, len, rights);
	if (error == -XEN_ENOMEM && !c->pruned) {
		c->pruned = true;
		if (iommu_space_prune(c->space) > 0) {
			iospace_count(c);
			error = iommu_map(c->space, m->dma, to, len, rights);
		}
	}
	iospace_count(c);
	return error;
}

/* The unit did not answer when it was told of a map: some of it may be seen. It is taken out, and waits. */
static void to_waiting(struct iospace_context *c, const struct iospace_map *m,
		       struct iospace_grant *g, uint64_t frame, bool writable)
{
	(void)iommu_unmap(c->space, m->dma, (uint64_t)m->count << PAGE_SHIFT);
	for (uint32_t i = 0; i < m->count; i++)
		c->waiting[c->n_waiting++] = (struct iospace_waiting){
		    m->dma + i * PAGE_SIZE, g, (uint32_t)(g ? 0 : frame + i), writable};
}

static int map_frames(struct iospace_context *c, const struct iospace_map *m, unsigned rights)
{
	bool writable = rights & IOSPACE_WRITE;
	uint32_t held = 0;
	int error = m->frame >> 40 ? -XEN_EPERM : 0;

	while (!error && held < m->count) {
		error = frame_hold(c->domain, m->frame + held, writable);
		held += !error;
	}
	if (!error)
		error = enter(c, m, m->frame, rights);
	if (error == -XEN_EIO)
		to_waiting(c, m, NULL, m->frame, writable);
	else if (error)
		while (held > 0)
			frame_drop(m->frame + --held, writable);
	return error;
}

static int map_grant(struct iospace_context *c, const struct iospace_op *op)
{
	const struct iospace_map *m = &op->u.map;
	bool readonly = !(op->flags & IOSPACE_WRITE);
	struct iospace_grant *g;
	int error;

	if (c->domain->iospace.n_grants % IOSPACE_PAGE_GRANTS == 0 && !iospace_left(c->domain))
		return -XEN_ENOMEM;
	g = hv_alloc(sizeof(*g));
	if (!g)
		return -XEN_ENOMEM;
	if (op->flags & IOSPACE_HANDLE)
		error = grant_use_handle(c->domain, m->handle, readonly, &g->use);
	else
		error =
		    grant_use_entry(c->domain, m->grant.domain, m->grant.ref, readonly, &g->use);
	if (error)
		goto free_grant;
	g->dma = m->dma;
	c->domain->iospace.n_grants++;
	error = enter(c, m, g->use.mfn, op->flags & RIGHTS);
	if (!error) {
		g->next = *hash_at(c, m->dma);
		*hash_at(c, m->dma) = g;
	} else if (error == -XEN_EIO) {
		to_waiting(c, m, g, 0, !readonly);
	} else {
		grant_drop(c, g);
	}
	return error;
free_grant:
	hv_free(g, sizeof(*g));
	return error;
}

int iospace_do_map(struct iospace_context *c, const struct iospace_op *op)
{
	const struct iospace_map *m = &op->u.map;
	unsigned kind = op->flags & (IOSPACE_HANDLE | IOSPACE_GREF);

	if (!(op->flags & RIGHTS) || !iospace_range_ok(c, m->dma, m->count))
		return -XEN_EINVAL;
	if (kind && (m->count != 1 || kind == (IOSPACE_HANDLE | IOSPACE_GREF) ||
		     (kind == IOSPACE_GREF && m->grant.zero)))
		return -XEN_EINVAL;
	/* Room for the case that the unit does not answer. */
	if (c->n_waiting + m->count > IOSPACE_WAITING && iospace_flush(c, 0, 0))
		return -XEN_EIO;
	return kind ? map_grant(c, op) : map_frames(c, m, op->flags & RIGHTS);
}

/* ---- unmap ----------------------------------------------------------------------------------------- */

/* What has to be let go later for the page at dma. One alone is taken out in the same walk. */
static int note(struct iospace_context *c, uint64_t dma, bool alone, struct iospace_waiting *out)
{
	unsigned rights;
	maddr_t to;
	int error = alone ? iommu_take(c->space, dma, &to, &rights)
			  : iommu_lookup(c->space, dma, &to, &rights);

	if (error)
		return error;
	*out = (struct iospace_waiting){
	    .dma = dma, .frame = (uint32_t)maddr_to_mfn(to).v, .writable = rights & IOMMU_WRITE};
	if (c->domain->iospace.n_grants)
		out->grant = iospace_grant_at(c, dma);
	return 0;
}

int iospace_do_unmap(struct iospace_context *c, const struct iospace_op *op)
{
	const struct iospace_unmap *u = &op->u.unmap;
	struct iospace_waiting *list;
	int error = 0;

	if (!iospace_range_ok(c, u->dma, u->count))
		return -XEN_EINVAL;
	if (c->n_waiting + u->count > IOSPACE_WAITING && iospace_flush(c, 0, 0))
		return -XEN_EIO;
	list = &c->waiting[c->n_waiting];
	for (uint32_t i = 0; i < u->count && !error; i++)
		error = note(c, u->dma + i * PAGE_SIZE, u->count == 1, &list[i]);
	if (!error && u->count > 1)
		error = iommu_unmap(c->space, u->dma, (uint64_t)u->count << PAGE_SHIFT);
	if (error)
		return error;
	for (uint32_t i = 0; i < u->count; i++)
		if (list[i].grant)
			hash_remove(c, list[i].grant);
	c->n_waiting += u->count;
	return 0;
}

int iospace_do_lookup(struct iospace_context *c, struct iospace_op *op)
{
	struct iospace_lookup *l = &op->u.lookup;
	unsigned rights;
	maddr_t to;

	if (iommu_lookup(c->space, l->dma, &to, &rights))
		return -XEN_ENXIO;
	op->flags = (uint16_t)rights;
	l->frame = maddr_to_mfn(to).v;
	if (iospace_grant_at(c, l->dma)) {
		op->flags |= IOSPACE_GREF;
		l->frame = 0;
	}
	return 0;
}

/* ---- the end --------------------------------------------------------------------------------------- */

static bool reserved_at(const struct iospace_context *c, uint64_t dma)
{
	struct iospace_range w;

	for (unsigned n = 0; iospace_window(c->unit, n, &w); n++)
		if (dma >= w.start && dma < w.end)
			return true;
	return false;
}

/* No table is changed: nobody walks them, and they go as a whole. */
int iospace_empty(struct iospace_context *c, unsigned pages)
{
	struct iommu_piece p = {.dma = c->closed_to};
	struct iospace_grant *g;
	unsigned done = 0;

	let_go_range(c, 0, 0);
	while (iommu_next(c->space, &p)) {
		uint64_t at = MAX(p.dma, c->closed_to);

		for (; at < p.dma + p.len && done < pages; at += PAGE_SIZE, done++) {
			g = iospace_grant_at(c, at);
			if (g) {
				hash_remove(c, g);
				grant_drop(c, g);
			} else if (!reserved_at(c, at)) {
				frame_drop(maddr_to_mfn(p.to).v + ((at - p.dma) >> PAGE_SHIFT),
					   p.rights & IOMMU_WRITE);
			}
		}
		c->closed_to = p.dma = at;
		if (done == pages)
			return -XEN_ERESTART;
	}
	return 0;
}
