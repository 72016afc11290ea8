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

void nvme_push(struct nvme_queue *q, const struct nvme_command *cmd)
{
	q->sq[q->sq_tail] = *cmd;
	q->sq_tail = (uint16_t)(q->sq_tail + 1 == q->depth ? 0 : q->sq_tail + 1);
}

void nvme_ring(struct nvme_queue *q)
{
	peer_wmb();
	*q->sq_doorbell = q->sq_tail;
}

bool nvme_pop(struct nvme_queue *q, struct nvme_completion *out)
{
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

void nvme_io_init(struct nvme *n)
{
	for (unsigned i = 0; i < NVME_SLOTS; i++)
		n->slots[i].next_free = (uint16_t)(i + 1 < NVME_SLOTS ? i + 1 : NO_SLOT);
	n->first_free = 0;
	n->waiting = NULL;
	n->waiting_tail = &n->waiting;
}

/* How many segments from `first` one command can carry, and their length. */
static unsigned run_length(const struct nvme *n, const struct block_request *req, unsigned first, uint32_t *out_bytes)
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
static int map_run(struct nvme *n, struct nvme_slot *slot, unsigned first, unsigned count, struct nvme_command *cmd)
{
	dma_addr_t at[NVME_PRPS] = {{0}};

	for (unsigned i = 0; i < count; i++) {
		const struct block_segment *s = &slot->req->segments[first + i];
		int err = dma_map(&n->dma, s->va, s->len_bytes, direction(slot->req), &at[i]);

		if (err)
			return err;
	}
	cmd->prp1 = at[0].v;
	cmd->prp2 = count == 2 ? at[1].v : count > 2 ? slot->prps_at.v : 0;
	for (unsigned i = 1; count > 2 && i < count; i++)
		slot->prps[i - 1] = at[i].v;
	return 0;
}

static void send_flush(struct nvme *n, struct nvme_slot *slot, struct nvme_command *cmd)
{
	cmd->opcode = NVME_CMD_FLUSH;
	slot->req->driver[REQ_NEXT_SEGMENT] = 1; /* a flush has none: sent is sent */
}

static int send_run(struct nvme *n, struct nvme_slot *slot, struct nvme_command *cmd)
{
	struct block_request *req = slot->req;
	unsigned first = (unsigned)req->driver[REQ_NEXT_SEGMENT];
	uint64_t lba = (req->sector + req->driver[REQ_SECTORS_SENT]) >> (n->sector_shift - 9);
	uint32_t bytes;
	unsigned count = run_length(n, req, first, &bytes);
	int err = map_run(n, slot, first, count, cmd);

	if (err)
		return err;
	cmd->opcode = req->op == BLOCK_WRITE ? NVME_CMD_WRITE : NVME_CMD_READ;
	cmd->cdw10 = (uint32_t)lba;
	cmd->cdw11 = (uint32_t)(lba >> 32);
	cmd->cdw12 = (bytes >> n->sector_shift) - 1;
	req->driver[REQ_NEXT_SEGMENT] += count;
	req->driver[REQ_SECTORS_SENT] += bytes / SECTOR_SIZE;
	return 0;
}

/* Sends the next command of req; needs a free slot. */
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

		send_next(n, req);
		if (!all_sent(req))
			continue;
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
		host_log(HOST_LOG_WARN, "%s: completion of unknown command %u", n->disk.name, c->id);
		return;
	}
	slot->req = NULL;
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
	for (unsigned i = 0; i < 2 * NVME_DEPTH && nvme_pop(&n->io, &c); i++, any = true)
		complete(n, &c);
	if (any)
		*n->io.cq_doorbell = n->io.cq_head;
	pump(n);
	nvme_kick(&n->disk);
}
