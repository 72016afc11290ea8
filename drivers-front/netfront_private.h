/* netfront_private.h: what the files of netfront share.
 *
 * netfront.c: interfaces come and go. netfront_offer.c: the rings they are offered with. netfront_connect.c: what the backend
 * says. netfront_tx.c: frames out, netfront_tx_put.c: how one lies in slots; netfront_rx.c: frames in, netfront_rx_frame.c: how one
 * is made of slots. netfront_pages.c: pages that are lent; netfront_staging.c: for good. netfront_control.c, netfront_hash.c,
 * netfront_multicast.c: what is asked of the backend besides. Nobody else includes this. All in the worker context, so nothing is locked.
 *
 *    frame --- copied --> chunk of its slot, or pages of the queue     rx page: lent -- response --> a frame has it (private
 *          '-- granted -> held until the answer                          ^                             or staged)
 *          '-- waits in queue->waiting for slots or pages                '---- ready, or free <---- the frame is put
 */
#ifndef DRIVERS_FRONT_NETFRONT_PRIVATE_H
#define DRIVERS_FRONT_NETFRONT_PRIVATE_H

#include <amphi/netfront.h>
#include <amphi/netif.h>
#include <amphi/xenbus.h>

#define NF_CHUNK_BYTES 256u /* what is no longer is copied: cheaper than a grant made and ended */
#define NF_CHUNK_PAGES ((unsigned)(NETIF_RING_SLOTS * NF_CHUNK_BYTES / PAGE_SIZE))
#define NF_COPY_BYTES  256u  /* of what comes in: no longer, and its page stays lent */
#define NF_WAITING_MAX 256u  /* frames of a queue that wait for slots; a power of two */
#define NF_FRAMES_MAX  1024u /* made of what came in and held by users */
#define NF_TAG_BYTES   4u    /* of 802.1Q, which an MTU does not count */
#define NF_RX_PAGES_MIN                                                                            \
	32u /* more than one packet's slots and extra infos, or none would ever be whole */
_Static_assert(NF_COPY_BYTES >= NET_PARSE_BYTES, "headers are always in private memory");
_Static_assert(NF_RX_PAGES_MIN > NETIF_SLOTS_MAX + NETIF_EXTRAS_MAX, "a packet fits");

struct nf_device;

/* A page of ours that the backend may see, or may not (granted). */
struct nf_page {
	struct nf_page *next; /* in the list of its queue that it is in */
	uint8_t *va;
	gref_t ref;
	uint16_t queue;
	bool granted, readonly;
	bool
	    staged; /* the backend has it mapped, or is about to: granted until the connection ends */
	bool leaving;  /* the backend is asked to unmap it */
	uint32_t life; /* of which connection */
};

/* A stack: what was used last is likeliest to be in the cache. */
struct nf_pages {
	struct nf_page *first;
	unsigned count;
};

enum nf_slot_kind { NF_FREE, NF_CHUNK, NF_PAGE, NF_GRANT, NF_WORD };

/* A request towards the backend that has no answer yet. Its index is its id; a chunk of NF_CHUNK_BYTES goes
 * with each id. NF_WORD: no data, but extra infos. */
struct nf_slot {
	struct net_frame *frame; /* held until the answer; NULL: its data was copied */
	struct nf_page *page;    /* with NF_PAGE */
	gref_t ref;              /* with NF_GRANT */
	uint16_t next_free;
	uint8_t kind;
};

/* Both rings of a connection's queue. */
struct nf_queue {
	struct nf_device *dev;
	uint16_t index;
	port_t port_tx, port_rx; /* the same when not split */
	struct ring tx, rx;
	gref_t tx_ref, rx_ref;
	struct host_work again;

	/* out */
	struct nf_slot *slots; /* NETIF_RING_SLOTS, in whole pages */
	uint16_t first_free, n_free;
	uint16_t extras_out;                       /* extra infos without an answer */
	uint16_t n_held;                           /* slots that hold a frame */
	struct nf_page *chunks[NF_CHUNK_PAGES];    /* made at first use */
	struct nf_pages tx_pages;                  /* granted, and not in a slot */
	unsigned n_tx_pages;                       /* all of them */
	struct net_frame *waiting[NF_WAITING_MAX]; /* w_in - w_out of them */
	unsigned w_in, w_out;

	/* in */
	struct nf_page *posted[NETIF_RING_SLOTS]; /* by slot */
	struct nf_pages ready, free;              /* granted ones; private ones */
	unsigned n_rx_pages;                      /* all: posted, ready, free, held by users */
	bool hungry;                              /* less is posted than should be */
	bool found;                               /* the last look at the rings found something */
	bool staged; /* what is copied out goes through pages that the backend has mapped */
};

/* A frame that came in, while a user has it. */
struct nf_rx_frame {
	struct net_frame frame;
	struct nf_rx_frame *next; /* free ones */
	struct nf_device *dev;
	unsigned n_pages;
	struct nf_page *pages[NETIF_SLOTS_MAX];
	uint8_t head[NF_COPY_BYTES];
};

/* A question over the control ring. done is called with the answer, if one comes. */
struct nf_call {
	struct nf_call *next;
	uint16_t type; /* XEN_NETIF_CTRL_TYPE_* */
	uint32_t data[3];
	uint8_t *page; /* lent with it, or NULL */
	gref_t ref;
	void (*done)(struct nf_device *dev, struct nf_call *call, uint32_t status, uint32_t data);
};

struct nf_control {
	struct ring ring;
	gref_t ref;
	port_t port;
	struct nf_call *first; /* the one that was asked, when asked; then those that wait */
	bool asked;
	uint16_t id; /* of the last question */
};

struct nf_group {
	uint8_t mac[NET_MAC_BYTES];
	bool wanted, told; /* by the user; to the backend */
};

struct nf_device {
	struct xenbus_device bus; /* first: the xenbus engine allocates both */
	struct net_device net;
	struct netfront_stats stats;
	bool registered;
	bool connected; /* frames may go, and come */
	bool untrusted; /* the toolstack's word (trusted=0): every byte that goes is copied */
	bool no_sg;     /* the backend takes one slot for a frame */
	uint32_t life;  /* counts connections */

	/* the connection */
	unsigned n_queues; /* 0: none is offered */
	bool split;        /* event channels */
	struct nf_queue *queues;
	unsigned kept_queues; /* as the store has it, until it is written anew */
	bool kept_split;
	unsigned rx_pages, tx_pages; /* of a queue */
	struct host_watch *watch_carrier;
	bool has_control;
	struct nf_control control;

	/* groups (netfront_multicast.c) */
	bool has_multicast, dynamic_multicast;
	bool promiscuous, groups_lost, groups_wait; /* wait: for slots */
	bool filtered;                              /* as the store says */
	unsigned n_groups;
	struct nf_group groups[NETIF_MULTICAST_MAX];

	/* the hash (netfront_hash.c) */
	bool hash_wanted, hash_asking;
	unsigned hash_step;
	uint32_t hash_answer, hash_size;

	struct nf_rx_frame *frames; /* free ones */
	unsigned n_frames, n_frames_free;
};

extern struct xenbus_kind nf_kind;
extern struct netfront_limits nf_limits;

/* What the backend did is not what a backend may do: nothing more is read from it, and the engine closes. */
static inline void nf_broken(struct nf_device *dev, const char *why)
{
	dev->connected = false;
	xenbus_fail(&dev->bus, why);
}

static inline struct net_stats *nf_stats(struct nf_queue *q)
{
	return &q->dev->net.stats[q->index];
}

/* ---- netfront_offer.c ---- */
/* Rings and event channels, and the keys that name them. What is left when it fails is for nf_offer_end. */
int nf_offer(struct nf_device *dev);
/* After nf_tx_end and nf_rx_end. */
void nf_offer_end(struct nf_device *dev);
/* A page for a ring, granted. */
int nf_offer_ring(struct nf_device *dev, struct ring *ring, uint32_t slot_bytes, gref_t *ref);

/* ---- netfront_connect.c ---- */
int nf_connect(struct xenbus_device *bus);
void nf_connect_end(struct nf_device *dev);

/* ---- netfront_pages.c ---- */
/* A zeroed page, granted or not; NULL: not now. */
struct nf_page *nf_page_new(struct nf_queue *q);
/* Lends it. False: no grants are left. */
bool nf_page_grant(struct nf_queue *q, struct nf_page *page, bool readonly);
/* Takes it back. False: the backend has it mapped, and the page is lost to us. */
bool nf_page_take(struct nf_page *page);
/* It goes, though the backend may have it mapped still. */
void nf_page_end(struct nf_page *page);
void nf_pages_end(struct nf_pages *pages);
static inline void nf_pages_put(struct nf_pages *pages, struct nf_page *page)
{
	page->next = pages->first;
	pages->first = page;
	pages->count++;
}
static inline struct nf_page *nf_pages_get(struct nf_pages *pages)
{
	struct nf_page *page = pages->first;

	if (page) {
		pages->first = page->next;
		pages->count--;
	}
	return page;
}

/* ---- netfront_tx.c ---- */
extern const struct net_ops nf_net_ops;
void nf_tx_begin(struct nf_queue *q);
void nf_tx_end(struct nf_queue *q);
/* Takes in answers; starts what waited and publishes it. */
void nf_tx_run(struct nf_queue *q);
/* Publishes what was put. */
void nf_tx_push(struct nf_queue *q);

/* ---- netfront_tx_put.c ---- */
/* Puts a frame on the ring, unpublished. 0: done, the frame is put or held by its slots. -XEN_EAGAIN: not now, and nothing has
 * happened; -XEN_ENOMEM, the same, and no answer will help; -XEN_EINVAL: never. */
int nf_tx_put(struct nf_queue *q, struct net_frame *frame);
/* A request of no data, for what its extra infos say. False: no slot. */
bool nf_tx_put_word(struct nf_queue *q, const struct netif_extras *extras);
/* All chunks, and up to n pages for longer frames, before they are needed. */
void nf_tx_make_pages(struct nf_queue *q, unsigned n);

/* ---- netfront_control.c ---- */
int nf_control_offer(struct nf_device *dev);
/* Connected: what waits is asked. */
void nf_control_begin(struct nf_device *dev);
void nf_control_end(struct nf_device *dev);
/* NULL: no memory, or no control ring. With a zeroed page that is lent from now on. */
struct nf_call *nf_call_new(struct nf_device *dev, uint16_t type, bool with_page);
/* Takes it, and frees it after done, or with the connection. */
void nf_call_ask(struct nf_device *dev, struct nf_call *call);

/* ---- netfront_staging.c ---- */
void nf_staging_begin(struct nf_device *dev);
void nf_staging_stop(struct nf_device *dev);

/* ---- netfront_hash.c ---- */
void nf_hash_begin(struct nf_device *dev);
/* -XEN_EOPNOTSUPP, -XEN_EBUSY: the last change is under way still. */
int nf_hash_set(struct nf_device *dev, bool on);

/* ---- netfront_multicast.c ---- */
int nf_multicast_offer(struct nf_device *dev, uint32_t tx);
void nf_multicast_begin(struct nf_device *dev);
void nf_multicast_run(struct nf_device *dev);
void nf_multicast(struct net_device *net, const uint8_t *mac, bool on);
void nf_promiscuous(struct net_device *net, bool on);

/* ---- netfront_rx.c ---- */
/* Lends as many pages as the backend is to have. */
void nf_rx_fill(struct nf_queue *q);
void nf_rx_run(struct nf_queue *q);
void nf_rx_end(struct nf_queue *q);
void nf_on_event(void *ctx); /* the backend notified */
void nf_run(void *ctx);      /* the same work, without a notification */

/* ---- netfront_rx_frame.c ---- */
/* The slots of one packet that came in. */
struct nf_packet {
	unsigned n_slots; /* of the ring, extra infos and all */
	unsigned n_data;
	struct {
		uint16_t slot, offset, len_bytes;
	} data[NETIF_SLOTS_MAX];
	uint16_t extra_slots[NETIF_EXTRAS_MAX + 2]; /* a prefix, and one too many */
	unsigned n_extra_slots;
	struct netif_extras extras;
	uint16_t flags, prefix_gso;
	uint32_t len_bytes;
	bool refused; /* the backend says that it is none */
};
/* Gives the user a frame of it, or drops it; the slots are no longer the ring's. */
void nf_rx_deliver(struct nf_queue *q, const struct nf_packet *packet);
/* No user has any. */
void nf_rx_frames_free(struct nf_device *dev);

#endif
