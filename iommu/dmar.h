/* dmar.h: the DMAR table as numbers: units of VT-d, what is behind each, and what firmware keeps.
 *
 * Private to iommu/. VT-d specification 4.1, chapter 8.
 */
#ifndef IOMMU_DMAR_H
#define IOMMU_DMAR_H

#include "firmware_table.h"

/* The buses behind a bridge: host_iommu_bridge, or a test's. */
typedef bool dmar_bridge_fn(uint16_t bdf, uint8_t *out_first_bus, uint8_t *out_last_bus);

/* Reads len bytes. -XEN_EINVAL: cut off, a wrong sum, lengths that do not add up, more than there is room for, a path to no
 * bridge, reserved memory that ends before it begins; problem says which. Segments but 0 and what is not known are left out. */
int dmar_parse(const void *table, size_t len, dmar_bridge_fn *bridge, struct firmware *out);

#endif
