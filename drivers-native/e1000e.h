/* e1000e.h: what the files of the driver for Intel's 82574 share: registers, descriptors, the card.
 *
 * Private to drivers-native. e1000e_init.c finds, starts and describes a card, e1000e_send.c and e1000e_receive.c move
 * frames, e1000e_recover.c resets. The interface is nic.h. Names of registers and fields are those of the 82574 GbE
 * Controller Family datasheet, sections 7 (descriptors) and 10 (registers). Worker context.
 */
#ifndef DRIVERS_NATIVE_E1000E_H
#define DRIVERS_NATIVE_E1000E_H

#include "nic.h"

enum e1000e_reg {
	E1K_CTRL = 0x0000,
	E1K_STATUS = 0x0008,
	E1K_CTRL_EXT = 0x0018,
	E1K_ICR = 0x00c0,
	E1K_IMS = 0x00d0,
	E1K_IMC = 0x00d8,
	E1K_EIAC = 0x00dc,
	E1K_IAM = 0x00e0,
	E1K_IVAR = 0x00e4,
	E1K_RCTL = 0x0100,
	E1K_TCTL = 0x0400,
	E1K_RDBAL = 0x2800,
	E1K_RDBAH = 0x2804,
	E1K_RDLEN = 0x2808,
	E1K_RDH = 0x2810,
	E1K_RDT = 0x2818,
	E1K_RXDCTL = 0x2828,
	E1K_TDBAL = 0x3800,
	E1K_TDBAH = 0x3804,
	E1K_TDLEN = 0x3808,
	E1K_TDH = 0x3810,
	E1K_TDT = 0x3818,
	E1K_TXDCTL = 0x3828,
	E1K_RXCSUM = 0x5000,
	E1K_MTA = 0x5200,
	E1K_RAL = 0x5400,
	E1K_RAH = 0x5404
};
#define E1K_REGISTERS   0x6000u
#define E1K_MTA_ENTRIES 128u

#define E1K_CTRL_MASTER_OFF   (1u << 2)
#define E1K_CTRL_ASDE         (1u << 5)
#define E1K_CTRL_SLU          (1u << 6) /* set link up */
#define E1K_CTRL_FORCE        (3u << 11)
#define E1K_CTRL_RST          (1u << 26)
#define E1K_STATUS_LU         (1u << 1)
#define E1K_CTRL_EXT_DRV_LOAD (1u << 28)
#define E1K_CTRL_EXT_PBA_CLR  (1u << 31)

/* Of ICR, IMS, IMC and EIAC. */
#define E1K_CAUSE_LSC   (1u << 2)
#define E1K_CAUSE_RXQ0  (1u << 20)
#define E1K_CAUSE_TXQ0  (1u << 22)
#define E1K_CAUSE_OTHER (1u << 24)

/* IVAR: which vector tells of what. Frames both ways by vector 0, all else by 1. */
#define E1K_IVAR_VALID    8u
#define E1K_IVAR_TX_WB    (1u << 31) /* at every write-back */
#define E1K_VECTOR_FRAMES 0u
#define E1K_VECTOR_OTHER  1u

#define E1K_RCTL_EN      (1u << 1)
#define E1K_RCTL_UPE     (1u << 3) /* promiscuous */
#define E1K_RCTL_MPE     (1u << 4) /* all multicast */
#define E1K_RCTL_LPE     (1u << 5) /* long frames */
#define E1K_RCTL_BAM     (1u << 15)
#define E1K_RCTL_4096    (3u << 16 | 1u << 25) /* BSIZE, BSEX: buffers of a page */
#define E1K_RCTL_SECRC   (1u << 26)            /* without the frame check sequence */
#define E1K_TCTL_EN      (1u << 1)
#define E1K_TCTL_PSP     (1u << 3)
#define E1K_TCTL_CT      (0xfu << 4)
#define E1K_TCTL_COLD    (0x3fu << 12)
#define E1K_TCTL_MULR    (1u << 28)
#define E1K_RXCSUM_IPOFL (1u << 8)
#define E1K_RXCSUM_TUOFL (1u << 9)
#define E1K_RAH_AV       (1u << 31)
/* TXDCTL: bit 22 has to be set, GRAN counts descriptors, each is written back when it is done. */
#define E1K_TXDCTL_82574 (1u << 22 | 1u << 24 | 1u << 16)

/* 7.1.4: receive descriptor. The card writes all behind the address. */
struct e1000e_rx_desc {
	uint64_t addr;
	uint16_t len, checksum;
	uint8_t status, errors;
	uint16_t special;
};
_Static_assert(sizeof(struct e1000e_rx_desc) == 16, "section 7.1.4");
enum { E1K_RX_DD = 1, E1K_RX_EOP = 2, E1K_RX_IXSM = 4, E1K_RX_UDPCS = 0x10, E1K_RX_TCPCS = 0x20 };
/* CE, SE, SEQ, CXE, RXE: no frame; TCPE, IPE: one with a wrong checksum. */
enum { E1K_RX_NO_FRAME = 0x97, E1K_RX_TCPE = 0x20, E1K_RX_IPE = 0x40 };

/* 7.2.9, 7.2.6: a piece of a frame, and what is to be done to the frames behind it. */
struct e1000e_tx_desc {
	uint64_t addr; /* of context: where the checksums are, see e1000e_send.c */
	uint32_t command;
	uint8_t status, options;
	uint16_t special; /* of context: MSS; options: header's length */
};
_Static_assert(sizeof(struct e1000e_tx_desc) == 16, "section 7.2");
#define E1K_TX_DATA (1u << 20) /* DTYP; 0: context */
#define E1K_TX_DEXT (1u << 29)
#define E1K_TX_EOP  (1u << 24)
#define E1K_TX_IFCS (1u << 25)
#define E1K_TX_TSE  (1u << 26)
#define E1K_TX_RS   (1u << 27)
#define E1K_TX_TCP  (1u << 24) /* of context */
#define E1K_TX_IPV4 (1u << 25)
enum { E1K_TX_DD = 1 };
enum { E1K_TX_IXSM = 1, E1K_TX_TXSM = 2 };

#define E1K_RING      256u /* descriptors: a page */
#define E1K_PIECES    60u
#define E1K_PIECE_MAX 8192u
#define E1K_HEADS     64u   /* copies of headers of frames to be cut, of NET_PARSE_BYTES each */
#define E1K_FRAME_MAX 9018u /* of a frame on the wire that is not cut, without its check sequence */

/* A frame under way: the ring's in the order of the ring. */
struct e1000e_sent {
	struct net_frame *frame;
	unsigned last;  /* its last descriptor, whose write-back is the frame's end */
	unsigned descs; /* how many it has */
	bool has_head;
	struct dma_group maps;
};

struct e1000e {
	struct nic nic;
	struct nic_queue queue;
	struct pci_msix msix;
	volatile uint32_t *regs;
	/* out */
	struct e1000e_tx_desc *tx;
	dma_addr_t tx_at;
	unsigned tx_next, tx_free;
	struct e1000e_sent sent[E1K_RING];
	unsigned first_sent, n_sent;
	uint8_t *heads[E1K_HEADS]; /* used in order, as frames come back in order */
	dma_addr_t heads_at[E1K_HEADS];
	unsigned next_head, n_heads_used;
	/* in */
	struct e1000e_rx_desc *rx;
	dma_addr_t rx_at;
	struct nic_buffer *posted[E1K_RING];
	unsigned rx_next, n_posted;
	struct net_frame *coming; /* the frame whose end has not come yet */
	bool skips;               /* what comes, up to the next end */
};

static inline struct e1000e *e1000e_of(struct nic *nic)
{
	return container_of(nic, struct e1000e, nic);
}

static inline uint32_t e1000e_read(const struct e1000e *e, enum e1000e_reg reg)
{
	return e->regs[reg / 4];
}

static inline void e1000e_write(const struct e1000e *e, enum e1000e_reg reg, uint32_t value)
{
	e->regs[reg / 4] = value;
}

/* e1000e_send.c */
int e1000e_put(struct nic_queue *queue, struct net_frame *frame);
/* For e1000e_try.c: a frame whose bytes the card can reach already. */
void e1000e_put_mapped(struct e1000e *e, struct net_frame *frame, const struct nic_piece *piece);
void e1000e_tell(struct nic_queue *queue);
void e1000e_reap(struct e1000e *e);
bool e1000e_has_sent(const struct e1000e *e);
void e1000e_forget_sent(struct e1000e *e);

/* e1000e_receive.c */
void e1000e_refill(struct nic_queue *queue);
bool e1000e_receive(struct e1000e *e);
bool e1000e_has_received(const struct e1000e *e);
void e1000e_forget_posted(struct e1000e *e);

/* e1000e_recover.c */
extern const struct nic_ops e1000e_ops;
void e1000e_other_interrupt(void *e1000e);

/* e1000e_init.c: registers as frames need them; the card has been reset. */
int e1000e_start(struct nic *nic);
void e1000e_free(struct nic *nic);
void e1000e_filter(struct nic *nic);
void e1000e_read_link(struct e1000e *e);

#endif
