/* iommu_quota.c: what the IO tables of one domain may take of our memory.
 *
 * All pages that a domain makes us hold for its contexts, tables and books, are counted against one limit, the same for each
 * domain (`iospace_tables=`): what would go beyond fails with -XEN_ENOMEM and changes nothing. Context 0 as the domain's own memory has tables for as
 * many pages as the domain may have free, twice, since a table is shared by 512 frames side by side and a domain's need not be; what
 * scattered frames, and frames of others that it maps, make it more counts like the rest. Callers: iospace*.c, iommu_own.c.
 */
#include "domain.h"
#include "iospace_private.h"
#include "mm_private.h"

/* For what firmware keeps, and the levels above the last. */
#define TABLES_BESIDE 64u

/* 4 MiB: tables for 2 GiB of single pages. */
static uint32_t pages_max = 1024;

void iospace_limit(uint64_t bytes)
{
	pages_max = (uint32_t)MIN(bytes >> PAGE_SHIFT, (uint64_t)UINT32_MAX / 2);
}

uint32_t iospace_left(const struct domain *d)
{
	const struct domain_iospace *s = &d->iospace;
	uint32_t taken = s->n_tables + s->n_own + s->n_contexts * IOSPACE_CONTEXT_PAGES +
			 DIV_ROUND_UP(s->n_grants, IOSPACE_PAGE_GRANTS);

	return taken < pages_max ? pages_max - taken : 0;
}

/* ---- context 0 ------------------------------------------------------------------------------------- */

static uint32_t free_tables(const struct domain *d)
{
	return 2 * DIV_ROUND_UP(d->mm.max_pages, PT_ENTRIES) + TABLES_BESIDE;
}

uint32_t iommu_own_most(const struct domain *d)
{
	return free_tables(d) + iospace_left(d);
}

void iommu_own_count(struct own_space *s)
{
	struct domain *d = s->domain;
	uint32_t n = iommu_space_tables(s->space), due = free_tables(d);

	d->iospace.n_own -= s->counted;
	s->counted = n > due ? n - due : 0;
	d->iospace.n_own += s->counted;
	iommu_space_limit(s->space, MAX(n, due) + iospace_left(d));
}
