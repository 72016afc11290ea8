/* nvme_recover.c: an NVMe controller's part of being watched, reset and given up.
 *
 * The table that disk_watch.c calls through. A reset is: off, wait, on, wait, the queues made anew, every slot in use
 * sent again (section 7.3.2). Called by disk_watch.c; calls nvme_admin.c and nvme.c.
 */
#include "nvme.h"

#include <amphi/host_block.h>

#define NOBODY      0xffffffffu
#define MS_PER_POLL 10u

static struct nvme *nvme_of(struct disk_watch *w)
{
	return container_of(w, struct nvme, watch);
}

static void set_ops(struct nvme *n, const struct block_ops *ops)
{
	for (unsigned i = 0; i < n->n_ns; i++)
		n->ns[i]->disk.ops = ops;
}

static unsigned look(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);
	unsigned oldest = 0;

	for (unsigned q = 0; q < n->n_io; q++)
		for (unsigned i = 0; i < NVME_SLOTS; i++)
			if (n->io[q]->slots[i].req)
				oldest = disk_age_look(&n->io[q]->slots[i].age, oldest);
	return oldest;
}

/* A controller that fails by itself does so by one of the commands it has, and nobody knows which. */
static void blame_all(struct nvme *n)
{
	for (unsigned q = 0; q < n->n_io; q++)
		for (unsigned i = 0; i < NVME_SLOTS; i++)
			n->io[q]->slots[i].age.looks = DISK_LOOKS_MAX;
}

/* One that runs and is not ready was turned off behind our back: a virtual function, by its primary's reset. */
static int health(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);
	uint32_t status = nvme_status(n);

	if (status == NOBODY)
		return -XEN_ENODEV;
	if (status & NVME_CSTS_FATAL)
		blame_all(n);
	else if (status & NVME_CSTS_READY)
		return 0;
	return -XEN_EIO;
}

static void reap(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);

	for (unsigned q = 0; q < n->n_io; q++) {
		nvme_reap(n->io[q]);
		nvme_go_on(n->io[q]);
	}
}

static void stop(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);

	set_ops(n, &nvme_hold_ops);
	n->untold = 0;
	n->is_enabling = false;
	nvme_disable(n);
}

/* A controller that has failed may say so until it is off. */
static int reset(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);
	uint32_t status = nvme_status(n);
	unsigned made;

	if (status == NOBODY)
		return -XEN_ENODEV;
	if (!n->is_enabling) {
		if (status & NVME_CSTS_READY)
			return -XEN_EAGAIN;
		n->is_enabling = true;
		nvme_enable(n);
		return -XEN_EAGAIN;
	}
	if (status & NVME_CSTS_FATAL)
		return -XEN_EIO;
	if (!(status & NVME_CSTS_READY))
		return -XEN_EAGAIN;
	if (nvme_create_queues(n, &made) || made < n->n_io)
		return -XEN_EIO;
	nvme_virtual_resume(n);
	return 0;
}

/* The requests' memory is still theirs. done() of one that is lost may submit: it waits for the rest. */
static void resend_queue(struct nvme_io *io)
{
	for (unsigned i = 0; i < NVME_SLOTS; i++) {
		struct nvme_slot *slot = &io->slots[i];

		if (!slot->req)
			continue;
		if (disk_age_is_lost(&slot->age))
			nvme_slot_lost(io, slot);
		else
			nvme_send_again(io, slot);
	}
}

static void resend(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);

	for (unsigned q = 0; q < n->n_io; q++)
		resend_queue(n->io[q]);
	set_ops(n, &nvme_block_ops);
	for (unsigned q = 0; q < n->n_io; q++)
		nvme_go_on(n->io[q]);
}

static void end_queue(struct nvme_io *io)
{
	struct block_request *req;

	for (unsigned i = 0; i < NVME_SLOTS; i++)
		if (io->slots[i].req)
			nvme_slot_end(io, &io->slots[i], -XEN_EIO);
	while ((req = io->waiting)) {
		io->waiting = req->next;
		req->done(req, -XEN_EIO);
	}
	io->waiting_tail = &io->waiting;
}

/* Bus mastering goes off first: a controller that cannot be reset must not write into memory that has gone back
 * to its owner. */
static void end(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);

	pci_disable(n->pci);
	set_ops(n, &disk_gone_ops);
	for (unsigned q = 0; q < n->n_io; q++)
		end_queue(n->io[q]);
	for (unsigned i = 0; i < n->n_ns; i++)
		host_block_unregister(&n->ns[i]->disk);
}

/* Both changes of readiness, off and on. */
void nvme_watch_init(struct nvme *n)
{
	static const struct disk_watch_ops ops = {.look = look,
						  .health = health,
						  .reap = reap,
						  .stop = stop,
						  .reset = reset,
						  .resend = resend,
						  .end = end};

	n->watch.ops = &ops;
	n->watch.reset_polls = 2 * nvme_ready_ms(n) / MS_PER_POLL;
	disk_watch_init(&n->watch);
}
