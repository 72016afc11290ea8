/* iommu_ops.h: what a kind of unit does, beneath the calls of iommu.h.
 *
 * Private to iommu/. iommu.c keeps the books (which function is where, which numbers of spaces are taken) and checks; the ops
 * change the unit's tables and make it forget what it had read. Every op but fault may return -XEN_EIO.
 */
#ifndef IOMMU_IOMMU_OPS_H
#define IOMMU_IOMMU_OPS_H

#include <amphi/iommu.h>

#include "io_table.h"

struct iommu_ops {
	/* The fields of the space's table that its format asks for, before its root is taken. */
	void (*shape)(struct iommu *unit, struct io_table *t);
	/* Of a function that sees nothing; space NULL: it sees everything. */
	int (*attach)(struct iommu *unit, const struct iommu_space *space, uint16_t bdf);
	/* Back to nothing, and what it had on its way has arrived. space as for attach. */
	int (*detach)(struct iommu *unit, const struct iommu_space *space, uint16_t bdf);
	/* Pages [dma, dma+len); len 0: all. tables: entries above the leaves changed, too. */
	int (*flush)(struct iommu *unit, const struct iommu_space *space, uint64_t dma,
		     uint64_t len, bool tables);
	bool (*fault)(struct iommu *unit, struct iommu_fault *out_fault, bool *out_lost);
	void (*fault_interrupt)(struct iommu *unit, uint64_t address, uint32_t data);
	/* No translation any more, memory given back. */
	void (*stop)(struct iommu *unit);
};

#define IOMMU_NAME_MAX 24u
struct iommu {
	const struct iommu_ops *ops;
	char name[IOMMU_NAME_MAX];
	struct iommu_traits traits;
	bool flush_after_map; /* it remembers what was not there, too */
	bool all_others;      /* it has what no other unit names */
	unsigned n_scopes;
	struct iommu_scope scopes[IOMMU_SCOPES];
	uint64_t *taken; /* numbers of spaces, a bit each; number 0 is never given */
	struct iommu_member *members;
};

struct iommu_space {
	struct iommu *unit;
	uint16_t number;
	unsigned n_functions;
	struct io_table table;
};

/* For what finds units: takes a unit into the machine's list; it is the list's from then on. -XEN_ENOSPC. */
int iommu_add(struct iommu *unit);
/* -XEN_ENOSPC: more than there is room for. */
int iommu_add_reserved(const struct iommu_reserved *r);

/* Their kinds. Both as iommu_start(). */
int vtd_start(const void *dmar, size_t len);
int amdvi_start(const void *ivrs, size_t len);

#endif
