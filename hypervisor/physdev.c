/* physdev.c: the hypercall by which a domain that drives devices sets up interrupts and ports.
 *
 * Acts for the current domain, or another one where the first domain may name it. Announced functions
 * go into the list of iommu_device.c. Called by dispatch; the rest of the work is in pirq.c.
 */
#include <amphi/types.h>

#include "apic.h"
#include "domain.h"
#include "guest.h"
#include "iommu_device.h"
#include "percpu.h"
#include "pirq.h"

#define IOBITMAP_PORTS_MAX 65536u

/* The argument of whatever call it is; read, and written back, in one place. */
union argument {
	struct physdev_eoi eoi;
	struct physdev_irq_status_query status;
	struct physdev_set_iopl iopl;
	struct physdev_set_iobitmap iobitmap;
	struct physdev_map_pirq map;
	struct physdev_unmap_pirq unmap;
	struct physdev_setup_gsi gsi;
	struct physdev_irq irq;
	struct physdev_manage_pci old_pci; /* and the beginning of manage_pci_ext */
	struct physdev_pci_device pci;     /* and the beginning of pci_device_add */
};

static long op_eoi(struct vcpu *v, union argument *a)
{
	return pirq_eoi(v->domain, a->eoi.irq);
}

static long op_irq_status(struct vcpu *v, union argument *a)
{
	a->status.flags = pirq_needs_eoi(v->domain, a->status.irq) ? XENIRQSTAT_needs_eoi : 0;
	return a->status.irq < IO_PIRQS ? 0 : -XEN_EINVAL;
}

static long op_set_iopl(struct vcpu *v, union argument *a)
{
	if (a->iopl.iopl > 3)
		return -XEN_EINVAL;
	v->pv.iopl = (uint8_t)a->iopl.iopl;
	return 0;
}

static long op_set_iobitmap(struct vcpu *v, union argument *a)
{
	uint64_t va = handle_at(a->iobitmap.bitmap, 0);

	if (a->iobitmap.nr_ports > IOBITMAP_PORTS_MAX ||
	    !guest_range_ok(va, a->iobitmap.nr_ports / 8 + 1))
		return -XEN_EINVAL;
	v->pv.iobmp_va = va;
	v->pv.iobmp_ports = a->iobitmap.nr_ports;
	return 0;
}

/* Several plain MSIs: entry_nr is how many, and as many as that gives after rounding up is told back. */
static int count_messages(struct physdev_map_pirq *m, unsigned *out)
{
	*out = 1;
	if (m->type != MAP_PIRQ_TYPE_MULTI_MSI)
		return m->entry_nr < 0 ? -XEN_EINVAL : 0;
	if (m->table_base != 0)
		return -XEN_EINVAL;
	if (m->entry_nr < 1 || m->entry_nr > (int)MSI_MESSAGES)
		return -XEN_EDOM;
	while (*out < (unsigned)m->entry_nr)
		*out *= 2;
	m->entry_nr = (int)*out;
	return 0;
}

/* A function's interrupts are its owner's: with them come vectors, and what the device sends. */
static bool is_others(const struct domain *d, const struct msi_source *s)
{
	const struct io_device *dev = s->segment ? NULL : io_device_find(s->bdf);

	return dev != NULL && dev->owner != d;
}

/* bus carries the segment in its upper half, but for MAP_PIRQ_TYPE_MSI. The ABI gives the start of
 * the BAR; the table's place in it is the function's to say. */
static int map_msi(struct domain *d, struct physdev_map_pirq *m)
{
	struct msi_source s = {
	    .segment = m->type == MAP_PIRQ_TYPE_MSI ? 0 : (uint16_t)(m->bus >> 16),
	    .bdf = (uint16_t)((m->bus & 0xff) << 8 | (m->devfn & 0xff)),
	    .msix = m->table_base != 0,
	    .entry = (uint32_t)m->entry_nr,
	};
	int error = count_messages(m, &s.messages);

	if (error)
		return error;
	if (is_others(d, &s))
		return -XEN_EPERM;
	if (s.msix)
		s.table = m->table_base + msix_table_offset(s.bdf);
	return pirq_map_msi(d, &s, m->pirq);
}

/* Only the first domain knows devices, so only it maps, for itself or for another. */
static long op_map_pirq(struct vcpu *v, union argument *a)
{
	struct domain *d = domain_get(a->map.domid);
	int rc = -XEN_EINVAL;

	if (d == NULL)
		return -XEN_ESRCH;
	if (a->map.type == MAP_PIRQ_TYPE_GSI && a->map.index >= 0)
		rc = pirq_map_gsi(d, (uint32_t)a->map.index, a->map.pirq);
	else if (a->map.type == MAP_PIRQ_TYPE_MSI || a->map.type == MAP_PIRQ_TYPE_MSI_SEG ||
		 a->map.type == MAP_PIRQ_TYPE_MULTI_MSI)
		rc = map_msi(d, &a->map);
	domain_put(d);
	a->map.pirq = rc;
	return MIN(rc, 0);
}

static long op_unmap_pirq(struct vcpu *v, union argument *a)
{
	struct domain *d = domain_get(a->unmap.domid);
	long rc;

	if (d == NULL)
		return -XEN_ESRCH;
	rc = pirq_unmap(d, (uint32_t)a->unmap.pirq, d != v->domain);
	domain_put(d);
	return rc;
}

/* What ACPI's byte code said, which only the first domain can read. */
static long op_setup_gsi(struct vcpu *v, union argument *a)
{
	if (!ioapic_has_gsi((uint32_t)a->gsi.gsi))
		return -XEN_EINVAL;
	ioapic_set_trigger((uint32_t)a->gsi.gsi, a->gsi.triggering != 0, a->gsi.polarity != 0);
	return 0;
}

/* As old kernels ask for a vector before they map: any answer that is not an error will do. */
static long op_alloc_vector(struct vcpu *v, union argument *a)
{
	a->irq.vector = a->irq.irq;
	return a->irq.irq < IO_PIRQS ? 0 : -XEN_EINVAL;
}

/* Other segments have no unit that is driven, and nobody is given anything there: accepted, as ever. */
static long op_pci_add(struct vcpu *v, union argument *a)
{
	return a->pci.seg ? 0 : io_device_add((uint16_t)(a->pci.bus << 8 | a->pci.devfn));
}

static long op_pci_remove(struct vcpu *v, union argument *a)
{
	return a->pci.seg ? 0 : io_device_remove((uint16_t)(a->pci.bus << 8 | a->pci.devfn));
}

static long op_old_pci_add(struct vcpu *v, union argument *a)
{
	return io_device_add((uint16_t)(a->old_pci.bus << 8 | a->old_pci.devfn));
}

static long op_old_pci_remove(struct vcpu *v, union argument *a)
{
	return io_device_remove((uint16_t)(a->old_pci.bus << 8 | a->old_pci.devfn));
}

/* Whoever has the function now. */
static void restore(struct domain *d, void *ctx)
{
	pirq_restore_function(d, *(const uint16_t *)ctx);
}

/* Other segments as above. */
static long op_restore_msi(struct vcpu *v, union argument *a)
{
	uint16_t bdf = (uint16_t)(a->pci.bus << 8 | a->pci.devfn);

	if (!a->pci.seg)
		domain_for_each(restore, &bdf);
	return 0;
}

#define ARG(member) sizeof(((union argument *)0)->member)

static const struct {
	uint32_t cmd;
	long (*fn)(struct vcpu *v, union argument *a);
	uint8_t size; /* of the argument */
	bool first;   /* for the first domain only */
	bool back;    /* the argument goes back */
} ops[] = {
    {PHYSDEVOP_eoi, op_eoi, ARG(eoi), false, false},
    {PHYSDEVOP_irq_status_query, op_irq_status, ARG(status), false, true},
    {PHYSDEVOP_set_iopl, op_set_iopl, ARG(iopl), false, false},
    {PHYSDEVOP_set_iobitmap, op_set_iobitmap, ARG(iobitmap), false, false},
    {PHYSDEVOP_map_pirq, op_map_pirq, ARG(map), true, true},
    {PHYSDEVOP_unmap_pirq, op_unmap_pirq, ARG(unmap), true, false},
    {PHYSDEVOP_setup_gsi, op_setup_gsi, ARG(gsi), true, false},
    {PHYSDEVOP_alloc_irq_vector, op_alloc_vector, ARG(irq), true, true},
    {PHYSDEVOP_manage_pci_add, op_old_pci_add, ARG(old_pci), true, false},
    {PHYSDEVOP_manage_pci_add_ext, op_old_pci_add, ARG(old_pci), true, false},
    {PHYSDEVOP_manage_pci_remove, op_old_pci_remove, ARG(old_pci), true, false},
    {PHYSDEVOP_pci_device_add, op_pci_add, ARG(pci), true, false},
    {PHYSDEVOP_pci_device_remove, op_pci_remove, ARG(pci), true, false},
    {PHYSDEVOP_restore_msi_ext, op_restore_msi, ARG(pci), true, false},
    /* accepted, and nothing to do */
    {PHYSDEVOP_pci_mmcfg_reserved, NULL, 0, true, false},
    {PHYSDEVOP_prepare_msix, NULL, 0, true, false},
    {PHYSDEVOP_release_msix, NULL, 0, true, false},
};

long hc_physdev_op(uint64_t cmd, uint64_t arg_va)
{
	struct vcpu *v = current_vcpu();
	union argument a;
	unsigned i = 0;
	long rc;

	while (i < ARRAY_SIZE(ops) && ops[i].cmd != cmd)
		i++;
	if (i == ARRAY_SIZE(ops))
		return -XEN_ENOSYS;
	if (ops[i].first && !v->domain->privileged)
		return -XEN_EPERM;
	if (guest_copy_from(&a, arg_va, ops[i].size) != 0)
		return -XEN_EFAULT;
	rc = ops[i].fn != NULL ? ops[i].fn(v, &a) : 0;
	if (rc == 0 && ops[i].back && guest_copy_to(arg_va, &a, ops[i].size) != 0)
		return -XEN_EFAULT;
	return rc;
}
