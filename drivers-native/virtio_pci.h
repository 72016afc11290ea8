/* virtio_pci.h: a virtio device on PCI, modern (1.0 and later) or legacy, as one thing.
 *
 * Private to drivers-native. Callers: virtio_blk*.c, virtio_net*.c. Implemented by virtio_pci.c (modern, and which of the two it is)
 * and virtio_legacy.c. Specification 1.1: 4.1 (PCI), 3.1.1 (start-up), 4.1.4.8 (legacy). A transitional device has both
 * and is driven by the modern one. The calls of a start, in order: reset, is_reset, negotiate, queue (each), ready.
 * Worker context.
 */
#ifndef DRIVERS_NATIVE_VIRTIO_PCI_H
#define DRIVERS_NATIVE_VIRTIO_PCI_H

#include <amphi/pci.h>

#include "virtio_ring.h"

#define VIRTIO_VENDOR    0x1af4u
#define VIRTIO_NO_VECTOR 0xffffu

/* Of section 6; a device's own have the lower numbers. The last but one promises that the device is only given
 * addresses that dma_map made, which is so. */
#define VIRTIO_FEATURE_INDIRECT  (1ull << 28)
#define VIRTIO_FEATURE_EVENT_IDX (1ull << 29)
#define VIRTIO_FEATURE_VERSION_1 (1ull << 32)
#define VIRTIO_FEATURE_IOMMU     (1ull << 33)

enum {
	VIRTIO_ACK = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 0x40
};

/* Section 4.1.4.3. In the device's registers: each access is one of the field's own width. */
struct virtio_common {
	uint32_t device_feature_select, device_feature, driver_feature_select, driver_feature;
	uint16_t msix_config, num_queues;
	uint8_t status, generation;
	uint16_t queue_select, queue_size, queue_msix_vector, queue_enable, queue_notify_off;
	uint64_t queue_desc, queue_driver, queue_device;
};

struct virtio_pci {
	const struct pci_function *pci;
	struct dma_device dma;
	bool attached; /* dma is */
	struct pci_msix msix;
	/* modern */
	volatile struct virtio_common *common;
	volatile uint8_t *config;
	volatile uint16_t *notify;
	uint32_t notify_multiplier, notify_len;
	/* legacy: its registers, 0: modern */
	uint16_t port;
};

struct virtio_queue {
	struct virtq q;
	uint16_t index;
	uint16_t max_size;         /* entries to have at most; 0: VIRTQ_PAGE_MAX. Modern */
	volatile uint16_t *notify; /* modern */
};

/* Maps what the function has. pci and dma are set. -XEN_EOPNOTSUPP: neither interface can be used. */
int virtio_pci_find(struct virtio_pci *t);
void virtio_pci_reset(struct virtio_pci *t);
/* The same, and waits until it is over, a tenth of a second at most. -XEN_EBUSY: it is not. */
int virtio_pci_reset_now(struct virtio_pci *t);
/* What every start begins with: find, the function enabled, a reset, its vectors. */
int virtio_pci_begin(struct virtio_pci *t);
/* The status register: 0 after a reset; 0xff: nobody is there. */
uint8_t virtio_pci_status(const struct virtio_pci *t);
/* Takes what is wanted and offered. -XEN_EOPNOTSUPP: the device does not agree. */
int virtio_pci_negotiate(struct virtio_pci *t, uint64_t wanted, uint64_t *out_features);
/* Makes the queue (or empties it, when it was made before) and shows it to the device; vq->index is set.
 * at_least: entries it must have. -XEN_ENOMEM, -XEN_EOPNOTSUPP. */
int virtio_pci_queue(struct virtio_pci *t, struct virtio_queue *vq, uint16_t at_least,
		     uint16_t vector);
/* The vector that a change of configuration raises, or VIRTIO_NO_VECTOR. */
void virtio_pci_config_vector(struct virtio_pci *t, uint16_t vector);
void virtio_pci_ready(struct virtio_pci *t);
/* A field of the device's own configuration: width 1, 2 or 4. */
uint32_t virtio_pci_config(const struct virtio_pci *t, unsigned offset, unsigned width);
/* 64 bits of it, which do not change while they are read. */
uint64_t virtio_pci_config64(const struct virtio_pci *t, unsigned offset);
/* virtio_legacy.c: the same of a device that has nothing newer; called by virtio_pci.c. */
int virtio_legacy_find(struct virtio_pci *t);
void virtio_legacy_set_status(const struct virtio_pci *t, uint8_t status);
uint8_t virtio_legacy_status(const struct virtio_pci *t);
uint64_t virtio_legacy_negotiate(const struct virtio_pci *t, uint64_t wanted);
int virtio_legacy_queue(struct virtio_pci *t, struct virtio_queue *vq, uint16_t at_least,
			uint16_t vector);
void virtio_legacy_config_vector(const struct virtio_pci *t, uint16_t vector);
uint32_t virtio_legacy_config(const struct virtio_pci *t, unsigned offset, unsigned width);
void virtio_legacy_notify(const struct virtio_pci *t, uint16_t index);

/* Tells the device of a queue. */
static inline void virtio_pci_notify(const struct virtio_pci *t, const struct virtio_queue *vq)
{
	if (vq->notify)
		*vq->notify = vq->index;
	else
		virtio_legacy_notify(t, vq->index);
}

#endif
