/* nvme_recover.c: what happens when an NVMe controller does not answer, fails, or is pulled out.
 *
 * While anything is in flight a watchdog looks at it from time to time; a request that it has seen too often gets
 * its controller reset, after which all that was in flight is sent again. A request that is lost so a third time
 * fails, and so does everything when the controller does not come back: its disks are gone then.
 * Worker context; called by nvme.c (nvme_watch) and the worker's timer. Calls nvme_admin.c.
 *
 *              nothing answered for LOOKS_MAX looks, or CSTS.CFS
 *     RUNNING -----------------------------------------------> DISABLING --- RDY = 0 ---> ENABLING
 *        ^ |                                                       |                        | |
 *        | |  CSTS all ones: pulled out                            | too late, all ones     | |
 *        | '--------------------------> GONE <---------------------'------------------------' |
 *        '---------------- RDY = 1: queues made, everything sent again ----------------------'
 */
#include "nvme.h"

#include <amphi/host_block.h>
#include <amphi/machine.h>

#define NOBODY    0xffffffffu
#define NS_PER_MS 1000000ull
#define LOOK_MS   100u
#define POLL_MS   10u

/* Thirty seconds. It is looks that are counted and not time, and each look waits for a moment: where clocks leap
 * (a processor that is simulated, a machine that slept) a request is not late because the clock says so. */
#define LOOKS_MAX 300u
#define LOOK_US   1000u
#define LOOK_LATE 10u /* looks after which it is worth waiting */
#define TRIES_MAX 2u

static void set_ops(struct nvme *n, const struct block_ops *ops)
{
	for (unsigned i = 0; i < n->n_ns; i++)
		n->ns[i]->disk.ops = ops;
}

/* ---- the end ------------------------------------------------------------------------------------ */

static void refuse(struct block_device *disk, struct block_request *req)
{
	disk->stats.requests++;
	req->done(req, -XEN_EIO);
}

static void refuse_kick(struct block_device *disk) {}

/* Bus mastering goes off first: a controller that cannot be reset must not write into memory that has gone back
 * to its owner. What a done() submits meets `refuse`. */
static void give_up(struct nvme *n, const char *why)
{
	static const struct block_ops gone_ops = {refuse, refuse_kick};

	host_log(HOST_LOG_ERROR, "nvme%u: %s: its disks are gone", n->index, why);
	n->phase = NVME_GONE;
	pci_disable(n->pci);
	set_ops(n, &gone_ops);
	for (unsigned q = 0; q < n->n_io; q++) {
		struct nvme_io *io = n->io[q];
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
	for (unsigned i = 0; i < n->n_ns; i++)
		host_block_unregister(&n->ns[i]->disk);
}

/* ---- reset --------------------------------------------------------------------------------------- */

static void poll_for(struct nvme *n, enum nvme_phase phase)
{
	n->phase = phase;
	n->polls_left = nvme_ready_ms(n) / POLL_MS + 1;
	host_work_after(&n->watch, POLL_MS * NS_PER_MS);
}

static void start_reset(struct nvme *n, const char *why)
{
	n->resets++;
	host_log(HOST_LOG_WARN, "nvme%u: %s: reset %u", n->index, why, n->resets);
	set_ops(n, &nvme_hold_ops);
	n->untold = 0;
	nvme_disable(n);
	poll_for(n, NVME_DISABLING);
}

/* The requests' memory is still theirs. Only those that were waited for in vain count it: the others were in the
 * way. */
static void send_again(struct nvme_io *io)
{
	for (unsigned i = 0; i < NVME_SLOTS; i++) {
		struct nvme_slot *slot = &io->slots[i];

		if (!slot->req)
			continue;
		if (slot->looks >= LOOKS_MAX && slot->tries++ == TRIES_MAX)
			nvme_slot_lost(io, slot);
		else
			nvme_send_again(io, slot);
	}
}

/* All slots first: done() of one that has failed may submit, which is held until the phase is RUNNING. */
static void on_ready(struct nvme *n)
{
	unsigned made;

	if (nvme_create_queues(n, &made) || made < n->n_io) {
		give_up(n, "no queues after a reset");
		return;
	}
	for (unsigned q = 0; q < n->n_io; q++)
		send_again(n->io[q]);
	n->phase = NVME_RUNNING;
	set_ops(n, &nvme_block_ops);
	for (unsigned q = 0; q < n->n_io; q++)
		nvme_go_on(n->io[q]);
	nvme_watch(n);
}

static void disabling(struct nvme *n)
{
	uint32_t status = nvme_status(n);

	if (status == NOBODY || !n->polls_left--) {
		give_up(n, "does not turn off");
	} else if (status & NVME_CSTS_READY) {
		host_work_after(&n->watch, POLL_MS * NS_PER_MS);
	} else {
		nvme_enable(n);
		poll_for(n, NVME_ENABLING);
	}
}

static void enabling(struct nvme *n)
{
	uint32_t status = nvme_status(n);

	if (status == NOBODY || status & NVME_CSTS_FATAL || !n->polls_left--)
		give_up(n, "does not come back");
	else if (status & NVME_CSTS_READY)
		on_ready(n);
	else
		host_work_after(&n->watch, POLL_MS * NS_PER_MS);
}

/* ---- the watchdog ---------------------------------------------------------------------------------- */

/* The oldest request's age, in looks; 0: nothing is in flight. */
static unsigned look_at(struct nvme_io *io)
{
	unsigned oldest = 0;

	for (unsigned i = 0; i < NVME_SLOTS; i++) {
		struct nvme_slot *slot = &io->slots[i];

		if (!slot->req)
			continue;
		slot->looks++;
		oldest = MAX(oldest, (unsigned)slot->looks);
	}
	return oldest;
}

static unsigned look_at_all(struct nvme *n)
{
	unsigned oldest = 0, ages[NVME_QUEUES]; /* MAX looks at its arguments twice */

	for (unsigned q = 0; q < n->n_io; q++)
		ages[q] = look_at(n->io[q]);
	for (unsigned q = 0; q < n->n_io; q++)
		oldest = MAX(oldest, ages[q]);
	return oldest;
}

/* A controller that fails by itself does so by one of the commands it has, and nobody knows which. */
static void blame_all(struct nvme *n)
{
	for (unsigned q = 0; q < n->n_io; q++)
		for (unsigned i = 0; i < NVME_SLOTS; i++)
			n->io[q]->slots[i].looks = LOOKS_MAX;
}

/* Completions are taken here too: an interrupt that was lost costs a moment and not the request. */
static void running(struct nvme *n)
{
	unsigned oldest = look_at_all(n);
	uint32_t status;

	if (!oldest)
		return;
	status = nvme_status(n);
	if (status == NOBODY) {
		give_up(n, "does not answer any more");
		return;
	}
	if (oldest > LOOK_LATE) {
		machine_delay_us(LOOK_US);
		for (unsigned q = 0; q < n->n_io; q++) {
			nvme_reap(n->io[q]);
			nvme_go_on(n->io[q]);
		}
	}
	if (status & NVME_CSTS_FATAL) {
		blame_all(n);
		start_reset(n, "the controller has failed");
	} else if (oldest >= LOOKS_MAX) {
		start_reset(n, "no answer");
	} else {
		nvme_watch(n);
	}
}

static void gone(struct nvme *n) {}

static void look(void *ctx)
{
	static void (*const in_phase[])(struct nvme * n) = {[NVME_RUNNING] = running,
							    [NVME_DISABLING] = disabling,
							    [NVME_ENABLING] = enabling,
							    [NVME_GONE] = gone};
	struct nvme *n = ctx;

	in_phase[n->phase](n);
}

void nvme_watch_init(struct nvme *n)
{
	n->watch = (struct host_work){.fn = look, .ctx = n};
}
