/* vtd_interrupt.c: what messages mean to a VT-d unit (VT-d 5.1, 9.10).
 *
 * Callers: interrupt.c, by vtd.c's ops. One table of the unit, an entry for each vector under the vector's own number; an entry names its
 * sender, and a message of anybody else is refused. Messages of the old form, that tell processor and vector themselves, are blocked: they are let
 * through only by a bit (CFI) that is never set here. (QEMU lets them through all the same: 7.2 and 10.0 were tried.)
 */
#include <amphi/host_iommu.h>
#include <amphi/xen.h>

#include "vtd.h"

#define ENTRY_PRESENT   1u
#define ENTRY_LEVEL     (1u << 4)
#define ENTRY_VECTOR(v) ((uint64_t)(v) << 16)
#define ENTRY_CPU(id)   ((uint64_t)(id) << 40) /* an 8-bit id lies in the upper byte of 16 */
#define ENTRY_CHECK_ALL (1ull << 18)           /* of the sender: all bits of it */

#define TABLE_SIZE(n_log2) ((n_log2)-1u)
#define TABLE_VECTORS_LOG2 8u

#define MESSAGE          0xfee00000u
#define MESSAGE_NEW_FORM (1u << 4)
#define MESSAGE_ADDS     (1u << 3) /* to the number what the data says */
#define MESSAGE_INDEX(n) ((uint32_t)(n) << 5)
#define ROUTE_NEW_FORM   (1ull << 48)
#define ROUTE_INDEX(n)   ((uint64_t)(n) << 49)

/* 11.4.4: the table is taken, nothing is remembered of another, then it counts. */
int vtd_interrupts(struct iommu *unit, bool on)
{
	struct vtd *v = container_of(unit, struct vtd, unit);
	int err;

	if (!on)
		return vtd_interrupts_stop(v);
	v->interrupts = host_iommu_pages(1, &v->interrupts_at);
	if (!v->interrupts)
		return -XEN_ENOMEM;
	vtd_clean(v, v->interrupts, PAGE_SIZE);
	host_iommu_write64(v->regs, VTD_IRTA, v->interrupts_at.v | TABLE_SIZE(TABLE_VECTORS_LOG2));
	err = vtd_command(v, VTD_IRQ_TABLE, true);
	if (!err)
		err = vtd_forget_interrupts(v, NULL);
	if (!err)
		err = vtd_command(v, VTD_IRQ, true);
	if (err)
		(void)vtd_interrupts_stop(v);
	return err;
}

/* A unit that does not stop keeps the table. */
int vtd_interrupts_stop(struct vtd *v)
{
	int err = 0;

	if (host_iommu_read32(v->regs, VTD_GSTS) & VTD_IRQ)
		err = vtd_command(v, VTD_IRQ, false);
	if (!err && v->interrupts) {
		host_iommu_pages_free(v->interrupts, 1);
		v->interrupts = NULL;
	}
	return err;
}

/* The half with the sender first: with the other the entry is there. */
int vtd_interrupt(struct iommu *unit, uint16_t from, uint8_t vector, const struct iommu_target *to)
{
	struct vtd *v = container_of(unit, struct vtd, unit);
	struct vtd_entry *entry = &v->interrupts[vector];
	uint64_t low = 0;

	if (to) {
		entry->high = from | ENTRY_CHECK_ALL;
		low = ENTRY_PRESENT | (to->level ? ENTRY_LEVEL : 0) | ENTRY_VECTOR(vector) |
		      ENTRY_CPU(to->cpu);
	}
	__atomic_store_n(&entry->low, low, __ATOMIC_RELEASE);
	vtd_clean(v, entry, sizeof(*entry));
	return vtd_forget_interrupts(v, &vector);
}

/* 5.1.2.2 and 5.1.5: the number lies in the address, or in what was an I/O APIC's destination; the vector in its entry is for the
 * end of a level. A function with several messages counts in the data. */
struct iommu_message vtd_message(uint8_t vector)
{
	return (struct iommu_message){.address = MESSAGE | MESSAGE_NEW_FORM | MESSAGE_ADDS |
						 MESSAGE_INDEX(vector),
				      .route = vector | ROUTE_NEW_FORM | ROUTE_INDEX(vector)};
}
