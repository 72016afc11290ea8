/* nvme.c: the data path of the NVMe driver: block requests to commands and back.
 *
 * A request may have segments that a PRP list cannot express (only the first may start, and only the last may
 * end, inside a page), so it is cut into runs; each run is a command in a slot, and the request is done when its
 * last command is. What does not fit into the slots waits in order. All in the worker context. Set up by
 * nvme_init.c; called through struct block_ops, and by nvme_recover.c.
 */
#include "nvme.h"

#include <amphi/host.h>
#include <amphi/peer.h>
#include <amphi/string.h>

#include "disk_error.h"
#include "disk_map.h"

#define NO_SLOT 0xffffu
/* Blocks of one range of a discard: fewer than its 32 bits could say, as controllers may mind. */
#define DISCARD_BLOCKS (1u << 24)

/* What is known of a request between its commands; lies in block_request.driver. */
struct progress {
	struct nvme_ns *ns;
	uint64_t sectors_sent;
	int32_t status; /* the first error */
	uint16_t in_flight, next_segment;
	bool all_sent;
};
_Static_assert(sizeof(struct progress) <= sizeof(((struct block_request *)0)->driver), "fits");

static struct progress *progress(struct block_request *req)
{
	return (struct progress *)req->driver;
}

struct nvme_command *nvme_next(struct nvme_queue *q)
{
	return &q->sq[q->sq_tail];
}

/* Never full: there are as many slots as entries less one (NVME_SLOTS), and a slot is free only
 * after its completion, by which time the controller has taken the entry. */
void nvme_push(struct nvme_queue *q)
{
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
void nvme_io_init(struct nvme_io *io, struct nvme *n, unsigned index)
{
	io->ctrl = n;
	for (unsigned i = 0; i < NVME_SLOTS; i++)
		io->slots[i].next_free = (uint16_t)(i + 1 < NVME_SLOTS ? i + 1 : NO_SLOT);
	io->first_free = 0;
	io->bit = 1u << index;
	disk_waiting_init(&io->waiting);
}

/* How many segments from `first` one command can carry, and their length.
 *
 *    segments      [..####] [########] [####..] [..####] [########]
 *    runs          |-------- one ------------|  |---- the next ---|
 *
 * Section 4.3: all entries of a PRP list but the first are whole pages from their beginning. The bound is the
 * controller's own (MDTS), and that of the longest list there is at the moment. */
static unsigned run_length(const struct nvme *n, const struct block_request *req, unsigned first,
			   uint32_t *out_bytes)
{
	unsigned i = first, most = n->max_transfer_pages;
	uint32_t bytes = 0;

	if (!n->free_list)
		most = MIN(most, NVME_PRPS + 1);
	do {
		const struct block_segment *s = &req->segments[i];

		bytes += s->len_bytes;
		i++;
		if (((uintptr_t)s->va + s->len_bytes) & ~PAGE_MASK)
			break; /* ends inside a page: nothing may follow */
	} while (i < req->n_segments && i - first < most &&
		 !((uintptr_t)req->segments[i].va & ~PAGE_MASK));
	*out_bytes = bytes;
	return i - first;
}

/* A list that holds all pages but the first: the slot's own, or one of the controller's few. run_length has seen
 * that there is one. */
static uint64_t *list_for(struct nvme *n, struct nvme_slot *slot, uint64_t *out_at)
{
	if (slot->count <= NVME_PRPS + 1) {
		*out_at = slot->prps_at.v;
		return slot->prps;
	}
	if (!slot->list) {
		slot->list = n->free_list;
		n->free_list = slot->list->next;
	}
	*out_at = slot->list->at.v;
	return slot->list->prps;
}

/* Fills the command's data pointers: prp2 is the second page itself or, beyond two, the list of all but the
 * first (section 4.3). No list crosses a page, so none needs a link to a further one. */
static int map_run(struct nvme *n, struct nvme_slot *slot, struct nvme_command *cmd)
{
	const struct dma_piece *pieces;
	uint64_t *prps = &cmd->prp2;
	int err = disk_map(&n->dma, &slot->maps, slot->req, slot->first, slot->count, &pieces);

	if (err)
		return err;
	cmd->prp1 = pieces[0].at.v;
	if (slot->count > 2)
		prps = list_for(n, slot, &cmd->prp2);
	for (unsigned i = 1; i < slot->count; i++)
		prps[i - 1] = pieces[i].at.v;
	return 0;
}

/* One range a command. It lies where the slot's list would. */
static void make_discard(struct nvme_slot *slot, struct nvme_command *cmd)
{
	struct nvme_range *range = (struct nvme_range *)slot->prps;

	*range = (struct nvme_range){.n_blocks = slot->n_blocks, .lba = slot->lba};
	cmd->opcode = NVME_CMD_DSM;
	cmd->prp1 = slot->prps_at.v;
	cmd->cdw11 = NVME_DSM_DEALLOCATE; /* cdw10: one range, zero-based */
}

/* A flush is of the whole namespace, and has nothing but its opcode, 0. The number of blocks is zero-based, as most
 * counts of this interface are. */
static int make_command(struct nvme *n, struct nvme_slot *slot, uint16_t id,
			struct nvme_command *cmd)
{
	const struct block_request *req = slot->req;
	uint32_t nsid = progress(slot->req)->ns->nsid;
	bool is_write = req->op == BLOCK_WRITE;

	if (req->op > BLOCK_WRITE) {
		*cmd = (struct nvme_command){.id = id, .nsid = nsid};
		if (req->op == BLOCK_DISCARD)
			make_discard(slot, cmd);
		return 0;
	}
	*cmd = (struct nvme_command){.opcode = is_write ? NVME_CMD_WRITE : NVME_CMD_READ,
				     .id = id,
				     .nsid = nsid,
				     .cdw10 = (uint32_t)slot->lba,
				     .cdw11 = (uint32_t)(slot->lba >> 32),
				     .cdw12 = slot->n_blocks - 1};
	if (is_write && req->flags & BLOCK_FUA)
		cmd->cdw12 |= NVME_WRITE_FUA;
	return map_run(n, slot, cmd);
}

/* Decides what of the request the slot carries, and moves the request on by it. Requests count in sectors of 512
 * whatever the disk has; they are aligned to the disk's blocks (block.h), so nothing is lost by the shift. */
static void plan(const struct nvme *n, struct nvme_slot *slot, struct progress *p)
{
	const struct block_request *req = slot->req;
	unsigned shift = p->ns->sector_shift;
	uint64_t left;
	uint32_t bytes;

	slot->lba = (req->sector + p->sectors_sent) >> (shift - 9);
	if (req->op <= BLOCK_WRITE) {
		slot->first = p->next_segment;
		slot->count = (uint16_t)run_length(n, req, slot->first, &bytes);
		slot->n_blocks = bytes >> shift;
		p->sectors_sent += bytes / SECTOR_SIZE;
		p->next_segment = (uint16_t)(p->next_segment + slot->count);
		p->all_sent = p->next_segment >= req->n_segments;
		return;
	}
	left = req->op == BLOCK_DISCARD ? (req->n_sectors - p->sectors_sent) >> (shift - 9) : 0;
	slot->n_blocks = (uint32_t)MIN(left, DISCARD_BLOCKS);
	p->sectors_sent += (uint64_t)slot->n_blocks << (shift - 9);
	p->all_sent = left <= DISCARD_BLOCKS;
}

/* Gives back the slot, and what it borrowed. */
static void slot_free(struct nvme_io *io, struct nvme_slot *slot)
{
	dma_group_unmap(&io->ctrl->dma, &slot->maps);
	if (slot->list) {
		slot->list->next = io->ctrl->free_list;
		io->ctrl->free_list = slot->list;
		slot->list = NULL;
	}
	slot->req = NULL;
	slot->next_free = io->first_free;
	io->first_free = (uint16_t)(slot - io->slots);
}

/* Of all its queues: what one has mapped another waits for. */
static bool any_in_flight(const struct nvme *n)
{
	for (unsigned i = 0; i < n->n_io; i++)
		if (n->io[i]->in_flight)
			return true;
	return false;
}

/* Sends the next command of req; needs a free slot. In an error what was sent before still runs into the
 * request's memory, so done() has to wait for it. false: there is no room for its maps until a command comes back,
 * or others give some. */
static bool send_next(struct nvme_io *io, struct block_request *req)
{
	uint16_t id = io->first_free;
	struct nvme_slot *slot = &io->slots[id];
	struct progress *p = progress(req), before = *p;
	int err;

	slot->req = req;
	slot->age = (struct disk_age){0};
	io->first_free = slot->next_free;
	plan(io->ctrl, slot, p);
	err = make_command(io->ctrl, slot, id, nvme_next(&io->q));
	if (err)
		slot_free(io, slot);
	if (dma_is_full(err) && (any_in_flight(io->ctrl) || disk_watch_room(&io->ctrl->watch))) {
		*p = before;
		io->ctrl->starved |= io->bit;
		return false;
	}
	if (err) { /* the rest is not sent; done comes with the last of those in flight */
		p->status = err;
		p->all_sent = true;
		return true;
	}
	p->in_flight++;
	io->in_flight++;
	nvme_push(&io->q);
	io->ctrl->untold |= io->bit;
	return true;
}

/* What could be mapped once can be again. */
void nvme_send_again(struct nvme_io *io, struct nvme_slot *slot)
{
	uint16_t id = (uint16_t)(slot - io->slots);

	dma_group_unmap(&io->ctrl->dma, &slot->maps);
	if (make_command(io->ctrl, slot, id, nvme_next(&io->q))) {
		nvme_slot_end(io, slot, -XEN_EFAULT);
		return;
	}
	nvme_push(&io->q);
	io->ctrl->untold |= io->bit;
}

/* Both conditions: commands of an early part may all be back while a later part still waits for a
 * slot. Counted is what was sent and not what was asked: the two differ only after an error. */
static void finish_if_done(struct block_request *req)
{
	struct progress *p = progress(req);

	if (p->in_flight || !p->all_sent)
		return;
	block_count(&p->ns->disk.stats, req, p->sectors_sent * SECTOR_SIZE);
	req->done(req, p->status);
}

/* Moves waiting requests into free slots, in order. Not while the controller is reset. */
static void pump(struct nvme_io *io)
{
	while (io->waiting.first && io->first_free != NO_SLOT) {
		struct block_request *req = io->waiting.first;

		/* A request stays the first until all of it is sent: a later one must not take the
		 * slots that it waits for, or a big one would never get through. */
		if (!send_next(io, req))
			return;
		if (!progress(req)->all_sent)
			continue;
		/* Off the list before done() can come: it may submit the next one, which runs this
		 * very loop again. */
		disk_waiting_drop(&io->waiting);
		finish_if_done(req); /* only when nothing of it could be sent */
	}
}

/* ---- from above -------------------------------------------------------------------------------- */

static struct nvme_io *append(struct block_device *disk, struct block_request *req)
{
	struct nvme_ns *ns = disk->driver;
	struct nvme *n = ns->ctrl;
	struct nvme_io *io = n->io[req->queue < n->n_io ? req->queue : req->queue % n->n_io];

	*progress(req) = (struct progress){.ns = ns};
	disk_waiting_add(&io->waiting, req);
	disk->stats.requests++;
	return io;
}

static void submit(struct block_device *disk, struct block_request *req)
{
	pump(append(disk, req));
}

static void ring(struct nvme_io *io, struct block_stats *stats)
{
	io->ctrl->untold &= ~io->bit;
	stats->notifications_out++;
	nvme_ring(&io->q);
}

/* A user that kicks after every loop does not pay for a doorbell that says nothing. */
static void kick(struct block_device *disk)
{
	struct nvme_ns *ns = disk->driver;
	struct nvme *n = ns->ctrl;

	while (n->untold)
		ring(n->io[__builtin_ctz(n->untold)], &disk->stats);
	disk_watch(&n->watch);
}

const struct block_ops nvme_block_ops = {.submit = submit, .kick = kick};

static void hold(struct block_device *disk, struct block_request *req)
{
	(void)append(disk, req);
}

static void hold_kick(struct block_device *disk) {}

const struct block_ops nvme_hold_ops = {.submit = hold, .kick = hold_kick};

/* ---- from below -------------------------------------------------------------------------------- */

/* A discard that the device does not take is not an error of the medium. */
static int error_of(const struct block_request *req, unsigned code)
{
	bool unknown = code == 0x01 || code == 0x02; /* opcode, field */

	return req->op == BLOCK_DISCARD && unknown ? -XEN_EOPNOTSUPP : -XEN_EIO;
}

void nvme_slot_end(struct nvme_io *io, struct nvme_slot *slot, int status)
{
	struct block_request *req = slot->req;
	struct progress *p = progress(req);

	/* Free before done(), whose next submit may need this slot when it was the last. */
	slot_free(io, slot);
	if (status && !p->status)
		p->status = status;
	p->in_flight--;
	io->in_flight--;
	finish_if_done(req);
}

struct block_device *nvme_slot_disk(const struct nvme_slot *slot)
{
	return &progress(slot->req)->ns->disk;
}

/* One completion. An id that is not in flight is the device's mistake: said, and ignored. */
static void complete(struct nvme_io *io, const struct nvme_completion *c)
{
	struct nvme_slot *slot = c->id < NVME_SLOTS ? &io->slots[c->id] : NULL;
	unsigned code = c->status >> 1 & 0x7ff;
	int status = 0;

	if (!slot || !slot->req) {
		host_log(HOST_LOG_WARN, "nvme%u: completion of unknown command %u", io->ctrl->index,
			 c->id);
		return;
	}
	if (code) {
		disk_error(nvme_slot_disk(slot), slot->req, "status", code);
		status = error_of(slot->req, code);
	}
	nvme_slot_end(io, slot, status);
}

void nvme_reap(struct nvme_io *io)
{
	struct nvme_completion c;
	bool any = false;

	/* The bound: at the start of this loop at most NVME_SLOTS are in flight; whatever comes
	 * beyond was submitted by a done() within it, so its interrupt is still to come. A
	 * controller that turns the phase over for ever does not keep the worker. */
	for (unsigned i = 0; i < 2 * NVME_DEPTH && nvme_pop(&io->q, &c); i++, any = true)
		complete(io, &c);
	/* Gives the room back. Once for the loop: the completion queue has as many entries as there
	 * can be commands. */
	if (any)
		*io->q.cq_doorbell = io->q.cq_head;
}

/* Queues that waited for room of a pool, each once: one that still finds none is marked anew. */
static void feed(struct nvme *n)
{
	unsigned hungry = n->starved;

	n->starved = 0;
	for (; hungry; hungry &= hungry - 1) {
		struct nvme_io *io = n->io[__builtin_ctz(hungry)];

		pump(io);
		if (n->untold & io->bit)
			ring(io, &n->ns[0]->disk.stats);
	}
}

void nvme_go_on(struct nvme_io *io)
{
	if (io->waiting.first)
		pump(io);
	/* One doorbell for what waited for slots and for what the done() calls submitted. */
	if (io->ctrl->untold & io->bit)
		ring(io, &io->ctrl->ns[0]->disk.stats);
	if (io->ctrl->starved)
		feed(io->ctrl);
}

/* A controller that is being reset has no queues; the interrupt is one from before. */
void nvme_io_interrupt(void *ctx)
{
	struct nvme_io *io = ctx;

	if (io->ctrl->watch.phase != DISK_RUNNING || !io->ctrl->n_ns)
		return;
	io->ctrl->ns[0]->disk.stats.notifications_in++;
	nvme_reap(io);
	nvme_go_on(io);
}
