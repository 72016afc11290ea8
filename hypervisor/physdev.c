/* physdev.c: the hypercall by which a domain that drives devices sets up interrupts and ports.
 *
 * Acts for the current domain, or another one where the first domain may name it. Device
 * announcements are accepted and not needed: there is no list of devices here. Called by dispatch;
 * the work is in pirq.c.
 */
#include <amphi/types.h>

#include "apic.h"
#include "domain.h"
#include "guest.h"
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

/* bus carries the segment in its upper half for MAP_PIRQ_TYPE_MSI_SEG. The ABI gives the start of
 * the BAR; the table's place in it is the function's to say. */
static int map_msi(struct domain *d, const struct physdev_map_pirq *m)
{
	struct msi_source s = {
	    .segment = m->type == MAP_PIRQ_TYPE_MSI_SEG ? (uint16_t)(m->bus >> 16) : 0,
	    .bdf = (uint16_t)((m->bus & 0xff) << 8 | (m->devfn & 0xff)),
	    .msix = m->table_base != 0,
	    .entry = (uint32_t)m->entry_nr,
	};

	if (m->entry_nr < 0)
		return -XEN_EINVAL;
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
	else if (a->map.type == MAP_PIRQ_TYPE_MSI || a->map.type == MAP_PIRQ_TYPE_MSI_SEG)
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
	rc = pirq_unmap(d, (uint32_t)a->unmap.pirq);
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
    /* accepted, and nothing to do */
    {PHYSDEVOP_manage_pci_add, NULL, 0, true, false},
    {PHYSDEVOP_manage_pci_add_ext, NULL, 0, true, false},
    {PHYSDEVOP_manage_pci_remove, NULL, 0, true, false},
    {PHYSDEVOP_pci_device_add, NULL, 0, true, false},
    {PHYSDEVOP_pci_device_remove, NULL, 0, true, false},
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
