/* virtio_legacy.c: the registers of a virtio device of before 1.0, in I/O ports.
 *
 * Specification 1.1, 4.1.4.8 and 2.6.2. The queue's size is the device's and its pages lie side by side, which a PV
 * domain's memory seldom does: there such a device is refused. MSI-X is on before any register behind the vectors
 * is touched, as the device's own ones move when it is. Called by virtio_pci.c; calls machine.h.
 */
#include "virtio_pci.h"

#include <amphi/machine.h>
#include <amphi/xen.h>

enum {
	REG_DEVICE_FEATURES = 0,
	REG_DRIVER_FEATURES = 4,
	REG_QUEUE_PAGE = 8,
	REG_QUEUE_SIZE = 12,
	REG_QUEUE_SELECT = 14,
	REG_QUEUE_NOTIFY = 16,
	REG_STATUS = 18,
	REG_CONFIG_VECTOR = 20,
	REG_QUEUE_VECTOR = 22,
	REG_CONFIG = 24
};

static uint32_t in(const struct virtio_pci *t, unsigned reg, unsigned width)
{
	return machine_io_read((uint16_t)(t->port + reg), width);
}

static void out(const struct virtio_pci *t, unsigned reg, unsigned width, uint32_t value)
{
	machine_io_write((uint16_t)(t->port + reg), width, value);
}

int virtio_legacy_find(struct virtio_pci *t)
{
	return pci_io_bar(t->pci, 0, &t->port) ? 0 : -XEN_EOPNOTSUPP;
}

void virtio_legacy_set_status(const struct virtio_pci *t, uint8_t status)
{
	out(t, REG_STATUS, 1, status);
}

uint8_t virtio_legacy_status(const struct virtio_pci *t)
{
	return (uint8_t)in(t, REG_STATUS, 1);
}

/* 32 bits, and the device has no say in what is taken. */
uint64_t virtio_legacy_negotiate(const struct virtio_pci *t, uint64_t wanted)
{
	uint32_t features = in(t, REG_DEVICE_FEATURES, 4) & (uint32_t)wanted;

	out(t, REG_DRIVER_FEATURES, 4, features);
	return features;
}

int virtio_legacy_queue(struct virtio_pci *t, struct virtio_queue *vq, uint16_t at_least,
			uint16_t vector)
{
	uint16_t size;
	int err = 0;

	out(t, REG_QUEUE_SELECT, 2, vq->index);
	size = (uint16_t)in(t, REG_QUEUE_SIZE, 2);
	if (size < at_least || size > VIRTQ_MAX || (size & (size - 1)))
		return -XEN_EOPNOTSUPP;
	if (vq->q.desc && vq->q.size == size)
		virtq_rewind(&vq->q);
	else
		err = virtq_init_legacy(&vq->q, &t->dma, size);
	if (err)
		return err;
	out(t, REG_QUEUE_VECTOR, 2, vector);
	if (in(t, REG_QUEUE_VECTOR, 2) != vector)
		return -XEN_EOPNOTSUPP;
	out(t, REG_QUEUE_PAGE, 4, (uint32_t)(vq->q.desc_at.v >> PAGE_SHIFT));
	return 0;
}

void virtio_legacy_config_vector(const struct virtio_pci *t, uint16_t vector)
{
	out(t, REG_CONFIG_VECTOR, 2, vector);
}

uint32_t virtio_legacy_config(const struct virtio_pci *t, unsigned offset, unsigned width)
{
	return in(t, REG_CONFIG + offset, width);
}

void virtio_legacy_notify(const struct virtio_pci *t, uint16_t index)
{
	out(t, REG_QUEUE_NOTIFY, 2, index);
}
