/* virtio_blk_recover.c: a virtio block device's part of being watched, reset and given up.
 *
 * The table that disk_watch.c calls through. After a reset the device is started as at first (vblk_start), with empty
 * queues, and every slot in use is sent again. Called by disk_watch.c.
 */
#include "virtio_blk.h"

#include <amphi/host_block.h>

#include "disk_error.h"

#define RESET_POLLS 500u /* five seconds */
#define NOBODY      0xffu

static struct vblk *vblk_of(struct disk_watch *w)
{
	return container_of(w, struct vblk, watch);
}

static unsigned look(struct disk_watch *w)
{
	struct vblk *v = vblk_of(w);
	unsigned oldest = 0;

	for (unsigned q = 0; q < v->n_queues; q++)
		for (unsigned i = 0; i < VBLK_SLOTS; i++)
			if (v->queues[q]->slots[i].req)
				oldest = disk_age_look(&v->queues[q]->slots[i].age, oldest);
	return oldest;
}

/* A device that fails by itself does so by one of the requests it has, and nobody knows which. */
static void blame_all(struct vblk *v)
{
	for (unsigned q = 0; q < v->n_queues; q++)
		for (unsigned i = 0; i < VBLK_SLOTS; i++)
			v->queues[q]->slots[i].age.looks = DISK_LOOKS_MAX;
}

static int health(struct disk_watch *w)
{
	struct vblk *v = vblk_of(w);
	uint8_t status = virtio_pci_status(&v->pci);

	if (status == NOBODY)
		return -XEN_ENODEV;
	if (status & VIRTIO_DRIVER_OK && !(status & VIRTIO_NEEDS_RESET))
		return 0;
	blame_all(v);
	return -XEN_EIO;
}

static void reap(struct disk_watch *w)
{
	struct vblk *v = vblk_of(w);

	for (unsigned q = 0; q < v->n_queues; q++)
		vblk_go_on(v->queues[q]);
}

static void stop(struct disk_watch *w)
{
	struct vblk *v = vblk_of(w);

	v->holds = true;
	v->added = 0;
	virtio_pci_reset(&v->pci);
}

static int reset(struct disk_watch *w)
{
	struct vblk *v = vblk_of(w);
	uint8_t status = virtio_pci_status(&v->pci);

	if (status == NOBODY)
		return -XEN_ENODEV;
	return status ? -XEN_EAGAIN : vblk_start(v);
}

static void resend_queue(struct vblk_queue *queue)
{
	for (unsigned i = 0; i < VBLK_SLOTS; i++) {
		struct vblk_slot *slot = &queue->slots[i];
		bool lost = slot->req && disk_age_is_lost(&slot->age);

		if (!slot->req)
			continue;
		slot->age.looks = 0;
		if (lost)
			disk_error(&queue->disk->disk, slot->req, "no answer, tries",
				   slot->age.tries);
		if (lost || !vblk_send(queue, slot))
			vblk_slot_end(queue, slot, -XEN_EIO);
	}
}

static void resend(struct disk_watch *w)
{
	struct vblk *v = vblk_of(w);

	for (unsigned q = 0; q < v->n_queues; q++)
		resend_queue(v->queues[q]);
	v->holds = false;
	reap(w);
}

static void end_queue(struct vblk_queue *queue)
{
	struct block_request *req;

	for (unsigned i = 0; i < VBLK_SLOTS; i++)
		if (queue->slots[i].req)
			vblk_slot_end(queue, &queue->slots[i], -XEN_EIO);
	while ((req = queue->waiting)) {
		queue->waiting = req->next;
		req->done(req, -XEN_EIO);
	}
	queue->waiting_tail = &queue->waiting;
}

/* Bus mastering goes off first: a device that cannot be reset must not write into memory that has gone back to its
 * owner. */
static void end(struct disk_watch *w)
{
	struct vblk *v = vblk_of(w);

	pci_disable(v->pci.pci);
	v->disk.ops = &disk_gone_ops;
	for (unsigned q = 0; q < v->n_queues; q++)
		end_queue(v->queues[q]);
	host_block_unregister(&v->disk);
}

void vblk_watch_init(struct vblk *v)
{
	static const struct disk_watch_ops ops = {.look = look,
						  .health = health,
						  .reap = reap,
						  .stop = stop,
						  .reset = reset,
						  .resend = resend,
						  .end = end};

	v->watch.ops = &ops;
	v->watch.reset_polls = RESET_POLLS;
	disk_watch_init(&v->watch);
}
