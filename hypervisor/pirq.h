/* pirq.h: interrupts of devices that a domain drives, by the domain's own numbers.
 *
 * Private to pirq.c, msi.c, physdev.c and io.c. A pirq is mapped (has a source and a vector), then
 * bound by an event channel (io.h), which unmasks the source. GSIs have the same number as a pirq;
 * MSIs take numbers from the top.
 */
#ifndef HV_PIRQ_H
#define HV_PIRQ_H

#include <amphi/types.h>
#include <amphi/xen.h>

#include "io.h"

/* A message-signalled source, as map_pirq names it. */
struct msi_source {
	uint16_t segment;
	uint16_t bdf;
	bool msix;
	unsigned messages; /* plain: how many in a row, a power of two; of the others of a row 0 */
	uint32_t entry;    /* of the MSI-X table */
	uint64_t
	    table; /* machine address of the MSI-X table: the caller's BAR + msix_table_offset */
};

/* A function's plain MSIs at most (PCI 3.0, 6.8.1.3). */
#define MSI_MESSAGES 32u

/* want: a pirq, or negative for any. The pirq, or -XEN_EINVAL, -XEN_EPERM, -XEN_EEXIST,
 * -XEN_ENOSPC, -XEN_ENODEV. Mapping a GSI again gives the same. Of several messages the first of as many pirqs in a row, which are
 * unmapped all together, by the first. */
int pirq_map_gsi(struct domain *d, uint32_t gsi, int want);
int pirq_map_msi(struct domain *d, const struct msi_source *source, int want);
int pirq_unmap(struct domain *d, uint32_t pirq, bool bound_too); /* -XEN_EBUSY: it is bound */

/* The guest has dealt with it: the source may fire again. */
int pirq_eoi(struct domain *d, uint32_t pirq);
/* Whether the guest has to say so. */
bool pirq_needs_eoi(struct domain *d, uint32_t pirq);

/* A reset took its messages from the function: those of d are written into it again. */
void pirq_restore_function(struct domain *d, uint16_t bdf);

void pirq_domain_teardown(struct domain *d);
/* The function is d's no more: nor are its messages. */
void io_lose_function(struct domain *d, uint16_t bdf);

/* msi.c: makes the device send vector, and as many after it as the source has messages, to this CPU; or not any more. -XEN_ENODEV: no such function,
 * capability or table; -XEN_ENOSPC: it has not so many messages; what iommu_interrupt_map says. On success a later msi_disarm with the same source and vector does the
 * reverse. -XEN_EIO, of both: it may still send them. */
/* Where a function's MSI-X table lies in its BAR, as the function itself says; 0: it has none. */
uint64_t msix_table_offset(uint16_t bdf);
int msi_arm(struct domain *d, const struct msi_source *source, unsigned vector);
int msi_disarm(const struct msi_source *source, unsigned vector);
/* Writes into the device again what msi_arm told it: of a source that is armed. */
void msi_rearm(struct domain *d, const struct msi_source *source, unsigned vector);

#endif
