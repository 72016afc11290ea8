/* rio.h: where the Calgary chips of an IBM xSeries machine are: the Rio Grande table that its BIOS leaves in the extended BIOS data area.
 *
 * Private to iommu/. No specification of it was published; what is known is how Linux read it (arch/x86/kernel/pci-calgary_64.c and asm/rio.h,
 * until 5.3). Read are: the chain of blocks from 0x180 on, the table's version (2 or 3), its counts, and of each I/O device its kind and the
 * address of its registers; nothing else.
 */
#ifndef IOMMU_RIO_H
#define IOMMU_RIO_H

#include <amphi/types.h>

#define RIO_CALGARIES 32u

struct rio {
	unsigned n_calgaries;
	uint64_t registers[RIO_CALGARIES]; /* 1 MiB each */
	const char *problem;               /* of an error, static */
};

/* Reads len bytes of the area. -XEN_ENODEV: there is no such table; -XEN_EINVAL: one that is cut off, of another version, with more chips than
 * there is room for, or one without registers. */
int rio_parse(const void *ebda, size_t len, struct rio *out);

#endif
