/* net_world.h: a toolstack and a wire, for tests and fuzzers of netfront and netback.
 *
 * Over mock_host.h: writes and removes the nodes of virtual interfaces as libxl does, and is the user of every
 * interface of domain 0: a hub that keeps what came in and hands it to the other interfaces. Domain 0 serves, domains
 * 1.. are guests. The registry is kernel/net.c itself, one for all domains of the process.
 */
#ifndef TESTS_NET_WORLD_H
#define TESTS_NET_WORLD_H

#include <amphi/host_net.h>
#include <amphi/netback.h>

#include "mock_host.h"

void net_world_begin(void);
/* The backend goes; fails when anything is left in any domain. */
bool net_world_end(void);
void net_world_start_back(void);

/* As libxl: backend/vif/GUEST/HANDLE of domain 0 and device/vif/HANDLE of the guest. more: "key=value" for the
 * backend's directory, up to NULL; may be NULL. The MAC is net_world_mac's. */
void net_world_attach(domid_t guest, unsigned handle, const char *const *more);
void net_world_detach_begin(domid_t guest, unsigned handle); /* online = 0, state = 5 */
void net_world_detach_end(domid_t guest, unsigned handle);   /* the frontend's nodes go */
const uint8_t *net_world_mac(domid_t guest, unsigned handle);

/* The value of a half's key, "" when there is none. */
const char *net_world_front(domid_t guest, unsigned handle, const char *key);
const char *net_world_back(domid_t guest, unsigned handle, const char *key);
void net_world_put_front(domid_t guest, unsigned handle, const char *key, const char *value);
void net_world_put_back(domid_t guest, unsigned handle, const char *key, const char *value);

/* ---- the hub ---- */

struct net_seen {
	struct net_device *dev;
	uint32_t len;
	uint8_t flags, gso;
	uint16_t gso_size;
	uint32_t hash;
	unsigned n_segments;
	uint8_t data[NET_FRAME_MAX];
};
#define NET_SEEN 512u
struct net_hub {
	bool
	    forwards; /* each frame goes to all other interfaces of its own; else it is put at once */
	bool keeps;   /* frames are not put until net_hub_release */
	bool stubborn; /* as a network card: not even when the interface goes */
	bool records;  /* what came is looked at, remote segments too */
	unsigned n_frames, n_batches, n_held;
	struct net_seen last; /* with records */
	struct net_frame *held[NET_SEEN];
};
extern struct net_hub net_hub;
void net_hub_release(int status);

/* Sends a frame of local memory to an interface, from domain 0. */
struct net_sent {
	struct net_frame frame;
	domid_t domain;
	uint8_t *pages;
	unsigned n_pages;
	bool done;
	int status;
};
void net_world_send(struct net_device *dev, struct net_sent *sent, const void *data, uint32_t len);
/* The same, in another domain, from which net_sent_free frees it too. */
void net_world_send_in(domid_t domain, struct net_device *dev, struct net_sent *sent,
		       const void *data, uint32_t len);
void net_world_kick(struct net_device *dev);
void net_sent_free(struct net_sent *sent);

/* The only (first) interface's counters. */
struct netback_info net_world_info(void);
struct net_device *net_world_device(domid_t guest, unsigned handle);

/* Makes a frame of len bytes: Ethernet, IPv4 (or 6), TCP (or UDP) of ports sport and dport; the checksum field has the
 * pseudo header's sum, or nothing. Returns the length of its headers. */
struct net_recipe {
	const uint8_t *to, *from;
	bool ipv6, udp, fragment;
	uint8_t source[16], dest[16];
	uint16_t sport, dport;
};
uint32_t net_world_frame(uint8_t *out, uint32_t len, const struct net_recipe *recipe);

#endif
