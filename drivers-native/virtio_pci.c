/* virtio_pci.c: finds and drives the modern interface of a virtio device, or hands on to the legacy one.
 *
 * Contract: virtio_pci.h. What the device says of where its structures are is checked against what it has. Called by
 * virtio_blk*.c and virtio_net*.c; calls pci.c, virtio_ring.c, virtio_legacy.c.
 */
#include "virtio_pci.h"

#include <amphi/machine.h>
#include <amphi/xen.h>

#define VENDOR_CAP_LEN 20u /* with the notify capability's multiplier */
#define MAP_MAX        0x10000u

enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_DEVICE = 4 };

/* Maps the structure that a vendor capability of this type describes (section 4.1.4). The first of
 * its type that can be mapped is taken, as section 4.1.4.1 asks of drivers: a device offers them in
 * the order of its preference. One in an I/O BAR (for legacy use) is passed over. At most 16 are
 * looked at. */
static volatile void *map_structure(struct virtio_pci *t, unsigned type, unsigned *out_cap)
{
	const struct pci_function *f = t->pci;

	for (unsigned cap = pci_find_capability(f, PCI_CAP_VENDOR, 0), n = 0; cap && n < 16;
	     cap = pci_find_capability(f, PCI_CAP_VENDOR, cap), n++) {
		uint32_t offset, len;
		maddr_t start;

		if (cap + VENDOR_CAP_LEN > 256 || machine_pci_read(f->bdf, cap + 3, 1) != type ||
		    !pci_bar(f, machine_pci_read(f->bdf, cap + 4, 1), &start))
			continue;
		offset = machine_pci_read(f->bdf, cap + 8, 4);
		len = machine_pci_read(f->bdf, cap + 12, 4);
		*out_cap = cap;
		return machine_mmio_map((maddr_t){start.v + offset}, MIN(len, MAP_MAX));
	}
	return NULL;
}

/* The notify structure last: its capability's offset is used after it, for the multiplier that follows it. */
int virtio_pci_find(struct virtio_pci *t)
{
	unsigned cap = 0;

	t->common = map_structure(t, CFG_COMMON, &cap);
	t->config = map_structure(t, CFG_DEVICE, &cap);
	t->notify = map_structure(t, CFG_NOTIFY, &cap);
	if (!t->common || !t->config || !t->notify)
		return virtio_legacy_find(t);
	t->notify_multiplier = machine_pci_read(t->pci->bdf, cap + 16, 4);
	t->notify_len = MIN(machine_pci_read(t->pci->bdf, cap + 12, 4), MAP_MAX);
	return 0;
}

static void set_status(struct virtio_pci *t, uint8_t status)
{
	if (t->port)
		virtio_legacy_set_status(t, status);
	else
		t->common->status = status;
}

uint8_t virtio_pci_status(const struct virtio_pci *t)
{
	return t->port ? virtio_legacy_status(t) : t->common->status;
}

void virtio_pci_reset(struct virtio_pci *t)
{
	set_status(t, 0);
}

/* 64 bits through a window of 32 (section 4.1.4.3). */
static uint64_t device_features(struct virtio_pci *t)
{
	uint64_t features;

	t->common->device_feature_select = 0;
	features = t->common->device_feature;
	t->common->device_feature_select = 1;
	return features | (uint64_t)t->common->device_feature << 32;
}

/* Once: after a reset the same is negotiated again. Without the feature the device does as if there were no IOMMU (section 6.1). */
static int attach(struct virtio_pci *t, bool translated)
{
	int err = t->attached ? 0 : dma_attach(&t->dma, translated);

	t->attached |= !err;
	return err;
}

/* Section 3.1.1 in its order: seen, driver, features, FEATURES_OK, and whether that bit stayed. */
int virtio_pci_negotiate(struct virtio_pci *t, uint64_t wanted, uint64_t *out_features)
{
	set_status(t, VIRTIO_ACK | VIRTIO_DRIVER);
	if (t->port) {
		*out_features = virtio_legacy_negotiate(t, wanted);
		return attach(t, false);
	}
	*out_features =
	    device_features(t) & (wanted | VIRTIO_FEATURE_VERSION_1 | VIRTIO_FEATURE_IOMMU);
	/* Without it the rings would be those of the legacy interface, in its byte order. */
	if (!(*out_features & VIRTIO_FEATURE_VERSION_1))
		return -XEN_EOPNOTSUPP;
	for (unsigned half = 0; half < 2; half++) {
		t->common->driver_feature_select = half;
		t->common->driver_feature = (uint32_t)(*out_features >> 32 * half);
	}
	set_status(t, VIRTIO_ACK | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
	if (!(t->common->status & VIRTIO_FEATURES_OK))
		return -XEN_EOPNOTSUPP;
	return attach(t, *out_features & VIRTIO_FEATURE_IOMMU);
}

/* Two halves, which section 4.1.3.1 allows and every device takes. */
static void write_address(volatile uint64_t *reg, uint64_t value)
{
	((volatile uint32_t *)reg)[0] = (uint32_t)value;
	((volatile uint32_t *)reg)[1] = (uint32_t)(value >> 32);
}

/* The window shows this queue from here on. Its size may be lowered by the driver; ours fits one page or two. */
static int modern_queue(struct virtio_pci *t, struct virtio_queue *vq, uint16_t at_least,
			uint16_t vector)
{
	volatile struct virtio_common *c = t->common;
	uint16_t size;
	uint64_t at;
	int err = 0;

	c->queue_select = vq->index;
	size = (uint16_t)MIN(c->queue_size, vq->max_size ? vq->max_size : VIRTQ_PAGE_MAX);
	if (size < at_least || (size & (size - 1)))
		return -XEN_EOPNOTSUPP;
	if (vq->q.desc && vq->q.size == size)
		virtq_rewind(&vq->q);
	else
		err = virtq_init(&vq->q, &t->dma, size);
	if (err)
		return err;
	c->queue_size = size;
	c->queue_msix_vector = vector;
	write_address(&c->queue_desc, vq->q.desc_at.v);
	write_address(&c->queue_driver, vq->q.avail_at.v);
	write_address(&c->queue_device, vq->q.used_at.v);
	/* Where this queue's notification is written (4.1.4.4). The device names both factors, so
	 * the place is checked against what it said it has and what was mapped. */
	at = (uint64_t)c->queue_notify_off * t->notify_multiplier;
	if (at + 2 > t->notify_len)
		return -XEN_EINVAL;
	vq->notify = t->notify + at / 2;
	/* Last: from here on the device may read the rings. */
	c->queue_enable = 1;
	return 0;
}

int virtio_pci_queue(struct virtio_pci *t, struct virtio_queue *vq, uint16_t at_least,
		     uint16_t vector)
{
	return (t->port ? virtio_legacy_queue : modern_queue)(t, vq, at_least, vector);
}

void virtio_pci_config_vector(struct virtio_pci *t, uint16_t vector)
{
	if (t->port)
		virtio_legacy_config_vector(t, vector);
	else
		t->common->msix_config = vector;
}

void virtio_pci_ready(struct virtio_pci *t)
{
	set_status(t, VIRTIO_ACK | VIRTIO_DRIVER | VIRTIO_DRIVER_OK |
			  (t->port ? 0 : VIRTIO_FEATURES_OK));
}

uint32_t virtio_pci_config(const struct virtio_pci *t, unsigned offset, unsigned width)
{
	if (t->port)
		return virtio_legacy_config(t, offset, width);
	if (width == 1)
		return t->config[offset];
	if (width == 2)
		return *(volatile uint16_t *)(t->config + offset);
	return *(volatile uint32_t *)(t->config + offset);
}

/* Twice the same, and no other generation between the two: a legacy device has no generation, and one that changes
 * without end is not waited for. */
uint64_t virtio_pci_config64(const struct virtio_pci *t, unsigned offset)
{
	uint64_t value = 0, before = ~0ull;
	unsigned tries;

	for (tries = 0; tries < 8 && value != before; tries++) {
		before = value;
		value = virtio_pci_config(t, offset, 4);
		value |= (uint64_t)virtio_pci_config(t, offset + 4, 4) << 32;
	}
	return value;
}
