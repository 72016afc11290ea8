/* virtio_net.h: what the files of the virtio-net driver share.
 *
 * Private to drivers-native. virtio_net_init.c finds, starts and describes a card, virtio_net_send.c and
 * virtio_net_receive.c move frames, virtio_net_control.c asks for what is not frames, virtio_net_recover.c resets. The
 * device itself is virtio_pci.h, the interface nic.h. Specification 1.1, section 5.1. Worker context.
 */
#ifndef DRIVERS_NATIVE_VIRTIO_NET_H
#define DRIVERS_NATIVE_VIRTIO_NET_H

#include "nic.h"
#include "virtio_pci.h"

/* Bit numbers of section 5.1.3. What is not here is not accepted. */
#define VNET_FEATURE_CSUM       (1ull << 0) /* the device fills in checksums */
#define VNET_FEATURE_GUEST_CSUM (1ull << 1) /* and gives frames without */
#define VNET_FEATURE_MTU        (1ull << 3)
#define VNET_FEATURE_MAC        (1ull << 5)
#define VNET_FEATURE_GUEST_TSO4 (1ull << 7) /* gives long ones */
#define VNET_FEATURE_GUEST_TSO6 (1ull << 8)
#define VNET_FEATURE_HOST_TSO4  (1ull << 11) /* takes long ones */
#define VNET_FEATURE_HOST_TSO6  (1ull << 12)
#define VNET_FEATURE_MRG_RXBUF  (1ull << 15) /* a frame in several buffers */
#define VNET_FEATURE_STATUS     (1ull << 16)
#define VNET_FEATURE_CTRL_VQ    (1ull << 17)
#define VNET_FEATURE_CTRL_RX    (1ull << 18)
#define VNET_FEATURE_MQ         (1ull << 22)

/* Section 5.1.6. In the byte order of a modern device, which is ours. */
struct vnet_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint16_t num_buffers; /* not in a legacy device's, but with MRG_RXBUF */
};
_Static_assert(sizeof(struct vnet_header) == 12, "section 5.1.6");

#define VNET_DATA_AT 12u /* in a frame's first buffer, also where the header is shorter */

enum { VNET_NEEDS_CSUM = 1, VNET_DATA_VALID = 2 };
enum { VNET_GSO_NONE = 0, VNET_GSO_TCPV4 = 1, VNET_GSO_TCPV6 = 4 };

/* Up to so many pieces of a frame are descriptors of the queue; more are in a table, of which a queue has a few. A frame's
 * segments are cut where pages end: 20 of them with 64 KiB are 56 pieces at most. */
#define VNET_DIRECT      3u
#define VNET_PIECES      60u
#define VNET_TABLE_DESCS 64u
#define VNET_TABLES      64u

struct vnet_table {
	struct virtq_desc *desc;
	dma_addr_t at;
	struct vnet_table *next;
};

/* One frame that the device sends. */
struct vnet_slot {
	struct vnet_header *header;
	dma_addr_t at;
	struct net_frame *frame; /* NULL: free */
	struct vnet_table *table;
	struct vnet_slot *next_free;
	struct dma_group maps;
};

/* A queue pair: what comes in and what goes out, and their one interrupt. */
struct vnet_pair {
	struct nic_queue nic;
	struct vnet *card;
	struct virtio_queue in, out;
	struct vnet_slot slots[VIRTQ_MAX], *free;
	struct vnet_table tables[VNET_TABLES], *free_table;
};

/* Of the control queue: at most one command is under way. What the device was last told is compared with what is wanted,
 * and the first difference is the next command. */
struct vnet_control {
	struct virtio_queue vq;
	uint8_t *page;
	dma_addr_t at;
	bool busy;
	unsigned asked;       /* row of the table of commands */
	uint16_t asked_value; /* what was asked for */
	int said[3];          /* by row; -1: nothing yet */
};

struct vnet {
	struct nic nic;
	struct virtio_pci pci;
	uint64_t features;
	uint32_t header_len;
	unsigned max_pairs; /* the device's, which places the control queue */
	bool has_control, has_config_vector;
	struct vnet_control control;
};

static inline struct vnet *vnet_of(struct nic *nic)
{
	return container_of(nic, struct vnet, nic);
}

static inline struct vnet_pair *vnet_pair_of(struct nic_queue *queue)
{
	return container_of(queue, struct vnet_pair, nic);
}

/* virtio_net_send.c */
int vnet_slots_init(struct vnet_pair *pair);
int vnet_put(struct nic_queue *queue, struct net_frame *frame);
void vnet_tell(struct nic_queue *queue);
/* Ends what the device has sent. False: what it returned makes no sense. */
bool vnet_reap(struct vnet_pair *pair);
/* After a reset: ends what the device had. */
void vnet_forget_sent(struct vnet_pair *pair);

/* virtio_net_receive.c */
void vnet_refill(struct nic_queue *queue);
/* Frames that came in, NIC_BATCH at most. True: there may be more. */
bool vnet_receive(struct vnet_pair *pair);
void vnet_forget_posted(struct vnet_pair *pair);

/* virtio_net_control.c */
void vnet_control_start(struct vnet *v);
/* Takes an answer and asks for the next that is wanted. */
void vnet_control_go_on(struct vnet *v);
void vnet_read_link(struct vnet *v);
void vnet_config_interrupt(void *vnet);
void vnet_filter(struct nic *nic);

/* virtio_net_recover.c */
extern const struct nic_ops vnet_ops;

/* virtio_net_init.c: features, queues, ready. The device is reset, and forgets nothing that is not in v. */
int vnet_start(struct nic *nic);

#endif
