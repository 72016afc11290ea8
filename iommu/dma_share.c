/* dma_share.c: devices of one sender in one space: joined, left, cut off (dma_share.h).
 *
 * Caller: dma_space.c. Calls iommu.h, dma_window.c. A number that several devices have is in the space as long as one of them is. What a driver left mapped when its
 * device goes is taken out of the others' reach too: it is memory that is given back next.
 */
#include "dma_share.h"

#include <amphi/xen.h>

#define TABLES_MAX (DMA_WINDOW_PAGES / 512u + 64u) /* for each window */

static struct dma_share *shares;

struct dma_share *dma_share_beside(const struct dma_share *s, const struct dma_share *after)
{
	struct dma_share *c = after ? after->next : shares;

	while (c && (c == s || c->io != s->io))
		c = c->next;
	return c;
}

/* ---- what firmware keeps ---------------------------------------------------------------------------- */

static bool is_reserved(uint64_t dma)
{
	const struct iommu_reserved *r;

	for (unsigned n = 0; (r = iommu_reserved(n)) != NULL; n++)
		if (dma >= r->start && dma < r->end)
			return true;
	return false;
}

/* Another device of the space may have some of it there already. */
static int map_reserved(const struct dma_share *s, const struct iommu_reserved *r)
{
	unsigned rights;
	maddr_t to = {0};
	int err = iommu_map(s->io, r->start, (maddr_t){r->start}, r->end - r->start, r->rights);

	if (err != -XEN_EEXIST)
		return err;
	err = 0;
	for (uint64_t at = r->start; at < r->end && !err; at += PAGE_SIZE)
		if (iommu_lookup(s->io, at, &to, &rights))
			err = iommu_map(s->io, at, (maddr_t){at}, PAGE_SIZE, r->rights);
		else if (to.v != at || (rights & r->rights) != r->rights)
			err = -XEN_EEXIST;
	return err;
}

/* What firmware uses by this device lies where it says, whoever else of the space wants the addresses; and so does what it uses by the others. */
static int keep_reserved(struct dma_share *s)
{
	const struct iommu_reserved *r;
	int err = 0;

	for (unsigned n = 0; !err && (r = iommu_reserved(n)) != NULL; n++) {
		bool mine = iommu_is_kept_for(r, &s->names), any = mine;

		if (mine && r->rights)
			err = map_reserved(s, r);
		for (struct dma_share *c = dma_share_beside(s, NULL); c;
		     c = dma_share_beside(s, c)) {
			any |= iommu_is_kept_for(r, &c->names);
			if (mine)
				dma_window_keep(&c->window, r->start, r->end);
		}
		if (any)
			dma_window_keep(&s->window, r->start, r->end);
	}
	return err;
}

/* ---- numbers ---------------------------------------------------------------------------------------- */

static bool is_held(const struct dma_share *s, uint16_t number)
{
	for (struct dma_share *c = dma_share_beside(s, NULL); c; c = dma_share_beside(s, c))
		if (iommu_is_name(&c->names, number))
			return true;
	return false;
}

/* The first n of its numbers, but those that others have. One that was cut off is out already. */
static int take_out(const struct dma_share *s, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < n && (!err || err == -XEN_ENOENT); i++)
		err = is_held(s, s->names.name[i]) ? 0 : iommu_detach(s->io, s->names.name[i]);
	return err == -XEN_ENOENT ? 0 : err;
}

static int put_in(const struct dma_share *s)
{
	int err = 0;

	for (unsigned i = 0; i < s->names.n && !err; i++) {
		err = is_held(s, s->names.name[i]) ? 0 : iommu_attach(s->io, s->names.name[i]);
		if (err)
			(void)take_out(s, i);
	}
	return err;
}

/* ---- spaces ----------------------------------------------------------------------------------------- */

static int find_io(struct dma_share *s, struct iommu *unit)
{
	for (struct dma_share *c = shares; c; c = c->next) {
		if (!iommu_names_meet(&c->names, &s->names))
			continue;
		if (c->out || (s->io && s->io != c->io))
			return -XEN_EBUSY;
		s->io = c->io;
	}
	return s->io ? 0 : iommu_space_new(unit, TABLES_MAX, &s->io);
}

/* A place where no other's window is, and tables for one more. */
static int fit(struct dma_share *s, uint64_t mask)
{
	unsigned places = 0, n = 1;

	for (struct dma_share *c = dma_share_beside(s, NULL); c; c = dma_share_beside(s, c), n++)
		places |= 1u << c->window.place;
	iommu_space_limit(s->io, n * TABLES_MAX);
	return dma_window_fit(&s->window, mask, places);
}

int dma_share_join(struct dma_share *s, const struct dma_device *dev, struct iommu *unit)
{
	int err;

	iommu_names(dev->bdf, &s->names);
	err = find_io(s, unit);
	if (err)
		return err;
	err = fit(s, dev->mask);
	if (!err)
		err = keep_reserved(s);
	if (!err)
		err = put_in(s);
	if (err && !dma_share_beside(s, NULL))
		(void)iommu_space_free(s->io);
	if (err)
		return err;
	s->next = shares;
	shares = s;
	return 0;
}

static int empty_window(const struct dma_share *s)
{
	struct iommu_piece piece = {.dma = s->window.first};
	int err = 0;

	while (!err && iommu_next(s->io, &piece) && dma_window_has(&s->window, piece.dma)) {
		if (!is_reserved(piece.dma))
			err = iommu_unmap(s->io, piece.dma, piece.len);
		piece.dma += piece.len;
	}
	return err ? err : iommu_flush_all(s->io);
}

/* A unit that does not answer may still walk the tables: they stay its own then; and where a number did not come out, or others are in the space, its place there is nobody's. */
int dma_share_leave(struct dma_share *s)
{
	struct dma_share **link = &shares;
	int err = take_out(s, s->names.n);

	s->out = true;
	if (err)
		return err;
	if (dma_share_beside(s, NULL)) {
		err = empty_window(s);
		if (err)
			return err;
	} else {
		err = iommu_space_free(s->io);
	}
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	return err;
}

int dma_share_cut(struct dma_share *s)
{
	int err;

	if (dma_share_beside(s, NULL))
		return -XEN_EBUSY;
	err = s->out ? -XEN_ENOENT : take_out(s, s->names.n);
	s->out |= !err;
	return err;
}
