/* nvme_admin.c: an NVMe controller's registers and its admin queue: off, on, commands, I/O queues.
 *
 * The admin queue is polled: a few commands at start-up and after a reset, each bounded in time. Callers:
 * nvme_init.c, nvme_recover.c. Calls nvme.c for the queues. Worker context.
 */
#include "nvme.h"

#include <amphi/machine.h>
#include <amphi/string.h>

#define REGISTERS_LEN 0x2000u /* of which doorbells are the second page */
#define POLL_US       50u

/* Memory page size 0 in CC is 4 KiB, command set 0 is NVM: neither needs a bit (section 3.1.5). */
#define CC_ENABLE        0x1u
#define CC_SIZES         (6u << 16 | 4u << 20) /* submission entries 2^6, completion entries 2^4 */
#define CAP_TIMEOUT(cap) ((unsigned)((cap) >> 24 & 0xff)) /* in 500 ms */

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
static void write64(struct nvme *n, enum nvme_reg reg, uint64_t value)
{
	volatile uint32_t *at = (volatile uint32_t *)(n->regs + reg);

	at[0] = (uint32_t)value;
	at[1] = (uint32_t)(value >> 32);
}

uint32_t nvme_status(const struct nvme *n)
{
	return read32(n, NVME_CSTS);
}

/* + 1 because a 0 there is "less than 500 ms". */
unsigned nvme_ready_ms(const struct nvme *n)
{
	return (CAP_TIMEOUT(read32(n, NVME_CAP)) + 1) * 500u;
}

unsigned nvme_stride_bytes(const struct nvme *n)
{
	return 4u << (*(volatile uint32_t *)(n->regs + NVME_CAP + 4) & 0xf);
}

/* Polled with pauses, since each read is an exit under a hypervisor. */
static int wait_ready(struct nvme *n, uint32_t want)
{
	unsigned polls = nvme_ready_ms(n) * (1000u / POLL_US);

	for (; polls; polls--) {
		uint32_t status = nvme_status(n);

		if (status & NVME_CSTS_FATAL)
			return -XEN_EIO;
		if ((status & NVME_CSTS_READY) == want)
			return 0;
		machine_delay_us(POLL_US);
	}
	return -XEN_EBUSY;
}

/* Empty to both sides: the pages are zero and the controller's first round writes 1 (nvme_pop). */
static void rewind_queue(struct nvme_queue *q)
{
	memset((void *)q->cq, 0, q->depth * sizeof(*q->cq));
	q->sq_tail = q->cq_head = 0;
	q->phase = 1;
}

/* Doorbells: submission tail of queue i at 2i, completion head at 2i + 1, in strides (section 3.1.24). */
int nvme_queue_alloc(struct nvme *n, struct nvme_queue *q, unsigned index, uint16_t depth)
{
	uint32_t at = NVME_DOORBELLS + 2 * index * n->doorbell_stride_bytes;

	if (at + 2 * n->doorbell_stride_bytes > REGISTERS_LEN)
		return -XEN_EOPNOTSUPP;
	q->sq = dma_page_alloc(&n->dma, &q->sq_at);
	q->cq = dma_page_alloc(&n->dma, &q->cq_at);
	if (!q->sq || !q->cq)
		return -XEN_ENOMEM;
	q->depth = depth;
	rewind_queue(q);
	q->sq_doorbell = (volatile uint32_t *)(n->regs + at);
	q->cq_doorbell = (volatile uint32_t *)(n->regs + at + n->doorbell_stride_bytes);
	return 0;
}

void nvme_disable(struct nvme *n)
{
	write32(n, NVME_CC, 0);
}

int nvme_wait_off(struct nvme *n)
{
	return wait_ready(n, 0);
}

void nvme_enable(struct nvme *n)
{
	rewind_queue(&n->admin);
	write32(n, NVME_AQA, (NVME_ADMINS - 1) << 16 | (NVME_ADMINS - 1));
	write64(n, NVME_ASQ, n->admin.sq_at.v);
	write64(n, NVME_ACQ, n->admin.cq_at.v);
	write32(n, NVME_CC, CC_SIZES | CC_ENABLE);
}

/* Section 7.6.1: off, wait until it is; queues told while it is off; on, wait. A firmware's driver
 * may have left it running, with queues in memory that is ours by now. */
int nvme_reset(struct nvme *n)
{
	int err;

	nvme_disable(n);
	err = wait_ready(n, 0);
	if (err)
		return err;
	nvme_enable(n);
	return wait_ready(n, NVME_CSTS_READY);
}

/* At most two seconds. Nothing else is in flight in this queue, so the completion that comes is this
 * command's. */
int nvme_admin(struct nvme *n, struct nvme_command *cmd, uint32_t *out_result)
{
	struct nvme_completion c;

	*nvme_next(&n->admin) = *cmd;
	nvme_push(&n->admin);
	nvme_ring(&n->admin);
	for (unsigned polls = 2000000u / POLL_US; polls; polls--) {
		if (nvme_pop(&n->admin, &c)) {
			*n->admin.cq_doorbell = n->admin.cq_head;
			if (out_result)
				*out_result = c.result;
			return c.status >> 1 ? -XEN_EIO : 0;
		}
		machine_delay_us(POLL_US);
	}
	return -XEN_EBUSY;
}

/* The completion queue before the submission queue that names it (section 5.4), and destroyed
 * only by a reset. Sizes are zero-based; identifiers from 1, since 0 is the admin queue. */
static int create_queue(struct nvme *n, unsigned i)
{
	struct nvme_queue *q = &n->io[i]->q;
	struct nvme_command cq = {.opcode = NVME_ADMIN_CREATE_CQ},
			    sq = {.opcode = NVME_ADMIN_CREATE_SQ};
	int err;

	rewind_queue(q);
	cq.prp1 = q->cq_at.v;
	cq.cdw10 = sq.cdw10 = (NVME_DEPTH - 1) << 16 | (i + 1);
	cq.cdw11 = i << 16 | 3; /* vector i, interrupts on, contiguous */
	sq.prp1 = q->sq_at.v;
	sq.cdw11 = (i + 1) << 16 | 1; /* completes to the queue of the same number, contiguous */
	err = nvme_admin(n, &cq, NULL);
	return err ? err : nvme_admin(n, &sq, NULL);
}

/* How many pairs it allows (section 5.21.1.7); asking is once after each reset and before any is made. */
static unsigned ask_queues(struct nvme *n)
{
	struct nvme_command cmd = {.opcode = NVME_ADMIN_SET_FEATURES,
				   .cdw10 = 7,
				   .cdw11 = (n->n_io - 1) << 16 | (n->n_io - 1)};
	uint32_t got = 0;

	if (nvme_admin(n, &cmd, &got))
		return 1;
	return MIN(n->n_io, 1 + MIN(got & 0xffff, got >> 16));
}

/* A second and later one that the controller refuses may be done without. */
int nvme_create_queues(struct nvme *n, unsigned *out_made)
{
	unsigned allowed = ask_queues(n);
	int err = 0;

	for (*out_made = 0; *out_made < allowed; ++*out_made) {
		err = create_queue(n, *out_made);
		if (err)
			break;
	}
	return err == -XEN_EIO && *out_made ? 0 : err;
}
