/* virtio_blk.h: what the files of the virtio-blk driver share.
 *
 * Private to drivers-native. virtio_blk_init.c finds and describes a disk, virtio_blk.c moves data, virtio_blk_recover.c
 * resets. The device itself is virtio_pci.h. Specification 1.1, section 5.2. Worker context.
 */
#ifndef DRIVERS_NATIVE_VIRTIO_BLK_H
#define DRIVERS_NATIVE_VIRTIO_BLK_H

#include <amphi/block.h>

#include "disk_watch.h"
#include "virtio_pci.h"

#define VBLK_QUEUES 4u
#define VBLK_SLOTS  64u /* of a queue */
/* Up to so many a request's segments are descriptors of the queue; more are in a table, of which a disk has a few.
 * A table is a page: 256, less header and status. */
#define VBLK_DIRECT   32u
#define VBLK_TABLES   16u
#define VBLK_SEGMENTS 254u

enum { VBLK_IN = 0, VBLK_OUT = 1, VBLK_FLUSH = 4, VBLK_GET_ID = 8, VBLK_DISCARD = 11 };
enum { VBLK_OK = 0, VBLK_UNSUPPORTED = 2, VBLK_UNWRITTEN = 0xff };

/* What a request and the device share, 64 bytes: None is within the memory of a user, as the device writes its
 * status where only status is. */
struct vblk_shared {
	uint32_t type, reserved;
	uint64_t sector;
	/* of a discard */
	uint64_t range_sector;
	uint32_t range_sectors, range_flags;
	uint8_t status, pad[31];
};
_Static_assert(sizeof(struct vblk_shared) == 64, "64 of them are a page");

struct vblk_table {
	struct virtq_desc *desc;
	dma_addr_t at;
	struct vblk_table *next;
};

/* One request in flight. */
struct vblk_slot {
	struct vblk_shared *shared;
	dma_addr_t at;
	struct block_request *req;
	struct vblk_table *table; /* borrowed */
	struct vblk_slot *next_free;
	struct disk_age age;
	struct dma_group maps;
};

/* One queue. The way of a request:
 *
 *    submit -> waiting (a list) -> pump -> start -> virtq_add     the device's from here
 *                 ^                          |
 *    no slot,     '---- stays the first      '-- kick: one notification
 *    no room                                     vblk_interrupt, finish, done() */
struct vblk_queue {
	struct vblk *disk;
	struct virtio_queue vq;
	struct vblk_slot slots[VBLK_SLOTS], *free;
	struct disk_waiting waiting;
};

struct vblk {
	struct virtio_pci pci;
	struct vblk_queue *queues[VBLK_QUEUES];
	unsigned n_queues;
	uint32_t added; /* bits of queues with what the device was not told of */
	uint64_t features;
	uint32_t max_discard; /* sectors of one request */
	struct vblk_table tables[VBLK_TABLES], *free_table;
	bool holds; /* requests wait, as the device is being reset */
	struct disk_watch watch;
	struct block_device disk;
};

/* virtio_blk.c */
extern const struct block_ops vblk_ops;
void vblk_interrupt(void *queue);
/* Takes what the device has finished, and sends what waited. */
void vblk_go_on(struct vblk_queue *queue);
/* Puts the slot's request into the (new) queue. False: it cannot be. */
bool vblk_send(struct vblk_queue *queue, struct vblk_slot *slot);
/* Frees the slot and ends its request with the status. */
void vblk_slot_end(struct vblk_queue *queue, struct vblk_slot *slot, int status);
void vblk_kick(struct block_device *disk);

/* virtio_blk_init.c: reset, features, queues, ready; the device's word on its size. */
int vblk_start(struct vblk *v);
void vblk_read_size(struct vblk *v);

/* virtio_blk_recover.c */
void vblk_watch_init(struct vblk *v);

#endif
