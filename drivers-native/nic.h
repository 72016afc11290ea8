/* nic.h: what the drivers of real network cards share.
 *
 * Private to drivers-native. Callers: virtio_net*.c, e1000e*.c. Implemented by nic.c (the way of a frame out, the
 * interface), nic_buffer.c (frames that came in, and the pages they came in) and nic_watch.c (cards that fail). A
 * driver fills in struct nic_ops and knows nothing of users, waiting frames, drops or time. Worker context. Not done
 * here: what is behind net_fit, which who sends through such a card calls for what dev->can leaves out.
 */
#ifndef DRIVERS_NATIVE_NIC_H
#define DRIVERS_NATIVE_NIC_H

#include <amphi/dma.h>
#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/host_net.h>
#include <amphi/net_offload.h>
#include <amphi/pci.h>

#define NIC_QUEUES 4u
#define NIC_WAITING_MAX                                                                            \
	512u           /* frames that wait for room in one queue; what is behind them is dropped */
#define NIC_BATCH 128u /* frames taken before other work has its turn */

#define NIC_LOOK_NS 1000000000ull
#define NIC_POLL_NS 10000000ull

struct nic;
struct nic_queue;

/* A page for a card to put frames into, its own until the end: what a card was told of is never given back. */
struct nic_buffer {
	char *page;
	dma_addr_t at;
	struct nic_queue *queue;
	struct nic_buffer *next; /* of the free ones, or of the same frame */
	struct net_frame frame;  /* used in a frame's first */
};

/* A stretch of a frame out, as the card sees it. */
struct nic_piece {
	dma_addr_t at;
	uint32_t len;
};

/* One pair of directions. The way of a frame out:
 *
 *    send -> put() ---------------------------> the card's, until nic_done()
 *              | no room                   ^
 *              '--> waiting (in order) ----'  nic_pump, when there is some again */
struct nic_queue {
	struct nic *nic;
	unsigned index;
	/* out */
	struct net_frame *waiting[NIC_WAITING_MAX];
	unsigned first_waiting, n_waiting;
	unsigned in_flight;
	unsigned returned, returned_seen, looks; /* the watch's: since when nothing came back */
	/* in */
	struct nic_buffer *free;
	unsigned n_free, n_buffers;
	unsigned max_buffers; /* so many pages at most, in the card and lent to users */
	unsigned lacks;       /* buffers that the last refill did not find */
	bool received;        /* something, in this round */
	struct host_work again;
};

struct nic_ops {
	/* ---- the data path: of one queue ---- */

	/* Gives the card a frame; it sees it by tell at the latest. -XEN_EBUSY: no room now; another error is the
	 * frame's, which then is nobody's. */
	int (*put)(struct nic_queue *queue, struct net_frame *frame);
	void (*tell)(struct nic_queue *queue);
	/* Gives the card as many free buffers as it can hold; sets lacks. */
	void (*refill)(struct nic_queue *queue);
	/* Takes what the card has done (nic_done, nic_receive), NIC_BATCH frames at most. True: there may be more. */
	bool (*take)(struct nic_queue *queue);
	/* Interrupts come again. True: there is something already, for which none will. */
	bool (*arm)(struct nic_queue *queue);
	/* promiscuous or n_multicast has changed. */
	void (*filter)(struct nic *nic);

	/* ---- of the card ---- */

	/* Once a second; reads the state of the link. 0; -XEN_EIO: it wants a reset; -XEN_ENODEV: nobody is there. */
	int (*look)(struct nic *nic);
	/* Begins a reset. */
	void (*stop)(struct nic *nic);
	/* Whether that is over: 0, -XEN_EAGAIN, -XEN_ENODEV. */
	int (*is_stopped)(struct nic *nic);
	/* After it: frames and buffers the card had go back (nic_done, nic_buffer_free). */
	void (*forget)(struct nic *nic);
	/* May be NULL: of one that was taken away with its function, after forget: gives all back but the buffers, nic too. */
	void (*free)(struct nic *nic);
	/* From the state after a reset to one in which frames go both ways; the card has its buffers then. */
	int (*start)(struct nic *nic);
};

enum nic_phase { NIC_RUNNING, NIC_RESETTING, NIC_GONE };

struct nic {
	struct net_device dev;
	const struct nic_ops *ops;
	const struct pci_function *pci;
	struct dma_device dma;
	struct nic_queue *queues[NIC_QUEUES];
	unsigned n_queues;
	unsigned n_out; /* of them take frames out; the card may allow the others later */
	uint32_t untold;
	/* what is asked for */
	bool promiscuous;
	unsigned n_multicast;
	uint16_t usual_mtu, max_mtu; /* what the card tells, and can; max_mtu 0: no other */
	unsigned
	    stuck_looks; /* looks at frames none of which comes back, until the card is reset */
	/* the watch's */
	struct nic *next;
	struct host_work work;
	enum nic_phase phase;
	unsigned polls_left, recent_resets, resets, quiet_looks;
};

/* ---- nic.c ------------------------------------------------------------------------------------------------- */

/* The card is to be described by the driver: mac, mtu, max_mtu, can, carrier. Its frames' bytes are not a register's: what is longer than
 * dev->mtu is not given to it (net_fit), and what comes in may be as long as its buffers. Names it, starts to watch it, registers it. */
int nic_register(struct nic *nic);
/* queue is zeroed memory of the driver's, the next of nic's queues. */
void nic_add_queue(struct nic *nic, struct nic_queue *queue, unsigned max_buffers);

/* For drivers: the card has sent the frame, or status says why it has not. */
void nic_done(struct nic_queue *queue, struct net_frame *frame, int status);
/* Puts a frame back and counts why. */
void nic_drop(struct nic_queue *queue, struct net_frame *frame, enum net_drop why, int status);
/* Takes and sends all that can be. Called by a queue's interrupt, which has no other duty. */
void nic_poll(struct nic_queue *queue);
void nic_interrupt(void *queue);
/* Sends what waited for room, or for a card that was being reset. */
void nic_pump(struct nic_queue *queue);
void nic_drop_waiting(struct nic_queue *queue);
void nic_kick(struct net_device *dev);
/* The state of the link, whenever the driver has looked at it. */
void nic_carrier(struct nic *nic, bool on);
/* Where the headers of a frame out are: as net_parse. */
int nic_headers(const struct net_frame *frame, struct net_headers *out);

/* The frame but for its first skip bytes, cut where pages end, joined where they lie side by side for the card, up to max_len. The
 * number of pieces, or -XEN_E2BIG: more than cap, or dma_map's errors. */
struct nic_pieces {
	struct nic_piece *out; /* IN: room for cap pieces, each of at most max_len bytes */
	unsigned cap;
	uint32_t max_len;
	struct dma_group maps; /* OUT: the caller's to unmap; empty after an error */
	unsigned n;
};
int nic_map(const struct nic *nic, const struct net_frame *frame, uint32_t skip,
	    struct nic_pieces *p);

/* ---- nic_buffer.c -------------------------------------------------------------------------------------------- */

/* NULL: none is free, and there may be no more. */
struct nic_buffer *nic_buffer_get(struct nic_queue *queue);
void nic_buffer_free(struct nic_buffer *buffer);
/* All go back to the kernel. The card is off, and its interface unregistered, so no user has one. */
void nic_buffers_end(struct nic *nic);
/* The frame whose first bytes lie in buffer; it goes on in others. False: it has too many pieces, or is too long. */
struct net_frame *nic_frame_begin(struct nic_buffer *buffer, uint32_t offset, uint32_t len);
bool nic_frame_add(struct net_frame *frame, struct nic_buffer *buffer, uint32_t offset,
		   uint32_t len);
/* To the user. Its buffers come back by themselves. */
void nic_receive(struct nic_queue *queue, struct net_frame *frame);
/* Or to nobody. */
void nic_discard(struct nic_queue *queue, struct net_frame *frame, enum net_drop why);

/* ---- nic_watch.c ----------------------------------------------------------------------------------------------- */

void nic_watch(struct nic *nic);
/* The function is taken away: stopped, and gone as one that does not answer. Nothing when it is no card's. */
void nic_remove(uint16_t bdf);
/* As drivers_native_error says. */
void nic_error(uint16_t bdf, enum drivers_error what);
/* The card there; NULL. */
struct nic *nic_find(uint16_t bdf);
/* The driver's own word that its card wants a reset. */
void nic_reset(struct nic *nic, const char *why);

#endif
