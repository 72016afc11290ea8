/* netback_private.h: what the files of netback share.
 *
 * netback.c: interfaces come, connect, are dropped and go. netback_nodes.c: what the store says of them.
 * netback_queues.c: rings are mapped and unmapped. netback_take.c: a packet off a guest's tx ring, decoded.
 * netback_tx.c: batches of them become frames, and are answered. netback_rx.c: frames for the guest wait.
 * netback_slots.c: frames put in the slots of its rx ring. netback_checks.c: what a packet may be. netback_rate.c,
 * netback_multicast.c: how much, and which. netback_turn.c: whose turn it is. netback_ctrl.c: the control ring. netback_staging.c: pages kept mapped. netback_guard.c: from which addresses.
 * Nobody else includes this. Worker context, nothing is locked.
 */
#ifndef DRIVERS_BACK_NETBACK_PRIVATE_H
#define DRIVERS_BACK_NETBACK_PRIVATE_H

#include <amphi/host_net.h>
#include <amphi/net_offload.h>
#include <amphi/netback.h>
#include <amphi/netif.h>
#include <amphi/ring.h>
#include <amphi/xenbus.h>

#include "told.h"

/* Extra infos of one packet, right or wrong: no packet has two of one type. */
#define VIF_EXTRAS_MAX 8u
_Static_assert(VIF_EXTRAS_MAX > NETIF_EXTRAS_MAX, "an honest chain has an end");
_Static_assert(NETIF_SLOTS_MAX + 1 <= NET_SEGMENTS_MAX, "a head and all pieces");

/* So much of each packet is copied before it is looked at; one that is no longer is copied whole. */
#define VIF_HEAD_BYTES NET_PARSE_BYTES

/* What waits for one queue of a guest, at most, and how often that is looked at: a frame waits for one to two such
 * spans (docs/decisions/0016). */
#define VIF_WAIT_FRAMES  256u
#define VIF_WAIT_BYTES   (1u << 20)
#define VIF_WAIT_TICK_NS 20000000ull

/* Packets of one turn, and of one for which nobody else waits: a full ring. */
#define VIF_TURN       128u
#define VIF_TURN_ALONE NETIF_RING_SLOTS

/* Frames that Linux's netfront takes: 18 slots, and one more when the first is no longer than this. */
#define VIF_SHORT_SLOT   256u
#define VIF_HEADROOM_MAX 256u /* in front of a slot's data: Linux's XDP_PACKET_HEADROOM */

#define VIF_GSO_SIZE_MIN                                                                           \
	48u /* TCP's least, with all its options: below it a frame would be cut in thousands */

struct vif_frame {
	struct net_frame net; /* first: what the interface's user gets */
	struct vif_queue *queue;
	struct vif_frame *next; /* free */
	uint8_t *head;          /* VIF_HEAD_BYTES, within a page */
	const char *why;        /* it is refused */
	uint16_t first_op, n_ops;
	uint8_t n_ids, n_extras, n_staged;
	uint16_t ids[NETIF_SLOTS_MAX];              /* the guest's: echoed, never looked at */
	struct vif_staged *staged[NETIF_SLOTS_MAX]; /* pages that its segments point into */
};

#define VIF_NO_HASH 0xffu

struct vif_waiting {
	struct net_frame *frame;
	uint32_t hash;
	uint8_t hash_type; /* _XEN_NETIF_CTRL_HASH_TYPE_*; VIF_NO_HASH: the guest is told none */
	uint8_t slots;     /* of the rx ring */
};

struct vif_queue {
	struct vif *vif;
	unsigned index;
	/* from the guest */
	struct ring tx;
	void *tx_va;
	port_t tx_port;
	struct vif_frame *frames; /* one for each slot, in whole pages */
	uint8_t *heads;
	struct vif_frame *free;
	unsigned n_frames_out; /* not free */
	bool starved;          /* a frame's return lets it go on */
	bool in_turn;          /* the turn ends with a push of its own */
	bool found;            /* the last look at the rings found something */
	bool wants_turn;       /* its interface has one in hand */
	struct host_work answer;
	/* to the guest */
	struct ring rx;
	void *rx_va;
	port_t rx_port; /* tx_port's number when they share one */
	bool split;
	struct vif_waiting waiting[VIF_WAIT_FRAMES]; /* a ring of them: out up to in */
	uint32_t wait_in, wait_out;
	uint32_t wait_bytes;
	uint32_t n_old; /* of the first: they were there at the last tick */
	bool stalled;   /* the guest let frames time out, and has not taken one since */
	bool ticking;
	struct host_work tick, rx_again;
	/* pages kept mapped */
	struct vif_staging *staging; /* NULL: none ever were */
	unsigned n_staged;
};

/* A page of the guest that is kept mapped. */
struct vif_staged {
	uint32_t ref, handle;
	uint8_t *page;   /* NULL: free entry */
	uint16_t in_use; /* by how many segments of frames on their way */
	uint16_t next;   /* in its hash chain, or in the free list */
	bool readonly;
};

#define VIF_GUARD_MAX 8u /* addresses of each kind */

/* Addresses that the guest may send from (netback_guard.c). */
struct vif_guard {
	bool on;
	uint8_t n4, n6;
	uint8_t v4[VIF_GUARD_MAX][4], v6[VIF_GUARD_MAX][16], link_local[16];
};

struct vif_ctrl {
	struct ring ring;
	void *va;      /* NULL: the guest has no control ring */
	uint8_t *page; /* of ours, for what messages point to */
	port_t port;
	bool found;
	struct host_work again;
};

/* What the guest may send: credit is renewed in each span (netback_rate.c). */
struct vif_rate {
	int64_t bytes, credit;
	uint64_t span_ns, next_ns;
};

struct vif {
	struct xenbus_device bus; /* first, as is class below: the xenbus engine allocates both */
	struct net_device dev;
	struct netback_stats stats;
	/* the toolstack's words */
	uint8_t mac[NET_MAC_BYTES];
	struct vif_rate rate;
	struct vif_guard guard;
	/* the connection */
	bool connected, registered;
	bool counted; /* in the root's n_connected */
	bool sg, rx_notify;
	uint16_t headroom; /* in front of the data of each rx slot, as the guest's XDP wants it */
	unsigned n_queues;
	struct vif_queue *queues; /* n_queues of them, in whole pages */
	struct host_work turn;
	bool turn_waits;    /* is in hand */
	unsigned turn_last; /* of which queue */
	bool filters;       /* multicast: to the addresses of the list only */
	uint8_t multicast[NETIF_MULTICAST_MAX][NET_MAC_BYTES];
	unsigned n_multicast;
	struct host_watch *multicast_watch;
	struct netif_hash hash;
	struct vif_ctrl ctrl;
	net_tap_fn *tap;
	void *tap_ctx;
	struct told told;        /* why packets were refused */
	int carrier;             /* as it is in the store; -1: not there */
	struct host_work look;   /* at who uses the interface */
	struct host_work finish; /* the last frame is back, and the connection waits for it */
};

struct vif_root {
	struct xenbus_class class;
	unsigned n_connected;
	struct host_net_watch watch;
};

static inline struct vif *vif_of_bus(struct xenbus_device *bus)
{
	return container_of(bus, struct vif, bus);
}
static inline struct vif_root *vif_root_of(const struct vif *vif)
{
	return container_of(vif->bus.class, struct vif_root, class);
}
static inline struct net_stats *vif_net_stats(struct vif_queue *q)
{
	return &q->vif->dev.stats[q->index];
}
/* What is to be cut has no checksum either: most frames cost one look. */
static inline void vif_count_offloads(const struct net_frame *frame, uint64_t *blank, uint64_t *gso)
{
	if (!(frame->flags & NET_CSUM_BLANK))
		return;
	++*blank;
	*gso += frame->gso != NET_GSO_NONE;
}

/* ---- netback.c */

/* The ring is nonsense: nothing is read from it any more, and the connection ends. */
void vif_broken(struct vif *vif, const char *why);
/* One packet is refused; told once in a while for each reason. */
void vif_refused(struct vif *vif, const char *why);

/* ---- netback_nodes.c */
int vif_hex_digit(char c); /* -1: it is none */
int vif_read_nodes(struct vif *vif);
int vif_write_nodes(struct vif *vif);
int vif_read_features(struct vif *vif);
void vif_read_headroom(struct vif *vif);
void vif_write_carrier(struct vif *vif);

/* ---- netback_queues.c */
int vif_queues_connect(struct vif *vif);
void vif_queues_drop(struct vif *vif);

/* ---- netback_take.c */

enum vif_taken {
	VIF_NOTHING,  /* it stays on the ring */
	VIF_FRAME,    /* *out is to be sent */
	VIF_ANSWERED, /* no frame: it was answered */
	VIF_BROKEN,
};
/* The next packet of a tx ring of which *left requests are published. */
enum vif_taken vif_take(struct vif_queue *q, unsigned *left, struct vif_frame **out);

/* ---- netback_tx.c */
void vif_on_tx_event(void *ctx);
/* One turn of a queue. */
void vif_tx_run(struct vif_queue *q);
void vif_tx_answer(void *ctx);
void vif_frames_reset(struct vif_queue *q);
/* Of all queues: given to the interface's user, and not back. */
unsigned vif_frames_out(const struct vif *vif);
void vif_frame_done(struct net_frame *frame, int status);
/* A response for each of the packet's slots. */
void vif_respond(struct vif_queue *q, uint16_t id, int16_t status);
/* Gives a frame back that nobody else has seen. */
void vif_frame_refuse(struct vif_frame *frame);
void vif_frame_answer(struct vif_frame *frame, int16_t status);

/* ---- netback_turn.c */
void vif_turn_run(void *ctx);
/* A queue has packets that wait. */
void vif_turn_ask(struct vif_queue *q);
/* Nothing of the interface goes for so long, and then this one's. */
void vif_turn_later(struct vif_queue *q, uint64_t delay_ns);
void vif_turn_all(struct vif *vif);
/* How many packets the turn that begins now may have, when its ring has so many requests. */
unsigned vif_turn_packets(const struct vif *vif, unsigned requests);
/* The guest has notified. */
void vif_turn_told(struct vif_queue *q);

/* ---- netback_rate.c */
void vif_rate_read(struct vif *vif);
/* Whether the guest has credit; else the queue runs again when it has. */
bool vif_rate_allows(struct vif_queue *q);
void vif_rate_use(struct vif *vif, uint32_t bytes);

/* ---- netback_multicast.c */
int vif_multicast_connect(struct vif *vif);
void vif_multicast_drop(struct vif *vif);
/* Puts an address on the guest's list or takes it off. False: the list is full, or it is no such address. */
bool vif_multicast_ask(struct vif *vif, const uint8_t *mac, bool add);
/* Whether the guest wants a frame that begins so. */
bool vif_multicast_wanted(const struct vif *vif, const uint8_t *head);

/* ---- netback_ctrl.c */
int vif_ctrl_connect(struct vif *vif);
void vif_ctrl_drop(struct vif *vif);
/* len bytes (<= a page) from the beginning of a page of the guest, and to it. */
bool vif_ctrl_fetch(struct vif *vif, uint32_t ref, void *to, size_t len);
bool vif_ctrl_put(struct vif *vif, uint32_t ref, const void *from, size_t len);

/* ---- netback_staging.c: data is a message's, results are XEN_NETIF_CTRL_STATUS_* */
unsigned vif_staging_size(const struct vif_queue *q);
uint32_t vif_staging_add(struct vif_queue *q, const uint32_t *data);
uint32_t vif_staging_del(struct vif_queue *q, const uint32_t *data, uint32_t *out_n);
void vif_staging_drop(struct vif_queue *q);
/* Of a queue that has any (n_staged). NULL: it is not mapped. */
struct vif_staged *vif_staged_find(const struct vif_queue *q, uint32_t ref);

/* ---- netback_guard.c */
int vif_guard_read(struct vif *vif);
/* head: len bytes, parsed as h. */
bool vif_guard_allows(const struct vif *vif, const uint8_t *head, uint32_t len,
		      const struct net_headers *h);

/* ---- netback_checks.c */

/* A frame whose head has been copied. NULL: it is good; else why not, and which counter that is. */
const char *vif_check(struct vif *vif, struct vif_frame *frame, enum net_drop *out_drop);

/* ---- netback_rx.c */
extern const struct net_ops vif_net_ops;
void vif_on_rx_event(void *ctx);
void vif_rx_run(void *ctx);
/* The guest may have made room. */
void vif_rx_retry(struct vif_queue *q);
void vif_rx_tick(void *ctx);
/* Those of the frames that wait for a guest which came from another one are put. */
void vif_rx_forget(struct vif *vif, const struct vif *from);
/* The frames that wait are put, with status. */
void vif_rx_drop(struct vif_queue *q, int status);

/* ---- netback_slots.c */

/* How many slots of the rx ring it takes, with extra infos. */
unsigned vif_slots_of(const struct vif *vif, const struct net_frame *frame, bool hashed);
/* The frame goes into the next slots, of which there are enough; it is put by the flush. */
void vif_slots_put(struct vif_queue *q, const struct vif_waiting *waiting);
/* All frames put in slots since: copied, and their responses in the ring. What the copy came to is their status. */
void vif_slots_flush(struct vif_queue *q);
/* One is at work: its callers must not begin another. */
bool vif_slots_busy(void);

#endif
