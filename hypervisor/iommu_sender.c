/* iommu_sender.c: who else sends by a number that a function's requests may come as.
 *
 * Functions that have such a number in common (behind a bridge to conventional PCI, or by firmware's word: iommu/sender.c) are one to the unit: they are
 * in one place, or nowhere, and have one owner. Which pairs have is asked, not which group all are in: firmware may give a function a number that
 * another's bridge has, and that one's neighbours need not mind the first. Not here: functions that a unit tells apart and that reach
 * each other without it (control/pci_group.c). Callers: iommu_device.c, iommu_assign.c, iommu_fault.c, msi.c. Calls iommu.h, pci_config.h.
 */
#include "iommu_device.h"
#include "pci_config.h"

void io_sender_find(struct io_device *dev)
{
	dev->bridge = (pci_config_read(dev->bdf, PCI_CONFIG_HEADER, 1) & 0x7f) == PCI_HEADER_BRIDGE;
	dev->lends = dev->bridge && iommu_lends(dev->bdf);
	iommu_names(dev->bdf, &dev->names);
}

uint16_t io_sender(uint16_t bdf)
{
	const struct io_device *dev = io_device_find(bdf);

	return dev ? dev->names.name[0] : bdf;
}

struct io_device *io_sender_next(const struct io_device *dev, const struct io_device *after)
{
	struct io_device *other = io_device_each(after);

	while (other &&
	       (other == dev || other->bridge || !iommu_names_meet(&other->names, &dev->names)))
		other = io_device_each(other);
	return dev->bridge ? NULL : other;
}

struct io_device *io_sender_of_another(const struct io_device *dev, const struct domain *to)
{
	struct io_device *other = NULL;

	while (dev->unit && (other = io_sender_next(dev, other)))
		if (other->owner && other->owner != to)
			return other;
	return NULL;
}

struct io_device *io_sender_first(uint16_t sender)
{
	for (struct io_device *dev = NULL; (dev = io_device_each(dev));)
		if (!dev->bridge && iommu_is_name(&dev->names, sender))
			return dev;
	return io_device_find(sender);
}
