/* bridge.h: Ethernet bridges of a service domain.
 *
 * Callers: the kernel's start of the network (kernel/net_start.c), commands. Implemented by drivers-back/bridge*.c over the
 * registry of interfaces (host_net.h). Worker context. A bridge learns where addresses are (IEEE 802.1D, 7.8), per VLAN tag
 * id, and sends a frame there, or, not knowing, to all its ports but the one it came from. It has an interface of its own,
 * named as the bridge, for the TCP/IP stack of the domain.
 *
 * A port says which bridge, and may say which VLANs it has there (net_device.bridge): NAME[.ACCESS][:TRUNK]..., as scripts for Open vSwitch have
 * it: of ACCESS its frames have no tag, of each TRUNK (8 at most; 0: none) theirs, and of others it has none. NAME alone has all, as they are.
 *
 * Ports are not trusted. An address that was heard at one port in the last second does not move to another: so a guest
 * cannot take its neighbour's frames, and a frame that comes back through a loop between two ports ends there. A guest's
 * port may have BRIDGE_GUEST_ADDRESSES addresses; frames from more are dropped. Not promised: spanning tree.
 */
#ifndef AMPHI_BRIDGE_H
#define AMPHI_BRIDGE_H

#include <amphi/host_net.h>

#define BRIDGE_ADDRESSES       1024u /* learned, in one bridge */
#define BRIDGE_GUEST_ADDRESSES 64u
#define BRIDGE_AGE_MS          300000u
#define BRIDGE_HOLD_MS         1000u
#define BRIDGE_MAX             8u

/* Begins to take interfaces: each becomes a port of the bridge that it names (made when first named, at most BRIDGE_MAX); an
 * uplink that names none of default_bridge, "" for nobody's. default_bridge lives for ever, and is made at once. -XEN_ENOMEM. */
int bridge_start(const char *default_bridge);

struct bridge_port_info {
	const char *bridge;
	const struct net_device *dev;
	unsigned addresses;
	uint64_t flooded; /* frames from it that went to all */
	uint64_t moved; /* dropped: from an address that another port has, a loop's or a thief's */
	uint64_t too_many; /* dropped: from one address more than it may have */
};
void bridge_for_each_port(void (*fn)(const struct bridge_port_info *info, void *ctx), void *ctx);

struct bridge_address_info {
	const char *bridge;
	const char *port;
	const uint8_t *mac;
	unsigned vlan;
	unsigned age_ms;
};
void bridge_for_each_address(void (*fn)(const struct bridge_address_info *info, void *ctx),
			     void *ctx);

/* Who looks on at a port that is no guest's (those have netback_tap): a wire, or a bridge's own interface; frames as the port
 * gets them and gives them. One to a port; NULL takes it away; it ends with the port. -XEN_ENODEV: no port is called so.
 * -XEN_EBUSY. */
int bridge_tap(const char *name, net_tap_fn *fn, void *ctx);

/* Whether the address was last heard at a wire, and not at a guest, of any bridge; without a tag. */
bool bridge_is_outside(const uint8_t *mac);

/* Lets go of every interface and frees all; for host programs. */
void bridge_stop(void);

#endif
