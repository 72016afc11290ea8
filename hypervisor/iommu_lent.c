/* iommu_lent.c: others' frames in a domain's own memory as its devices see it: those it has mapped by grants.
 *
 * A stock kernel that serves disks from a device of its own gives the device the machine address of its guest's page. So while a grant is
 * mapped by a domain in step (iommu_own.c), its frame is in the domain's spaces too, with the strongest right of the handles it is
 * mapped by, and out, flushed, before the granter learns of the last unmapping. grant_map.c, the only caller, holds a reference and the
 * use of the frame for each handle that is counted here.
 */
#include "domain.h"
#include "iommu_device.h"

#define HEADS 256u

struct lent {
	struct lent *next;
	uint32_t frame, readers, writers;
};

static unsigned rights_of(const struct lent *l)
{
	return l->writers ? IOMMU_READ | IOMMU_WRITE : l->readers ? IOMMU_READ : 0;
}

static struct lent **place_of(struct domain *d, uint32_t frame)
{
	struct lent **at = &d->iommu.lent[frame % HEADS];

	while (*at && (*at)->frame != frame)
		at = &(*at)->next;
	return at;
}

/* The counts have changed, from where the right was `old`. */
static int follow(struct domain *d, const struct lent *l, unsigned old)
{
	int error = 0;

	if (rights_of(l) == old)
		return 0;
	for (struct own_space *s = d->iommu.own; s && !error; s = s->next)
		error = iommu_own_set(s, (mfn_t){l->frame}, rights_of(l));
	return error;
}

/* The heads go with the last frame: what is not lent costs nothing. */
static void drop_if_empty(struct domain *d, struct lent **at)
{
	struct lent *l = *at;

	if (l->readers || l->writers)
		return;
	*at = l->next;
	hv_free(l, sizeof(*l));
	if (--d->iommu.n_lent)
		return;
	hv_free(d->iommu.lent, HEADS * sizeof(struct lent *));
	d->iommu.lent = NULL;
}

static struct lent **find_or_make(struct domain *d, uint32_t frame)
{
	struct lent **at;

	if (!d->iommu.lent)
		d->iommu.lent = hv_alloc(HEADS * sizeof(struct lent *));
	if (!d->iommu.lent)
		return NULL;
	at = place_of(d, frame);
	if (*at)
		return at;
	*at = hv_alloc(sizeof(struct lent));
	if (*at) {
		(*at)->frame = frame;
		d->iommu.n_lent++;
		return at;
	}
	if (!d->iommu.n_lent) {
		hv_free(d->iommu.lent, HEADS * sizeof(struct lent *));
		d->iommu.lent = NULL;
	}
	return NULL;
}

int iommu_lend(struct domain *d, mfn_t mfn, bool readonly)
{
	struct lent **at = find_or_make(d, (uint32_t)mfn.v), *l;
	uint32_t *count;
	unsigned old;
	int error;

	if (!at)
		return -XEN_ENOMEM;
	l = *at;
	old = rights_of(l);
	count = readonly ? &l->readers : &l->writers;
	++*count;
	error = follow(d, l, old);
	if (!error)
		return 0;
	old = rights_of(l);
	--*count;
	(void)follow(d, l, old);
	drop_if_empty(d, at);
	return error;
}

int iommu_unlend(struct domain *d, mfn_t mfn, bool readonly)
{
	struct lent **at = place_of(d, (uint32_t)mfn.v), *l = *at;
	uint32_t *count = readonly ? &l->readers : &l->writers;
	unsigned old = rights_of(l);
	int error;

	--*count;
	error = follow(d, l, old);
	if (error)
		++*count;
	else
		drop_if_empty(d, at);
	return error;
}

int iommu_lent_enter(struct domain *d, struct own_space *s)
{
	int error = 0;

	for (unsigned i = 0; d->iommu.lent && i < HEADS; i++)
		for (const struct lent *l = d->iommu.lent[i]; l && !error; l = l->next)
			error = iommu_own_set(s, (mfn_t){l->frame}, rights_of(l));
	return error;
}
