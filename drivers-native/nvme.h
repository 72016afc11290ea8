/* nvme.h: what the two files of the NVMe driver share: registers, commands, the controller.
 *
 * Private to drivers-native. nvme_init.c resets and identifies, nvme.c moves data. Layouts are those of
 * the NVM Express base specification 1.4, sections 3 (registers), 4 (queues) and 5-6 (commands).
 */
#ifndef DRIVERS_NATIVE_NVME_H
#define DRIVERS_NATIVE_NVME_H

#include <amphi/block.h>
#include <amphi/dma.h>
#include <amphi/pci.h>

/* Entries of the I/O queues: a submission queue of 64 is exactly a page. One slot stays empty. */
#define NVME_DEPTH  64u
#define NVME_SLOTS  (NVME_DEPTH - 1)
#define NVME_ADMINS 8u

enum nvme_reg {
	NVME_CAP = 0x00,
	NVME_CC = 0x14,
	NVME_CSTS = 0x1c,
	NVME_AQA = 0x24,
	NVME_ASQ = 0x28,
	NVME_ACQ = 0x30,
	NVME_DOORBELLS = 0x1000
};

enum nvme_opcode {
	NVME_CMD_FLUSH = 0x00,
	NVME_CMD_WRITE = 0x01,
	NVME_CMD_READ = 0x02,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_SET_FEATURES = 0x09
};

struct nvme_command {
	uint8_t opcode, flags;
	uint16_t id;
	uint32_t nsid;
	uint64_t reserved, metadata;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
_Static_assert(sizeof(struct nvme_command) == 64, "section 4.2");

struct nvme_completion {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id;
	uint16_t id;
	uint16_t status; /* bit 0 is the phase, the rest the status code */
};
_Static_assert(sizeof(struct nvme_completion) == 16, "section 4.6");

struct nvme_queue {
	struct nvme_command *sq;
	volatile struct nvme_completion *cq;
	dma_addr_t sq_at, cq_at;
	volatile uint32_t *sq_doorbell, *cq_doorbell;
	uint16_t depth, sq_tail, cq_head;
	uint16_t phase;
};

/* One command in flight: a run of a request's segments that its PRP list can express. */
struct nvme_slot {
	struct block_request *req; /* NULL: free */
	uint64_t *prps;            /* NVME_PRPS entries in a shared page */
	dma_addr_t prps_at;
	uint16_t next_free;
};
#define NVME_PRPS 32u

struct nvme {
	const struct pci_function *pci;
	struct dma_device dma;
	struct pci_msix msix;
	volatile uint8_t *regs;
	struct nvme_queue admin, io;
	uint32_t doorbell_stride_bytes;
	unsigned max_transfer_pages; /* of one command; at most NVME_PRPS */
	unsigned sector_shift;       /* log2 of the namespace's block size */
	struct nvme_slot slots[NVME_SLOTS];
	uint16_t first_free;
	bool rung;                                     /* submission tail told to the device */
	struct block_request *waiting, **waiting_tail; /* submitted, not wholly in slots */
	struct block_device disk;
};

/* nvme.c */
void nvme_io_init(struct nvme *n);
void nvme_io_interrupt(void *ctx);
extern const struct block_ops nvme_block_ops;

/* Puts a command into the queue without ringing. */
void nvme_push(struct nvme_queue *q, const struct nvme_command *cmd);
void nvme_ring(struct nvme_queue *q);
/* Takes the next completion; false when there is none. */
bool nvme_pop(struct nvme_queue *q, struct nvme_completion *out);

#endif
