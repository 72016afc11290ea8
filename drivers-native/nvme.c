/* nvme.c: the data path of the NVMe driver: block requests to commands and back.
 *
 * One I/O queue pair. A request may have segments that a PRP list cannot express (only the first may
 * start, and only the last may end, inside a page), so it is cut into runs; each run is a command in a
 * slot, and the request is done when its last command is. What does not fit into the slots waits in
 * order. All in the worker context. Set up by nvme_init.c; called through struct block_ops.
 *
 * In block_request.driver[]: [0] commands in flight, [1] first error, [2] next segment to send,
 * [3] sectors sent.
 */
#include "nvme.h"

#include <amphi/host.h>
#include <amphi/peer.h>
#include <amphi/string.h>

#define NO_SLOT 0xffffu

enum { REQ_IN_FLIGHT, REQ_STATUS, REQ_NEXT_SEGMENT, REQ_SECTORS_SENT };

/* Never full: there are as many slots as entries less one (NVME_SLOTS), and a slot is free only
 * after its completion, by which time the controller has taken the entry. */
void nvme_push(struct nvme_queue *q, const struct nvme_command *cmd)
{
	q->sq[q->sq_tail] = *cmd;
	q->sq_tail = (uint16_t)(q->sq_tail + 1 == q->depth ? 0 : q->sq_tail + 1);
}

/* The entries are in memory before the controller can be told to fetch them. One write tells of all
 * of them; it is an exit to the hypervisor when the controller is an emulated one, hence kick. */
void nvme_ring(struct nvme_queue *q)
{
	peer_wmb();
	*q->sq_doorbell = q->sq_tail;
}

bool nvme_pop(struct nvme_queue *q, struct nvme_completion *out)
{
	/* New or of the last round?
	 *
	 *    the controller writes entry after entry and turns the phase bit over at each round:
	 *
	 *        round 1:  1 1 1 1 1 1 1 1          q->phase == 1
	 *        round 2:  0 0 0 1 1 1 1 1          q->phase == 0 : three new, the rest of round 1
	 *                        ^ cq_head
	 *
	 * So there is no shared index to be read, and memory zeroed at first is "nothing yet"
	 * (section 4.6). */
	volatile struct nvme_completion *c = &q->cq[q->cq_head];

	if ((c->status & 1) != q->phase)
		return false;
	peer_rmb(); /* the phase is the last thing the device writes */
	out->id = c->id;
	out->status = c->status;
	out->result = c->result;
	if (++q->cq_head == q->depth) {
		q->cq_head = 0;
		q->phase ^= 1;
	}
	return true;
}

/* Which command an id stands for is known here only: a completion is looked up, never believed. */
void nvme_io_init(struct nvme *n)
{
	for (unsigned i = 0; i < NVME_SLOTS; i++)
		n->slots[i].next_free = (uint16_t)(i + 1 < NVME_SLOTS ? i + 1 : NO_SLOT);
	n->first_free = 0;
	n->waiting = NULL;
	n->waiting_tail = &n->waiting;
}

/* How many segments from `first` one command can carry, and their length.
 *
 *    segments      [..####] [########] [####..] [..####] [########]
 *    runs          |-------- one ------------|  |---- the next ---|
 *
 * Section 4.3: all entries of a PRP list but the first are whole pages from their beginning.
 * max_transfer_pages is the controller's own bound (MDTS). */
static unsigned run_length(const struct nvme *n, const struct block_request *req, unsigned first,
			   uint32_t *out_bytes)
{
	unsigned i = first;
	uint32_t bytes = 0;

	do {
		const struct block_segment *s = &req->segments[i];

		bytes += s->len_bytes;
		i++;
		if (((uintptr_t)s->va + s->len_bytes) & ~PAGE_MASK)
			break; /* ends inside a page: nothing may follow */
	} while (i < req->n_segments && i - first < n->max_transfer_pages &&
		 !((uintptr_t)req->segments[i].va & ~PAGE_MASK));
	*out_bytes = bytes;
	return i - first;
}

static enum dma_direction direction(const struct block_request *req)
{
	return req->op == BLOCK_WRITE ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
}

/* Fills the command's data pointers. A list is needed beyond two pages. */
static int map_run(struct nvme *n, struct nvme_slot *slot, unsigned first, unsigned count,
		   struct nvme_command *cmd)
{
	dma_addr_t at[NVME_PRPS] = {{0}};

	for (unsigned i = 0; i < count; i++) {
		const struct block_segment *s = &slot->req->segments[first + i];
		int err = dma_map(&n->dma, s->va, s->len_bytes, direction(slot->req), &at[i]);

		if (err)
			return err;
	}
	/* prp2 is the second page itself or, beyond two, the list of all but the first (section
	 * 4.3). A slot's list does not cross a page, so it needs no link to a further one. */
	cmd->prp1 = at[0].v;
	cmd->prp2 = count == 2 ? at[1].v : count > 2 ? slot->prps_at.v : 0;
	for (unsigned i = 1; count > 2 && i < count; i++)
		slot->prps[i - 1] = at[i].v;
	return 0;
}

/* Of the whole namespace. A controller without a volatile cache answers at once (section 6.8), so
 * the driver need not know whether it has one. */
static void send_flush(struct nvme *n, struct nvme_slot *slot, struct nvme_command *cmd)
{
	cmd->opcode = NVME_CMD_FLUSH;
	slot->req->driver[REQ_NEXT_SEGMENT] = 1; /* a flush has none: sent is sent */
}

static int send_run(struct nvme *n, struct nvme_slot *slot, struct nvme_command *cmd)
{
	struct block_request *req = slot->req;
	unsigned first = (unsigned)req->driver[REQ_NEXT_SEGMENT];
	/* A request counts in sectors of 512 whatever the disk has; requests are aligned to the
	 * disk's blocks (block.h), so nothing is lost by the shift. */
	uint64_t lba = (req->sector + req->driver[REQ_SECTORS_SENT]) >> (n->sector_shift - 9);
	uint32_t bytes;
	unsigned count = run_length(n, req, first, &bytes);
	int err = map_run(n, slot, first, count, cmd);

	if (err)
		return err;
	cmd->opcode = req->op == BLOCK_WRITE ? NVME_CMD_WRITE : NVME_CMD_READ;
	cmd->cdw10 = (uint32_t)lba;
	cmd->cdw11 = (uint32_t)(lba >> 32);
	/* The number of blocks is zero-based, as most counts of this interface are. */
	cmd->cdw12 = (bytes >> n->sector_shift) - 1;
	req->driver[REQ_NEXT_SEGMENT] += count;
	req->driver[REQ_SECTORS_SENT] += bytes / SECTOR_SIZE;
	return 0;
}

/* Sends the next command of req; needs a free slot. What it counts in driver[] is all that is known
 * of the request between its commands. In an error what was sent before still runs into its memory,
 * so done() has to wait for it. */
static void send_next(struct nvme *n, struct block_request *req)
{
	uint16_t id = n->first_free;
	struct nvme_slot *slot = &n->slots[id];
	struct nvme_command cmd = {.id = id, .nsid = 1};
	int err = 0;

	slot->req = req;
	if (req->op == BLOCK_FLUSH)
		send_flush(n, slot, &cmd);
	else
		err = send_run(n, slot, &cmd);
	if (err) { /* the rest is not sent; done comes with the last of those in flight */
		slot->req = NULL;
		req->driver[REQ_STATUS] = (uint64_t)err;
		req->driver[REQ_NEXT_SEGMENT] = MAX(1u, req->n_segments);
		return;
	}
	n->first_free = slot->next_free;
	req->driver[REQ_IN_FLIGHT]++;
	nvme_push(&n->io, &cmd);
	n->rung = false;
}

static bool all_sent(const struct block_request *req)
{
	return req->driver[REQ_NEXT_SEGMENT] >= MAX(1u, req->n_segments);
}

/* Both conditions: commands of an early part may all be back while a later part still waits for a
 * slot. */
static void finish_if_done(struct nvme *n, struct block_request *req)
{
	int status = (int)(int64_t)req->driver[REQ_STATUS];

	if (req->driver[REQ_IN_FLIGHT] || !all_sent(req))
		return;
	n->disk.stats.errors += status != 0;
	req->done(req, status);
}

/* Moves waiting requests into free slots, in order. */
static void pump(struct nvme *n)
{
	while (n->waiting && n->first_free != NO_SLOT) {
		struct block_request *req = n->waiting;

		/* A request stays the first until all of it is sent: a later one must not take the
		 * slots that it waits for, or a big one would never get through. */
		send_next(n, req);
		if (!all_sent(req))
			continue;
		/* Off the list before done() can come: it may submit the next one, which runs this
		 * very loop again. */
		n->waiting = req->next;
		if (!n->waiting)
			n->waiting_tail = &n->waiting;
		finish_if_done(n, req); /* only when nothing of it could be sent */
	}
}

static void nvme_submit(struct block_device *disk, struct block_request *req)
{
	struct nvme *n = disk->driver;

	memset(req->driver, 0, sizeof(req->driver));
	req->next = NULL;
	*n->waiting_tail = req;
	n->waiting_tail = &req->next;
	disk->stats.requests++;
	pump(n);
}

/* rung keeps a user that kicks after every loop from paying for a doorbell that says nothing. */
static void nvme_kick(struct block_device *disk)
{
	struct nvme *n = disk->driver;

	if (n->rung)
		return;
	n->rung = true;
	disk->stats.notifications_out++;
	nvme_ring(&n->io);
}

const struct block_ops nvme_block_ops = {.submit = nvme_submit, .kick = nvme_kick};

/* What was sent and not what was asked: the two differ only after an error. */
static void count_bytes(struct block_stats *stats, const struct block_request *req)
{
	uint64_t bytes = req->driver[REQ_SECTORS_SENT] * SECTOR_SIZE;

	stats->flushes += req->op == BLOCK_FLUSH;
	if (req->op == BLOCK_WRITE)
		stats->bytes_written += bytes;
	else
		stats->bytes_read += bytes;
}

/* One completion. An id that is not in flight is the device's mistake: said, and ignored. */
static void complete(struct nvme *n, const struct nvme_completion *c)
{
	struct nvme_slot *slot = c->id < NVME_SLOTS ? &n->slots[c->id] : NULL;
	struct block_request *req = slot ? slot->req : NULL;

	if (!req) {
		host_log(HOST_LOG_WARN, "%s: completion of unknown command %u", n->disk.name,
			 c->id);
		return;
	}
	slot->req = NULL;
	/* Free before done(), whose next submit may need this slot when it was the last. */
	slot->next_free = n->first_free;
	n->first_free = c->id;
	if (c->status >> 1 && !req->driver[REQ_STATUS])
		req->driver[REQ_STATUS] = (uint64_t)-XEN_EIO;
	if (--req->driver[REQ_IN_FLIGHT] == 0 && all_sent(req)) {
		count_bytes(&n->disk.stats, req);
		finish_if_done(n, req);
	}
}

void nvme_io_interrupt(void *ctx)
{
	struct nvme *n = ctx;
	struct nvme_completion c;
	bool any = false;

	n->disk.stats.notifications_in++;
	/* The bound: at the start of this loop at most NVME_SLOTS are in flight; whatever comes
	 * beyond was submitted by a done() within it, so its interrupt is still to come. A
	 * controller that turns the phase over for ever does not keep the worker. */
	for (unsigned i = 0; i < 2 * NVME_DEPTH && nvme_pop(&n->io, &c); i++, any = true)
		complete(n, &c);
	/* Gives the room back. Once for the loop: the completion queue has as many entries as there
	 * can be commands. */
	if (any)
		*n->io.cq_doorbell = n->io.cq_head;
	pump(n);
	/* One doorbell for what waited for slots and for what the done() calls submitted. */
	nvme_kick(&n->disk);
}
