/* ivrs.h: the IVRS table as numbers: units of AMD-Vi, what is behind each, and what firmware keeps.
 *
 * Private to iommu/. AMD I/O Virtualization Technology specification 3.08, section 5.2.
 */
#ifndef IOMMU_IVRS_H
#define IOMMU_IVRS_H

#include "firmware_table.h"

/* Reads len bytes. -XEN_EINVAL: cut off, a wrong sum, lengths that do not add up, more than there is room for, a range (aliased or not) without a beginning or an end; problem
 * says which. A unit that is told of in several forms is taken once; segments but 0 and what is not known are left out. */
int ivrs_parse(const void *table, size_t len, struct firmware *out);

#endif
