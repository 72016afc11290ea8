/* iommu_assign.c: domctl's commands by which the first domain says who gets a function of the machine.
 *
 * Xen's own ABI: assign_device, test_assign_device, deassign_device and get_device_group, by the function's number. DOMID_IO is nobody: what is given to it
 * reaches nothing, and deassigned from it is the first domain's again; what a domain has had is nobody's first, since only who has
 * reset it knows that nothing of the old owner's is still going on in it. Called by domctl.c; the work is in iommu_device.c.
 */
#include "domctl_parts.h"
#include "guest.h"
#include "iommu_device.h"
#include "pci_config.h"

#define CLASS_BRIDGE 0x06u
#define CLASS_SYSTEM 0x08u
#define SYSTEM_IOMMU 0x06u

/* ---- may it be given away? ----------------------------------------------------------------- */

/* NULL: no reason against it. *out_other: the function that the reason ends with, or NULL. */
static const char *why_not(const struct io_device *dev, const struct domain *to, bool relaxed,
			   int *out_error, const struct io_device **out_other)
{
	uint32_t class = pci_config_read(dev->bdf, PCI_CONFIG_CLASS, 4);

	*out_other = NULL;
	*out_error = -XEN_EINVAL;
	if (class >> 24 == CLASS_BRIDGE)
		return "it is a bridge";
	if (class >> 24 == CLASS_SYSTEM && (class >> 16 & 0xff) == SYSTEM_IOMMU)
		return "it is an IOMMU";
	*out_error = -XEN_ENODEV;
	if (!dev->unit)
		return iommu_is_off() ? NULL : "no IOMMU would keep it from all memory";
	*out_error = -XEN_EXDEV;
	*out_other = io_sender_of_another(dev, to);
	if (*out_other)
		return "behind its bridge, and one with it to the IOMMU, is";
	*out_error = -XEN_EPERM;
	return io_kept_check(dev, relaxed, out_other);
}

static int check(struct io_device *dev, const struct domain *to, bool relaxed)
{
	unsigned id = to ? to->id : DOMID_IO;
	const struct io_device *other;
	const char *why;
	int error;

	if (dev->owner && !dev->owner->privileged)
		return -XEN_EBUSY;
	why = why_not(dev, to, relaxed, &error, &other);
	if (why && other)
		hv_printk("%02x:%02x.%x is not given to domain %u: %s %02x:%02x.%x of domain %u",
			  dev->bdf >> 8, dev->bdf >> 3 & 31, dev->bdf & 7, id, why, other->bdf >> 8,
			  other->bdf >> 3 & 31, other->bdf & 7,
			  other->owner ? other->owner->id : DOMID_IO);
	else if (why)
		hv_printk("%02x:%02x.%x is not given to domain %u: %s", dev->bdf >> 8,
			  dev->bdf >> 3 & 31, dev->bdf & 7, id, why);
	else if (other)
		hv_printk("warning: %02x:%02x.%x and %02x:%02x.%x use memory that firmware keeps",
			  dev->bdf >> 8, dev->bdf >> 3 & 31, dev->bdf & 7, other->bdf >> 8,
			  other->bdf >> 3 & 31, other->bdf & 7);
	return why ? error : 0;
}

static void warn(struct io_device *dev, const struct domain *to)
{
	if (dev->unit || dev->warned)
		return;
	dev->warned = true;
	hv_printk("warning: iommu=off: domain %u can reach all memory by %02x:%02x.%x", to->id,
		  dev->bdf >> 8, dev->bdf >> 3 & 31, dev->bdf & 7);
}

/* ---- the commands -------------------------------------------------------------------------- */

/* To nobody only what is the first domain's: that takes no unit, since nothing is trusted with less than before. */
static int assign(struct io_device *dev, struct domain *to, bool relaxed)
{
	int error;

	if (!to)
		return dev->owner && dev->owner->privileged ? io_device_give(dev, NULL)
							    : -XEN_EBUSY;
	error = check(dev, to, relaxed);
	if (error)
		return error;
	warn(dev, to);
	return io_device_give(dev, to);
}

/* From nobody it is the first domain's, who asks. */
static int deassign(struct io_device *dev, struct domain *from)
{
	struct domain *first;
	int error;

	if (dev->owner != from)
		return -XEN_ENODEV;
	if (from)
		return io_device_give(dev, NULL);
	first = domain_find(0);
	error = io_device_give(dev, first);
	domain_put(first);
	return error;
}

static int run(const struct xen_domctl *op, struct io_device *dev, struct domain *d)
{
	bool relaxed = op->u.assign_device.flags & XEN_DOMCTL_DEV_RDM_RELAXED;

	if (op->cmd == XEN_DOMCTL_assign_device)
		return assign(dev, d, relaxed);
	if (op->cmd == XEN_DOMCTL_deassign_device)
		return deassign(dev, d);
	if (op->domain == DOMID_INVALID)
		return dev->owner && !dev->owner->privileged ? -XEN_EBUSY : 0;
	return check(dev, d, relaxed);
}

/* The function, also when nobody has told of it: without a unit there was no reason to. */
static struct io_device *look(uint16_t bdf)
{
	if (!io_device_find(bdf) && pci_config_read(bdf, 0, 2) != 0xffff)
		(void)io_device_add(bdf);
	return io_device_find(bdf);
}

/* In Xen's words: those of d's that a unit cannot tell from the function, itself not; bus in bits 16 to 23, the rest in 8 to 15. */
int domctl_device_group(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_get_device_group *g = &op->u.get_device_group;
	struct io_device *dev = g->machine_sbdf >> 16 ? NULL : look((uint16_t)g->machine_sbdf);
	struct io_device *other = NULL;

	if (!dev)
		return -XEN_ENODEV;
	g->num_sdevs = 0;
	while (g->num_sdevs < g->max_sdevs && (other = io_sender_next(dev, other))) {
		uint32_t name = (uint32_t)other->bdf << 8;

		if (other->owner != d)
			continue;
		if (handle_write(g->sdev_array, g->num_sdevs, &name))
			return -XEN_EFAULT;
		g->num_sdevs++;
	}
	return 0;
}

int domctl_device(struct xen_domctl *op)
{
	const struct xen_domctl_assign_device *a = &op->u.assign_device;
	bool nobody = op->domain == DOMID_IO ||
		      (op->cmd == XEN_DOMCTL_test_assign_device && op->domain == DOMID_INVALID);
	struct io_device *dev;
	struct domain *d;
	int error;

	if (a->dev != XEN_DOMCTL_DEV_PCI)
		return -XEN_ENOSYS;
	if (a->flags & ~XEN_DOMCTL_DEV_RDM_RELAXED)
		return -XEN_EINVAL;
	dev = a->u.pci.machine_sbdf >> 16 ? NULL : look((uint16_t)a->u.pci.machine_sbdf);
	if (!dev)
		return -XEN_ENODEV;
	if (nobody)
		return run(op, dev, NULL);
	d = domain_find(op->domain);
	if (!d || d->dying)
		error = -XEN_ESRCH;
	else
		error = d->privileged ? -XEN_EINVAL : run(op, dev, d);
	if (d)
		domain_put(d);
	return error;
}
