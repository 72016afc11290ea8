/* iommu_ops.h: what a kind of unit does, beneath the calls of iommu.h.
 *
 * Private to iommu/. iommu.c keeps the books (which function is where, which numbers of spaces are taken) and checks; the ops
 * change the unit's tables and make it forget what it had read. Every op but fault may return -XEN_EIO.
 */
#ifndef IOMMU_IOMMU_OPS_H
#define IOMMU_IOMMU_OPS_H

#include <amphi/iommu.h>

#include "io_table.h"

/* Where an interrupt goes. */
struct iommu_target {
	uint8_t cpu; /* APIC id */
	bool level;
};

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
	/* Messages mean what is mapped, or what they say again. Of a unit that can. */
	int (*interrupts)(struct iommu *unit, bool on);
	/* to NULL: the vector of this sender means nothing any more. */
	int (*interrupt)(struct iommu *unit, uint16_t from, uint8_t vector,
			 const struct iommu_target *to);
	/* The message of a vector that is mapped. */
	struct iommu_message (*message)(uint8_t vector);
	/* No translation any more, memory given back. */
	void (*stop)(struct iommu *unit);
};

/* An I/O APIC behind a unit: its id in the MADT, and what its messages come as. */
struct iommu_ioapic {
	uint8_t id;
	uint16_t bdf;
};

#define IOMMU_NAME_MAX 24u
#define IOMMU_IOAPICS  8u
#define IOMMU_VECTORS  256u
struct iommu {
	const struct iommu_ops *ops;
	char name[IOMMU_NAME_MAX];
	struct iommu_traits traits;
	bool flush_after_map; /* it remembers what was not there, too */
	bool all_others;      /* it has what no other unit names */
	unsigned n_scopes;
	struct iommu_scope scopes[IOMMU_SCOPES];
	unsigned n_aliases;
	struct iommu_alias aliases[IOMMU_ALIASES];
	uint64_t *taken; /* numbers of spaces, a bit each; number 0 is never given */
	struct iommu_member *members;
	unsigned n_ioapics;
	struct iommu_ioapic ioapics[IOMMU_IOAPICS];
	uint32_t
	    *senders; /* by vector: 1 + who has it; 0: nobody. NULL: interrupts are not looked at */
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

/* Nobody is asked about its interrupts any more. */
void iommu_drop_senders(struct iommu *unit);

/* What the way in of a kind returns by: on an error the units that were found are let go; without one: how many there are. */
int iommu_found(int err);

/* Their kinds. Both as iommu_start(). */
int vtd_start(const void *dmar, size_t len);
int amdvi_start(const void *ivrs, size_t len);

#endif
