/* nvme.h: what the files of the NVMe driver share: registers, commands, the controller.
 *
 * Private to drivers-native. nvme_init.c finds and identifies, nvme_admin.c turns controllers on and off,
 * nvme.c moves data, nvme_recover.c resets,
 * nvme_virtual.c gives it virtual functions. Layouts are those of the NVM Express base
 * specification 1.4, sections 3 (registers), 4 (queues) and 5-6 (commands). Worker context.
 */
#ifndef DRIVERS_NATIVE_NVME_H
#define DRIVERS_NATIVE_NVME_H

#include <amphi/block.h>
#include <amphi/dma.h>
#include <amphi/host.h>
#include <amphi/pci.h>

#include "disk_watch.h"

/* Entries of the I/O queues: a submission queue of 64 is exactly a page. One slot stays empty. */
#define NVME_DEPTH      64u
#define NVME_SLOTS      (NVME_DEPTH - 1)
#define NVME_ADMINS     8u
#define NVME_QUEUES     4u /* used at most; one worker serves them all */
#define NVME_NAMESPACES 16u

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
	NVME_CMD_DSM = 0x09,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_SET_FEATURES = 0x09
};

#define NVME_DSM_DEALLOCATE (1u << 2)  /* in cdw11 */
#define NVME_WRITE_FUA      (1u << 30) /* in cdw12 */

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

struct nvme_range { /* of a DSM command */
	uint32_t attributes, n_blocks;
	uint64_t lba;
};
_Static_assert(sizeof(struct nvme_range) == 16, "section 6.7");

struct nvme_queue {
	struct nvme_command *sq;
	volatile struct nvme_completion *cq;
	dma_addr_t sq_at, cq_at;
	volatile uint32_t *sq_doorbell, *cq_doorbell;
	uint16_t depth, sq_tail, cq_head;
	uint16_t phase;
};

/* A list for requests larger than a slot's own; a controller has a few. */
struct nvme_list {
	uint64_t *prps; /* NVME_LIST_PRPS entries */
	dma_addr_t at;
	struct nvme_list *next;
};
#define NVME_LISTS     8u
#define NVME_LIST_PRPS 256u

/* One command in flight: a run of a request's segments that its PRP list can express. After a reset the command
 * is made anew from what is here. */
struct nvme_slot {
	struct block_request *req; /* NULL: free */
	uint64_t *prps;            /* NVME_PRPS entries in a shared page */
	dma_addr_t prps_at;
	struct nvme_list *list; /* the larger one it borrowed */
	uint64_t lba;
	uint32_t n_blocks;
	uint16_t first, count; /* segments */
	uint16_t next_free;
	struct disk_age age;
	struct dma_group maps;
};
_Static_assert(sizeof(struct nvme_slot) == 64, "found by its number without a multiplication");
#define NVME_PRPS 32u

/* One I/O queue pair, with an interrupt of its own where the platform gives one. */
struct nvme_io {
	struct nvme *ctrl;
	struct nvme_queue q;
	struct nvme_slot slots[NVME_SLOTS];
	uint16_t first_free;
	uint16_t in_flight; /* commands */
	uint32_t bit;       /* of its number */
	struct disk_waiting waiting;
};

/* One namespace, as a disk. */
struct nvme_ns {
	struct nvme *ctrl;
	uint32_t nsid;
	unsigned sector_shift; /* log2 of the namespace's block size */
	struct block_device disk;
};

struct nvme {
	const struct pci_function *pci;
	struct dma_device dma;
	struct pci_msix msix;
	volatile uint8_t *regs;
	unsigned index; /* in names */
	struct nvme_queue admin;
	struct nvme_io *io[NVME_QUEUES];
	unsigned n_io;
	uint32_t starved; /* bits of queues that wait for what another queue has mapped */
	uint32_t untold;  /* bits of those whose submission tail the device has not been told */
	uint32_t doorbell_stride_bytes;
	unsigned max_transfer_pages; /* of one command; at most BLOCK_MAX_SEGMENTS */
	bool has_cache, has_dsm;
	unsigned n_virtual; /* functions that it was made to have */
	char serial[21];
	struct nvme_list lists[NVME_LISTS], *free_list;
	struct nvme_ns *ns[NVME_NAMESPACES];
	unsigned n_ns;
	bool is_enabling; /* the second half of a reset */
	struct disk_watch watch;
};

/* nvme.c */
void nvme_io_init(struct nvme_io *io, struct nvme *n, unsigned index);
void nvme_io_interrupt(void *ctx); /* a struct nvme_io */
extern const struct block_ops nvme_block_ops;
/* While the controller is reset: what is submitted waits. */
extern const struct block_ops nvme_hold_ops;
/* Sends what waits, and tells the controller. */
void nvme_go_on(struct nvme_io *io);
/* Makes the slot's command anew, and puts it into the queue. */
void nvme_send_again(struct nvme_io *io, struct nvme_slot *slot);
/* Ends what the slot carries, its device being unable to touch its memory any more. */
void nvme_slot_end(struct nvme_io *io, struct nvme_slot *slot, int status);
/* Whose the slot's request is. */
struct block_device *nvme_slot_disk(const struct nvme_slot *slot);
/* Takes new completions; their done() may have been called when it returns. */
void nvme_reap(struct nvme_io *io);

/* The place of the next command in the queue; it is there when nvme_push is called, and not told of yet. */
struct nvme_command *nvme_next(struct nvme_queue *q);
void nvme_push(struct nvme_queue *q);
void nvme_ring(struct nvme_queue *q);
/* Takes the next completion; false when there is none. */
bool nvme_pop(struct nvme_queue *q, struct nvme_completion *out);

/* nvme_admin.c */
uint32_t nvme_status(const struct nvme *n); /* CSTS; all ones: nobody there */
#define NVME_CSTS_READY 0x1u
#define NVME_CSTS_FATAL 0x2u
/* How many milliseconds a change of readiness may take, by the controller's word. */
unsigned nvme_ready_ms(const struct nvme *n);
/* From one doorbell to the next. */
unsigned nvme_stride_bytes(const struct nvme *n);
/* -XEN_ENOMEM; -XEN_EOPNOTSUPP: doorbells beyond what was mapped. */
int nvme_queue_alloc(struct nvme *n, struct nvme_queue *q, unsigned index, uint16_t depth);
void nvme_disable(struct nvme *n);
/* 0: it is off; waits for that as long as it may take. */
int nvme_wait_off(struct nvme *n);
/* Tells it of its admin queue, empty, and turns it on. */
void nvme_enable(struct nvme *n);
/* Off, on, waiting for each: for start-up. */
int nvme_reset(struct nvme *n);
/* One admin command, waited for. -XEN_EIO: refused, -XEN_EBUSY: no answer, and its memory is still the
 * controller's. out_result may be NULL. */
int nvme_admin(struct nvme *n, struct nvme_command *cmd, uint32_t *out_result);
/* Creates the I/O queues in the controller, empty; at least one, fewer than n_io when it has no more. */
int nvme_create_queues(struct nvme *n, unsigned *out_made);

/* nvme_init.c: the controller has no disks any more, so another may have their names. */
void nvme_forget_index(unsigned index);
/* It is off, and everything that it had is given back, n too. */
void nvme_free(struct nvme *n);

/* nvme_virtual.c: virtual functions: turns them on, and on again after a reset. */
void nvme_virtual_enable(struct nvme *n, unsigned wanted);
void nvme_virtual_resume(struct nvme *n);

/* nvme_recover.c */
void nvme_watch_init(struct nvme *n); /* when its registers can be read */
struct nvme *nvme_find(uint16_t bdf); /* the controller there, if it runs */

#endif
