/* net_plain_back.h: a netback for tests of netfront that does what it is told, and a user of the guest's interface.
 *
 * In domain 0, for interface 0 of guest 1: offers what its fields say, takes the rings, keeps every packet that the guest
 * sends, and puts packets, or nonsense, into the guest's pages. It checks what a frontend promises: fields within their
 * ranges, references that can be mapped, chains that end. Over mock_host.h; one at a time.
 */
#ifndef TESTS_NET_PLAIN_BACK_H
#define TESTS_NET_PLAIN_BACK_H

#include <amphi/netfront.h>
#include <amphi/netif.h>

#include "mock_host.h"

#define NB_QUEUES 8u
#define NB_SEEN   64u /* packets kept, the n-th at n % NB_SEEN */
#define NB_KEPT   1024u

struct nb_packet {
	uint8_t data[NET_FRAME_MAX];
	uint32_t len;
	uint16_t flags;
	unsigned queue, n_slots; /* data slots */
	struct netif_extras extras;
	gref_t refs[NETIF_SLOTS_MAX];
};

struct nb_queue {
	struct plain_net *back;
	bool mapped;
	struct ring tx, rx;
	port_t port_tx, port_rx;
	unsigned packets;
};

struct plain_net {
	/* what it offers; from nb_reset, which offers nothing but rx-copy and sg */
	unsigned queues; /* 0: no such key */
	bool no_sg, no_csum, csum6, gso4, gso6, split, control, multicast, dynamic;
	/* how it is */
	bool hold;          /* packets are not answered until nb_answer */
	bool passive;       /* looks at nothing by itself */
	bool maps;          /* keeps every page mapped that it was shown */
	int16_t status;     /* of answers; 0: okay */
	unsigned staging;   /* pages of a queue that it keeps mapped; 0: it knows no such thing */
	unsigned hash_map;  /* entries of its table */
	unsigned hash_fail; /* a type of question that it refuses */
	bool mute;          /* answers no question */
	/* the connection */
	unsigned n_queues;
	struct nb_queue q[NB_QUEUES];
	/* what came */
	unsigned n_seen;
	struct nb_packet *seen;
	unsigned n_unanswered;
	struct {
		uint16_t id;
		uint8_t queue;
		uint8_t n_extras;
	} unanswered[NB_QUEUES * NETIF_RING_SLOTS];
	unsigned n_kept;
	struct host_grant_map kept[NB_KEPT];
	/* the control ring */
	struct ring ctrl;
	port_t port_ctrl;
	unsigned asked[16]; /* by type */
	struct netif_hash hash;
	struct {
		uint8_t mac[NET_MAC_BYTES];
	} groups[NETIF_MULTICAST_MAX];
	unsigned n_groups;
};
extern struct plain_net nb;

/* The guest's user: takes its eth0, and keeps what came. */
struct nb_user {
	bool away;   /* takes no interface */
	bool holds;  /* frames are kept until nb_user_release */
	bool echoes; /* sends each back, by another frame */
	unsigned n_frames, n_batches, n_changes, n_held;
	uint8_t data[NET_FRAME_MAX]; /* the last one */
	uint32_t len;
	struct net_frame last; /* its fields; no pointer in it is good */
	struct net_frame *held[512];
};
extern struct nb_user nb_user;
void nb_user_release(void);
void nb_user_begin(void); /* by nb_reset and nb_end */
void nb_user_end(void);

/* A fresh world: nothing offered, no frontend. */
void nb_reset(void);
/* The toolstack's nodes; more keys for the frontend by nb_put_front. */
void nb_attach(void);
/* The backend's keys, and state InitWait. */
void nb_offer(void);
/* Takes the rings that the frontend offered: Connected. Fails the test when there are none. */
void nb_connect(void);
bool nb_try(void); /* the same; false when there are none that can be taken */
/* All of it, with a frontend in guest 1; its interface. */
struct net_device *nb_begin(void);
/* Lets go of rings and pages; the state is the caller's to write. */
void nb_drop(void);
void nb_detach(void);
/* The interface goes, and the frontend; nothing may be left anywhere. */
bool nb_end(void);

/* The control ring, by net_plain_control.c: taken when there is one, answered, let go of. */
void nb_ctrl_take(void);
void nb_ctrl_answer(const struct xen_netif_ctrl_request *req, uint32_t status, uint32_t data);
void nb_ctrl_drop(void);
unsigned nb_front_number(const char *prefix, const char *key);

void nb_put_back(const char *key, const char *value);
void nb_put_front(const char *key, const char *value);
const char *nb_front(const char *key);

/* Takes what is on the tx rings. */
void nb_take(void);
/* Answers the first n that are not answered. */
void nb_answer(unsigned n);
struct nb_packet *nb_last(void);
void nb_notify(unsigned queue);

/* Puts a packet into the guest's pages, each filled but for the last; pushes and notifies. False: no pages are lent. first: bytes in the
 * first slot, 0: as many as fit. */
struct nb_send {
	unsigned queue;
	uint16_t flags, offset;
	uint32_t first;
	struct netif_extras extras;
	bool quiet; /* no push */
};
bool nb_send(const void *data, uint32_t len, const struct nb_send *how);
/* A response as it is, in the next slot of the rx ring. */
void nb_raw(unsigned queue, uint16_t id, uint16_t offset, uint16_t flags, int16_t status);
void nb_push(unsigned queue);

/* ---- frames of the guest's ---- */

struct nb_frame {
	struct net_frame frame;
	uint8_t *pages;
	unsigned n_pages, n_done;
	int status;
};
/* Bytes that follow from seed, in pages of the guest's: head bytes in a segment of their own (0: all in one), the rest
 * shift bytes into its first page, cut into n_parts segments. */
void nb_frame_make(struct nb_frame *f, uint32_t len, uint32_t head, unsigned n_parts,
		   unsigned shift);
void nb_frame_free(struct nb_frame *f);
/* Sends, and kicks and runs. */
void nb_frame_send(struct net_device *dev, struct nb_frame *f);
void nb_fill(uint8_t *p, size_t len, uint32_t seed);
/* Whether bytes are those that nb_frame_make put into f. */
bool nb_same(const struct nb_frame *f, const void *data, uint32_t len);

#endif
