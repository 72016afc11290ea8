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

/* Slot n of all queues, counted through. */
static struct nvme_io *queue_of(struct nvme *n, unsigned number)
{
	return number / NVME_SLOTS < n->n_io ? n->io[number / NVME_SLOTS] : NULL;
}

static bool command(struct disk_watch *w, unsigned number, struct disk_command *out)
{
	struct nvme_io *io = queue_of(nvme_of(w), number);
	struct nvme_slot *slot = io ? &io->slots[number % NVME_SLOTS] : NULL;

	if (!slot || !slot->req)
		return false;
	*out = (struct disk_command){&slot->age, nvme_slot_disk(slot), slot->req};
	return true;
}

/* One that runs and is not ready was turned off behind our back: a virtual function, by its primary's reset. */
static int health(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);
	uint32_t status = nvme_status(n);

	if (status == NOBODY)
		return -XEN_ENODEV;
	if (status & NVME_CSTS_FATAL)
		disk_watch_blame(w);
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

static void again(struct disk_watch *w, unsigned number)
{
	struct nvme_io *io = queue_of(nvme_of(w), number);

	nvme_send_again(io, &io->slots[number % NVME_SLOTS]);
}

static void fail(struct disk_watch *w, unsigned number)
{
	struct nvme_io *io = queue_of(nvme_of(w), number);

	nvme_slot_end(io, &io->slots[number % NVME_SLOTS], -XEN_EIO);
}

static void resume(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);

	set_ops(n, &nvme_block_ops);
	for (unsigned q = 0; q < n->n_io; q++)
		nvme_go_on(n->io[q]);
}

/* Bus mastering goes off first: a controller that cannot be reset must not write into memory that has gone back
 * to its owner. */
static void detach(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);

	pci_disable(n->pci);
	set_ops(n, &disk_gone_ops);
}

static void gone(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);

	for (unsigned q = 0; q < n->n_io; q++)
		disk_waiting_fail(&n->io[q]->waiting);
	for (unsigned i = 0; i < n->n_ns; i++)
		host_block_unregister(&n->ns[i]->disk);
	nvme_forget_index(n->index);
}

/* With virtual functions, which are others' by now, it is left as it is. */
static void free_all(struct disk_watch *w)
{
	struct nvme *n = nvme_of(w);

	if (!n->n_virtual && !nvme_wait_off(n))
		nvme_free(n);
}

static const struct disk_watch_ops watch_ops = {.command = command,
						.health = health,
						.reap = reap,
						.stop = stop,
						.reset = reset,
						.again = again,
						.fail = fail,
						.resume = resume,
						.detach = detach,
						.gone = gone,
						.free = free_all};

struct nvme *nvme_find(uint16_t bdf)
{
	struct disk_watch *w = disk_watch_find(bdf, &watch_ops);

	return w ? nvme_of(w) : NULL;
}

/* Both changes of readiness, off and on. */
void nvme_watch_init(struct nvme *n)
{
	n->watch.ops = &watch_ops;
	n->watch.reset_polls = 2 * nvme_ready_ms(n) / MS_PER_POLL;
	n->watch.n_commands = NVME_QUEUES * NVME_SLOTS;
	disk_watch_init(&n->watch);
}
