/* virtio_net_recover.c: the table through which a virtio-net device is driven, watched and reset.
 *
 * After a reset the device is started as at first (vnet_start), with empty queues: what it was sending is dropped, the
 * buffers it had are given to it again. Called by nic.c and nic_watch.c.
 */
#include "virtio_net.h"

#define NOBODY 0xffu

static bool take(struct nic_queue *queue)
{
	struct vnet_pair *pair = vnet_pair_of(queue);

	virtq_quiet(&pair->in.q);
	virtq_quiet(&pair->out.q);
	if (!vnet_reap(pair)) {
		nic_reset(queue->nic, "a frame came back that was not sent");
		return false;
	}
	return vnet_receive(pair);
}

/* Of what goes out, most of it is taken at once: nobody waits for the first. */
static bool arm(struct nic_queue *queue)
{
	struct vnet_pair *pair = vnet_pair_of(queue);
	bool out = virtq_wake(&pair->out.q, (uint16_t)(virtq_in_flight(&pair->out.q) * 3u / 4));

	return virtq_wake(&pair->in.q, 0) || out;
}

/* Also what has no interrupt: where there are few vectors, the link and the answers of the control queue. */
static int look(struct nic *nic)
{
	struct vnet *v = vnet_of(nic);
	uint8_t status = virtio_pci_status(&v->pci);

	if (status == NOBODY)
		return -XEN_ENODEV;
	if (!(status & VIRTIO_DRIVER_OK) || status & VIRTIO_NEEDS_RESET)
		return -XEN_EIO;
	vnet_read_link(v);
	vnet_control_go_on(v);
	return 0;
}

static void stop(struct nic *nic)
{
	virtio_pci_reset(&vnet_of(nic)->pci);
}

static int is_stopped(struct nic *nic)
{
	uint8_t status = virtio_pci_status(&vnet_of(nic)->pci);

	if (status == NOBODY)
		return -XEN_ENODEV;
	return status ? -XEN_EAGAIN : 0;
}

static void forget(struct nic *nic)
{
	for (unsigned i = 0; i < nic->n_queues; i++) {
		vnet_forget_sent(vnet_pair_of(nic->queues[i]));
		vnet_forget_posted(vnet_pair_of(nic->queues[i]));
	}
}

const struct nic_ops vnet_ops = {.put = vnet_put,
				 .tell = vnet_tell,
				 .refill = vnet_refill,
				 .take = take,
				 .arm = arm,
				 .filter = vnet_filter,
				 .look = look,
				 .stop = stop,
				 .is_stopped = is_stopped,
				 .forget = forget,
				 .start = vnet_start};
