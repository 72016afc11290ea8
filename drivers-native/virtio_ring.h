/* virtio_ring.h: one split virtqueue.
 *
 * Private to drivers-native. Layout and rules: Virtual I/O Device specification 1.1, section 2.6. With 128 entries
 * descriptors, available ring and used ring fit into a single page, with 256 into two that need not lie side by side;
 * the legacy interface prescribes size and layout, in pages that do. The device is not believed: what it returns is
 * checked against what is in flight.
 */
#ifndef DRIVERS_NATIVE_VIRTIO_RING_H
#define DRIVERS_NATIVE_VIRTIO_RING_H

#include <amphi/dma.h>

#define VIRTQ_PAGE_MAX 128u /* entries, in one page */
#define VIRTQ_MAX      256u /* in two pages, or in pages side by side */
#define VIRTQ_NONE     0xffffu

#define VIRTQ_DESC_NEXT     1u
#define VIRTQ_DESC_WRITE    2u /* the device writes it */
#define VIRTQ_DESC_INDIRECT 4u /* it is a table of descriptors */

struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
_Static_assert(sizeof(struct virtq_desc) == 16, "section 2.6.5");

struct virtq_avail {
	uint16_t flags, idx, ring[];
};

struct virtq_used {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[];
};

struct virtq {
	/* shared with the device */
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	dma_addr_t desc_at, avail_at, used_at;
	unsigned n_pages;
	uint16_t size, n_free, first_free, used_seen;
	uint16_t avail_added;     /* ours: the page's copy is only written */
	uint16_t avail_told;      /* what of it the device was told of */
	bool event_idx;           /* both say by an index when they want to be told (2.6.7) */
	uint16_t next[VIRTQ_MAX]; /* our own copy of the chains: the device cannot bend them */
	void *token[VIRTQ_MAX];   /* by head descriptor; NULL: not in flight */
};

struct virtq_piece {
	dma_addr_t at;
	uint32_t len;
	bool device_writes;
};

/* size: at most VIRTQ_MAX, a power of two. -XEN_ENOMEM. */
int virtq_init(struct virtq *q, const struct dma_device *dma, uint16_t size);

/* As the legacy interface lays it out (2.6.2): size, at most VIRTQ_MAX, is the device's word. -XEN_ENOMEM also when
 * no pages side by side can be had. */
int virtq_init_legacy(struct virtq *q, const struct dma_device *dma, uint16_t size);

/* Empty again, for a device that was reset and forgot it; event_idx stays. */
void virtq_rewind(struct virtq *q);

/* Puts a chain of n >= 1 pieces; false when there are not enough descriptors. A device that polls may
 * see it at once, any other after it was told (virtq_publish). */
bool virtq_add(struct virtq *q, const struct virtq_piece *pieces, unsigned n, void *token);

/* The same, by one descriptor that leads to a table of the caller's with room for n, which is the device's until
 * the chain is back. Only where the device takes such. */
bool virtq_add_indirect(struct virtq *q, struct virtq_desc *table, dma_addr_t table_at,
			const struct virtq_piece *pieces, unsigned n, void *token);

/* Everything added is visible to the device. Returns whether it wants to be told. */
bool virtq_publish(struct virtq *q);

/* The token of the next chain the device has finished; NULL when there is none, or when what it
 * returned was not in flight (*out_bad). */
void *virtq_take(struct virtq *q, bool *out_bad);

/* The same, with the number of bytes that the device says it has written, which is not checked. */
void *virtq_take_len(struct virtq *q, bool *out_bad, uint32_t *out_len);

/* No interrupts until virtq_wake; one may still come. */
void virtq_quiet(struct virtq *q);

/* An interrupt when another `after` chains have come back, 0: with the next. True: so many have, and none will come.
 * Without event_idx it is the next in any case. */
bool virtq_wake(struct virtq *q, uint16_t after);

static inline uint16_t virtq_in_flight(const struct virtq *q)
{
	return (uint16_t)(q->avail_added - q->used_seen);
}

#endif
