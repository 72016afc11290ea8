/* iospace.c: contexts made and ended, what they take of our memory, which addresses no one may have.
 *
 * A context is of one unit; which functions are in it the registry knows (iommu_device.c), how much of our memory all of a domain's may
 * take iommu_quota.c: an operation that would go beyond fails with -XEN_ENOMEM and changes nothing. Called by iospace_op.c, the registry, and domain_end.c through it.
 */
#include "iospace_private.h"

#include <amphi/string.h>

void iospace_count(struct iospace_context *c)
{
	struct domain_iospace *s = &c->domain->iospace;

	s->n_tables -= c->n_tables;
	c->n_tables = iommu_space_tables(c->space);
	s->n_tables += c->n_tables;
	iommu_space_limit(c->space, c->n_tables + iospace_left(c->domain));
}

/* ---- addresses ------------------------------------------------------------------------------------- */

/* Writes to the first are interrupts to VT-d and to AMD-Vi; the second is HyperTransport's, and AMD-Vi gives parts of it meanings of
 * their own. */
static const struct iospace_range fixed[] = {{0xfee00000, 0xfef00000, 0},
					     {0xfd00000000, 0x10000000000, 0}};

bool iospace_window(const struct iommu *unit, unsigned n, struct iospace_range *out)
{
	const struct iommu_reserved *r;
	unsigned k = ARRAY_SIZE(fixed);

	if (n < k) {
		*out = fixed[n];
		return true;
	}
	for (unsigned i = 0; (r = iommu_reserved(i)) != NULL; i++) {
		if (iommu_of(r->first_bdf) != unit || k++ != n)
			continue;
		*out = (struct iospace_range){r->start, r->end, r->rights};
		return true;
	}
	return false;
}

/* Asked for each map and unmap: most machines have the two fixed windows and no more. */
static bool meets_window(const struct iospace_context *c, uint64_t dma, uint64_t end)
{
	struct iospace_range w;

	for (unsigned n = 0; n < ARRAY_SIZE(fixed); n++)
		if (dma < fixed[n].end && end > fixed[n].start)
			return true;
	if (!iommu_reserved(0))
		return false;
	for (unsigned n = ARRAY_SIZE(fixed); iospace_window(c->unit, n, &w); n++)
		if (dma < w.end && end > w.start)
			return true;
	return false;
}

bool iospace_range_ok(const struct iospace_context *c, uint64_t dma, uint64_t count)
{
	uint64_t end = dma + (count << PAGE_SHIFT);

	return count && count <= IOSPACE_PAGES && !(dma & ~PAGE_MASK) && end >= dma &&
	       !((end - 1) >> iommu_traits(c->unit)->address_bits) && !meets_window(c, dma, end);
}

/* ---- life ------------------------------------------------------------------------------------------ */

struct iospace_context *iospace_find(const struct domain *d, uint32_t number)
{
	struct iospace_context *c = number < IOSPACE_CONTEXTS ? d->iospace.context[number] : NULL;

	return c && !c->closing ? c : NULL;
}

static void forget(struct iospace_context *c)
{
	c->domain->iospace.context[c->number] = NULL;
	c->domain->iospace.n_contexts--;
	c->domain->iospace.n_tables -= c->n_tables;
	hv_page_free(c->waiting, IOSPACE_WAITING_ORDER);
	hv_free(c, sizeof(*c));
}

int iospace_new(struct domain *d, struct iommu *unit, struct iospace_context **out)
{
	uint32_t number = 1, left = iospace_left(d);
	struct iospace_context *c;
	int error = -XEN_ENOMEM;

	while (number < IOSPACE_CONTEXTS && d->iospace.context[number])
		number++;
	if (number == IOSPACE_CONTEXTS)
		return -XEN_ENOSPC;
	if (left <= IOSPACE_CONTEXT_PAGES)
		return -XEN_ENOMEM;
	c = hv_alloc(sizeof(*c));
	if (!c)
		return -XEN_ENOMEM;
	*c = (struct iospace_context){.domain = d, .unit = unit, .number = number};
	c->waiting = hv_page_alloc(IOSPACE_WAITING_ORDER);
	if (!c->waiting)
		goto free_context;
	error = iommu_space_new(unit, left - IOSPACE_CONTEXT_PAGES, &c->space);
	if (error)
		goto free_waiting;
	d->iospace.context[number] = c;
	d->iospace.n_contexts++;
	iospace_count(c);
	*out = c;
	return 0;
free_waiting:
	hv_page_free(c->waiting, IOSPACE_WAITING_ORDER);
free_context:
	hv_free(c, sizeof(*c));
	return error;
}

/* Closing is said first: what is let go piece by piece is not to be mapped anew meanwhile. */
int iospace_end(struct iospace_context *c)
{
	int error;

	if (iommu_space_functions(c->space))
		return -XEN_EBUSY;
	c->closing = true;
	error = iospace_empty(c, IOSPACE_PAGES);
	if (!error)
		error = iommu_space_free(c->space);
	if (!error)
		forget(c);
	return error;
}

/* ---- what the registry says ------------------------------------------------------------------------ */

void iospace_lose(struct io_device *dev)
{
	dev->context = NULL;
}

/* A unit that does not answer keeps its tables, and we the little that tells of them. What they lead to is given back when no
 * function is in them; when one could not be had out, it stays the domain's for good. */
int iospace_teardown(struct domain *d)
{
	for (unsigned n = 1; n < IOSPACE_CONTEXTS; n++) {
		struct iospace_context *c = d->iospace.context[n];
		int error = c ? iospace_end(c) : 0;

		if (error == -XEN_ERESTART)
			return error;
		if (error)
			hv_printk("d%u: context %u stays with its unit: error %d", d->id, n,
				  -error);
	}
	return 0;
}
