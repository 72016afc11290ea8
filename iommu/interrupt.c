/* interrupt.c: which sender has which vector, in all units.
 *
 * Callers: through iommu.h the hypervisor, and the kernel on a bare machine. Keeps the books and checks; the unit's ops write the entries. A
 * vector stands for itself on both sides of a unit: programs here have one table of vectors for all processors, so that no other number is needed
 * and an I/O APIC's entry names the vector that its end is told by, as both manuals want.
 */
#include <amphi/host_iommu.h>
#include <amphi/xen.h>

#include "iommu_ops.h"

#define VECTOR_FIRST 16u /* below, an APIC takes none */
#define CPU_LAST     254u
#define SENDER(bdf)  ((uint32_t)(bdf) + 1)

/* ---- on -------------------------------------------------------------------------------------------- */

/* The unit that an I/O APIC is behind, and what it sends as. */
static struct iommu *ioapic_of(uint8_t id, uint16_t *out_bdf)
{
	struct iommu *unit;

	for (unsigned u = 0; (unit = iommu_get(u)); u++)
		for (unsigned i = 0; i < unit->n_ioapics; i++)
			if (unit->ioapics[i].id == id) {
				*out_bdf = unit->ioapics[i].bdf;
				return unit;
			}
	return NULL;
}

static int check(const uint8_t *ioapics, unsigned n)
{
	struct iommu *unit;
	uint16_t bdf;

	for (unsigned u = 0; (unit = iommu_get(u)); u++)
		if (!unit->traits.interrupts)
			return -XEN_EOPNOTSUPP;
	for (unsigned i = 0; i < n; i++)
		if (!ioapic_of(ioapics[i], &bdf))
			return -XEN_ENODEV;
	return iommu_get(0) ? 0 : -XEN_EOPNOTSUPP;
}

static int start(struct iommu *unit)
{
	int err;

	unit->senders = host_iommu_alloc(IOMMU_VECTORS * sizeof(*unit->senders));
	if (!unit->senders)
		return -XEN_ENOMEM;
	err = unit->ops->interrupts(unit, true);
	if (err)
		iommu_drop_senders(unit);
	return err;
}

int iommu_interrupts_start(const uint8_t *ioapics, unsigned n)
{
	int err = iommu_interrupts_on() ? -XEN_EBUSY : check(ioapics, n);
	struct iommu *unit;
	unsigned u;

	if (err)
		return err;
	for (u = 0; (unit = iommu_get(u)) && !err; u++)
		err = start(unit);
	/* The one that did not has let go itself. */
	for (u -= !!err; err && u--;) {
		unit = iommu_get(u);
		(void)unit->ops->interrupts(unit, false);
		iommu_drop_senders(unit);
	}
	return err;
}

/* In all units or in none. */
bool iommu_interrupts_on(void)
{
	return iommu_get(0) && iommu_get(0)->senders;
}

static bool is_on(const struct iommu *unit)
{
	return unit && unit->senders;
}

/* ---- map and unmap --------------------------------------------------------------------------------- */

static int map(struct iommu *unit, uint16_t from, uint8_t vector, const struct iommu_target *to,
	       struct iommu_message *out)
{
	uint32_t *sender = &unit->senders[vector];
	int err;

	if (*sender && *sender != SENDER(from))
		return -XEN_EBUSY;
	err = unit->ops->interrupt(unit, from, vector, to);
	if (err == -XEN_EIO)
		*sender = SENDER(from); /* the unit may know it: nobody else gets it */
	if (err)
		return err;
	*sender = SENDER(from);
	*out = unit->ops->message(vector);
	return 0;
}

static bool target(uint8_t vector, uint32_t cpu, bool level, struct iommu_target *out)
{
	*out = (struct iommu_target){.cpu = (uint8_t)cpu, .level = level};
	return vector >= VECTOR_FIRST && cpu <= CPU_LAST;
}

static int unmap(struct iommu *unit, uint16_t from, uint8_t vector)
{
	int err;

	if (unit->senders[vector] != SENDER(from))
		return -XEN_ENOENT;
	err = unit->ops->interrupt(unit, from, vector, NULL);
	if (!err)
		unit->senders[vector] = 0;
	return err;
}

int iommu_interrupt_map(uint16_t bdf, uint8_t vector, uint32_t cpu, struct iommu_message *out)
{
	struct iommu *unit = iommu_of(bdf);
	struct iommu_target to;

	if (!is_on(unit))
		return -XEN_ENXIO;
	return target(vector, cpu, false, &to) ? map(unit, bdf, vector, &to, out) : -XEN_EINVAL;
}

int iommu_ioapic_map(uint8_t ioapic, uint8_t vector, uint32_t cpu, bool level,
		     struct iommu_message *out)
{
	uint16_t bdf;
	struct iommu *unit = ioapic_of(ioapic, &bdf);
	struct iommu_target to;

	if (!is_on(unit))
		return -XEN_ENXIO;
	return target(vector, cpu, level, &to) ? map(unit, bdf, vector, &to, out) : -XEN_EINVAL;
}

int iommu_interrupt_unmap(uint16_t bdf, uint8_t vector)
{
	struct iommu *unit = iommu_of(bdf);

	return is_on(unit) ? unmap(unit, bdf, vector) : -XEN_ENOENT;
}

int iommu_ioapic_unmap(uint8_t ioapic, uint8_t vector)
{
	uint16_t bdf;
	struct iommu *unit = ioapic_of(ioapic, &bdf);

	return is_on(unit) ? unmap(unit, bdf, vector) : -XEN_ENOENT;
}

int iommu_interrupts_forget(uint16_t bdf)
{
	struct iommu *unit = iommu_of(bdf);
	int err = 0;

	for (unsigned v = VECTOR_FIRST; is_on(unit) && v < IOMMU_VECTORS && !err; v++)
		if (unit->senders[v] == SENDER(bdf))
			err = unmap(unit, bdf, (uint8_t)v);
	return err;
}

uint32_t iommu_interrupts_used(void)
{
	struct iommu *unit;
	uint32_t n = 0;

	for (unsigned u = 0; (unit = iommu_get(u)); u++)
		for (unsigned v = VECTOR_FIRST; unit->senders && v < IOMMU_VECTORS; v++)
			n += unit->senders[v] != 0;
	return n;
}
