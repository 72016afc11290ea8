/* net_guest.h: a frontend that uses all of netif.h by a test's word, for tests of netback.
 *
 * Connects a guest's interface with as many pairs of rings as the test says, and puts any kind of slot on any of them; it
 * has no opinion, so it plays honest guests and bad ones. Calls net_world.h and host.h.
 */
#ifndef TESTS_NET_GUEST_H
#define TESTS_NET_GUEST_H

#include <amphi/netif.h>

#include "net_world.h"

#define GUEST_PAGES 40u /* for tx, and as many for rx, of each guest */

struct net_plan {
	unsigned n_queues; /* 0: does not know of queues, has one pair */
	bool split;        /* a port for each ring */
	bool plain;        /* says nothing of what it can, but request-rx-copy */
	bool no_notify, no_csum4, no_gso, no_csum6, ctrl;
	unsigned headroom;
	bool multicast;
	bool no_copy;
};

struct net_guest_queue {
	struct ring tx, rx;
	uint8_t *tx_page, *rx_page;
	gref_t tx_ref, rx_ref;
	port_t tx_port, rx_port;
	unsigned events, rx_events;
};

struct net_guest {
	domid_t domid;
	unsigned handle;
	struct net_plan plan;
	unsigned n_queues;
	struct net_guest_queue queues[NETIF_QUEUES_MAX];
	uint8_t *pages, *rx_pages; /* GUEST_PAGES of each */
	gref_t refs[GUEST_PAGES], rx_refs[GUEST_PAGES];
	unsigned rx_posted; /* requests posted so far: the n-th has page n % GUEST_PAGES, id n */
	struct ring ctrl;
	uint8_t *ctrl_page;
	gref_t ctrl_ref;
	port_t ctrl_port;
};

/* The nodes of a toolstack are there; offers everything and is connected, or refused. */
void net_guest_connect(struct net_guest *g, domid_t domid, const struct net_plan *plan);
/* The same, but its state is not written: offered, and the test goes on. */
void net_guest_offer(struct net_guest *g, domid_t domid, const struct net_plan *plan);
void net_guest_say(struct net_guest *g, const char *state);
/* Takes its memory back, which netback has let go of. */
void net_guest_take_back(struct net_guest *g);
/* The toolstack removes the interface, and the guest's memory comes back. */
void net_guest_end(struct net_guest *g);

/* ---- tx ---- */

/* Slots, as they are; nothing is published. */
void net_guest_tx(struct net_guest *g, unsigned queue, const struct netif_tx_request *req);
void net_guest_extra(struct net_guest *g, unsigned queue, const struct netif_extra_info *info);
/* Publishes what was put, tells netback when it wants that, and lets everybody run. */
void net_guest_push(struct net_guest *g, unsigned queue);
/* The next response of a queue; false: there is none. */
bool net_guest_answer(struct net_guest *g, unsigned queue, struct netif_tx_response *out);

/* One packet of len bytes that begin at byte 0 of page (GUEST_PAGES of them, filled by the test), in slots of pages, the
 * first with only first bytes of it unless 0; its id is page. */
struct net_packet {
	unsigned page;
	uint32_t len, first;
	uint16_t flags;
	const struct netif_extras *extras; /* NULL: none */
};
void net_guest_packet(struct net_guest *g, unsigned queue, const struct net_packet *p);
/* All of that: the status of the first slot's response; 99 when there is none. */
int net_guest_ask(struct net_guest *g, unsigned page, uint32_t len, uint16_t flags);

/* ---- rx ---- */

void net_guest_post(struct net_guest *g, unsigned queue, unsigned n);
struct net_got {
	uint32_t len;
	unsigned slots; /* with data */
	uint16_t flags;
	int status; /* 0, or the first error */
	struct netif_extras extras;
	uint8_t data[NET_FRAME_MAX];
};
/* The next packet that a queue has got; false: none. */
bool net_guest_got(struct net_guest *g, unsigned queue, struct net_got *out);

/* ---- the control ring ---- */

/* One message and its answer; false: none came. */
bool net_guest_ctrl(struct net_guest *g, const struct xen_netif_ctrl_request *req,
		    struct xen_netif_ctrl_response *out);

#endif
