/* fake_iommu.h: a unit for tests of who calls iommu.h: spaces by page, with what a device may reach after a missing flush.
 *
 * Each page has a table of its own, so that few pages reach a limit. One unit has buses 0 to 14; bus 15 is behind none. A page that is unmapped stays within reach until it is flushed; with `broken` no
 * flush is answered. Configuration space has what fake_iommu_function() was told. Implements iommu.h, and pci_config.h and the like for the
 * hypervisor's files under test.
 */
#ifndef TESTS_FAKE_IOMMU_H
#define TESTS_FAKE_IOMMU_H

#include <amphi/iommu.h>

#include "hypervisor/domain.h"

#define FAKE_RESERVED 3u
#define FAKE_ALIASES  2u
struct fake_iommu {
	bool off;                                      /* "iommu=off": no unit has anything */
	bool broken;                                   /* no answer to a flush or a detach */
	int maps_left;                                 /* then -XEN_ENOMEM; negative: no end */
	unsigned spaces;                               /* that are there */
	unsigned flushes;                              /* of pages */
	unsigned prunes;                               /* looks for empty tables */
	unsigned lost_msis;                            /* calls of io_lose_function */
	struct iommu_reserved reserved[FAKE_RESERVED]; /* up to an end of 0 */
	unsigned n_aliases;
	struct iommu_alias aliases[FAKE_ALIASES];
};
extern struct fake_iommu fake_iommu;

/* As new: no function anywhere. Spaces have to be gone. */
void fake_iommu_reset(void);

/* A function in configuration space: its class (class << 8 | subclass) and header's kind, and of a bridge its buses and whether it is
 * Express. */
void fake_iommu_function(uint16_t bdf, uint16_t class_code, bool bridge, uint16_t buses,
			 bool express);

/* The kind of an Express bridge: 4 is a root port, 7 one to conventional PCI. */
void fake_iommu_type(uint16_t bdf, uint8_t type);

/* What the function may reach of a frame: IOMMU_READ and IOMMU_WRITE. */
unsigned fake_iommu_reach(uint16_t bdf, mfn_t mfn);

/* Each frame is within reach of d's function just when it is d's and writable; false, and the frame's number, else. */
bool fake_iommu_in_step(const struct domain *d, uint16_t bdf, uint64_t *out_frame);

#endif
