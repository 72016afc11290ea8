/* ivrs.h: the IVRS table as numbers: units of AMD-Vi, what is behind each, and what firmware keeps.
 *
 * Private to iommu/. AMD I/O Virtualization Technology specification 3.08, section 5.2. The table is firmware's: meant well, not always right.
 */
#ifndef IOMMU_IVRS_H
#define IOMMU_IVRS_H

#include <amphi/iommu.h>

#define IVRS_UNITS    8u
#define IVRS_RESERVED 32u

struct ivrs_unit {
	uint64_t registers;
	uint16_t bdf;        /* it is a function itself */
	uint16_t capability; /* where in its configuration space */
	bool all_others;
	unsigned n_scopes;
	struct iommu_scope scopes[IOMMU_SCOPES];
};

struct ivrs {
	uint8_t address_bits; /* of what devices send */
	unsigned n_units, n_reserved;
	struct ivrs_unit units[IVRS_UNITS];
	struct iommu_reserved reserved[IVRS_RESERVED];
	const char *problem; /* of the last -XEN_EINVAL: what is wrong, static */
};

/* Reads len bytes. -XEN_EINVAL: cut off, a wrong sum, lengths that do not add up, more than there is room for, a range without a beginning or an end; problem
 * says which. A unit that is told of in several forms is taken once; segments but 0 and what is not known are left out. */
int ivrs_parse(const void *table, size_t len, struct ivrs *out);

#endif
