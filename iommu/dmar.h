/* dmar.h: the DMAR table as numbers: units of VT-d, what is behind each, and what firmware keeps.
 *
 * Private to iommu/. VT-d specification 4.1, chapter 8. The table is firmware's: meant well, not always right.
 */
#ifndef IOMMU_DMAR_H
#define IOMMU_DMAR_H

#include <amphi/iommu.h>

#define DMAR_UNITS    8u
#define DMAR_RESERVED 32u
#define DMAR_IOAPICS  8u

struct dmar_unit {
	uint64_t registers;
	bool all_others;
	unsigned n_scopes;
	struct iommu_scope scopes[IOMMU_SCOPES];
	unsigned n_ioapics;
	struct {
		uint8_t id;
		uint16_t bdf; /* what its interrupts come as */
	} ioapics[DMAR_IOAPICS];
};

struct dmar {
	bool interrupts;      /* firmware allows remapping of them */
	uint8_t address_bits; /* of the machine */
	unsigned n_units, n_reserved;
	struct dmar_unit units[DMAR_UNITS];
	struct iommu_reserved reserved[DMAR_RESERVED];
	const char *problem; /* of the last -XEN_EINVAL: what is wrong, static */
};

/* The buses behind a bridge: host_iommu_bridge, or a test's. */
typedef bool dmar_bridge_fn(uint16_t bdf, uint8_t *out_first_bus, uint8_t *out_last_bus);

/* Reads len bytes. -XEN_EINVAL: cut off, a wrong sum, lengths that do not add up, more than there is room for, a path to no
 * bridge, reserved memory that ends before it begins; problem says which. Segments but 0 and what is not known are left out. */
int dmar_parse(const void *table, size_t len, dmar_bridge_fn *bridge, struct dmar *out);

#endif
