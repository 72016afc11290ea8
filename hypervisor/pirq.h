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
	uint32_t entry; /* of the MSI-X table */
	uint64_t
	    table; /* machine address of the MSI-X table: the caller's BAR + msix_table_offset */
};

/* want: a pirq, or negative for any. The pirq, or -XEN_EINVAL, -XEN_EPERM, -XEN_EEXIST,
 * -XEN_ENOSPC, -XEN_ENODEV. Mapping a GSI again gives the same. */
int pirq_map_gsi(struct domain *d, uint32_t gsi, int want);
int pirq_map_msi(struct domain *d, const struct msi_source *source, int want);
int pirq_unmap(struct domain *d, uint32_t pirq);

/* The guest has dealt with it: the source may fire again. */
int pirq_eoi(struct domain *d, uint32_t pirq);
/* Whether the guest has to say so. */
bool pirq_needs_eoi(struct domain *d, uint32_t pirq);

void pirq_domain_teardown(struct domain *d);

/* msi.c: makes the device send vector to this CPU; or not any more. -XEN_ENODEV: no such function,
 * capability or table. On success a later msi_disarm with the same source does the reverse. */
/* Where a function's MSI-X table lies in its BAR, as the function itself says; 0: it has none. */
uint64_t msix_table_offset(uint16_t bdf);
int msi_arm(struct domain *d, const struct msi_source *source, unsigned vector);
void msi_disarm(const struct msi_source *source);

#endif
