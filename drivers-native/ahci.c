/* ahci.c: the data path of the AHCI driver: which commands a port has, and what came of them.
 *
 * A port has up to 32 queued commands at a time, or one that is not: the two kinds must not meet (ATA8-ACS, "NCQ").
 * So a flush or a discard waits until the queue is empty, and everything behind waits for it. After an error the
 * commands that were in flight go one by one, not queued, and the one that is wrong is known by failing again.
 * In block_request.driver[]: [0] sectors discarded so far. Worker context. Used through struct block_ops.
 */
#include "ahci.h"

#include <amphi/host.h>
#include <amphi/peer.h>

#include "disk_error.h"

/* ---- to the device --------------------------------------------------------------------------------- */

static void issue(struct ahci_port *p, unsigned slot, bool queued)
{
	p->untold |= 1u << slot;
	p->is_queued = queued;
}

/* Whether a command of this kind may go to the device now. */
static bool may_issue(const struct ahci_port *p, bool queued)
{
	uint32_t there = p->issued | p->untold;

	return !there || (queued && p->is_queued);
}

static void end_request(struct ahci_port *p, struct block_request *req, int status)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; req->op <= BLOCK_WRITE && i < req->n_segments; i++)
		bytes += req->segments[i].len_bytes;
	block_count(&p->disk.stats, req, bytes);
	req->done(req, status);
}

void ahci_slot_end(struct ahci_port *p, unsigned slot, int status)
{
	struct block_request *req = p->slots[slot].req;
	uint32_t bit = 1u << slot;

	dma_group_unmap(&p->hba->dma, &p->slots[slot].maps);
	p->slots[slot].req = NULL;
	p->used &= ~bit;
	p->issued &= ~bit;
	p->untold &= ~bit;
	p->again &= ~bit;
	end_request(p, req, status);
}

/* One of those that go one at a time. */
static void send_again(struct ahci_port *p)
{
	unsigned slot = (unsigned)__builtin_ctz(p->again);
	int err;

	if (!may_issue(p, false))
		return;
	p->again &= ~(1u << slot);
	err = ahci_make(p, slot, false);
	if (err)
		ahci_slot_end(p, slot, err);
	else
		issue(p, slot, false);
}

/* The first that waits, when its kind may go and there is a slot. */
static bool send_waiting(struct ahci_port *p)
{
	struct block_request *req = p->waiting.first;
	bool queued = p->has_ncq && req->op <= BLOCK_WRITE;
	unsigned slot = (unsigned)__builtin_ctzll(~(uint64_t)p->used);
	int err;

	if (slot >= p->depth || !may_issue(p, queued))
		return false;
	p->slots[slot].req = req;
	p->slots[slot].age = (struct disk_age){0};
	err = ahci_make(p, slot, queued);
	/* No room for its maps until one is back, or others give some. */
	if (dma_is_full(err) && (p->used || disk_watch_room(&p->watch))) {
		dma_group_unmap(&p->hba->dma, &p->slots[slot].maps);
		p->slots[slot].req = NULL;
		return false;
	}
	disk_waiting_drop(&p->waiting);
	p->used |= 1u << slot;
	if (err)
		ahci_slot_end(p, slot, err);
	else
		issue(p, slot, queued);
	return true;
}

static void pump(struct ahci_port *p)
{
	if (p->again && !p->holds)
		send_again(p);
	while (p->waiting.first && !p->again && !p->holds && send_waiting(p))
		;
}

static void submit(struct block_device *disk, struct block_request *req)
{
	struct ahci_port *p = disk->driver;

	req->driver[0] = 0;
	disk_waiting_add(&p->waiting, req);
	disk->stats.requests++;
	pump(p);
}

/* One write for all of them, after their memory. A queued command's number goes into SACT before CI (section 5.6.4).
 * Both registers take ones for what is new. */
static void kick(struct block_device *disk)
{
	struct ahci_port *p = disk->driver;
	uint32_t untold = p->untold;

	if (!untold)
		return;
	p->untold = 0;
	p->issued |= untold;
	disk->stats.notifications_out++;
	disk_watch(&p->watch);
	peer_wmb();
	if (p->is_queued)
		ahci_write(p, PORT_SACT, untold);
	ahci_write(p, PORT_CI, untold);
}

const struct block_ops ahci_block_ops = {.submit = submit, .kick = kick};

/* ---- from the device ------------------------------------------------------------------------------- */

static bool has_more_to_discard(struct ahci_port *p, unsigned slot)
{
	struct block_request *req = p->slots[slot].req;

	if (req->op != BLOCK_DISCARD)
		return false;
	req->driver[0] += ahci_discard_sectors(p, slot);
	return req->driver[0] < req->n_sectors;
}

/* What the device has no more. Its first reading bounds the loop. */
static void take_done(struct ahci_port *p)
{
	uint32_t there = ahci_read(p, PORT_CI) | (p->is_queued ? ahci_read(p, PORT_SACT) : 0);
	uint32_t done = p->issued & ~there;

	peer_rmb();
	for (; done; done &= done - 1) {
		unsigned slot = (unsigned)__builtin_ctz(done);

		p->issued &= ~(1u << slot);
		if (p->slots[slot].req == &p->cd_question)
			ahci_cd_take_answer(p, &p->slots[slot]);
		if (has_more_to_discard(p, slot))
			p->again |= 1u << slot;
		else
			ahci_slot_end(p, slot, 0);
	}
}

void ahci_go_on(struct ahci_port *p)
{
	take_done(p);
	pump(p);
	kick(&p->disk);
}

/* As disk_watch_blame does, also while requests wait for a reset already. */
static void blame_issued(struct ahci_port *p)
{
	for (uint32_t left = p->issued; left; left &= left - 1)
		p->slots[__builtin_ctz(left)].age.looks = DISK_LOOKS_MAX;
}

/* A command that is not queued is alone, and has failed; of queued ones nobody knows which, unless it is one. The port
 * is reset, which also ends what the device may still do. */
static void on_error(struct ahci_port *p)
{
	uint32_t tfd = ahci_read(p, PORT_TFD), there = p->issued;
	bool is_one = there && !(there & (there - 1));

	if (p->is_queued)
		take_done(p);
	if (is_one && p->issued == there && tfd & TFD_ERR) {
		unsigned slot = (unsigned)__builtin_ctz(there);
		struct block_request *req = p->slots[slot].req;

		disk_error(&p->disk, req, "status and error", tfd & 0xffff);
		p->holds = true; /* what done() submits waits for the reset */
		ahci_slot_end(p, slot, req->op == BLOCK_DISCARD ? -XEN_EOPNOTSUPP : -XEN_EIO);
	}
	blame_issued(p);
	disk_watch_reset(&p->watch, "a command failed");
}

/* A drive that complains goes on when it has been asked why; the port only has to be started again. */
static void on_complaint(struct ahci_port *p)
{
	uint32_t there = p->issued;
	struct block_request *req;
	unsigned slot;

	if (!there || !ahci_stop(p) || ahci_read(p, PORT_TFD) & (TFD_BUSY | TFD_DRQ)) {
		on_error(p);
		return;
	}
	slot = (unsigned)__builtin_ctz(there);
	req = p->slots[slot].req;
	if (req != &p->cd_question) {
		ahci_cd_complained(p);
		disk_error(&p->disk, req, "status and error", ahci_read(p, PORT_TFD) & 0xffff);
	}
	ahci_start(p);
	ahci_slot_end(p, slot, -XEN_EIO);
	ahci_go_on(p);
}

static void port_interrupt(struct ahci_port *p)
{
	uint32_t is = ahci_read(p, PORT_IS);

	if (is & IS_CHANGE) /* which are views of that register, and stay until it is clear */
		ahci_write(p, PORT_SERR, ~0u);
	ahci_write(p, PORT_IS, is);
	if (p->watch.phase != DISK_RUNNING)
		return;
	p->disk.stats.notifications_in++;
	if (SSTS_DETECT(ahci_read(p, PORT_SSTS)) != SSTS_PRESENT)
		disk_watch_gone(&p->watch, "pulled out");
	else if (is & IS_ERRORS)
		(p->is_cd ? on_complaint : on_error)(p);
	else
		ahci_go_on(p);
}

/* The port's word first and the controller's last (section 5.6.2): what comes between the two raises another. */
void ahci_interrupt(void *ctx)
{
	struct ahci *hba = ctx;
	volatile uint32_t *reg = (volatile uint32_t *)(hba->regs + AHCI_IS);
	uint32_t is = *reg;

	for (uint32_t left = is; left; left &= left - 1) {
		struct ahci_port *p = hba->ports[__builtin_ctz(left)];

		if (p)
			port_interrupt(p);
	}
	*reg = is;
}
