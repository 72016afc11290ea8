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

static long op_eoi(struct vcpu *v, uint64_t arg_va)
{
	struct physdev_eoi eoi;

	if (guest_read(&eoi, arg_va) != 0)
		return -XEN_EFAULT;
	return pirq_eoi(v->domain, eoi.irq);
}

static long op_irq_status(struct vcpu *v, uint64_t arg_va)
{
	struct physdev_irq_status_query q;

	if (guest_read(&q, arg_va) != 0)
		return -XEN_EFAULT;
	if (q.irq >= IO_PIRQS)
		return -XEN_EINVAL;
	q.flags = pirq_needs_eoi(v->domain, q.irq) ? XENIRQSTAT_needs_eoi : 0;
	return guest_write(arg_va, &q) != 0 ? -XEN_EFAULT : 0;
}

static long op_set_iopl(struct vcpu *v, uint64_t arg_va)
{
	struct physdev_set_iopl s;

	if (guest_read(&s, arg_va) != 0)
		return -XEN_EFAULT;
	if (s.iopl > 3)
		return -XEN_EINVAL;
	v->pv.iopl = (uint8_t)s.iopl;
	return 0;
}

static long op_set_iobitmap(struct vcpu *v, uint64_t arg_va)
{
	struct physdev_set_iobitmap s;

	if (guest_read(&s, arg_va) != 0)
		return -XEN_EFAULT;
	if (s.nr_ports > IOBITMAP_PORTS_MAX ||
	    !guest_range_ok(handle_at(s.bitmap, 0), s.nr_ports / 8 + 1))
		return -XEN_EINVAL;
	v->pv.iobmp_va = handle_at(s.bitmap, 0);
	v->pv.iobmp_ports = s.nr_ports;
	return 0;
}

/* bus carries the segment in its upper half for MAP_PIRQ_TYPE_MSI_SEG. */
static int map_msi(struct domain *d, const struct physdev_map_pirq *m)
{
	struct msi_source s = {
	    .segment = m->type == MAP_PIRQ_TYPE_MSI_SEG ? (uint16_t)(m->bus >> 16) : 0,
	    .bdf = (uint16_t)((m->bus & 0xff) << 8 | (m->devfn & 0xff)),
	    .msix = m->table_base != 0,
	    .entry = (uint32_t)m->entry_nr,
	    .table = m->table_base,
	};

	/* The ABI gives the start of the BAR; the table's place in it is the function's to say. */
	if (s.msix)
		s.table += msix_table_offset(s.bdf);

	if (m->entry_nr < 0)
		return -XEN_EINVAL;
	return pirq_map_msi(d, &s, m->pirq);
}

static long map_for(struct domain *d, struct physdev_map_pirq *m)
{
	int rc;

	switch (m->type) {
	case MAP_PIRQ_TYPE_GSI:
		rc = m->index < 0 ? -XEN_EINVAL : pirq_map_gsi(d, (uint32_t)m->index, m->pirq);
		break;
	case MAP_PIRQ_TYPE_MSI:
	case MAP_PIRQ_TYPE_MSI_SEG:
		rc = map_msi(d, m);
		break;
	default:
		rc = -XEN_EINVAL;
		break;
	}
	if (rc >= 0)
		m->pirq = rc;
	return rc < 0 ? rc : 0;
}

/* Only the first domain knows devices, so only it maps, for itself or for another. */
static long op_map_pirq(struct vcpu *v, uint64_t arg_va)
{
	struct physdev_map_pirq m;
	struct domain *d;
	long rc;

	if (!v->domain->privileged)
		return -XEN_EPERM;
	if (guest_read(&m, arg_va) != 0)
		return -XEN_EFAULT;
	d = domain_get(m.domid);
	if (d == NULL)
		return -XEN_ESRCH;
	rc = map_for(d, &m);
	domain_put(d);
	if (rc == 0 && guest_write(arg_va, &m) != 0)
		return -XEN_EFAULT;
	return rc;
}

static long op_unmap_pirq(struct vcpu *v, uint64_t arg_va)
{
	struct physdev_unmap_pirq u;
	struct domain *d;
	long rc;

	if (!v->domain->privileged)
		return -XEN_EPERM;
	if (guest_read(&u, arg_va) != 0)
		return -XEN_EFAULT;
	d = domain_get(u.domid);
	if (d == NULL)
		return -XEN_ESRCH;
	rc = u.pirq < 0 ? -XEN_EINVAL : pirq_unmap(d, (uint32_t)u.pirq);
	domain_put(d);
	return rc;
}

/* What ACPI's byte code said, which only the first domain can read. */
static long op_setup_gsi(struct vcpu *v, uint64_t arg_va)
{
	struct physdev_setup_gsi s;

	if (!v->domain->privileged)
		return -XEN_EPERM;
	if (guest_read(&s, arg_va) != 0)
		return -XEN_EFAULT;
	if (s.gsi < 0 || !ioapic_has_gsi((uint32_t)s.gsi))
		return -XEN_EINVAL;
	ioapic_set_trigger((uint32_t)s.gsi, s.triggering != 0, s.polarity != 0);
	return 0;
}

/* As old kernels ask for a vector before they map: any answer that is not an error will do. */
static long op_alloc_vector(struct vcpu *v, uint64_t arg_va)
{
	struct physdev_irq irq;

	if (!v->domain->privileged)
		return -XEN_EPERM;
	if (guest_read(&irq, arg_va) != 0)
		return -XEN_EFAULT;
	if (irq.irq >= IO_PIRQS)
		return -XEN_EINVAL;
	irq.vector = irq.irq;
	return guest_write(arg_va, &irq) != 0 ? -XEN_EFAULT : 0;
}

static long op_accept(struct vcpu *v, uint64_t arg_va)
{
	return v->domain->privileged ? 0 : -XEN_EPERM;
}

static const struct {
	uint32_t cmd;
	long (*fn)(struct vcpu *v, uint64_t arg_va);
} ops[] = {
    {PHYSDEVOP_eoi, op_eoi},
    {PHYSDEVOP_irq_status_query, op_irq_status},
    {PHYSDEVOP_set_iopl, op_set_iopl},
    {PHYSDEVOP_set_iobitmap, op_set_iobitmap},
    {PHYSDEVOP_map_pirq, op_map_pirq},
    {PHYSDEVOP_unmap_pirq, op_unmap_pirq},
    {PHYSDEVOP_setup_gsi, op_setup_gsi},
    {PHYSDEVOP_alloc_irq_vector, op_alloc_vector},
    {PHYSDEVOP_manage_pci_add, op_accept},
    {PHYSDEVOP_manage_pci_add_ext, op_accept},
    {PHYSDEVOP_manage_pci_remove, op_accept},
    {PHYSDEVOP_pci_device_add, op_accept},
    {PHYSDEVOP_pci_device_remove, op_accept},
    {PHYSDEVOP_pci_mmcfg_reserved, op_accept},
    {PHYSDEVOP_prepare_msix, op_accept},
    {PHYSDEVOP_release_msix, op_accept},
};

long hc_physdev_op(uint64_t cmd, uint64_t arg_va)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
		if (ops[i].cmd == cmd)
			return ops[i].fn(current_vcpu(), arg_va);
	return -XEN_ENOSYS;
}
