/* virtio_blk_recover.c: a virtio block device's part of being watched, reset and given up.
 *
 * The table that disk_watch.c calls through. After a reset the device is started as at first (vblk_start), with empty
 * queues, and every slot in use is sent again. Called by disk_watch.c.
 */
#include "virtio_blk.h"

#include <amphi/host_block.h>

#define RESET_POLLS 500u /* five seconds */
#define NOBODY      0xffu

static struct vblk *vblk_of(struct disk_watch *w)
{
	return container_of(w, struct vblk, watch);
}

/* Slot n of all queues, counted through. */
static struct vblk_queue *queue_of(struct vblk *v, unsigned number)
{
	return number / VBLK_SLOTS < v->n_queues ? v->queues[number / VBLK_SLOTS] : NULL;
}

static bool command(struct disk_watch *w, unsigned number, struct disk_command *out)
{
	struct vblk *v = vblk_of(w);
	struct vblk_queue *queue = queue_of(v, number);
	struct vblk_slot *slot = queue ? &queue->slots[number % VBLK_SLOTS] : NULL;

	if (!slot || !slot->req)
		return false;
	*out = (struct disk_command){&slot->age, &v->disk, slot->req};
	return true;
}

static int health(struct disk_watch *w)
{
	struct vblk *v = vblk_of(w);
	uint8_t status = virtio_pci_status(&v->pci);

	if (status == NOBODY)
		return -XEN_ENODEV;
	if (status & VIRTIO_DRIVER_OK && !(status & VIRTIO_NEEDS_RESET))
		return 0;
	disk_watch_blame(w);
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

static void fail(struct disk_watch *w, unsigned number)
{
	struct vblk_queue *queue = queue_of(vblk_of(w), number);

	vblk_slot_end(queue, &queue->slots[number % VBLK_SLOTS], -XEN_EIO);
}

static void again(struct disk_watch *w, unsigned number)
{
	struct vblk_queue *queue = queue_of(vblk_of(w), number);

	if (!vblk_send(queue, &queue->slots[number % VBLK_SLOTS]))
		fail(w, number);
}

static void resume(struct disk_watch *w)
{
	vblk_of(w)->holds = false;
	reap(w);
}

/* Bus mastering goes off first: a device that cannot be reset must not write into memory that has gone back to its
 * owner. */
static void detach(struct disk_watch *w)
{
	struct vblk *v = vblk_of(w);

	pci_disable(v->pci.pci);
	v->disk.ops = &disk_gone_ops;
}

static void gone(struct disk_watch *w)
{
	struct vblk *v = vblk_of(w);

	for (unsigned q = 0; q < v->n_queues; q++)
		disk_waiting_fail(&v->queues[q]->waiting);
	host_block_unregister(&v->disk);
}

void vblk_watch_init(struct vblk *v)
{
	static const struct disk_watch_ops ops = {.command = command,
						  .health = health,
						  .reap = reap,
						  .stop = stop,
						  .reset = reset,
						  .again = again,
						  .fail = fail,
						  .resume = resume,
						  .detach = detach,
						  .gone = gone};

	v->watch.ops = &ops;
	v->watch.reset_polls = RESET_POLLS;
	v->watch.n_commands = VBLK_QUEUES * VBLK_SLOTS;
	disk_watch_init(&v->watch);
}
