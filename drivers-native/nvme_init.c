/* nvme_init.c: finds, resets and identifies an NVMe controller, and registers its first namespace.
 *
 * The admin queue is polled, which is fine at boot: a few commands, each bounded in time. A controller
 * that does not answer is left alone and named. The data path is nvme.c. Called by drivers.c.
 */
#include "nvme.h"

#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/machine.h>
#include <amphi/peer.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#define CLASS_NVME    0x010802u
#define REGISTERS_LEN 0x2000u /* registers and the doorbells of the two queues we use */
#define POLL_US       50u

/* Memory page size 0 in CC is 4 KiB, command set 0 is NVM: neither needs a bit (section 3.1.5). */
#define CC_ENABLE        0x1u
#define CC_SIZES         (6u << 16 | 4u << 20) /* submission entries 2^6, completion entries 2^4 */
#define CSTS_READY       0x1u
#define CSTS_FATAL       0x2u
#define CAP_TIMEOUT(cap) ((unsigned)((cap) >> 24 & 0xff)) /* in 500 ms */
#define CAP_STRIDE(cap)  ((unsigned)((cap) >> 32 & 0xf))

/* Each access in the width that section 3.1 asks for, once: hence volatile. */
static uint32_t read32(const struct nvme *n, enum nvme_reg reg)
{
	return *(volatile uint32_t *)(n->regs + reg);
}

static void write32(struct nvme *n, enum nvme_reg reg, uint32_t value)
{
	*(volatile uint32_t *)(n->regs + reg) = value;
}

/* 64-bit registers as two halves, which every controller and emulator takes. */
static uint64_t read64(const struct nvme *n, enum nvme_reg reg)
{
	volatile uint32_t *at = (volatile uint32_t *)(n->regs + reg);

	return at[0] | (uint64_t)at[1] << 32;
}

static void write64(struct nvme *n, enum nvme_reg reg, uint64_t value)
{
	volatile uint32_t *at = (volatile uint32_t *)(n->regs + reg);

	at[0] = (uint32_t)value;
	at[1] = (uint32_t)(value >> 32);
}

/* The controller says in CAP how long a change of readiness may take at most; + 1 because a 0 there
 * is "less than 500 ms". Polled with pauses, since each read is an exit under a hypervisor. */
static int wait_ready(struct nvme *n, uint32_t want)
{
	unsigned polls = (CAP_TIMEOUT(read64(n, NVME_CAP)) + 1) * 500000u / POLL_US;

	for (; polls; polls--) {
		uint32_t status = read32(n, NVME_CSTS);

		if (status & CSTS_FATAL)
			return -XEN_EIO;
		if ((status & CSTS_READY) == want)
			return 0;
		machine_delay_us(POLL_US);
	}
	return -XEN_EBUSY;
}

/* Doorbells: submission tail of queue i at 2i, completion head at 2i + 1, in strides (section 3.1.24). */
static int queue_alloc(struct nvme *n, struct nvme_queue *q, unsigned index, uint16_t depth)
{
	q->sq = dma_page_alloc(&n->dma, &q->sq_at);
	q->cq = dma_page_alloc(&n->dma, &q->cq_at);
	if (!q->sq || !q->cq)
		return -XEN_ENOMEM;
	q->depth = depth;
	/* The pages are zeroed and the controller's first round writes 1: see nvme_pop. */
	q->phase = 1;
	q->sq_doorbell =
	    (volatile uint32_t *)(n->regs + NVME_DOORBELLS + 2 * index * n->doorbell_stride_bytes);
	q->cq_doorbell = (volatile uint32_t *)(n->regs + NVME_DOORBELLS +
					       (2 * index + 1) * n->doorbell_stride_bytes);
	return 0;
}

/* Section 7.6.1: off, wait until it is; queues told while it is off; on, wait. A firmware's driver
 * may have left it running, with queues in memory that is ours by now. */
static int reset(struct nvme *n)
{
	int err;

	write32(n, NVME_CC, 0);
	err = wait_ready(n, 0);
	if (!err)
		err = queue_alloc(n, &n->admin, 0, NVME_ADMINS);
	if (err)
		return err;
	write32(n, NVME_AQA, (NVME_ADMINS - 1) << 16 | (NVME_ADMINS - 1));
	write64(n, NVME_ASQ, n->admin.sq_at.v);
	write64(n, NVME_ACQ, n->admin.cq_at.v);
	write32(n, NVME_CC, CC_SIZES | CC_ENABLE);
	return wait_ready(n, CSTS_READY);
}

/* One admin command, waited for: at most two seconds. Nothing else is in flight in this queue, so
 * the completion that comes is this command's. When none comes the command is still the
 * controller's: -XEN_EBUSY tells the caller that its memory is too. */
static int admin(struct nvme *n, struct nvme_command *cmd)
{
	struct nvme_completion c;

	nvme_push(&n->admin, cmd);
	nvme_ring(&n->admin);
	for (unsigned polls = 2000000u / POLL_US; polls; polls--) {
		if (nvme_pop(&n->admin, &c)) {
			*n->admin.cq_doorbell = n->admin.cq_head;
			return c.status >> 1 ? -XEN_EIO : 0;
		}
		machine_delay_us(POLL_US);
	}
	return -XEN_EBUSY;
}

/* The serial number is 20 characters filled up with blanks (figure "Identify Controller"). */
static void take_serial(struct nvme *n, const uint8_t *id)
{
	unsigned len = 20;

	while (len && (id[4 + len - 1] == ' ' || !id[4 + len - 1]))
		len--;
	memcpy(n->disk.serial, id + 4, len);
	n->disk.serial[len] = '\0';
}

static int identify_controller(struct nvme *n, const uint8_t *page, dma_addr_t at)
{
	struct nvme_command cmd = {.opcode = NVME_ADMIN_IDENTIFY, .prp1 = at.v, .cdw10 = 1};
	int err = admin(n, &cmd);
	unsigned mdts;

	if (err)
		return err;
	peer_rmb();
	take_serial(n, page);
	/* In units of the controller's smallest page (CAP.MPSMIN), which must be 4 KiB for CC as we
	 * write it. 5 and more do not bound NVME_PRPS. */
	mdts = page[77]; /* maximum data transfer: 2^mdts pages, 0: no limit */
	n->max_transfer_pages = mdts && mdts < 5 ? 1u << mdts : NVME_PRPS;
	return 0;
}

/* Namespace 1 only; further ones are not served. The page tells its size in blocks (bytes 0-7),
 * which of the formats is in use (26) and the formats (from 128: metadata bytes in the low half,
 * log2 of the block size above). */
static int identify_namespace(struct nvme *n, const uint8_t *page, dma_addr_t at)
{
	struct nvme_command cmd = {
	    .opcode = NVME_ADMIN_IDENTIFY, .nsid = 1, .prp1 = at.v, .cdw10 = 0};
	uint64_t blocks;
	uint32_t format;
	int err = admin(n, &cmd);

	if (err)
		return err;
	peer_rmb();
	memcpy(&blocks, page, sizeof(blocks));
	/* & 0xf keeps the entry within the page: at most 128 + 4 * 15. */
	memcpy(&format, page + 128 + 4 * (page[26] & 0xf), sizeof(format));
	n->sector_shift = format >> 16 & 0xff;
	if (n->sector_shift < 9 || n->sector_shift > 12 || (format & 0xffff) || !blocks)
		return -XEN_EOPNOTSUPP; /* metadata or odd sizes */
	n->disk.sector_size = 1u << n->sector_shift;
	n->disk.sectors = blocks << (n->sector_shift - 9);
	n->disk.readonly = page[99] & 1; /* namespace attributes: write protected */
	return 0;
}

static int identify(struct nvme *n)
{
	dma_addr_t at;
	uint8_t *page = dma_page_alloc(&n->dma, &at);
	int err = page ? identify_controller(n, page, at) : -XEN_ENOMEM;

	if (!err)
		err = identify_namespace(n, page, at);
	/* A command without an answer may still write into the page: it is given up rather than
	 * given to somebody else. */
	if (page && err != -XEN_EBUSY)
		host_pages_free(page, 1);
	return err;
}

/* The completion queue before the submission queue that names it (section 5.4), and destroyed
 * never. Sizes are zero-based; identifiers from 1, since 0 is the admin queue. */
static int create_io_queues(struct nvme *n)
{
	struct nvme_command cq = {.opcode = NVME_ADMIN_CREATE_CQ},
			    sq = {.opcode = NVME_ADMIN_CREATE_SQ};
	int err = queue_alloc(n, &n->io, 1, NVME_DEPTH);

	if (err)
		return err;
	cq.prp1 = n->io.cq_at.v;
	cq.cdw10 = sq.cdw10 = (NVME_DEPTH - 1) << 16 | 1;
	cq.cdw11 = 0u << 16 | 3; /* vector 0, interrupts on, contiguous */
	sq.prp1 = n->io.sq_at.v;
	sq.cdw11 = 1u << 16 | 1; /* completes to queue 1, contiguous */
	err = admin(n, &cq);
	return err ? err : admin(n, &sq);
}

/* Once for all slots, so that no request can fail for want of a list. 256 bytes each: a whole
 * number of them fits a page and none lies across two. */
static int alloc_prp_lists(struct nvme *n)
{
	unsigned per_page = PAGE_SIZE / (NVME_PRPS * sizeof(uint64_t));
	uint64_t *page = NULL;
	dma_addr_t at = {0};

	for (unsigned i = 0; i < NVME_SLOTS; i++) {
		if (i % per_page == 0)
			page = dma_page_alloc(&n->dma, &at);
		if (!page)
			return -XEN_ENOMEM;
		n->slots[i].prps = page + (i % per_page) * NVME_PRPS;
		n->slots[i].prps_at =
		    (dma_addr_t){at.v + (i % per_page) * NVME_PRPS * sizeof(uint64_t)};
	}
	return 0;
}

/* The vector is bound before the completion queue that uses it exists: no interrupt can come to
 * nobody. */
static int bring_up(struct nvme *n)
{
	maddr_t bar;
	int err;

	if (!pci_bar(n->pci, 0, &bar))
		return -XEN_ENXIO;
	pci_enable(n->pci);
	n->regs = machine_mmio_map(bar, REGISTERS_LEN);
	if (!n->regs)
		return -XEN_ENOMEM;
	n->doorbell_stride_bytes = 4u << CAP_STRIDE(read64(n, NVME_CAP));
	/* Two queue pairs: four doorbells must lie within what was mapped. */
	if (4 * n->doorbell_stride_bytes > REGISTERS_LEN - NVME_DOORBELLS)
		return -XEN_EOPNOTSUPP;
	err = reset(n);
	if (!err)
		err = identify(n);
	if (!err)
		err = pci_msix_find(n->pci, &n->msix);
	if (!err)
		err = pci_msix_bind(n->pci, &n->msix, 0, nvme_io_interrupt, n);
	if (!err)
		err = create_io_queues(n);
	return err ? err : alloc_prp_lists(n);
}

int nvme_probe(const struct pci_function *f)
{
	static unsigned count;
	struct nvme *n;
	int err;

	if (f->class_code != CLASS_NVME)
		return -XEN_ENODEV;
	n = host_alloc(sizeof(*n));
	if (!n)
		return -XEN_ENOMEM;
	n->pci = f;
	/* A controller sends 64 address bits; the mask is there for devices that do not. */
	n->dma = (struct dma_device){.bdf = f->bdf, .mask = ~0ull};
	/* Nothing was pushed, so there is nothing to ring for. */
	n->rung = true;
	fmt_text(n->disk.name, sizeof(n->disk.name), "nvme%un1", count);
	nvme_io_init(n);
	err = bring_up(n);
	if (err) /* registers may still point at our pages: what was given is not taken back */
		return err;
	n->disk.ops = &nvme_block_ops;
	n->disk.driver = n;
	n->disk.has_flush = true;
	/* What one command can carry when the segments are whole pages: users who stay within it
	 * pay for one command. */
	n->disk.max_segments = n->max_transfer_pages;
	n->disk.queue_depth = NVME_SLOTS;
	count++;
	host_block_register(&n->disk);
	return 0;
}
