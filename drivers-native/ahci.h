/* ahci.h: what the files of the AHCI driver share: registers, commands, a port.
 *
 * Private to drivers-native. ahci_init.c finds controllers, starts ports and identifies disks; ahci.c moves data;
 * ahci_command.c makes commands; ahci_recover.c resets ports. Layouts are those of the AHCI specification 1.3.1
 * (sections 3 registers, 4 memory) and of ATA8-ACS. A port is a disk, with its own watch. Worker context.
 */
#ifndef DRIVERS_NATIVE_AHCI_H
#define DRIVERS_NATIVE_AHCI_H

#include <amphi/block.h>
#include <amphi/dma.h>
#include <amphi/pci.h>

#include "disk_watch.h"

#define AHCI_PORTS    32u
#define AHCI_SLOTS    32u
#define AHCI_SEGMENTS 248u /* what a page holds behind a command's first 128 bytes */

enum ahci_reg { AHCI_CAP = 0x00, AHCI_GHC = 0x04, AHCI_IS = 0x08, AHCI_PI = 0x0c };

enum ahci_port_reg {
	PORT_CLB = 0x00,
	PORT_FB = 0x08,
	PORT_IS = 0x10,
	PORT_IE = 0x14,
	PORT_CMD = 0x18,
	PORT_TFD = 0x20,
	PORT_SIG = 0x24,
	PORT_SSTS = 0x28,
	PORT_SCTL = 0x2c,
	PORT_SERR = 0x30,
	PORT_SACT = 0x34,
	PORT_CI = 0x38
};

#define CAP_NCQ      (1u << 30)
#define CAP_64       (1u << 31)
#define CAP_SLOTS(c) (((c) >> 8 & 31) + 1)

#define GHC_RESET (1u << 0)
#define GHC_IRQ   (1u << 1)
#define GHC_AHCI  (1u << 31)

#define CMD_PACKETS      (1u << 24)
#define CMD_START        (1u << 0)
#define CMD_SPIN_UP      (1u << 1)
#define CMD_POWER_ON     (1u << 2)
#define CMD_FIS_RECEIVE  (1u << 4)
#define CMD_FIS_RUNNING  (1u << 14)
#define CMD_LIST_RUNNING (1u << 15)

#define TFD_ERR  0x01u
#define TFD_DRQ  0x08u
#define TFD_BUSY 0x80u

/* Completions of either kind; the cable; what a command did wrong, or the link, or memory. */
#define IS_DONE   0x0000002fu
#define IS_CHANGE 0x00400040u
#define IS_ERRORS 0x7d000000u

#define SSTS_DETECT(s) ((s)&0xf)
#define SSTS_PRESENT   3u

#define SIG_DISK 0x00000101u
#define SIG_CD   0xeb140101u

enum ata_command {
	ATA_DSM = 0x06,
	ATA_READ_DMA = 0x25,
	ATA_WRITE_DMA = 0x35,
	ATA_WRITE_DMA_FUA = 0x3d,
	ATA_READ_QUEUED = 0x60,
	ATA_WRITE_QUEUED = 0x61,
	ATA_PACKET = 0xa0,
	ATA_IDENTIFY_PACKET = 0xa1,
	ATA_FLUSH = 0xea,
	ATA_IDENTIFY = 0xec
};

struct ahci_header {    /* of the command list, which is 32 of them */
	uint16_t flags; /* length of the FIS in words of 4 bytes; AHCI_WRITE, AHCI_PACKET */
	uint16_t n_prds;
	volatile uint32_t bytes_moved;
	uint64_t table;
	uint32_t reserved[4];
};
_Static_assert(sizeof(struct ahci_header) == 32, "section 4.2.2");
#define AHCI_WRITE  (1u << 6)
#define AHCI_PACKET (1u << 5)

struct ahci_table { /* of one command: a page */
	uint8_t fis[64], packet[16], reserved[48];
	struct ahci_prd {
		uint64_t at;
		uint32_t reserved, last_byte;
	} prds[AHCI_SEGMENTS];
};
_Static_assert(sizeof(struct ahci_table) == 4096, "section 4.2.3");

/* A command with one stretch of memory has no use for the second half of its page; discards and a CD-ROM's answers
 * lie there. */
#define AHCI_EXTRA_AT 2048u

struct ahci_slot {
	struct block_request *req; /* NULL: free */
	struct ahci_table *table;
	dma_addr_t table_at;
	struct disk_age age;
	struct dma_group maps;
};

struct ahci_port {
	struct ahci *hba;
	unsigned index;
	volatile uint8_t *regs;
	struct ahci_header *list; /* and the received FISes behind it, in a page */
	dma_addr_t page_at;
	struct ahci_slot slots[AHCI_SLOTS];
	/* Bits of slots: those that carry a request; of these, those the device has; those it is to be told of;
	 * and those that are to be sent one at a time. */
	uint32_t used, issued, untold, again;
	bool is_queued; /* what the device has are commands it may reorder (NCQ) */
	bool holds;     /* requests wait, as the port is being reset */
	bool has_ncq, is_cd;
	unsigned depth, sector_shift;
	struct disk_waiting waiting;
	struct disk_watch watch;
	struct block_device disk;
	/* of a CD-ROM */
	struct block_request cd_question; /* in flight, or not */
	unsigned cd_asks;                 /* what */
	unsigned cd_tries;
	uint64_t cd_sectors; /* the answers */
	bool cd_news;
	struct host_work cd_poll;
};

struct ahci {
	const struct pci_function *pci;
	struct dma_device dma;
	volatile uint8_t *regs;
	uint32_t cap;
	struct ahci_port *ports[AHCI_PORTS];
};

static inline uint32_t ahci_read(const struct ahci_port *p, enum ahci_port_reg reg)
{
	return *(volatile uint32_t *)(p->regs + reg);
}

static inline void ahci_write(const struct ahci_port *p, enum ahci_port_reg reg, uint32_t value)
{
	*(volatile uint32_t *)(p->regs + reg) = value;
}

/* ahci_command.c: makes the slot's command of its request; queued: to be reordered. An error: it cannot be mapped. */
int ahci_make(struct ahci_port *p, unsigned slot, bool queued);
/* A command by itself, of at most a page: opcode and FIS's count field; page 0: no data. */
void ahci_make_plain(struct ahci_port *p, unsigned slot, uint8_t opcode, dma_addr_t at,
		     uint32_t len_bytes);
/* A question to a CD-ROM drive. */
void ahci_make_question(struct ahci_port *p, unsigned slot, unsigned question);
/* Sectors that the discard in this slot takes care of. */
uint64_t ahci_discard_sectors(const struct ahci_port *p, unsigned slot);

/* ahci.c */
extern const struct block_ops ahci_block_ops;
void ahci_interrupt(void *hba);
/* Takes what is done, and sends what waits. */
void ahci_go_on(struct ahci_port *p);
void ahci_slot_end(struct ahci_port *p, unsigned slot, int status);

/* ahci_init.c: turns the port's engine off and on. False: it does not stop. */
bool ahci_stop(struct ahci_port *p);
void ahci_start(struct ahci_port *p);
/* Resets the link; whether a device is there and ready. */
void ahci_comreset(struct ahci_port *p);
bool ahci_is_ready(const struct ahci_port *p);

/* The same for a command in slot 0 that is waited for without interrupts, at start-up: -XEN_EIO: refused; -XEN_EBUSY:
 * no answer, and its memory is still the device's. */
int ahci_wait_now(struct ahci_port *p);
int ahci_ask_now(struct ahci_port *p, unsigned question);

/* ahci_cd.c: packets for the slot: a question, whose answer has so many bytes, and a read; takes a question's answer. */
uint32_t ahci_cd_question(struct ahci_slot *s, unsigned question);
void ahci_cd_read(struct ahci_slot *s, uint64_t block, uint16_t blocks);
void ahci_cd_take_answer(struct ahci_port *p, const struct ahci_slot *s);
/* A request has met a complaint: the drive is asked why before anything else. */
void ahci_cd_complained(struct ahci_port *p);
/* The drive answers in slot 0: its medium's size, what it is; from here on it is asked every two seconds. */
void ahci_cd_start(struct ahci_port *p);

/* ahci_recover.c */
void ahci_watch_init(struct ahci_port *p);

#endif
