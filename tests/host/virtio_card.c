/* virtio_card.c: a virtio device played by a test; see virtio_card.h.
 *
 * Implements the calls of drivers-native/virtio_pci.h. Follows chains as a device does, and aborts where a driver gives
 * what no device could follow: those are bugs of the driver.
 */
#include "virtio_card.h"

#include <amphi/host.h>

#include <string.h>

struct virtio_card card;

void card_reset(void)
{
	memset(&card, 0, sizeof(card));
	card.queue_size = 64;
	card.config_vector = VIRTIO_NO_VECTOR;
}

/* ---- what the driver calls ---- */

int virtio_pci_find(struct virtio_pci *t)
{
	return 0;
}

void virtio_pci_reset(struct virtio_pci *t)
{
	card.resets++;
	if (card.status != 0xff && !card.stays_busy)
		card.status = 0;
}

uint8_t virtio_pci_status(const struct virtio_pci *t)
{
	return card.status;
}

int virtio_pci_negotiate(struct virtio_pci *t, uint64_t wanted, uint64_t *out_features)
{
	uint64_t modern = card.legacy ? 0 : VIRTIO_FEATURE_VERSION_1;

	if (card.refuses)
		return -XEN_EOPNOTSUPP;
	*out_features = card.accepted = (card.offers | modern) & (wanted | modern);
	return 0;
}

int virtio_pci_queue(struct virtio_pci *t, struct virtio_queue *vq, uint16_t at_least,
		     uint16_t vector)
{
	static uint16_t nowhere[CARD_QUEUES];
	int err = 0;

	HOST_ASSERT(vq->index < CARD_QUEUES && !card.status && card.queue_size >= at_least);
	if (vq->q.desc)
		virtq_rewind(&vq->q);
	else
		err = virtq_init(&vq->q, &t->dma, card.queue_size);
	card.queues[vq->index] = &vq->q;
	card.vectors[vq->index] = vector;
	card.taken[vq->index] = 0;
	vq->notify = &nowhere[vq->index];
	return err;
}

void virtio_pci_config_vector(struct virtio_pci *t, uint16_t vector)
{
	card.config_vector = vector;
}

void virtio_pci_ready(struct virtio_pci *t)
{
	card.status = VIRTIO_ACK | VIRTIO_DRIVER | VIRTIO_DRIVER_OK | VIRTIO_FEATURES_OK;
}

uint32_t virtio_pci_config(const struct virtio_pci *t, unsigned offset, unsigned width)
{
	uint32_t value = 0;

	memcpy(&value, card.config + offset, width);
	return value;
}

void virtio_legacy_notify(const struct virtio_pci *t, uint16_t index)
{
	HOST_ASSERT(false);
}

/* ---- what the device does ---- */

bool card_next(unsigned queue, struct card_chain *out)
{
	struct virtq *q = card.queues[queue];
	const struct virtq_desc *table;
	uint16_t at;

	if (!q || card.taken[queue] == q->avail->idx)
		return false;
	out->head = at = q->avail->ring[card.taken[queue]++ % q->size];
	HOST_ASSERT(at < q->size);
	table = q->desc;
	if (table[at].flags & VIRTQ_DESC_INDIRECT) {
		table = (void *)table[at].addr;
		at = 0;
	}
	for (out->n = 0;; at = table[at].next) {
		HOST_ASSERT(out->n < 64);
		out->pieces[out->n++] = table[at];
		if (!(table[at].flags & VIRTQ_DESC_NEXT))
			return true;
	}
}

void card_return(unsigned queue, uint32_t head, uint32_t len)
{
	struct virtq *q = card.queues[queue];

	q->used->ring[q->used->idx % q->size].id = head;
	q->used->ring[q->used->idx % q->size].len = len;
	q->used->idx++;
}

bool card_interrupts(unsigned queue, uint16_t since)
{
	struct virtq *q = card.queues[queue];
	uint16_t wish = q->avail->ring[q->size];

	if (q->used->idx == since)
		return false;
	if (card.accepted & VIRTIO_FEATURE_EVENT_IDX)
		return (uint16_t)(q->used->idx - wish - 1) < (uint16_t)(q->used->idx - since);
	return !(q->avail->flags & 1);
}

uint32_t card_read(const struct card_chain *chain, uint8_t *out, uint32_t cap)
{
	uint32_t len = 0;

	for (unsigned i = 0; i < chain->n; i++) {
		const struct virtq_desc *p = &chain->pieces[i];

		if (p->flags & VIRTQ_DESC_WRITE)
			break;
		HOST_ASSERT(len + p->len <= cap);
		memcpy(out + len, (void *)p->addr, p->len);
		len += p->len;
	}
	return len;
}

uint32_t card_write(const struct card_chain *chain, const uint8_t *bytes, uint32_t len)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < chain->n && done < len; i++) {
		const struct virtq_desc *p = &chain->pieces[i];
		uint32_t n = MIN(p->len, len - done);

		if (!(p->flags & VIRTQ_DESC_WRITE))
			continue;
		memcpy((void *)p->addr, bytes + done, n);
		done += n;
	}
	return done;
}
