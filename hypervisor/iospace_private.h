/* iospace_private.h: the inside of contexts, shared by iospace*.c only.
 *
 * What a mapping holds: of an own frame a reference, and a use as writable when the device may write; of a grant a pin as well.
 *
 *	mapped  --unmap-->  waiting  --flush of the unit-->  let go
 *
 * Of own frames the unit's tables are the only record of what is mapped; of grants there is a small one more, by address. What
 * waits is in a list of fixed length, so that nothing that undoes can be short of memory.
 */
#ifndef HV_IOSPACE_PRIVATE_H
#define HV_IOSPACE_PRIVATE_H

#include <amphi/iommu.h>

#include "domain.h"
#include "iommu_device.h"
#include "iospace.h"

#define IOSPACE_HASH 256u

/* A grant that is mapped at dma, or waits. */
struct iospace_grant {
	struct iospace_grant *next;
	uint64_t dma;
	struct grant_use use;
};

struct iospace_waiting {
	uint64_t dma;
	struct iospace_grant *grant; /* NULL: an own frame */
	uint32_t frame;
	bool writable;
};

struct iospace_context {
	struct domain *domain;
	struct iommu *unit;
	struct iommu_space *space;
	uint32_t number;
	uint32_t n_tables; /* as counted in the domain */
	uint32_t n_waiting;
	bool closing; /* being freed: nothing is mapped any more, nobody joins */
	bool owing;   /* this batch has to flush [owing_from, owing_to) */
	bool pruned;  /* in this batch */
	uint64_t owing_from, owing_to;
	uint64_t closed_to;              /* while closing: below it all is let go */
	struct iospace_waiting *waiting; /* IOSPACE_WAITING */
	struct iospace_grant *grants[IOSPACE_HASH];
};

/* Of IOSPACE_WAITING and the context itself; and how many grants are as good as one. */
#define IOSPACE_CONTEXT_PAGES 4u
#define IOSPACE_WAITING_ORDER 2u
#define IOSPACE_PAGE_GRANTS   64u
_Static_assert(sizeof(struct iospace_waiting) * IOSPACE_WAITING <= PAGE_SIZE
								       << IOSPACE_WAITING_ORDER,
	       "the list fits");
_Static_assert(sizeof(struct iospace_grant) * IOSPACE_PAGE_GRANTS <= PAGE_SIZE, "so do these");

/* ---- iommu_quota.c -------------------------------------------------------------------- */

/* How many pages more the domain's contexts may take. */
uint32_t iospace_left(const struct domain *d);

/* ---- iospace.c ------------------------------------------------------------------------ */

/* The tables of c have changed in size, or may: its share is counted anew, and limited by what is left. */
void iospace_count(struct iospace_context *c);

/* The n-th range of addresses that no context of the unit may have anything in; false: there are no more. rights: of what
 * firmware keeps. */
struct iospace_range {
	uint64_t start, end;
	unsigned rights;
};
bool iospace_window(const struct iommu *unit, unsigned n, struct iospace_range *out);
/* Whether a domain may map count pages there. */
bool iospace_range_ok(const struct iospace_context *c, uint64_t dma, uint64_t count);

/* A number of the domain's, but 0. NULL: none, or it is closing. */
struct iospace_context *iospace_find(const struct domain *d, uint32_t number);
int iospace_new(struct domain *d, struct iommu *unit, struct iospace_context **out);
/* -XEN_EBUSY; -XEN_ERESTART; -XEN_EIO: it stays, closing. */
int iospace_end(struct iospace_context *c);

/* ---- iospace_map.c -------------------------------------------------------------------- */

/* The operations, as the public header says: op is decoded by them. */
int iospace_do_map(struct iospace_context *c, const struct iospace_op *op);
int iospace_do_unmap(struct iospace_context *c, const struct iospace_op *op);
int iospace_do_lookup(struct iospace_context *c, struct iospace_op *op);

/* Has the unit forget [dma, dma + len), len 0: all, and lets go what waits there. -XEN_EIO, with all as before. */
int iospace_flush(struct iospace_context *c, uint64_t dma, uint64_t len);

/* The grant that is mapped at this address; NULL. */
struct iospace_grant *iospace_grant_at(const struct iospace_context *c, uint64_t dma);

/* Lets go up to so many pages of a context that no function is in, without a flush; -XEN_ERESTART: there are more. */
int iospace_empty(struct iospace_context *c, unsigned pages);

/* ---- iospace_fault.c ------------------------------------------------------------------ */

int iospace_next_fault(struct domain *d, struct iospace_op *op);

#endif
