/* iommu_sender.c: by which number a unit knows a function's requests, and who else sends by it.
 *
 * A conventional bus has no numbers of senders: what comes from it bears the number of the bridge that it leaves by (an Express one: its
 * secondary bus, device 0, function 0: PCI Express to PCI bridge specification 1.0, 2.3; any other: its own). To the unit all
 * functions behind are then one, so they are in one place, or nowhere, and have one owner. Not here: functions that a unit tells apart and that reach
 * each other without it (control/pci_group.c). Callers: iommu_device.c, iommu_assign.c, iommu_fault.c, msi.c. Calls pci_config.h.
 */
#include <amphi/pci_cap.h>

#include "iommu_device.h"
#include "pci_config.h"

#define PCI_CAP_EXPRESS  0x10u
#define EXPRESS_TYPE(x)  ((x) >> 20 & 15)
#define EXPRESS_TO_PCI   7u
#define EXPRESS_FROM_PCI 8u

/* What all behind the bridge send as; -1: each as itself. */
static int name_behind(uint16_t bridge)
{
	unsigned cap = pci_config_cap(bridge, PCI_CAP_EXPRESS);
	unsigned type = cap ? EXPRESS_TYPE(pci_config_read(bridge, cap, 4)) : EXPRESS_FROM_PCI;

	if (type == EXPRESS_TO_PCI)
		return (int)pci_config_read(bridge, PCI_CONFIG_BUSES + 1, 1) << 8;
	return type == EXPRESS_FROM_PCI ? bridge : -1;
}

void io_sender_find(struct io_device *dev)
{
	unsigned bus = dev->bdf >> 8;
	int name = -1;

	dev->bridge = (pci_config_read(dev->bdf, PCI_CONFIG_HEADER, 1) & 0x7f) == PCI_HEADER_BRIDGE;
	dev->lends = dev->bridge && name_behind(dev->bdf) == dev->bdf;
	/* A bridge's number of its bus is below those of the buses behind it: the first found is the one next to the unit. */
	for (struct io_device *b = NULL; name < 0 && (b = io_device_each(b));) {
		uint32_t buses = b->bridge ? pci_config_read(b->bdf, PCI_CONFIG_BUSES, 4) : 0;

		if (b != dev && b->bridge && bus >= (buses >> 8 & 0xff) &&
		    bus <= (buses >> 16 & 0xff))
			name = name_behind(b->bdf);
	}
	dev->sender = name < 0 ? dev->bdf : (uint16_t)name;
}

uint16_t io_sender(uint16_t bdf)
{
	const struct io_device *dev = io_device_find(bdf);

	return dev ? dev->sender : bdf;
}

struct io_device *io_sender_next(const struct io_device *dev, const struct io_device *after)
{
	struct io_device *other = io_device_each(after);

	while (other && (other == dev || other->bridge || other->sender != dev->sender))
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
		if (dev->sender == sender && !dev->bridge)
			return dev;
	return io_device_find(sender);
}
